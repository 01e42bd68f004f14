use super::sim::{Sim, Submit, settings};
use crate::event::{Event, StoreFailure};
use crate::wire::{command, status};

#[test]
fn a_full_disk_refuses_and_recovers_by_itself() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    let kept = sim.submit(app, &Submit::new("1", "kept")).unwrap();
    let got = sim.got(phone).unwrap();
    sim.store_by_itself = false;
    // One is on its way to the disk; the delivery of another ends.
    sim.request(app, command::SUBMIT_SM, Submit::new("2", "lost").body());
    sim.take(phone, &got, 0);
    sim.fail_store(StoreFailure::Full);
    assert_eq!(
        sim.next(app).unwrap().command_status,
        status::ESME_RMSGQFUL,
        "never acknowledged, so never kept"
    );
    assert_eq!(
        sim.submit(app, &Submit::new("3", "x")),
        Err(status::ESME_RMSGQFUL)
    );
    assert!(sim.records.is_empty());
    sim.event(Event::StoreReady);
    sim.store_by_itself = true;
    sim.settle();
    assert!(
        sim.records.contains_key(&kept),
        "what happened meanwhile is told again"
    );
    let receipt = sim.got(app).unwrap();
    assert_eq!(receipt.receipt(), (kept.number(), 2));
    sim.take(app, &receipt, 0);
    assert_eq!(sim.next(phone), None);
    let id = sim.submit(app, &Submit::new("3", "x")).unwrap();
    assert!(id > kept);
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, 0);
    let receipt = sim.got(app).unwrap();
    sim.take(app, &receipt, 0);
    sim.assert_empty();
}

#[test]
fn nothing_goes_out_while_the_end_could_not_be_remembered() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    sim.submit(app, &Submit::new("1", "x")).unwrap();
    sim.fail_store(StoreFailure::Broken);
    let phone = sim.transceiver("phone");
    assert_eq!(sim.next(phone), None);
    assert_eq!(
        sim.submit(app, &Submit::new("3", "x")),
        Err(status::ESME_RSYSERR)
    );
    sim.event(Event::StoreReady);
    assert_eq!(sim.got(phone).unwrap().text, "x");
}

#[test]
fn full_tables_refuse() {
    let mut settings = settings();
    settings.limits.max_messages = 3;
    settings.limits.max_per_destination = 2;
    settings.esmes[1].max_messages = 1;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let other = sim.transceiver("other");
    let full = Err(status::ESME_RMSGQFUL);
    assert!(sim.submit(other, &Submit::new("1", "x")).is_ok());
    assert_eq!(sim.submit(other, &Submit::new("2", "x")), full);
    assert!(sim.submit(app, &Submit::new("1", "x")).is_ok());
    assert_eq!(sim.submit(app, &Submit::new("1", "x")), full);
    assert!(sim.submit(app, &Submit::new("2", "x")).is_ok());
    assert_eq!(sim.submit(app, &Submit::new("3", "x")), full);
    let phone = sim.transceiver("phone");
    while let Some(got) = sim.got(phone) {
        sim.take(phone, &got, 0);
    }
    for link in [app, other] {
        while let Some(receipt) = sim.got(link) {
            sim.take(link, &receipt, 0);
        }
    }
    assert!(sim.submit(other, &Submit::new("2", "x")).is_ok());
}

#[test]
fn entries_on_their_way_are_bounded() {
    let mut settings = settings();
    settings.limits.max_unstored = 5;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    sim.store_by_itself = false;
    for _ in 0..6 {
        sim.request(app, command::SUBMIT_SM, Submit::new("1", "x").body());
    }
    assert_eq!(
        sim.next(app).unwrap().command_status,
        status::ESME_RTHROTTLED
    );
}
