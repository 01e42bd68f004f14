//! Bodies that are cut, lengthened and changed: each is answered, and nothing breaks or is left behind.

use super::sim::{Sim, Submit, settings};
use crate::event::{Event, Frame};
use crate::wire::{command, tag, write};

#[test]
fn a_hundred_thousand_changed_pdus_are_all_answered() {
    let mut settings = settings();
    settings.limits.max_messages = 500;
    settings.limits.password_delay_ms = 0;
    let mut sim = Sim::new(settings);
    let mut app = sim.transceiver("app");
    let mut submit = Submit::new("4912345", "some text");
    submit.schedule = "000000010000000R".into();
    submit.validity = "000000020000000R".into();
    submit.tlvs = vec![
        (tag::USER_MESSAGE_REFERENCE, vec![0, 1]),
        (0x1403, b"25".to_vec()),
    ];
    let mut query = b"1\0\x01\x011000\0".to_vec();
    let mut replace = query.clone();
    replace.extend_from_slice(b"\0\0\0\0\x02hi");
    let mut cancel = b"\0".to_vec();
    cancel.append(&mut query.clone());
    cancel.extend_from_slice(b"\x01\x014912345\0");
    let mut data_sm = b"\0\x01\x011000\0\x01\x015\0\0\x01\0".to_vec();
    write::tlv(&mut data_sm, tag::MESSAGE_PAYLOAD, b"data");
    query.push(0);
    let samples = [
        (command::SUBMIT_SM, submit.body()),
        (command::SUBMIT_MULTI, submit.multi_body(&["1", "2", "3"])),
        (command::DATA_SM, data_sm),
        (command::QUERY_SM, query),
        (command::CANCEL_SM, cancel),
        (command::REPLACE_SM, replace),
        (command::BIND_RECEIVER, Sim::bind_body("app", "app")),
        (command::DELIVER_SM, submit.body()),
        (command::ENQUIRE_LINK, Vec::new()),
    ];
    let mut state = 0x1234_5678_9ABC_DEF1_u64;
    let mut dice = |limit: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33).unwrap() % limit
    };
    let mut refused = 0;
    for round in 0..100_000_u32 {
        let (command_id, body) = &samples[dice(samples.len())];
        let mut body = body.clone();
        for _ in 0..dice(4) {
            match dice(4) {
                0 => body.truncate(dice(body.len() + 1)),
                1 => body.insert(dice(body.len() + 1), u8::try_from(dice(256)).unwrap()),
                2 => body.extend_from_within(..dice(body.len() + 1)),
                _ if !body.is_empty() => {
                    let at = dice(body.len());
                    body[at] = u8::try_from(dice(256)).unwrap();
                }
                _ => {}
            }
        }
        sim.event(Event::Frames {
            link: app,
            frames: vec![Frame {
                command_id: *command_id,
                command_status: 0,
                sequence_number: round,
                body: body.into(),
            }],
        });
        sim.settle();
        let answer = loop {
            let frame = sim.next(app).expect("an answer");
            if frame.sequence_number == round && frame.command_id & command::RESPONSE != 0 {
                break frame;
            }
        };
        refused += u32::from(answer.command_status != 0);
        if round % 100 == 0 {
            // Everything expires now and then, and its receipts are taken.
            sim.pass(8_000_000);
            sim.event(Event::Closed { link: app });
            app = sim.transceiver("app");
        }
        assert!(sim.core.queue.len() <= 500);
    }
    assert!((20_000..90_000).contains(&refused), "{refused}");
}
