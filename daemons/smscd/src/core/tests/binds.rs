use super::sim::{Sim, Submit, esme, settings};
use crate::event::{Event, Operation};
use crate::settings::BindModes;
use crate::wire::{command, status};

fn refused(sim: &mut Sim, command_id: u32, system_id: &str, password: &str) -> u32 {
    let link = sim.connect();
    let sequence = sim.request(link, command_id, Sim::bind_body(system_id, password));
    sim.pass(10_000);
    let answer = sim.answer(link, sequence);
    assert!(!sim.sent.contains_key(&link) || sim.sent[&link].is_empty());
    answer.command_status
}

#[test]
fn three_modes_and_what_each_may_do() {
    let mut sim = Sim::new(settings());
    for (bind, may_submit) in [
        (command::BIND_TRANSMITTER, true),
        (command::BIND_RECEIVER, false),
        (command::BIND_TRANSCEIVER, true),
    ] {
        let link = sim.connect();
        let before = sim.request(link, command::SUBMIT_SM, Submit::new("1", "x").body());
        assert_eq!(
            sim.answer(link, before).command_status,
            status::ESME_RINVBNDSTS
        );
        let sequence = sim.request(link, bind, Sim::bind_body("app", "app"));
        let answer = sim.answer(link, sequence);
        assert_eq!(answer.command_status, 0);
        // system_id and sc_interface_version
        assert_eq!(&answer.body[..], b"smsc\0\x02\x10\0\x01\x34");
        let again = sim.request(link, bind, Sim::bind_body("app", "app"));
        assert_eq!(sim.answer(link, again).command_status, status::ESME_RALYBND);
        let expected = if may_submit {
            Ok(())
        } else {
            Err(status::ESME_RINVBNDSTS)
        };
        assert_eq!(
            sim.submit(link, &Submit::new("1", "x")).map(|_| ()),
            expected
        );
        let unbind = sim.request(link, command::UNBIND, Vec::new());
        assert_eq!(sim.answer(link, unbind).command_status, 0);
        assert_eq!(sim.closed, [link]);
        sim.settle();
    }
    assert_eq!(sim.core.links.len(), 0);
}

#[test]
fn a_wrong_password_and_an_unknown_name_look_the_same() {
    let mut sim = Sim::new(settings());
    for (name, password) in [("app", "wrong"), ("nobody", "app")] {
        let link = sim.connect();
        let sequence = sim.request(
            link,
            command::BIND_TRANSMITTER,
            Sim::bind_body(name, password),
        );
        sim.pass(999);
        assert_eq!(sim.next(link), None, "not before its delay");
        sim.pass(1);
        let answer = sim.answer(link, sequence);
        assert_eq!(answer.command_status, status::ESME_RINVPASWD);
        assert!(answer.body.is_empty());
    }
    assert_eq!(sim.passwords.len(), 2);
    assert_eq!(sim.core.links.len(), 0);
}

#[test]
fn after_five_wrong_passwords_none_is_checked_for_a_minute() {
    let mut sim = Sim::new(settings());
    for _ in 0..5 {
        let link = sim.connect();
        sim.request(link, command::BIND_TRANSMITTER, Sim::bind_body("app", "no"));
        sim.pass(1000);
        assert_eq!(
            sim.next(link).unwrap().command_status,
            status::ESME_RINVPASWD
        );
    }
    let bind = command::BIND_TRANSMITTER;
    assert_eq!(
        refused(&mut sim, bind, "app", "app"),
        status::ESME_RINVPASWD
    );
    assert_eq!(sim.passwords.len(), 5);
    sim.pass(60_000);
    sim.bind(bind, "app");
}

#[test]
fn an_esme_may_be_kept_to_a_mode_a_number_and_a_network() {
    let mut settings = settings();
    settings.esmes[0].modes = BindModes {
        receiver: false,
        ..BindModes::default()
    };
    settings.esmes[0].max_binds = 1;
    settings.esmes.push(esme("far"));
    settings.esmes[3].allowed_networks = vec!["10.0.0.0/8".parse().unwrap()];
    let mut sim = Sim::new(settings);
    assert_eq!(
        refused(&mut sim, command::BIND_RECEIVER, "app", "app"),
        status::ESME_RBINDFAIL
    );
    let first = sim.transceiver("app");
    assert_eq!(
        refused(&mut sim, command::BIND_TRANSCEIVER, "app", "app"),
        status::ESME_RALYBND
    );
    sim.event(Event::Closed { link: first });
    sim.transceiver("app");
    assert_eq!(
        refused(&mut sim, command::BIND_TRANSCEIVER, "far", "far"),
        status::ESME_RINVPASWD
    );
}

#[test]
fn what_is_not_known_and_what_cannot_be_framed() {
    let mut sim = Sim::new(settings());
    let link = sim.transceiver("app");
    let sequence = sim.request(link, 0x0000_0999, vec![1, 2, 3]);
    let answer = sim.answer(link, sequence);
    assert_eq!(
        (answer.command_id, answer.command_status),
        (command::GENERIC_NACK, status::ESME_RINVCMDID)
    );
    let sequence = sim.request(link, command::SUBMIT_SM, vec![0, 1]);
    assert_eq!(
        sim.answer(link, sequence).command_status,
        status::ESME_RINVCMDLEN
    );
    // An answer to nothing is nothing.
    sim.pdu(
        link,
        command::DELIVER_SM | command::RESPONSE,
        0,
        77,
        vec![0],
    );
    assert_eq!(sim.next(link), None);
    sim.event(Event::FramingFailed {
        link,
        sequence_number: Some(9),
    });
    let answer = sim.answer(link, 9);
    assert_eq!(
        (answer.command_id, answer.command_status),
        (command::GENERIC_NACK, status::ESME_RINVCMDLEN)
    );
    assert_eq!(sim.closed, [link]);
}

#[test]
fn a_connection_that_never_binds_is_closed() {
    let mut sim = Sim::new(settings());
    let link = sim.connect();
    sim.pass(4999);
    assert_eq!(sim.core.links.len(), 1);
    sim.pass(1);
    assert_eq!(sim.core.links.len(), 0);
    assert_eq!(sim.next(link), None);
}

#[test]
fn more_links_than_allowed_are_closed_at_once() {
    let mut settings = settings();
    settings.limits.max_links_per_address = 2;
    let mut sim = Sim::new(settings);
    let first = sim.connect();
    sim.connect();
    let third = sim.connect();
    assert_eq!(sim.closed, [third]);
    sim.settle();
    sim.event(Event::Closed { link: first });
    sim.connect();
    assert!(sim.closed.is_empty());
}

#[test]
fn the_operator_sees_and_ends_binds() {
    use crate::effect::Reply;
    let mut sim = Sim::new(settings());
    let link = sim.transceiver("app");
    let Ok(Reply::Binds(binds)) = sim.operate(Operation::ListBinds) else {
        panic!();
    };
    assert_eq!(
        (&*binds[0].peer, binds[0].state, binds[0].role),
        ("app", "bound-trx", "esme")
    );
    let disconnect = Operation::DisconnectEsme {
        system_id: "app".into(),
    };
    assert_eq!(sim.operate(disconnect.clone()), Ok(Reply::Done));
    assert_eq!(sim.next(link).unwrap().command_id, command::UNBIND);
    assert_eq!(sim.core.links.len(), 0);
    assert!(sim.operate(Operation::Disconnect { link: link.0 }).is_err());
}
