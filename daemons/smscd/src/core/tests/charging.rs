use super::sim::{Session, Sim, Submit, euros, settings};
use crate::entry::Cause;
use crate::event::{CreditAction, LinkId};
use crate::message::{MessageId, MessageState};
use crate::settings::{Charging, RecordRole};
use crate::wire::status;

fn prepaid() -> (Sim, LinkId, LinkId) {
    let mut settings = settings();
    settings.routes[0].charging = Charging::Online;
    settings.routes[0].default_charge = Some(euros(250_000));
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    (sim, app, phone)
}

#[test]
fn reserved_before_and_debited_after_the_delivery() {
    let (mut sim, app, phone) = prepaid();
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    assert_eq!(sim.credit.sessions[&(id, 0)], Session::Held(250_000));
    let got = sim.got(phone).unwrap();
    sim.store_by_itself = false;
    sim.take(phone, &got, 0);
    assert_eq!(sim.credit.debits(id), 0, "not before the end is stored");
    sim.store_by_itself = true;
    sim.settle();
    assert_eq!(sim.credit.debits(id), 1);
    let receipt = sim.got(app).unwrap();
    sim.take(app, &receipt, 0);
    assert_eq!(sim.records[&id].message.charge, Some(euros(250_000)));
    sim.assert_empty();
}

#[test]
fn what_fails_is_released_and_what_waits_long_gives_back() {
    let (mut sim, app, phone) = prepaid();
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, status::ESME_RINVDSTADR);
    assert_eq!(sim.credit.sessions[&(id, 0)], Session::Released);
    let receipt = sim.got(app).unwrap();
    sim.take(app, &receipt, 0);
    // 30 s, 60 s, 300 s: held. 900 s: given back, and asked for again under another name.
    let id = sim.submit(app, &Submit::new("492", "x")).unwrap();
    for pause in [30_000, 60_000, 300_000, 900_000] {
        let got = sim.got(phone).unwrap();
        assert_eq!(sim.credit.sessions[&(id, 0)], Session::Held(250_000));
        sim.take(phone, &got, status::ESME_RSYSERR);
        sim.pass(pause);
    }
    assert_eq!(sim.credit.sessions[&(id, 0)], Session::Released);
    assert_eq!(sim.credit.sessions[&(id, 1)], Session::Held(250_000));
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, 0);
    assert_eq!(sim.credit.debits(id), 1);
    assert_eq!(sim.credit.held(), 0);
}

#[test]
fn who_cannot_pay_gets_nothing_and_it_is_said() {
    let (mut sim, app, phone) = prepaid();
    sim.credit.refuse = Some(4012);
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    assert_eq!(sim.next(phone), None);
    let receipt = sim.got(app).unwrap();
    assert_eq!(receipt.receipt(), (id.number(), 8));
    assert!(receipt.text.contains("stat:REJECTD err:012"));
    sim.take(app, &receipt, 0);
    let done = &sim.records[&id].done;
    assert_eq!(
        (done.state, done.cause, done.status),
        (MessageState::Rejected, Cause::CreditRefused, 4012)
    );
    sim.assert_empty();
}

#[test]
fn while_credit_control_is_away_messages_wait_and_nothing_is_lost() {
    let (mut sim, app, phone) = prepaid();
    let before = sim.submit(app, &Submit::new("490", "x")).unwrap();
    let got = sim.got(phone).unwrap();
    sim.credit.down = true;
    sim.take(phone, &got, 0);
    let receipt = sim.got(app).unwrap();
    sim.take(app, &receipt, 0);
    let ids: Vec<MessageId> = (1..50)
        .map(|number| {
            sim.submit(app, &Submit::new(&format!("49{number}"), "x"))
                .unwrap()
        })
        .collect();
    assert_eq!(sim.next(phone), None);
    assert!(
        sim.records.contains_key(&before),
        "its record does not wait for the debit"
    );
    assert_eq!(sim.core.depth().unsettled, 1);
    sim.pass(120_000);
    sim.crash(0);
    sim.credit.down = false;
    let phone = sim.transceiver("phone");
    for _ in 0..30 {
        sim.pass(5000);
        while let Some(got) = sim.got(phone) {
            sim.take(phone, &got, 0);
        }
    }
    for id in ids.into_iter().chain([before]) {
        assert_eq!(sim.credit.debits(id), 1);
        assert!(sim.records.contains_key(&id));
    }
    assert_eq!((sim.records.len(), sim.credit.held()), (50, 0));
}

#[test]
fn after_a_crash_the_same_session_is_asked_for_again() {
    let (mut sim, app, phone) = prepaid();
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    let got = sim.got(phone).unwrap();
    // The end is stored, the debit not yet asked for.
    sim.store_by_itself = false;
    sim.take(phone, &got, 0);
    sim.crash(usize::MAX);
    sim.store_by_itself = true;
    sim.settle();
    assert_eq!(
        sim.credit.asked.last(),
        Some(&(CreditAction::Debit, id, 0, true))
    );
    assert_eq!((sim.credit.debits(id), sim.records.len()), (1, 1));
    // The end is not stored: it is delivered again, and paid once.
    let app = sim.transceiver("app");
    let receipt = sim.got(app).unwrap();
    sim.take(app, &receipt, 0);
    let phone = sim.transceiver("phone");
    let id = sim.submit(app, &Submit::new("492", "x")).unwrap();
    let got = sim.got(phone).unwrap();
    sim.store_by_itself = false;
    sim.take(phone, &got, 0);
    sim.crash(0);
    sim.store_by_itself = true;
    let phone = sim.transceiver("phone");
    sim.settle();
    assert_eq!(
        sim.credit.asked.last(),
        Some(&(CreditAction::Reserve, id, 0, true))
    );
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, 0);
    assert_eq!((sim.credit.debits(id), sim.credit.held()), (1, 0));
}

#[test]
fn a_reservation_that_ran_out_is_made_again_under_another_name() {
    let (mut sim, app, phone) = prepaid();
    let id = sim.submit(app, &Submit::new("491", "x")).unwrap();
    sim.got(phone).unwrap();
    sim.crash(0);
    sim.credit.sessions.insert((id, 0), Session::Released);
    let phone = sim.transceiver("phone");
    sim.settle();
    let got = sim.got(phone).unwrap();
    assert_eq!(sim.credit.sessions[&(id, 1)], Session::Held(250_000));
    sim.take(phone, &got, 0);
    assert_eq!(sim.credit.debits(id), 1);
}

#[test]
fn what_is_free_or_the_next_hops_concern_is_not_asked_for() {
    let mut settings = settings();
    settings.routes[0].charging = Charging::Online;
    settings.routes[0].default_charge = Some(euros(0));
    let mut next_hop = super::sim::route("next", "5", &["phone"]);
    next_hop.charging = Charging::Online;
    next_hop.record = RecordRole::NextHop;
    next_hop.default_charge = Some(euros(7));
    settings.routes.push(next_hop);
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    let free = sim.submit(app, &Submit::new("1", "x")).unwrap();
    let theirs = sim.submit(app, &Submit::new("5", "x")).unwrap();
    while let Some(got) = sim.got(phone) {
        sim.take(phone, &got, 0);
    }
    assert!(sim.credit.asked.is_empty());
    assert!(sim.records.contains_key(&free));
    assert!(!sim.records.contains_key(&theirs));
}

#[test]
fn questions_under_way_are_bounded() {
    let (mut sim, app, phone) = prepaid();
    let mut changed = sim.settings.clone();
    changed.limits.max_credit_requests = 3;
    sim.event(crate::event::Event::Reloaded(Box::new(changed)));
    for number in 0..10 {
        let body = Submit::new(&format!("49{number}"), "x").body();
        sim.request(app, crate::wire::command::SUBMIT_SM, body);
    }
    sim.sync(usize::MAX);
    assert_eq!(sim.credit_queue.len(), 3);
    sim.settle();
    assert_eq!(sim.sent[&phone].len(), 10);
}
