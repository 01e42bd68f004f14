//! Samples damaged at random: no panic, no growth, and what still reads is stable.

#[path = "../../../tests/fuzz/src/diameter.rs"]
mod fuzz;
mod samples;

use bytes::Bytes;
use tollwire_diameter::{Avp, Identity, Message};

const MUTATIONS: u32 = 100_000;

/// xorshift64: the same damage in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }
}

fn mutate(random: &mut Random, octets: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(octets.len());
        match random.below(6) {
            0 => octets[at] = u8::try_from(random.below(256)).unwrap(),
            1 => octets[at] ^= 1 << random.below(8),
            2 => octets.truncate(at.max(20)),
            3 => octets.insert(at, u8::try_from(random.below(256)).unwrap()),
            4 => {
                let part = octets[at..].to_vec();
                octets.extend(part);
            }
            _ => octets[at] = [0, 1, 3, 0x7f, 0x80, 0xff][random.below(6)],
        }
    }
    // Mostly with a length that is right, so that the damage is found behind the header.
    if random.below(8) != 0 {
        octets.resize(octets.len().next_multiple_of(4), 0);
        let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
        octets[1..4].copy_from_slice(&length[1..]);
    }
}

#[test]
fn mutated_messages_do_no_harm() {
    let samples: Vec<Vec<u8>> = samples::all()
        .into_iter()
        .map(|(_, message)| message.encode().to_vec())
        .collect();
    let identity = Identity {
        origin_host: "server.example".into(),
        origin_realm: "example".into(),
    };
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut read = 0;
    for round in 0..MUTATIONS {
        let mut octets = samples[random.below(samples.len())].clone();
        mutate(&mut random, &mut octets);
        let length = octets.len();
        match Message::decode(Bytes::from(octets)) {
            Ok(message) => {
                read += 1;
                // What is kept is bounded by what came: eight octets on the wire per AVP.
                assert!(message.avps.len() <= length / 8);
                let again = message.encode();
                assert!(again.len() <= length + 3 * message.avps.len());
                assert_eq!(Message::decode(again).as_ref(), Ok(&message));
                // The typed values of every fourth, to keep the test short.
                if round % 4 == 0 {
                    fuzz::commands(&message);
                }
            }
            Err(malformed) => {
                let kept: usize = malformed.received.avps.iter().map(Avp::encoded_len).sum();
                assert!(kept <= length + 3 * malformed.received.avps.len());
                if let Some(answer) = malformed.answer(&identity) {
                    let answer = answer.encode();
                    // No amplification: the AVP at fault, the identity and the reason.
                    assert!(answer.len() <= length + 512, "{} {length}", answer.len());
                    assert!(Message::decode(answer).is_ok());
                }
            }
        }
    }
    assert!(read > MUTATIONS / 10, "the damage is too great to say much");
}

#[test]
fn the_fuzz_target_accepts_every_sample() {
    // FUZZ_SEEDS=tests/fuzz/corpus/diameter_message gives the fuzzer something to begin with.
    let seeds = std::env::var_os("FUZZ_SEEDS").map(std::path::PathBuf::from);
    for (name, message) in samples::all() {
        let octets = message.encode();
        fuzz::diameter_message(&octets);
        if let Some(directory) = &seeds {
            std::fs::create_dir_all(directory).unwrap();
            std::fs::write(directory.join(name.replace(' ', "-")), octets).unwrap();
        }
    }
}
