//! Anything at any time, from a seed: every acknowledged message is delivered or reported, each is paid once, each has
//! one record, and nothing is left in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::sim::{Got, Sim, Submit, euros, id, route, settings, upstream};
use crate::event::{Event, LinkId, StoreFailure};
use crate::message::MessageId;
use crate::settings::{Charging, Settings, Target};
use crate::wire::{command, status, write};

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 33) % limit
    }

    fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }
}

fn world() -> Settings {
    let mut settings = settings();
    settings.routes[0].charging = Charging::Online;
    settings.routes[0].default_charge = Some(euros(1000));
    settings.upstreams = vec![upstream("net", 1)];
    let mut through = route("net", "49", &[]);
    through.target = Target::Upstreams(vec!["net".into()]);
    through.charging = Charging::Online;
    through.default_charge = Some(euros(2000));
    settings.routes.push(through);
    settings.esmes[2].window = 4;
    settings
}

/// Peers that do as the dice say.
struct Players {
    random: Random,
    app: Option<LinkId>,
    phone: Option<LinkId>,
    net: Option<LinkId>,
    next_link: u64,
    /// Requests of the app by sequence number: the text.
    asked: BTreeMap<u32, String>,
    acknowledged: BTreeMap<MessageId, String>,
    refused: u32,
    delivered: BTreeMap<String, u32>,
    /// Final receipts by message.
    reported: BTreeMap<MessageId, BTreeSet<u8>>,
    receipts: BTreeMap<MessageId, u32>,
    /// What the upstream has taken, by its id: still to be reported.
    to_report: Vec<u64>,
    next_theirs: u64,
    number: u32,
    calm: bool,
}

impl Players {
    fn new(seed: u64) -> Self {
        Self {
            random: Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            app: None,
            phone: None,
            net: None,
            next_link: 1_000_000,
            asked: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            refused: 0,
            delivered: BTreeMap::new(),
            reported: BTreeMap::new(),
            receipts: BTreeMap::new(),
            to_report: Vec::new(),
            next_theirs: 1,
            number: 0,
            calm: false,
        }
    }

    fn forget_links(&mut self) {
        self.app = None;
        self.phone = None;
        self.net = None;
        self.asked.clear();
    }

    fn bind(&mut self, sim: &mut Sim) {
        if self.app.is_none() {
            self.app = Some(sim.transceiver("app"));
        }
        if self.phone.is_none() {
            self.phone = Some(sim.transceiver("phone"));
        }
        if self.net.is_none() {
            let link = LinkId(self.next_link);
            self.next_link += 1;
            sim.event(Event::Connected {
                link,
                upstream: "net".into(),
                index: 0,
            });
            let bind = sim.next(link).unwrap();
            let response = command::BIND_TRANSCEIVER | command::RESPONSE;
            sim.pdu(link, response, 0, bind.sequence_number, b"net\0".to_vec());
            self.net = Some(link);
        }
    }

    fn drop_link(&mut self, sim: &mut Sim) {
        let link = match self.random.below(3) {
            0 => self.app.take(),
            1 => self.phone.take(),
            _ => self.net.take(),
        };
        if let Some(link) = link {
            sim.sent.remove(&link);
            sim.event(Event::Closed { link });
        }
    }

    fn submit(&mut self, sim: &mut Sim) {
        let Some(app) = self.app else {
            return;
        };
        self.number += 1;
        let text = format!("m{}", self.number);
        let destination = match self.random.below(3) {
            0 => format!("49{}", self.random.below(5)),
            _ => format!("5{}", self.random.below(5)),
        };
        let mut submit = Submit::new(&destination, &text);
        submit.priority_flag = u8::try_from(self.random.below(4)).unwrap();
        if self.random.one_in(5) {
            submit.validity = "000000000200000R".into();
        }
        if self.random.one_in(10) {
            submit.schedule = "000000000010000R".into();
        }
        if self.random.one_in(8) {
            submit.registered_delivery = 0x11;
        }
        let sequence = sim.request(app, command::SUBMIT_SM, submit.body());
        self.asked.insert(sequence, text);
    }

    /// Everybody reads one PDU, and answers it or not.
    fn read(&mut self, sim: &mut Sim) {
        if let Some(app) = self.app
            && let Some(frame) = sim.next(app)
        {
            match frame.command_id {
                command::DELIVER_SM => {
                    let got = Got::read(&frame);
                    let (number, state) = got.receipt();
                    let message = MessageId::new(number).unwrap();
                    if state != 1 {
                        self.reported.entry(message).or_default().insert(state);
                        *self.receipts.entry(message).or_default() += 1;
                    }
                    self.answer(sim, app, &got);
                }
                _ => {
                    let text = self.asked.remove(&frame.sequence_number).unwrap();
                    if frame.command_status == 0 {
                        let fresh = self.acknowledged.insert(id(&frame), text);
                        assert_eq!(fresh, None, "an id was used twice");
                    } else {
                        self.refused += 1;
                    }
                }
            }
        }
        if let Some(phone) = self.phone
            && let Some(got) = sim.got(phone)
        {
            *self.delivered.entry(got.text.clone()).or_default() += 1;
            self.answer(sim, phone, &got);
        }
        if let Some(net) = self.net
            && let Some(frame) = sim.next(net)
            && frame.command_id == command::SUBMIT_SM
        {
            let got = Got::read(&frame);
            *self.delivered.entry(got.text).or_default() += 1;
            let response = command::SUBMIT_SM | command::RESPONSE;
            if self.calm || !self.random.one_in(4) {
                let mut body = Vec::new();
                write::text(&mut body, &format!("n{}", self.next_theirs));
                sim.pdu(net, response, 0, got.sequence_number, body);
                self.to_report.push(self.next_theirs);
                self.next_theirs += 1;
            } else {
                sim.pdu(
                    net,
                    response,
                    status::ESME_RSYSERR,
                    got.sequence_number,
                    Vec::new(),
                );
            }
        }
    }

    fn answer(&mut self, sim: &mut Sim, link: LinkId, got: &Got) {
        let status = match self.random.below(8) {
            _ if self.calm => 0,
            0 => status::ESME_RMSGQFUL,
            1 => status::ESME_RSYSERR,
            2 => status::ESME_RX_P_APPN,
            3 => return,
            _ => 0,
        };
        let response = command::DELIVER_SM | command::RESPONSE;
        let body = if status == 0 { vec![0] } else { Vec::new() };
        sim.pdu(link, response, status, got.sequence_number, body);
    }

    fn report(&mut self, sim: &mut Sim) {
        if let (Some(net), Some(theirs)) = (self.net, self.to_report.pop()) {
            let mut receipt = Submit::new("1000", "");
            receipt.text = format!("id:n{theirs} stat:DELIVRD err:000").into_bytes();
            receipt.esm_class = 4;
            let sequence = sim.request(net, command::DELIVER_SM, receipt.body());
            // An upstream repeats what is not answered; here it does so if it is answered with an error.
            if let Some(queue) = sim.sent.get_mut(&net)
                && let Some(at) = queue.iter().position(|frame| {
                    frame.sequence_number == sequence && frame.command_id == 0x8000_0005
                })
                && queue.remove(at).unwrap().command_status != 0
            {
                self.to_report.push(theirs);
            }
        }
    }
}

fn step(sim: &mut Sim, players: &mut Players, failed: &mut bool) {
    let random = &mut players.random;
    match random.below(40) {
        0..=9 => players.submit(sim),
        10..=19 => players.read(sim),
        20..=23 => players.report(sim),
        24..=28 => {
            let count = random.below(4) as usize;
            if !*failed {
                sim.sync(count);
            }
        }
        29..=30 => sim.write_records(random.below(4) as usize),
        31..=33 => {
            sim.answer_credit();
        }
        34 => {
            let ms = i64::try_from(random.below(70_000)).unwrap();
            sim.now_ms += ms;
            sim.event(Event::Tick);
        }
        35 => players.drop_link(sim),
        36 => players.bind(sim),
        37 if random.one_in(3) => {
            let survive = random.below(5) as usize;
            sim.crash(if *failed { 0 } else { survive });
            *failed = false;
            players.forget_links();
        }
        38 if random.one_in(4) && !*failed => {
            sim.fail_store(StoreFailure::Full);
            *failed = true;
        }
        39 if *failed => {
            sim.event(Event::StoreReady);
            *failed = false;
        }
        _ => sim.credit.down = random.one_in(3),
    }
    for link in std::mem::take(&mut sim.closed) {
        for held in [&mut players.app, &mut players.phone, &mut players.net] {
            if *held == Some(link) {
                *held = None;
            }
        }
        sim.event(Event::Closed { link });
    }
}

fn run(seed: u64) -> Players {
    let mut sim = Sim::new(world());
    sim.store_by_itself = false;
    sim.records_by_themselves = false;
    let mut players = Players::new(seed);
    let mut failed = false;
    players.bind(&mut sim);
    for _ in 0..800 {
        step(&mut sim, &mut players, &mut failed);
        assert!(sim.core.queue.len() <= 900, "grows without bound");
    }
    // Then everything works, until nothing is left to do.
    if failed {
        sim.event(Event::StoreReady);
    }
    players.calm = true;
    sim.credit.down = false;
    sim.store_by_itself = true;
    sim.records_by_themselves = true;
    for _ in 0..20_000 {
        sim.settle();
        for held in [&mut players.app, &mut players.phone, &mut players.net] {
            if held.is_some_and(|link| !sim.core.links.contains_key(&link.0)) {
                *held = None;
            }
        }
        players.bind(&mut sim);
        let before = sim.core.depth();
        players.read(&mut sim);
        players.report(&mut sim);
        sim.settle();
        let quiet = sim.sent.values().all(std::collections::VecDeque::is_empty);
        if quiet && players.to_report.is_empty() {
            if sim.core.depth() == Default::default() {
                break;
            }
            if sim.core.depth() == before {
                let after = sim.core.next_deadline(sim.now()).unwrap();
                sim.pass(i64::try_from(after.as_micros().div_ceil(1000)).unwrap());
            }
        }
    }
    sim.assert_empty();
    for (message, text) in &players.acknowledged {
        assert!(
            players.reported.contains_key(message),
            "seed {seed}: {message} {text} was acknowledged and never reported"
        );
        let states = &players.reported[message];
        assert_eq!(
            states.len(),
            1,
            "seed {seed}: {message} has two ends: {states:?}"
        );
        let delivered = states.contains(&2);
        if delivered {
            assert!(players.delivered.contains_key(text), "seed {seed}: {text}");
        }
        let record = sim
            .records
            .get(message)
            .unwrap_or_else(|| panic!("seed {seed}: no record of {message}"));
        assert_eq!(record.done.state.number(), *states.first().unwrap());
        assert_eq!(
            sim.credit.debits(*message),
            usize::from(delivered),
            "seed {seed}: {message}"
        );
    }
    // A record of something that was never acknowledged (its answer was lost) is still only one, and charged once.
    for record in sim.records.keys() {
        assert!(sim.credit.debits(*record) <= 1);
    }
    assert_eq!(sim.credit.held(), 0, "seed {seed}: money is still held");
    players
}

#[test]
fn nothing_is_lost_and_nothing_is_paid_twice() {
    let mut acknowledged = 0;
    let mut delivered = 0;
    let mut refused = 0;
    for seed in 1..400 {
        let players = run(seed);
        acknowledged += players.acknowledged.len();
        refused += players.refused;
        delivered += players
            .reported
            .values()
            .filter(|states| states.contains(&2))
            .count();
    }
    // The dice must have let most of it happen.
    assert!(acknowledged > 10_000, "{acknowledged}");
    assert!(delivered > 5_000, "{delivered}");
    assert!(refused > 500, "{refused}");
}
