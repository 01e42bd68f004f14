//! The world around the core.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tollwire_runtime::clock::Now;

use crate::core::Core;
use crate::effect::{CreditRequest, Effect, RecordFacts, Refusal, Reply};
use crate::entry::{Entry, Fold, Recovered};
use crate::event::{
    CreditAction, CreditAnswer, CreditResult, Event, Frame, LinkId, Operation, StoreFailure,
};
use crate::message::{Charge, MessageId, Payer};
use crate::settings::{
    Charging, EsmeSettings, FinalOn, RecordRole, RouteSettings, Settings, Target, TariffOnNextHop,
    UpstreamSettings,
};
use crate::wire::{command, tag, write};

/// Midday of 2026-03-01 UTC.
pub const START: i64 = 1_772_366_400_000;

pub struct Sim {
    pub core: Core,
    pub settings: Settings,
    begin: Instant,
    pub now_ms: i64,
    /// Every entry of every run that is on disk, and those of this run that are not yet.
    pub disk: Vec<Entry>,
    pub cache: VecDeque<Entry>,
    stored: u64,
    pub store_by_itself: bool,
    /// The spool drops what it gets until the core has heard of the failure.
    dropping: bool,
    pub sent: HashMap<LinkId, VecDeque<Frame>>,
    pub closed: Vec<LinkId>,
    pub connects: Vec<(Arc<str>, u32, Duration)>,
    pub record_queue: VecDeque<RecordFacts>,
    records_stored: u64,
    /// The record files: by record id, written once each.
    pub records: BTreeMap<MessageId, RecordFacts>,
    pub records_by_themselves: bool,
    pub credit_queue: VecDeque<CreditRequest>,
    pub credit: Credit,
    pub passwords: Vec<LinkId>,
    next_link: u64,
    next_sequence: u32,
    reply: Option<Result<Reply, Refusal>>,
}

/// A credit control that answers at once, if it is up.
#[derive(Default)]
pub struct Credit {
    pub down: bool,
    pub refuse: Option<u32>,
    pub sessions: BTreeMap<(MessageId, u32), Session>,
    pub asked: Vec<(CreditAction, MessageId, u32, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    Held(i64),
    Debited(i64),
    Released,
}

impl Credit {
    pub fn answer(&mut self, request: &CreditRequest) -> CreditAnswer {
        let key = (request.message.id, request.reservation);
        self.asked
            .push((request.action, key.0, key.1, request.repeated));
        let known = self.sessions.get(&key).copied();
        let result = match (request.action, known) {
            _ if self.down => CreditResult::Unavailable,
            (CreditAction::Reserve, None) => match self.refuse {
                Some(code) => CreditResult::Refused(code),
                None => {
                    self.sessions
                        .insert(key, Session::Held(request.amount_micro));
                    CreditResult::Granted
                }
            },
            (CreditAction::Reserve | CreditAction::Renew, Some(Session::Held(_))) => {
                CreditResult::Granted
            }
            (_, None) | (CreditAction::Reserve | CreditAction::Renew, Some(_)) => {
                CreditResult::UnknownSession
            }
            (CreditAction::Debit, Some(Session::Held(amount))) => {
                self.sessions.insert(key, Session::Debited(amount));
                CreditResult::Granted
            }
            (CreditAction::Release, Some(Session::Held(_))) => {
                self.sessions.insert(key, Session::Released);
                CreditResult::Granted
            }
            // Answered before: the same answer again.
            (CreditAction::Debit, Some(Session::Debited(_)))
            | (CreditAction::Release, Some(Session::Released)) => CreditResult::Granted,
            (CreditAction::Debit | CreditAction::Release, Some(_)) => CreditResult::UnknownSession,
        };
        CreditAnswer {
            message: key.0,
            reservation: key.1,
            action: request.action,
            result,
        }
    }

    pub fn debits(&self, id: MessageId) -> usize {
        self.sessions
            .iter()
            .filter(|((message, _), session)| {
                *message == id && matches!(session, Session::Debited(_))
            })
            .count()
    }

    pub fn held(&self) -> usize {
        self.sessions
            .values()
            .filter(|session| matches!(session, Session::Held(_)))
            .count()
    }
}

pub fn esme(system_id: &str) -> EsmeSettings {
    EsmeSettings {
        system_id: system_id.into(),
        password_hash: format!("hash of {system_id}").into(),
        allowed_payers: ["receiver", "sender", "*"].map(Into::into).into(),
        ..EsmeSettings::default()
    }
}

pub fn route(name: &str, prefix: &str, receivers: &[&str]) -> RouteSettings {
    RouteSettings {
        name: name.into(),
        destination_prefix: prefix.into(),
        source_esmes: Vec::new(),
        target: Target::Receivers(receivers.iter().map(|name| (*name).into()).collect()),
        default_charge: None,
        charging: Charging::Record,
        record: RecordRole::Here,
        tariff_on_next_hop: TariffOnNextHop::Unchanged,
        final_on: FinalOn::Receipt,
        destination_window: 1,
        data_sm: false,
    }
}

pub fn upstream(name: &str, binds: u32) -> UpstreamSettings {
    UpstreamSettings {
        name: name.into(),
        system_id: "us".into(),
        password: "secret".into(),
        system_type: "".into(),
        binds,
        transmitter_only: false,
        window: 10,
        throughput: 0,
        reconnect_first_ms: 100,
        reconnect_most_ms: 1000,
        tariff_format: Default::default(),
        tariff_tag: None,
        allowed_payers: crate::settings::default_payers(),
        on_bad_tariff: Default::default(),
        hexadecimal_ids: false,
    }
}

pub fn euros(amount_micro: i64) -> Charge {
    Charge {
        amount_micro,
        currency: *b"EUR",
        class: None,
        payer: Payer::Receiver,
    }
}

/// An application "app", another one "other", and a receiver "phone" for everything.
pub fn settings() -> Settings {
    let mut settings = Settings {
        system_id: "smsc".into(),
        esmes: vec![esme("app"), esme("other"), esme("phone")],
        routes: vec![route("all", "", &["phone"])],
        ..Settings::default()
    };
    settings.timers.enquire_link_ms = u32::MAX;
    settings
}

/// A `submit_sm` and its like, with everything at its usual value.
#[derive(Debug, Clone)]
pub struct Submit {
    pub service_type: &'static str,
    pub source: String,
    pub destination: String,
    pub esm_class: u8,
    pub priority_flag: u8,
    pub schedule: String,
    pub validity: String,
    pub registered_delivery: u8,
    pub replace_if_present_flag: u8,
    pub data_coding: u8,
    pub text: Vec<u8>,
    pub tlvs: Vec<(u16, Vec<u8>)>,
}

impl Submit {
    pub fn new(destination: &str, text: &str) -> Self {
        Self {
            service_type: "",
            source: "1000".into(),
            destination: destination.into(),
            esm_class: 0,
            priority_flag: 0,
            schedule: String::new(),
            validity: String::new(),
            registered_delivery: 1,
            replace_if_present_flag: 0,
            data_coding: 0,
            text: text.into(),
            tlvs: Vec::new(),
        }
    }

    pub fn body(&self) -> Vec<u8> {
        let mut out = Vec::new();
        write::text(&mut out, self.service_type);
        out.extend_from_slice(&[1, 1]);
        write::text(&mut out, &self.source);
        out.extend_from_slice(&[1, 1]);
        write::text(&mut out, &self.destination);
        self.rest(&mut out);
        out
    }

    pub fn multi_body(&self, destinations: &[&str]) -> Vec<u8> {
        let mut out = Vec::new();
        write::text(&mut out, self.service_type);
        out.extend_from_slice(&[1, 1]);
        write::text(&mut out, &self.source);
        out.push(u8::try_from(destinations.len()).unwrap());
        for destination in destinations {
            out.extend_from_slice(&[1, 1, 1]);
            write::text(&mut out, destination);
        }
        self.rest(&mut out);
        out
    }

    fn rest(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&[self.esm_class, 0, self.priority_flag]);
        write::text(out, &self.schedule);
        write::text(out, &self.validity);
        out.extend_from_slice(&[
            self.registered_delivery,
            self.replace_if_present_flag,
            self.data_coding,
            0,
            u8::try_from(self.text.len()).unwrap(),
        ]);
        out.extend_from_slice(&self.text);
        for (tag, value) in &self.tlvs {
            write::tlv(out, *tag, value);
        }
    }
}

/// What a `deliver_sm` or `submit_sm` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Got {
    pub sequence_number: u32,
    pub source: String,
    pub destination: String,
    pub esm_class: u8,
    pub registered_delivery: u8,
    pub text: String,
    pub tlvs: Vec<(u16, Vec<u8>)>,
}

impl Got {
    pub fn read(frame: &Frame) -> Self {
        let read = crate::wire::read::submission(frame).unwrap();
        Self {
            sequence_number: frame.sequence_number,
            source: read.source.digits.to_string(),
            destination: read.destination.digits.to_string(),
            esm_class: read.esm_class,
            registered_delivery: read.registered_delivery,
            text: String::from_utf8_lossy(read.short_message).into_owned(),
            tlvs: read
                .tlvs
                .iter()
                .map(|tlv| (tlv.tag, tlv.value.to_vec()))
                .collect(),
        }
    }

    /// The message that this receipt is about, and its state.
    pub fn receipt(&self) -> (u64, u8) {
        let value = |wanted| &self.tlvs.iter().find(|(tag, _)| *tag == wanted).unwrap().1;
        let id = value(tag::RECEIPTED_MESSAGE_ID);
        let id: u64 = std::str::from_utf8(&id[..id.len() - 1])
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            self.text.starts_with(&format!("id:{id} sub:001 ")),
            "{}",
            self.text
        );
        (id, value(tag::MESSAGE_STATE)[0])
    }
}

pub fn frames(mut octets: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !octets.is_empty() {
        let word = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
        let length = word(0) as usize;
        frames.push(Frame {
            command_id: word(4),
            command_status: word(8),
            sequence_number: word(12),
            body: Bytes::copy_from_slice(&octets[16..length]),
        });
        octets = &octets[length..];
    }
    frames
}

impl Sim {
    pub fn new(settings: Settings) -> Self {
        let begin = Instant::now();
        let mut sim = Self {
            core: Core::new(
                Now {
                    instant: begin,
                    unix_ms: START,
                },
                Settings::default(),
                Recovered::default(),
                &mut Vec::new(),
            ),
            settings,
            begin,
            now_ms: START,
            disk: Vec::new(),
            cache: VecDeque::new(),
            stored: 0,
            store_by_itself: true,
            dropping: false,
            sent: HashMap::new(),
            closed: Vec::new(),
            connects: Vec::new(),
            record_queue: VecDeque::new(),
            records_stored: 0,
            records: BTreeMap::new(),
            records_by_themselves: true,
            credit_queue: VecDeque::new(),
            credit: Credit::default(),
            passwords: Vec::new(),
            next_link: 1,
            next_sequence: 1,
            reply: None,
        };
        sim.start();
        sim
    }

    pub fn now(&self) -> Now {
        Now {
            instant: self.begin
                + Duration::from_millis(u64::try_from(self.now_ms - START).unwrap()),
            unix_ms: self.now_ms,
        }
    }

    fn start(&mut self) {
        let mut fold = Fold::new(1);
        for entry in &self.disk {
            fold.apply(entry.clone(), &mut Vec::new());
        }
        let mut effects = Vec::new();
        self.core = Core::new(
            self.now(),
            self.settings.clone(),
            fold.finish(),
            &mut effects,
        );
        self.perform(effects);
    }

    /// The daemon is killed: of what was not yet on disk, the first `survive` entries are there all the same.
    pub fn crash(&mut self, survive: usize) {
        let survive = survive.min(self.cache.len());
        self.disk.extend(self.cache.drain(..survive));
        self.cache.clear();
        self.stored = 0;
        self.dropping = false;
        self.sent.clear();
        self.closed.clear();
        self.connects.clear();
        self.record_queue.clear();
        self.records_stored = 0;
        self.credit_queue.clear();
        self.passwords.clear();
        self.start();
    }

    pub fn event(&mut self, event: Event) {
        let mut effects = Vec::new();
        let now = self.now();
        self.core.handle(now, event, &mut effects);
        self.perform(effects);
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send { link, octets } => {
                    assert!(!self.closed.contains(&link));
                    self.sent.entry(link).or_default().extend(frames(&octets));
                }
                Effect::Close { link } => self.closed.push(link),
                Effect::Connect {
                    upstream,
                    index,
                    after,
                } => self.connects.push((upstream, index, after)),
                Effect::CheckPassword {
                    link,
                    hash,
                    password,
                } => {
                    self.passwords.push(link);
                    let ok = hash.is_some_and(|hash| *hash == *format!("hash of {password}"));
                    self.event(Event::PasswordChecked { link, ok });
                }
                Effect::Store(entry) => {
                    if !self.dropping {
                        self.cache.push_back(entry);
                    }
                }
                Effect::StoreFailureHeard => self.dropping = false,
                Effect::Record(facts) => self.record_queue.push_back(*facts),
                Effect::Credit(request) => self.credit_queue.push_back(*request),
                Effect::Reply { result, .. } => self.reply = Some(result),
            }
        }
    }

    /// The disk does its work for `count` entries.
    pub fn sync(&mut self, count: usize) {
        let count = count.min(self.cache.len());
        if count > 0 {
            self.disk.extend(self.cache.drain(..count));
            self.stored += count as u64;
            self.event(Event::Stored { up_to: self.stored });
        }
    }

    /// The spool fails: what is not on disk is gone.
    pub fn fail_store(&mut self, failure: StoreFailure) {
        self.stored += self.cache.len() as u64;
        self.cache.clear();
        self.dropping = true;
        self.event(Event::StoreFailed(failure));
        assert!(!self.dropping);
    }

    pub fn write_records(&mut self, count: usize) {
        let count = count.min(self.record_queue.len());
        for facts in self.record_queue.drain(..count) {
            self.records.entry(facts.message.id).or_insert(facts);
        }
        if count > 0 {
            self.records_stored += count as u64;
            self.event(Event::RecordsStored {
                up_to: self.records_stored,
            });
        }
    }

    pub fn answer_credit(&mut self) -> bool {
        let Some(request) = self.credit_queue.pop_front() else {
            return false;
        };
        let answer = self.credit.answer(&request);
        self.event(Event::Credit(answer));
        true
    }

    /// Everything that can happen without time and peers happens.
    pub fn settle(&mut self) {
        loop {
            if self.store_by_itself && !self.cache.is_empty() {
                self.sync(usize::MAX);
            } else if self.records_by_themselves && !self.record_queue.is_empty() {
                self.write_records(usize::MAX);
            } else if !self.answer_credit() {
                break;
            }
        }
        for link in std::mem::take(&mut self.closed) {
            self.event(Event::Closed { link });
        }
    }

    /// Time passes, with every deadline in it.
    pub fn pass(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        loop {
            self.settle();
            match self.core.next_deadline(self.now()) {
                Some(after) if self.now_ms + i64::try_from(after.as_millis()).unwrap() <= until => {
                    // A part of a millisecond is waited out.
                    let after = i64::try_from(after.as_micros().div_ceil(1000)).unwrap();
                    self.now_ms = (self.now_ms + after).min(until);
                    self.event(Event::Tick);
                }
                _ => break,
            }
        }
        self.now_ms = until;
        self.event(Event::Tick);
        self.settle();
    }

    pub fn connect(&mut self) -> LinkId {
        let link = LinkId(self.next_link);
        self.next_link += 1;
        self.event(Event::Accepted {
            link,
            remote: [127, 0, 0, 1].into(),
            tls_client_name: None,
        });
        link
    }

    /// Sends a request; returns its sequence number.
    pub fn request(&mut self, link: LinkId, command_id: u32, body: Vec<u8>) -> u32 {
        let sequence_number = self.next_sequence;
        self.next_sequence += 1;
        self.pdu(link, command_id, 0, sequence_number, body);
        sequence_number
    }

    pub fn pdu(
        &mut self,
        link: LinkId,
        command_id: u32,
        command_status: u32,
        sequence_number: u32,
        body: Vec<u8>,
    ) {
        self.event(Event::Frames {
            link,
            frames: vec![Frame {
                command_id,
                command_status,
                sequence_number,
                body: body.into(),
            }],
        });
    }

    pub fn next(&mut self, link: LinkId) -> Option<Frame> {
        self.sent.get_mut(&link)?.pop_front()
    }

    /// The answer of a request that was sent last, which must be all that was sent.
    pub fn answer(&mut self, link: LinkId, sequence_number: u32) -> Frame {
        let frame = self.next(link).expect("an answer");
        assert_eq!(frame.sequence_number, sequence_number);
        assert_ne!(frame.command_id & command::RESPONSE, 0);
        frame
    }

    pub fn bind_body(system_id: &str, password: &str) -> Vec<u8> {
        let mut body = Vec::new();
        write::text(&mut body, system_id);
        write::text(&mut body, password);
        body.extend_from_slice(&[0, 0x34, 0, 0, 0]);
        body
    }

    /// Binds with the right password.
    pub fn bind(&mut self, command_id: u32, system_id: &str) -> LinkId {
        let link = self.connect();
        let sequence = self.request(link, command_id, Self::bind_body(system_id, system_id));
        let answer = self.answer(link, sequence);
        assert_eq!(answer.command_status, 0);
        link
    }

    pub fn transceiver(&mut self, system_id: &str) -> LinkId {
        self.bind(command::BIND_TRANSCEIVER, system_id)
    }

    /// Submits, and has everything stored. The status and the id of the answer.
    pub fn submit(&mut self, link: LinkId, submit: &Submit) -> Result<MessageId, u32> {
        let sequence = self.request(link, command::SUBMIT_SM, submit.body());
        self.settle();
        let answer = self.answer(link, sequence);
        assert_eq!(answer.command_id, command::SUBMIT_SM | command::RESPONSE);
        if answer.command_status != 0 {
            assert!(answer.body.is_empty());
            return Err(answer.command_status);
        }
        Ok(id(&answer))
    }

    /// What the link got: messages only.
    pub fn got(&mut self, link: LinkId) -> Option<Got> {
        let frame = self.next(link)?;
        assert!(
            matches!(frame.command_id, command::DELIVER_SM | command::SUBMIT_SM),
            "{frame:?}"
        );
        Some(Got::read(&frame))
    }

    /// Answers a `deliver_sm`.
    pub fn take(&mut self, link: LinkId, got: &Got, status: u32) {
        let body = if status == 0 { vec![0] } else { Vec::new() };
        self.pdu(
            link,
            command::DELIVER_SM | command::RESPONSE,
            status,
            got.sequence_number,
            body,
        );
        self.settle();
    }

    pub fn operate(&mut self, operation: Operation) -> Result<Reply, Refusal> {
        self.event(Event::Operator {
            token: 1,
            operation,
        });
        self.settle();
        self.reply.take().unwrap()
    }

    /// Nothing is left of any message.
    pub fn assert_empty(&self) {
        let depth = self.core.depth();
        assert_eq!(depth, Default::default());
        let mut fold = Fold::new(1);
        for entry in &self.disk {
            fold.apply(entry.clone(), &mut Vec::new());
        }
        let left = fold.finish();
        assert!(
            left.unfinished.is_empty() && left.owed.is_empty(),
            "{left:?}"
        );
    }
}

/// The id in a `submit_sm_resp`.
pub fn id(answer: &Frame) -> MessageId {
    let text = std::str::from_utf8(&answer.body[..answer.body.len() - 1]).unwrap();
    text.parse().unwrap()
}
