use super::sim::{Sim, Submit, route, settings};
use crate::entry::Cause;
use crate::event::{Event, LinkId, Operation};
use crate::message::MessageState;
use crate::wire::{command, status, tag};

/// A sim with an application and a receiver.
fn bound() -> (Sim, LinkId, LinkId) {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let phone = sim.bind(command::BIND_RECEIVER, "phone");
    (sim, app, phone)
}

#[test]
fn nothing_is_acknowledged_before_it_is_stored_and_everything_is_reported() {
    let (mut sim, app, phone) = bound();
    sim.store_by_itself = false;
    let mut submit = Submit::new("4912345", "hello");
    submit.tlvs = vec![
        (0x1403, b"250\0".to_vec()),
        (tag::USER_MESSAGE_REFERENCE, vec![0, 7]),
    ];
    let sequence = sim.request(app, command::SUBMIT_SM, submit.body());
    sim.settle();
    assert_eq!((sim.next(app), sim.next(phone)), (None, None));
    sim.sync(1);
    let answer = sim.answer(app, sequence);
    let id = super::sim::id(&answer);
    let got = sim.got(phone).unwrap();
    assert_eq!(
        (&*got.source, &*got.destination, &*got.text),
        ("1000", "4912345", "hello")
    );
    assert_eq!(got.registered_delivery, 0, "the receipt is our concern");
    assert_eq!(got.tlvs, submit.tlvs, "carried untouched, in order");
    sim.take(phone, &got, 0);
    assert_eq!(sim.next(app), None, "the receipt waits for the disk too");
    assert!(sim.record_queue.is_empty() && sim.records.is_empty());
    sim.store_by_itself = true;
    sim.settle();
    let receipt = sim.got(app).unwrap();
    assert_eq!(receipt.receipt(), (id.number(), 2));
    assert_eq!(
        receipt.text,
        format!(
            "id:{id} sub:001 dlvrd:001 submit date:2603011200 done date:2603011200 stat:DELIVRD err:000 text:hello"
        )
    );
    assert_eq!(
        (&*receipt.source, &*receipt.destination, receipt.esm_class),
        ("4912345", "1000", 4)
    );
    sim.take(app, &receipt, 0);
    let record = &sim.records[&id];
    assert_eq!(
        (record.done.state, record.done.cause),
        (MessageState::Delivered, Cause::Acknowledged)
    );
    assert_eq!(record.done.next_hop.as_deref(), Some("phone"));
    sim.assert_empty();
}

#[test]
fn a_receipt_only_for_what_was_asked() {
    let (mut sim, app, phone) = bound();
    for (registered_delivery, delivered, failed) in [
        (0, false, false),
        (1, true, true),
        (2, false, true),
        (3, true, false),
    ] {
        for (answer, expected) in [(0, delivered), (status::ESME_RINVDSTADR, failed)] {
            let mut submit = Submit::new("1", "x");
            submit.registered_delivery = registered_delivery;
            let id = sim.submit(app, &submit).unwrap();
            let got = sim.got(phone).unwrap();
            sim.take(phone, &got, answer);
            let receipt = sim.got(app);
            assert_eq!(
                receipt.is_some(),
                expected,
                "{registered_delivery} {answer}"
            );
            if let Some(receipt) = receipt {
                let state = if answer == 0 { 2 } else { 5 };
                assert_eq!(receipt.receipt(), (id.number(), state));
                sim.take(app, &receipt, 0);
            }
            assert!(sim.records.contains_key(&id));
        }
    }
    sim.assert_empty();
}

#[test]
fn one_destination_in_order_by_priority_and_retried_by_class() {
    let (mut sim, app, phone) = bound();
    for text in ["first", "second"] {
        sim.submit(app, &Submit::new("7", text)).unwrap();
    }
    let mut urgent = Submit::new("7", "urgent");
    urgent.priority_flag = 3;
    sim.submit(app, &urgent).unwrap();
    let first = sim.got(phone).unwrap();
    assert_eq!(first.text, "first");
    assert_eq!(sim.next(phone), None, "one at a time");
    // Its queue is full: a second, then two seconds.
    sim.take(phone, &first, status::ESME_RMSGQFUL);
    let urgent = sim.got(phone).unwrap();
    assert_eq!(urgent.text, "urgent");
    sim.take(phone, &urgent, 0);
    assert_eq!(sim.next(phone), None, "the second does not overtake");
    sim.pass(999);
    assert_eq!(sim.next(phone), None);
    sim.pass(1);
    let first = sim.got(phone).unwrap();
    assert_eq!(first.text, "first");
    sim.take(phone, &first, status::ESME_RMSGQFUL);
    sim.pass(1999);
    assert_eq!(sim.next(phone), None);
    sim.pass(1);
    let first = sim.got(phone).unwrap();
    sim.take(phone, &first, 0);
    let second = sim.got(phone).unwrap();
    assert_eq!(second.text, "second");
    // Refused for good.
    sim.take(phone, &second, status::ESME_RX_R_APPN);
    let states: Vec<u8> = std::iter::from_fn(|| {
        let receipt = sim.got(app)?;
        sim.take(app, &receipt, 0);
        Some(receipt.receipt().1)
    })
    .collect();
    assert_eq!(states, [2, 2, 8]);
    let record = sim
        .records
        .values()
        .find(|record| &record.message.payload[..] == b"first");
    assert_eq!(record.unwrap().done.attempts, 3);
    sim.assert_empty();
}

#[test]
fn without_a_receiver_it_waits_and_expires_with_its_cause() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let mut submit = Submit::new("1", "x");
    submit.validity = "000000000100000R".into();
    let id = sim.submit(app, &submit).unwrap();
    sim.pass(59_999);
    assert_eq!(sim.next(app), None);
    sim.pass(1);
    assert_eq!(sim.got(app).unwrap().receipt(), (id.number(), 3));
    assert_eq!(sim.records[&id].done.cause, Cause::ValidityExpired);
    // One that binds in time gets its message at once.
    submit.text = b"again".to_vec();
    sim.submit(app, &submit).unwrap();
    sim.pass(30_000);
    let phone = sim.transceiver("phone");
    assert_eq!(sim.got(phone).unwrap().text, "again");
}

#[test]
fn absolute_times_schedules_and_what_they_may_not_be() {
    let (mut sim, app, phone) = bound();
    let mut submit = Submit::new("1", "later");
    submit.schedule = "260301130000000+".into();
    submit.validity = "260301140000000+".into();
    sim.submit(app, &submit).unwrap();
    sim.pass(3_599_999);
    assert_eq!(sim.next(phone), None);
    sim.pass(1);
    assert_eq!(sim.got(phone).unwrap().text, "later");
    for (schedule, validity, expected) in [
        (
            "260301130000000+",
            "260301125900000+",
            status::ESME_RINVEXPIRY,
        ),
        ("", "260301115900000+", status::ESME_RINVEXPIRY),
        ("", "269901115900000+", status::ESME_RINVEXPIRY),
        ("600101000000000+", "", status::ESME_RINVSCHED),
        ("x60301130000000+", "", status::ESME_RINVSCHED),
        ("2603011300", "", status::ESME_RINVSCHED),
    ] {
        submit.schedule = schedule.into();
        submit.validity = validity.into();
        assert_eq!(
            sim.submit(app, &submit),
            Err(expected),
            "{schedule} {validity}"
        );
    }
}

#[test]
fn what_is_wrong_is_named() {
    let mut settings = settings();
    settings.routes = vec![route("some", "49", &["phone"])];
    settings.esmes[0].allowed_sources = vec!["1000".into()];
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let good = Submit::new("491", "x");
    let with = |change: &dyn Fn(&mut Submit)| {
        let mut submit = good.clone();
        change(&mut submit);
        submit
    };
    for (submit, expected) in [
        (
            with(&|submit| submit.destination = "441".into()),
            status::ESME_RINVDSTADR,
        ),
        (
            with(&|submit| submit.destination = "".into()),
            status::ESME_RINVDSTADR,
        ),
        (
            with(&|submit| submit.source = "2000".into()),
            status::ESME_RINVSRCADR,
        ),
        (
            with(&|submit| submit.source = "".into()),
            status::ESME_RINVSRCADR,
        ),
        (
            with(&|submit| submit.priority_flag = 5),
            status::ESME_RINVPRTFLG,
        ),
        (
            with(&|submit| submit.registered_delivery = 0x20),
            status::ESME_RINVREGDLVFLG,
        ),
        (
            with(&|submit| submit.replace_if_present_flag = 2),
            status::ESME_RINVREPFLAG,
        ),
        (
            with(&|submit| submit.esm_class = 2),
            status::ESME_RINVESMCLASS,
        ),
        (
            with(&|submit| submit.text = vec![b'x'; 255]),
            status::ESME_RINVMSGLEN,
        ),
        (
            with(&|submit| submit.tlvs = vec![(tag::MESSAGE_PAYLOAD, vec![1])]),
            status::ESME_ROPTPARNOTALLWD,
        ),
        (
            with(&|submit| submit.tlvs = vec![(tag::QOS_TIME_TO_LIVE, vec![1])]),
            status::ESME_RINVPARLEN,
        ),
    ] {
        assert_eq!(sim.submit(app, &submit), Err(expected), "{submit:?}");
    }
    assert!(sim.disk.is_empty());
    assert!(sim.submit(app, &good).is_ok());
}

#[test]
fn the_window_and_the_rate_are_throttled() {
    let mut settings = settings();
    settings.esmes[0].window = 3;
    settings.esmes[0].throughput = 5;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    sim.store_by_itself = false;
    let answers = |sim: &mut Sim, count: usize| -> Vec<u32> {
        for _ in 0..count {
            sim.request(app, command::SUBMIT_SM, Submit::new("1", "x").body());
        }
        std::iter::from_fn(|| sim.next(app))
            .map(|frame| frame.command_status)
            .collect()
    };
    assert_eq!(answers(&mut sim, 5), [status::ESME_RTHROTTLED; 2]);
    sim.store_by_itself = true;
    sim.settle();
    assert_eq!(answers(&mut sim, 0), [0; 3]);
    // Two of the five of this second are left; a refusal by the window costs none.
    let rate = answers(&mut sim, 3);
    assert_eq!(rate, [status::ESME_RTHROTTLED]);
    assert_eq!(sim.core.counters().throttled, 3);
}

#[test]
fn a_slow_receiver_is_given_no_more_than_its_window_and_hurts_nobody() {
    let mut settings = settings();
    settings.esmes[2].window = 10;
    settings.routes.push(route("fast", "5", &["other"]));
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let slow = sim.transceiver("phone");
    let fast = sim.transceiver("other");
    for number in 0..100 {
        sim.submit(app, &Submit::new(&format!("1{number}"), "x"))
            .unwrap();
    }
    assert_eq!(sim.sent[&slow].len(), 10);
    sim.event(Event::Backlog {
        link: slow,
        octets: 10_000_000,
    });
    while let Some(got) = sim.got(slow) {
        sim.take(slow, &got, 0);
        let receipt = sim.got(app).unwrap();
        sim.take(app, &receipt, 0);
    }
    assert_eq!(
        sim.core.depth().messages,
        90,
        "its octets wait to be written"
    );
    sim.submit(app, &Submit::new("55", "quick")).unwrap();
    assert_eq!(sim.got(fast).unwrap().text, "quick");
    sim.event(Event::Backlog {
        link: slow,
        octets: 0,
    });
    assert_eq!(sim.sent[&slow].len(), 10);
}

#[test]
fn two_binds_share_the_messages_and_one_takes_over() {
    let mut settings = settings();
    settings.esmes[2].window = 100;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let one = sim.transceiver("phone");
    let two = sim.transceiver("phone");
    for number in 0..20 {
        sim.submit(app, &Submit::new(&number.to_string(), "x"))
            .unwrap();
    }
    assert_eq!((sim.sent[&one].len(), sim.sent[&two].len()), (10, 10));
    sim.event(Event::Closed { link: one });
    assert_eq!(
        sim.sent[&two].len(),
        20,
        "at once, over the link that is left"
    );
    while let Some(got) = sim.got(two) {
        sim.take(two, &got, 0);
    }
    assert_eq!(sim.core.counters().repeated, 10);
    assert_eq!(sim.core.counters().delivered, 20);
}

#[test]
fn an_unanswered_delivery_is_made_again() {
    let (mut sim, app, phone) = bound();
    sim.submit(app, &Submit::new("1", "x")).unwrap();
    let first = sim.got(phone).unwrap();
    sim.pass(9_999);
    assert_eq!(sim.next(phone), None);
    sim.pass(1 + 30_000);
    let second = sim.got(phone).unwrap();
    assert_eq!(second.text, "x");
    // The late answer to the first says nothing about the second.
    sim.take(phone, &first, 0);
    assert_eq!(sim.core.counters().delivered, 0);
    sim.take(phone, &second, 0);
    assert_eq!(sim.core.counters().delivered, 1);
}

#[test]
fn an_intermediate_notification_comes_once() {
    let (mut sim, app, phone) = bound();
    let mut submit = Submit::new("1", "x");
    submit.registered_delivery = 0x11;
    let id = sim.submit(app, &submit).unwrap();
    for _ in 0..2 {
        let got = sim.got(phone).unwrap();
        sim.take(phone, &got, status::ESME_RMSGQFUL);
        sim.pass(2000);
    }
    let notification = sim.got(app).unwrap();
    assert_eq!(notification.esm_class, 0x20);
    assert_eq!(notification.receipt(), (id.number(), 1));
    sim.take(app, &notification, 0);
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, 0);
    let receipt = sim.got(app).unwrap();
    assert_eq!(
        (receipt.esm_class, receipt.receipt()),
        (4, (id.number(), 2))
    );
    sim.take(app, &receipt, 0);
    sim.assert_empty();
}

#[test]
fn a_held_route_lets_nothing_out() {
    let (mut sim, app, phone) = bound();
    let hold = Operation::HoldRoute { name: "all".into() };
    sim.operate(hold).unwrap();
    let id = sim.submit(app, &Submit::new("1", "x")).unwrap();
    assert_eq!(sim.next(phone), None);
    let Ok(crate::effect::Reply::Message(view)) = sim.operate(Operation::Trace { id: id.number() })
    else {
        panic!();
    };
    assert_eq!(
        (view.state, view.phase, view.route.as_deref()),
        ("ENROUTE", "waiting", Some("all"))
    );
    sim.operate(Operation::ReleaseRoute { name: "all".into() })
        .unwrap();
    let got = sim.got(phone).unwrap();
    sim.take(phone, &got, 0);
    let Ok(crate::effect::Reply::Message(view)) = sim.operate(Operation::Trace { id: id.number() })
    else {
        panic!();
    };
    assert_eq!(
        (view.state, view.phase, view.attempts),
        ("DELIVERED", "final", 1)
    );
    assert!(
        sim.operate(Operation::HoldRoute {
            name: "none".into()
        })
        .is_err()
    );
}

#[test]
fn new_settings_move_what_waits() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let other = sim.transceiver("other");
    sim.submit(app, &Submit::new("1", "moved")).unwrap();
    let phone = sim.transceiver("phone");
    let under_way = sim.got(phone).unwrap();
    sim.submit(app, &Submit::new("1", "behind")).unwrap();
    let mut changed = settings();
    changed.routes = vec![route("all", "", &["other"])];
    sim.event(Event::Reloaded(Box::new(changed)));
    assert_eq!(
        sim.next(other),
        None,
        "its order holds: the first is under way"
    );
    sim.take(phone, &under_way, 0);
    assert_eq!(sim.got(other).unwrap().text, "behind");
    // An ESME that is gone loses its binds.
    let mut changed = settings();
    changed.esmes.remove(2);
    sim.event(Event::Reloaded(Box::new(changed)));
    assert_eq!(sim.next(phone).unwrap().command_id, command::UNBIND);
    assert_eq!(sim.closed, [phone]);
}

#[test]
fn payloads_headers_and_data_codings_are_untouched() {
    let (mut sim, app, phone) = bound();
    let mut submit = Submit::new("1", "");
    submit.esm_class = 0x43;
    submit.data_coding = 8;
    submit.text = vec![5, 0, 3, 0xCC, 2, 1, 0x04, 0x1F, 0, 0xFF];
    submit.tlvs = vec![(0x020C, vec![0, 9]), (0x3FFF, vec![]), (0x3FFF, vec![1])];
    sim.submit(app, &submit).unwrap();
    let frame = sim.next(phone).unwrap();
    let read = crate::wire::read::submission(&frame).unwrap();
    assert_eq!(read.short_message, submit.text);
    assert_eq!((read.data_coding, read.esm_class), (8, 0x40));
    let tlvs: Vec<_> = read
        .tlvs
        .iter()
        .map(|tlv| (tlv.tag, tlv.value.to_vec()))
        .collect();
    assert_eq!(tlvs, submit.tlvs);
    let mut long = Submit::new("2", "");
    long.tlvs = vec![(tag::MESSAGE_PAYLOAD, vec![b'y'; 4000])];
    let id = sim.submit(app, &long).unwrap();
    let frame = sim.next(phone).unwrap();
    let read = crate::wire::read::submission(&frame).unwrap();
    assert_eq!(
        read.tlvs.value(tag::MESSAGE_PAYLOAD),
        Some(&[b'y'; 4000][..])
    );
    let slot = sim.core.queue.find(id).unwrap();
    assert_eq!(sim.core.queue.item(slot).unwrap().message.segments, 27);
}

#[test]
fn data_sm_both_ways() {
    let mut settings = settings();
    settings.routes[0].data_sm = true;
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let phone = sim.transceiver("phone");
    let mut body = b"\0\x01\x011000\0\x01\x015\0\0\x01\0".to_vec();
    crate::wire::write::tlv(&mut body, tag::MESSAGE_PAYLOAD, b"data");
    let sequence = sim.request(app, command::DATA_SM, body);
    sim.settle();
    let answer = sim.answer(app, sequence);
    assert_eq!((answer.command_id, answer.command_status), (0x8000_0103, 0));
    let frame = sim.next(phone).unwrap();
    assert_eq!(frame.command_id, command::DATA_SM);
    let read = crate::wire::read::submission(&frame).unwrap();
    assert_eq!(read.tlvs.value(tag::MESSAGE_PAYLOAD), Some(&b"data"[..]));
    sim.pdu(
        phone,
        command::DATA_SM | command::RESPONSE,
        0,
        frame.sequence_number,
        vec![0],
    );
    sim.settle();
    assert_eq!(sim.got(app).unwrap().receipt().1, 2);
}
