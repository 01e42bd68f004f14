use super::sim::{Got, Sim, Submit, euros, route, settings, upstream};
use crate::entry::Cause;
use crate::event::CreditAction;
use crate::event::{Event, LinkId};
use crate::message::MessageState;
use crate::settings::{Charging, FinalOn, Settings, Target};
use crate::wire::{command, status, tag, write};

fn gateway() -> Settings {
    let mut settings = settings();
    settings.upstreams = vec![upstream("net", 2)];
    let mut through = route("net", "49", &[]);
    through.target = Target::Upstreams(vec!["net".into()]);
    settings.routes.push(through);
    settings
}

impl Sim {
    /// Connects a bind of the upstream and answers its request.
    fn upstream(&mut self, index: u32, number: u64) -> LinkId {
        let link = LinkId(number);
        self.event(Event::Connected {
            link,
            upstream: "net".into(),
            index,
        });
        let bind = self.next(link).unwrap();
        assert_eq!(bind.command_id, command::BIND_TRANSCEIVER);
        assert_eq!(&bind.body[..], b"us\0secret\0\0\x34\0\0\0");
        self.pdu(
            link,
            command::BIND_TRANSCEIVER | command::RESPONSE,
            0,
            bind.sequence_number,
            b"net\0".to_vec(),
        );
        link
    }

    fn accept(&mut self, link: LinkId, got: &Got, id: &str) {
        let mut body = Vec::new();
        write::text(&mut body, id);
        let response = command::SUBMIT_SM | command::RESPONSE;
        self.pdu(link, response, 0, got.sequence_number, body);
        self.settle();
    }

    /// A receipt of the upstream; its answer's status.
    fn report(&mut self, link: LinkId, text: &str) -> u32 {
        let mut receipt = Submit::new("1000", text);
        receipt.esm_class = 4;
        let sequence = self.request(link, command::DELIVER_SM, receipt.body());
        self.settle();
        self.answer(link, sequence).command_status
    }
}

#[test]
fn it_connects_again_with_growing_pauses() {
    let mut sim = Sim::new(gateway());
    let pauses = |sim: &mut Sim| -> Vec<u128> {
        let taken = std::mem::take(&mut sim.connects);
        taken
            .iter()
            .map(|(_, _, after)| after.as_millis())
            .collect()
    };
    assert_eq!(pauses(&mut sim), [0, 0]);
    for expected in [100, 200, 400, 800, 1000, 1000] {
        sim.event(Event::ConnectFailed {
            upstream: "net".into(),
            index: 0,
        });
        assert_eq!(pauses(&mut sim), [expected]);
    }
    let link = sim.upstream(0, 1);
    sim.event(Event::Closed { link });
    assert_eq!(pauses(&mut sim), [100], "a bind that stood starts anew");
    // A refused bind is closed, and counts as a failure.
    let link = LinkId(2);
    sim.event(Event::Connected {
        link,
        upstream: "net".into(),
        index: 0,
    });
    let bind = sim.next(link).unwrap();
    let response = command::BIND_TRANSCEIVER | command::RESPONSE;
    sim.pdu(
        link,
        response,
        status::ESME_RINVPASWD,
        bind.sequence_number,
        Vec::new(),
    );
    sim.settle();
    assert_eq!(pauses(&mut sim), [200]);
}

#[test]
fn messages_are_shared_between_binds_and_end_with_their_receipts() {
    let mut sim = Sim::new(gateway());
    let app = sim.transceiver("app");
    let binds = [sim.upstream(0, 101), sim.upstream(1, 102)];
    let mut ids = Vec::new();
    for number in 0..30 {
        let submit = Submit::new(&format!("49{number}"), "x");
        ids.push(sim.submit(app, &submit).unwrap());
    }
    for link in binds {
        assert_eq!(sim.sent[&link].len(), 10, "its window");
    }
    let mut theirs = 0;
    while let Some((link, got)) = binds
        .into_iter()
        .find_map(|link| Some((link, sim.got(link)?)))
    {
        assert_eq!(got.registered_delivery, 1);
        theirs += 1;
        sim.accept(link, &got, &format!("A{theirs}"));
    }
    assert_eq!((theirs, sim.core.depth().awaiting_receipt), (30, 30));
    assert_eq!(sim.next(app), None);
    assert!(sim.records.is_empty());
    // It outlives a crash.
    sim.crash(0);
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 201);
    for number in 1..=30 {
        let (state, error) = if number == 7 {
            ("UNDELIV", "045")
        } else {
            ("delivrd", "000")
        };
        let text = format!(
            "id:A{number} sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:{state} err:{error} text:x"
        );
        assert_eq!(sim.report(link, &text), 0);
        let receipt = sim.got(app).unwrap();
        assert_eq!(receipt.receipt().1, if number == 7 { 5 } else { 2 });
        sim.take(app, &receipt, 0);
    }
    assert_eq!(sim.records.len(), 30);
    let failed: Vec<_> = sim
        .records
        .values()
        .filter(|record| record.done.cause == Cause::NextHopFailed)
        .map(|record| {
            (
                record.done.status,
                record.done.upstream_message_id.as_deref(),
            )
        })
        .collect();
    assert_eq!(failed, [(45, Some("A7"))]);
    sim.assert_empty();
}

#[test]
fn a_receipt_may_come_before_the_answer_or_for_nobody() {
    let mut sim = Sim::new(gateway());
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    assert_eq!(sim.report(link, "id:nobody stat:DELIVRD"), 0);
    assert_eq!(sim.report(link, "no receipt at all"), 0);
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(link).unwrap();
    assert_eq!(sim.report(link, "id:77 stat:DELIVRD err:000"), 0);
    sim.accept(link, &got, "77");
    assert_eq!(sim.got(app).unwrap().receipt(), (id.number(), 2));
    assert_eq!(sim.records.len(), 1);
}

#[test]
fn hexadecimal_answers_and_decimal_receipts_meet() {
    let mut settings = gateway();
    settings.upstreams[0].hexadecimal_ids = true;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(link).unwrap();
    sim.accept(link, &got, "1F");
    assert_eq!(sim.report(link, "id:31 stat:DELIVRD err:000"), 0);
    assert_eq!(sim.core.counters().delivered, 1);
}

#[test]
fn without_a_receipt_its_state_is_unknown_in_the_end() {
    let mut sim = Sim::new(gateway());
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    let mut submit = Submit::new("491", "x");
    submit.validity = "000000010000000R".into();
    let id = sim.submit(app, &submit).unwrap();
    let got = sim.got(link).unwrap();
    sim.accept(link, &got, "1");
    sim.pass(2 * 3_600_000 - 1);
    assert_eq!(sim.next(app), None);
    sim.pass(1);
    assert_eq!(sim.got(app).unwrap().receipt(), (id.number(), 7));
    let done = &sim.records[&id].done;
    assert_eq!(
        (done.state, done.cause),
        (MessageState::Unknown, Cause::NoReceipt)
    );
}

#[test]
fn the_answer_alone_can_be_the_end() {
    let mut settings = gateway();
    settings.routes[1].final_on = FinalOn::Response;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(link).unwrap();
    assert_eq!(got.registered_delivery, 0);
    sim.accept(link, &got, "1");
    assert_eq!(sim.got(app).unwrap().receipt(), (id.number(), 2));
}

#[test]
fn a_throttling_upstream_is_left_alone_for_a_second() {
    let mut sim = Sim::new(gateway());
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    for number in 0..11 {
        sim.submit(app, &Submit::new(&format!("49{number}"), "x"))
            .unwrap();
    }
    let got = sim.got(link).unwrap();
    let response = command::SUBMIT_SM | command::RESPONSE;
    let before = sim.sent[&link].len();
    sim.pdu(
        link,
        response,
        status::ESME_RTHROTTLED,
        got.sequence_number,
        Vec::new(),
    );
    sim.settle();
    assert_eq!(sim.sent[&link].len(), before);
    sim.pass(1000);
    assert_eq!(sim.sent[&link].len(), before + 1);
}

#[test]
fn its_rate_is_kept() {
    let mut settings = gateway();
    settings.upstreams[0].throughput = 5;
    settings.upstreams[0].window = 100;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    for number in 0..50 {
        sim.submit(app, &Submit::new(&format!("49{number}"), "x"))
            .unwrap();
    }
    assert_eq!(sim.sent[&link].len(), 5);
    sim.pass(2000);
    assert_eq!(sim.sent[&link].len(), 15);
}

#[test]
fn what_an_upstream_delivers_is_a_message_for_somebody_here() {
    let mut sim = Sim::new(gateway());
    let link = sim.upstream(0, 101);
    let phone = sim.transceiver("phone");
    sim.store_by_itself = false;
    let sequence = sim.request(
        link,
        command::DELIVER_SM,
        Submit::new("5", "inbound").body(),
    );
    sim.settle();
    assert_eq!(sim.next(link), None);
    sim.sync(1);
    let answer = sim.answer(link, sequence);
    assert_eq!((answer.command_status, &answer.body[..]), (0, &[0][..]));
    sim.store_by_itself = true;
    let got = sim.got(phone).unwrap();
    assert_eq!(got.text, "inbound");
    sim.take(phone, &got, 0);
    assert_eq!(sim.next(link), None, "no receipts that way");
    let record = sim.records.values().next().unwrap();
    assert_eq!(&*record.message.submitter, "net");
    sim.assert_empty();
}

#[test]
fn a_receipt_in_parameters_alone() {
    let mut sim = Sim::new(gateway());
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(link).unwrap();
    sim.accept(link, &got, "abc");
    let mut receipt = Submit::new("1000", "");
    receipt.esm_class = 4;
    receipt.tlvs = vec![
        (tag::RECEIPTED_MESSAGE_ID, b"abc\0".to_vec()),
        (tag::MESSAGE_STATE, vec![2]),
    ];
    // Not answered before its end is stored: else a crash would lose it.
    sim.store_by_itself = false;
    let sequence = sim.request(link, command::DELIVER_SM, receipt.body());
    assert_eq!(sim.next(link), None);
    sim.store_by_itself = true;
    sim.settle();
    assert_eq!(sim.answer(link, sequence).command_status, 0);
    assert_eq!(sim.core.counters().delivered, 1);
}

#[test]
fn the_money_of_what_an_upstream_has_stays_held() {
    let mut settings = gateway();
    settings.routes[1].charging = Charging::Online;
    settings.routes[1].default_charge = Some(euros(500));
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let link = sim.upstream(0, 101);
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(link).unwrap();
    sim.accept(link, &got, "1");
    let renewals = |sim: &Sim| {
        let asked = &sim.credit.asked;
        asked
            .iter()
            .filter(|(action, ..)| *action == CreditAction::Renew)
            .count()
    };
    sim.pass(599_999);
    assert_eq!(renewals(&sim), 0);
    sim.pass(1);
    assert_eq!(renewals(&sim), 1);
    sim.pass(600_000);
    assert_eq!(renewals(&sim), 2);
    // While credit control is away it is asked more often, and after a crash at once.
    sim.credit.down = true;
    sim.pass(600_000 + 10_000);
    assert_eq!(renewals(&sim), 4);
    sim.crash(0);
    sim.credit.down = false;
    sim.pass(10_000);
    let link = sim.upstream(0, 102);
    assert_eq!(sim.report(link, "id:1 stat:DELIVRD err:000"), 0);
    assert_eq!((sim.credit.debits(id), sim.credit.held()), (1, 0));
}
