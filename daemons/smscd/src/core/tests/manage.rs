use super::sim::{Sim, Submit, id, settings};
use crate::entry::Cause;
use crate::event::LinkId;
use crate::message::MessageId;
use crate::wire::{command, status, write};

fn query(sim: &mut Sim, link: LinkId, id: &str, source: &str) -> Result<(String, u8), u32> {
    let mut body = Vec::new();
    write::text(&mut body, id);
    body.extend_from_slice(&[1, 1]);
    write::text(&mut body, source);
    let sequence = sim.request(link, command::QUERY_SM, body);
    let answer = sim.answer(link, sequence);
    if answer.command_status != 0 {
        return Err(answer.command_status);
    }
    let parts: Vec<&[u8]> = answer.body.splitn(3, |octet| *octet == 0).collect();
    assert_eq!(parts[0], id.as_bytes());
    Ok((String::from_utf8(parts[1].to_vec()).unwrap(), parts[2][0]))
}

fn cancel(sim: &mut Sim, link: LinkId, id: &str, source: &str, destination: &str) -> u32 {
    let mut body = vec![0];
    write::text(&mut body, id);
    body.extend_from_slice(&[1, 1]);
    write::text(&mut body, source);
    body.extend_from_slice(&[1, 1]);
    write::text(&mut body, destination);
    let sequence = sim.request(link, command::CANCEL_SM, body);
    sim.settle();
    sim.answer(link, sequence).command_status
}

fn replace(sim: &mut Sim, link: LinkId, id: MessageId, source: &str, text: &str) -> u32 {
    let mut body = Vec::new();
    write::text(&mut body, &id.to_string());
    body.extend_from_slice(&[1, 1]);
    write::text(&mut body, source);
    body.extend_from_slice(&[0, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
    body.extend_from_slice(text.as_bytes());
    let sequence = sim.request(link, command::REPLACE_SM, body);
    sim.settle();
    sim.answer(link, sequence).command_status
}

#[test]
fn query_tells_the_state_of_ones_own_messages() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let other = sim.transceiver("other");
    let mut later = Submit::new("1", "later");
    later.schedule = "260301130000000+".into();
    let scheduled = sim.submit(app, &later).unwrap().to_string();
    let waiting = sim.submit(app, &Submit::new("1", "x")).unwrap().to_string();
    assert_eq!(
        query(&mut sim, app, &scheduled, "1000"),
        Ok((String::new(), 0))
    );
    assert_eq!(
        query(&mut sim, app, &waiting, "1000"),
        Ok((String::new(), 1))
    );
    for (link, id, source) in [
        (other, &*waiting, "1000"),
        (app, &*waiting, "2000"),
        (app, "999", "1000"),
        (app, "zz", "1000"),
        (app, "0", "1000"),
    ] {
        assert_eq!(
            query(&mut sim, link, id, source),
            Err(status::ESME_RQUERYFAIL)
        );
    }
    let phone = sim.transceiver("phone");
    let got = sim.got(phone).unwrap();
    sim.pass(41_500);
    assert_eq!(
        query(&mut sim, app, &waiting, "1000"),
        Ok((String::new(), 1))
    );
    let again = sim.got(phone).unwrap();
    assert_eq!(again.text, got.text);
    sim.take(phone, &again, 0);
    sim.got(app).unwrap();
    assert_eq!(
        query(&mut sim, app, &waiting, "1000"),
        Ok(("260301120041500+".into(), 2))
    );
    sim.pass(86_400_001);
    sim.got(app);
    while sim.next(app).is_some() {}
    assert_eq!(
        query(&mut sim, app, &waiting, "1000"),
        Err(status::ESME_RQUERYFAIL)
    );
}

#[test]
fn cancel_takes_back_what_is_not_under_way() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let other = sim.transceiver("other");
    let first = sim.submit(app, &Submit::new("1", "x")).unwrap();
    let failed = status::ESME_RCANCELFAIL;
    let text = first.to_string();
    assert_eq!(cancel(&mut sim, other, &text, "1000", "1"), failed);
    assert_eq!(cancel(&mut sim, app, &text, "1000", "2"), failed);
    assert_eq!(cancel(&mut sim, app, &text, "1001", "1"), failed);
    assert_eq!(
        cancel(&mut sim, app, "x", "1000", "1"),
        status::ESME_RINVMSGID
    );
    // The answer and the receipt come when it is stored.
    let mut body = vec![0];
    write::text(&mut body, &text);
    body.extend_from_slice(b"\x01\x011000\0\x01\x011\0");
    sim.store_by_itself = false;
    let sequence = sim.request(app, command::CANCEL_SM, body);
    assert_eq!(sim.next(app), None);
    sim.store_by_itself = true;
    sim.settle();
    assert_eq!(sim.answer(app, sequence).command_status, 0);
    let receipt = sim.got(app).unwrap();
    assert_eq!(receipt.receipt(), (first.number(), 5 - 1));
    sim.take(app, &receipt, 0);
    assert_eq!(sim.records[&first].done.cause, Cause::Cancelled);
    assert_eq!(
        cancel(&mut sim, app, &text, "1000", "1"),
        failed,
        "only once"
    );
    // Without an id: all to that destination, scheduled ones too.
    let mut quiet = Submit::new("1", "a");
    quiet.registered_delivery = 0;
    sim.submit(app, &quiet).unwrap();
    quiet.schedule = "260301130000000+".into();
    sim.submit(app, &quiet).unwrap();
    sim.submit(other, &quiet).unwrap();
    assert_eq!(cancel(&mut sim, app, "", "1000", "1"), 0);
    assert_eq!(sim.core.depth().messages, 1, "another's stays");
    // What is under way cannot be taken back.
    let phone = sim.transceiver("phone");
    let id = sim.submit(app, &Submit::new("2", "x")).unwrap().to_string();
    sim.got(phone).unwrap();
    assert_eq!(cancel(&mut sim, app, &id, "1000", "2"), failed);
}

#[test]
fn replace_sm_changes_the_content_once_it_is_stored() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let other = sim.transceiver("other");
    let id = sim.submit(app, &Submit::new("1", "old")).unwrap();
    let failed = status::ESME_RREPLACEFAIL;
    assert_eq!(replace(&mut sim, other, id, "1000", "x"), failed);
    assert_eq!(replace(&mut sim, app, id, "1", "x"), failed);
    assert_eq!(replace(&mut sim, app, id, "1000", "new"), 0);
    sim.crash(0);
    let phone = sim.transceiver("phone");
    let got = sim.got(phone).unwrap();
    assert_eq!(got.text, "new");
    let app = sim.transceiver("app");
    assert_eq!(replace(&mut sim, app, id, "1000", "late"), failed);
    sim.take(phone, &got, 0);
    assert_eq!(
        sim.next(app),
        None,
        "registered_delivery was replaced with 0"
    );
    assert_eq!(sim.records.len(), 1);
    sim.assert_empty();
}

#[test]
fn replace_if_present_keeps_the_id_and_the_place() {
    let mut sim = Sim::new(settings());
    let app = sim.transceiver("app");
    let mut submit = Submit::new("1", "one");
    submit.service_type = "NEWS";
    let first = sim.submit(app, &submit).unwrap();
    submit.text = b"two".to_vec();
    submit.replace_if_present_flag = 1;
    assert_eq!(sim.submit(app, &submit), Ok(first));
    submit.service_type = "ELSE";
    submit.text = b"three".to_vec();
    assert_ne!(sim.submit(app, &submit), Ok(first));
    let phone = sim.transceiver("phone");
    for text in ["two", "three"] {
        let got = sim.got(phone).unwrap();
        assert_eq!(got.text, text);
        sim.take(phone, &got, 0);
        let receipt = sim.got(app).unwrap();
        sim.take(app, &receipt, 0);
    }
    assert_eq!(sim.records.len(), 2);
    sim.assert_empty();
}

#[test]
fn submit_multi_is_one_answer_and_a_message_for_each() {
    let mut settings = settings();
    settings.routes = vec![super::sim::route("some", "49", &["phone"])];
    let mut sim = Sim::new(settings);
    let app = sim.transceiver("app");
    let body = Submit::new("", "all").multi_body(&["491", "441", "492"]);
    let sequence = sim.request(app, command::SUBMIT_MULTI, body);
    sim.settle();
    let answer = sim.answer(app, sequence);
    assert_eq!(answer.command_status, 0);
    let end = answer.body.iter().position(|octet| *octet == 0).unwrap();
    let first: u64 = std::str::from_utf8(&answer.body[..end])
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(answer.body[end + 1..], *b"\x01\x01\x01441\0\0\0\0\x0B");
    sim.crash(0);
    let app = sim.transceiver("app");
    assert_eq!(cancel(&mut sim, app, &first.to_string(), "1000", "492"), 0);
    assert_eq!(sim.got(app).unwrap().receipt(), (first, 4));
    let phone = sim.transceiver("phone");
    let got = sim.got(phone).unwrap();
    assert_eq!(got.destination, "491");
    sim.take(phone, &got, 0);
    let receipt = sim.got(app).unwrap();
    assert_eq!(receipt.receipt(), (first, 2), "the id that the ESME knows");
    assert_eq!(receipt.source, "491");
    assert_eq!(sim.records.len(), 2);
    for (destinations, expected) in [
        (&[][..], status::ESME_RINVNUMDESTS),
        (&["441", "442"][..], status::ESME_RINVDSTADR),
    ] {
        let body = Submit::new("", "x").multi_body(destinations);
        let sequence = sim.request(app, command::SUBMIT_MULTI, body);
        assert_eq!(sim.answer(app, sequence).command_status, expected);
    }
    let one = Submit::new("", "x").multi_body(&["491"]);
    let sequence = sim.request(app, command::SUBMIT_MULTI, one);
    sim.settle();
    let answer = sim.answer(app, sequence);
    assert!(
        id(&super::sim::frames(&{
            let mut out = Vec::new();
            let started = write::start(&mut out, 0, 0, 0);
            out.extend_from_slice(&answer.body[..answer.body.len() - 1]);
            write::finish(&mut out, started);
            out
        })[0])
        .number()
            > first
    );
}
