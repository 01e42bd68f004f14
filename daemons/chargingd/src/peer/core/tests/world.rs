//! Everything around the core: a database, the real charging core, a provider, a gate. What is in them outlives a kill.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use iso_currency::Currency;
use rusqlite::Connection;
use tollwire_cdr::{ChargeRecord, Payment};
use tollwire_peer::{Cause, Reason};
use tollwire_runtime::clock::Now;

use crate::core as charging;
use crate::effect::{Effect as Charge, Mutation};
use crate::event::{Event as ChargeEvent, Operation};
use crate::peer::core::Core;
use crate::peer::effect::{Credentials, Effect, Reply};
use crate::peer::event::{Charged, ClientId, CredentialRequest, Delivered, Event};
use crate::peer::gate::{Counted, Outcome, Tolerance, What};
use crate::peer::measure::{Per, RatingGroups};
use crate::peer::ro::{self, Parties};
use crate::peer::session::{GateTerms, Keys, Message, Session, State, Terms};
use crate::peer::settings::{Offer, Seal, Settings};
use crate::peer::store;
use crate::rating::{CallingGroups, Definition, RatingTable};

pub(super) const T0: i64 = 1_800_000_000;
/// Micro-units of a thousand octets, of a request, and of a second.
pub(super) const OCTETS_PRICE: i64 = 1000;
pub(super) const REQUEST_PRICE: i64 = 500;
pub(super) const SECOND_PRICE: i64 = 10_000;
pub(super) const ACCOUNT: &str = "alice";
pub(super) const USER: &str = "urn:tollwire:alice";
pub(super) const PROVIDER: &str = "provider.example";

#[derive(Debug)]
pub(super) struct Plain;

impl Seal for Plain {
    fn credentials(&self, session: &Session) -> Result<Credentials, String> {
        Ok(Credentials {
            user_credential: format!("c {} {:?}", session.id, session.granted).into(),
            service_credential: format!("b {}", session.id).into(),
        })
    }

    fn acknowledgement(
        &self,
        session: &Session,
        (message, sequence): (&str, i64),
        _: i64,
    ) -> Result<Arc<str>, String> {
        let state = if session.state == State::Closed {
            "closed"
        } else {
            "open"
        };
        let Per {
            time,
            octets,
            requests,
        } = session.granted;
        let last = session.last;
        Ok(format!("{message} {sequence} {state} {time}/{octets}/{requests} last {last}").into())
    }
}

/// How something outside answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    Works,
    /// It acts, and the answer is lost.
    Unheard,
    /// Nothing arrives.
    Silent,
}

pub(super) struct World {
    pub(super) now: i64,
    pub(super) settings: Arc<Settings>,
    pub(super) database: Connection,
    pub(super) disk_full: bool,
    pub(super) charging: charging::Core,
    pub(super) charging_line: Line,
    pub(super) provider_line: Line,
    pub(super) gate_line: Line,
    pub(super) records: Vec<ChargeRecord>,
    /// What the provider has been told: credentials and revocations.
    pub(super) delivered: BTreeMap<String, String>,
    pub(super) revoked: BTreeMap<String, Reason>,
    /// What passed, and whether it is open.
    pub(super) gates: BTreeMap<String, (bool, u64, Option<u64>)>,
    pub(super) replies: HashMap<ClientId, Reply>,
    pub(super) parties: Parties,
    core: Core,
    pub(super) effects: Vec<Effect>,
    clients: u64,
}

pub(super) fn at(ms: i64) -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: ms,
    }
}

fn offer(name: &str, rating_groups: RatingGroups, gate: Option<GateTerms>) -> (Box<str>, Offer) {
    let terms = Terms {
        service: name.into(),
        provider: PROVIDER.into(),
        address: "https://provider.example/x".into(),
        credentials_url: "https://provider.example".into(),
        rating_groups,
        max_seconds_between_messages: 60,
        max_requests: None,
        address_change: false,
        times_of_day: Vec::new(),
        gate,
    };
    (
        name.into(),
        Offer {
            terms,
            lifetime_seconds: 3600,
        },
    )
}

pub(super) fn settings() -> Settings {
    let gate = GateTerms {
        pinholed: "unix:/run/pinholed.sock".parse().unwrap(),
        address: "192.0.2.9:5000".parse().unwrap(),
        tolerance: Tolerance {
            octets: 100,
            percent: 0,
        },
    };
    let octets = RatingGroups {
        octets: Some(1),
        ..RatingGroups::default()
    };
    let requests = RatingGroups {
        requests: Some(2),
        ..RatingGroups::default()
    };
    let all = RatingGroups {
        time: Some(3),
        octets: Some(1),
        requests: Some(2),
    };
    Settings {
        offers: HashMap::from([
            offer("data", octets, None),
            offer("requests", requests, None),
            offer("all", all, None),
            offer("game", octets, Some(gate)),
        ]),
        seal: Arc::new(Plain),
        max_sessions: 100,
        max_sessions_per_user: 8,
        grace_ms: 30_000,
        retry_first_ms: 1000,
        retry_most_ms: 8000,
    }
}

fn rules() -> charging::Rules {
    let tariff = |name: &str, group: u32, change: &dyn Fn(&mut Definition)| {
        let mut tariff = Definition {
            name: name.into(),
            service: "of peers".into(),
            rating_groups: vec![group],
            currency: Some(Currency::EUR),
            provider: PROVIDER.into(),
            commission_basis_points: 500,
            ..Definition::default()
        };
        change(&mut tariff);
        tariff
    };
    let tariffs = vec![
        tariff("octets", 1, &|it| {
            it.price_per_kilobyte_micro = Some(OCTETS_PRICE)
        }),
        tariff("requests", 2, &|it| {
            it.price_per_event_micro = Some(REQUEST_PRICE)
        }),
        tariff("time", 3, &|it| {
            it.price_per_minute_micro = Some(60 * SECOND_PRICE)
        }),
    ];
    charging::Rules {
        tariffs: RatingTable::new(tariffs, CallingGroups::default()).unwrap(),
        ..charging::Rules::default()
    }
}

impl World {
    /// With so much on the user's account.
    pub(super) fn new(micro: i64) -> Self {
        let database = Connection::open_in_memory().unwrap();
        database.pragma_update(None, "foreign_keys", true).unwrap();
        for step in store::MIGRATIONS {
            database.execute_batch(step).unwrap();
        }
        let settings = Arc::new(settings());
        let now = T0 * 1000;
        let limits = charging::Settings {
            quantum_octets: 100_000,
            quantum_events: 5,
            ..charging::Settings::default()
        };
        let mut world = Self {
            now,
            core: Core::new(at(now), settings.clone(), Vec::new(), &mut Vec::new()),
            settings,
            database,
            disk_full: false,
            charging: charging::Core::new(limits, rules(), charging::State::default()),
            charging_line: Line::Works,
            provider_line: Line::Works,
            gate_line: Line::Works,
            records: Vec::new(),
            delivered: BTreeMap::new(),
            revoked: BTreeMap::new(),
            gates: BTreeMap::new(),
            replies: HashMap::new(),
            parties: Parties {
                origin_host: "peers.chargingd.test".into(),
                origin_realm: "test".into(),
            },
            effects: Vec::new(),
            clients: 0,
        };
        world.operate(Operation::CreateAccount {
            name: ACCOUNT.into(),
            payment: Payment::Prepaid,
            currency: Currency::EUR,
            credit_limit_micro: 0,
            identities: vec![USER.to_owned()],
        });
        if micro > 0 {
            world.top_up(micro, "first");
        }
        world
    }

    pub(super) fn top_up(&mut self, amount_micro: i64, reference: &str) {
        self.operate(Operation::TopUp {
            account: ACCOUNT.into(),
            amount_micro,
            reference: reference.into(),
        });
    }

    pub(super) fn operate(&mut self, operation: Operation) {
        let event = ChargeEvent::Operator {
            token: 0,
            operation,
        };
        self.charge(event);
    }

    /// The charging core's own door: what it stored is stored.
    fn charge(&mut self, event: ChargeEvent) -> Option<crate::session::Outcome> {
        let mut effects = Vec::new();
        self.charging.handle(at(self.now), event, &mut effects);
        let mut outcome = None;
        for effect in effects {
            match effect {
                Charge::Answer {
                    outcome: answer, ..
                } => outcome = Some(answer),
                Charge::Store(Mutation::Record(record)) => self.records.push(*record),
                Charge::Store(_) => {}
                Charge::Reply { result, .. } => drop(result.unwrap()),
                Charge::Abort { session_id, .. } => {
                    let id = self.parties.session_of(&session_id).unwrap().into();
                    self.tell(Event::Aborted(id));
                }
                Charge::ReAuthorize { session_id, .. } => {
                    let id = self.parties.session_of(&session_id).unwrap().into();
                    self.tell(Event::Refresh(id));
                }
            }
        }
        outcome
    }

    /// Killed and started again: what was not on disk is gone, and so is what was to be done.
    pub(super) fn kill(&mut self) {
        self.effects.clear();
        let open = store::open(&self.database).unwrap();
        let (now, settings) = (at(self.now), self.settings.clone());
        self.core = Core::new(now, settings, open, &mut self.effects);
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.core.handle(at(self.now), event, &mut self.effects);
    }

    pub(super) fn counters(&self) -> crate::peer::core::Counters {
        self.core.counters()
    }

    pub(super) fn live(&self) -> usize {
        self.core.live()
    }

    fn client(&mut self) -> ClientId {
        self.clients += 1;
        ClientId(self.clients)
    }

    /// The same number makes the same request; `session` is what it becomes if it is new.
    pub(super) fn request(&mut self, service: &str, number: u32) -> ClientId {
        self.request_from(service, number, (service == "game").then_some(4000))
    }

    pub(super) fn request_from(
        &mut self,
        service: &str,
        number: u32,
        udp_port: Option<u16>,
    ) -> ClientId {
        let client = self.client();
        let request = Box::new(CredentialRequest {
            service: service.into(),
            udp_port,
            request_id: format!("request-{number}").into(),
            nonce: format!("nonce-{number}").into(),
            nonce_until_ms: self.now + 120_000,
            user: USER.into(),
            chain: "".into(),
            ip: "192.0.2.1".parse().unwrap(),
            digest: format!("digest-{number}").into(),
            session: format!("session-{number}-{}", client.0).into(),
            keys: Keys {
                user: "user's".into(),
                provider: "provider's".into(),
            },
        });
        self.tell(Event::Request { client, request });
        client
    }

    /// An open session of this service: its name.
    pub(super) fn open(&mut self, service: &str, number: u32) -> String {
        let client = self.request(service, number);
        self.settle();
        match self.replies.get(&client) {
            Some(Reply::Token(token)) => token.strip_prefix("b ").unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn message(
        session: &str,
        sequence: i64,
        cause: Option<Cause>,
        data: Per<Option<i64>>,
    ) -> Message {
        Message {
            id: format!("m{sequence}").into(),
            session: session.into(),
            sequence,
            cause,
            data,
            nonce: format!("{session}-{sequence}").into(),
            nonce_until_ms: i64::MAX,
            from: PROVIDER.into(),
            digest: format!("{sequence} {cause:?} {data:?}").into(),
        }
    }

    pub(super) fn send(&mut self, message: Message) -> ClientId {
        let client = self.client();
        let message = Box::new(message);
        self.tell(Event::Message { client, message });
        client
    }

    /// Of octets alone.
    pub(super) fn report(
        &mut self,
        session: &str,
        sequence: i64,
        octets: i64,
        cause: Option<Cause>,
    ) -> ClientId {
        let data = Per {
            octets: Some(octets),
            ..Per::default()
        };
        self.send(Self::message(session, sequence, cause, data))
    }

    pub(super) fn close(&mut self, session: &str) -> ClientId {
        let client = self.client();
        let id = session.into();
        self.tell(Event::Close { client, id });
        client
    }

    /// Carries out one effect; false if there is none.
    pub(super) fn step(&mut self) -> bool {
        if self.effects.is_empty() {
            return false;
        }
        match self.effects.remove(0) {
            Effect::Begin {
                client,
                session,
                digest,
                chain,
                nonce,
                nonce_until_ms,
            } => {
                let nonce = (&*nonce, nonce_until_ms);
                let digest = (&*digest, &*chain);
                let outcome = (!self.disk_full)
                    .then(|| store::begin(&self.database, &session, digest, nonce).unwrap());
                self.tell(Event::Begun {
                    client,
                    session,
                    outcome,
                });
            }
            Effect::Take {
                client,
                message,
                ordered,
                at_ms,
            } => {
                let with = ordered.as_deref();
                let outcome = (!self.disk_full)
                    .then(|| store::take(&self.database, &message, with, at_ms).unwrap());
                self.tell(Event::Taken {
                    client,
                    message,
                    ordered: ordered.is_some(),
                    outcome,
                });
            }
            Effect::Store(change) => match self.disk_full {
                true => self.tell(Event::NotStored(change)),
                false => {
                    store::change(&self.database, &change, self.now).unwrap();
                    self.tell(Event::Stored(change));
                }
            },
            Effect::Charge { session, order } => self.carry_order(&session, &order),
            Effect::Deliver {
                id,
                provider,
                credential,
                ..
            } => {
                assert_eq!(&*provider, PROVIDER);
                if self.provider_line != Line::Silent {
                    let before = self
                        .delivered
                        .insert(id.to_string(), credential.to_string());
                    assert!(before.is_none_or(|before| before == *credential));
                }
                let result = match self.provider_line {
                    Line::Works => Delivered::Acknowledged,
                    Line::Unheard | Line::Silent => Delivered::Unreachable("away".into()),
                };
                self.tell(Event::Delivered { id, result });
            }
            Effect::Revoke { id, reason, .. } => {
                if self.provider_line != Line::Silent {
                    self.revoked.insert(id.to_string(), reason);
                }
                let taken = self.provider_line == Line::Works;
                self.tell(Event::Revoked { id, taken });
            }
            Effect::Gate { what, order } => self.gate(what, &order),
            Effect::Reply { client, reply } => {
                self.replies.insert(client, reply);
            }
        }
        true
    }

    fn carry_order(&mut self, session: &Session, order: &crate::peer::session::Order) {
        // What is asked stands on disk before it is asked.
        assert_eq!(self.session(&session.id).order.as_ref(), Some(order));
        let mut result = Charged::Unknown;
        if self.charging_line != Line::Silent {
            let request = Box::new(self.parties.request(session, order));
            let event = ChargeEvent::CreditControl { token: 1, request };
            let outcome = self.charge(event).unwrap();
            if self.charging_line == Line::Works {
                result = ro::answer(session, order.kind, &outcome);
            }
        }
        self.tell(Event::Charged {
            id: session.id.clone(),
            number: order.number,
            result,
        });
    }

    fn gate(&mut self, what: What, order: &crate::peer::gate::Order) {
        let place = self.gates.entry(order.session.clone()).or_default();
        if self.gate_line != Line::Silent {
            place.0 = what != What::Close;
            place.2 = order.octets;
        }
        let counted = Counted {
            now: place.1,
            ..Counted::default()
        };
        let outcome = match (self.gate_line, what) {
            (Line::Works, What::Close) => Outcome::Closed(Some(counted)),
            (Line::Works, _) => Outcome::Stands(counted),
            (Line::Unheard | Line::Silent, _) => Outcome::Unreachable,
        };
        self.tell(Event::Gate {
            id: order.session.as_str().into(),
            what: Some(what),
            outcome,
        });
    }

    /// Until nothing is to be done at once.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.step() {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    /// Lets time pass, with what falls due here and at the charging core.
    pub(super) fn pass(&mut self, seconds: i64) {
        let end = self.now + seconds * 1000;
        self.settle();
        loop {
            let ours = self.core.next_due();
            let theirs = self.charging.next_deadline_unix_ms();
            let next = [ours, theirs].into_iter().flatten().min();
            let Some(due) = next.filter(|due| *due <= end) else {
                break;
            };
            self.now = self.now.max(due);
            if theirs.is_some_and(|at| at <= self.now) {
                self.charge(ChargeEvent::Tick);
            }
            self.tell(Event::Tick);
            self.settle();
        }
        self.now = end;
        self.tell(Event::Tick);
        self.settle();
    }

    pub(super) fn session(&self, id: &str) -> Session {
        let sql = "SELECT body FROM sessions WHERE id = ?1";
        let body: String = self
            .database
            .query_row(sql, [id], |row| row.get(0))
            .unwrap();
        serde_json::from_str(&body).unwrap()
    }

    pub(super) fn sessions(&self) -> Vec<Session> {
        let mut statement = self.database.prepare("SELECT body FROM sessions").unwrap();
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .unwrap();
        rows.map(|body| serde_json::from_str(&body.unwrap()).unwrap())
            .collect()
    }

    pub(super) fn token(&self, client: ClientId) -> String {
        match self.replies.get(&client) {
            Some(Reply::Token(token)) => token.to_string(),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn refusal(&self, client: ClientId) -> tollwire_peer::Word {
        match self.replies.get(&client) {
            Some(Reply::Refused(refusal)) => refusal.error,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn balance(&self) -> i64 {
        self.charging.account(ACCOUNT).unwrap().balance_micro
    }

    pub(super) fn held(&self) -> i64 {
        self.charging.account(ACCOUNT).unwrap().held_micro
    }

    /// What a session has cost by the records.
    pub(super) fn recorded(&self, session: &str) -> i64 {
        let name = self.parties.session_id(session);
        let of = self.records.iter();
        // Of several services, or late, it has more behind.
        let of = of.filter(|record| {
            let rest = record.record_id.strip_prefix(&name);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
        });
        of.map(|record| record.amount_micro).sum()
    }

    pub(super) fn refusal_now(&mut self, client: ClientId) -> tollwire_peer::Word {
        self.settle();
        self.refusal(client)
    }
}
