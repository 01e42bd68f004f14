//! Samples damaged at random: no panic, no growth, and what still reads is stable.

#[path = "../../../tests/fuzz/src/smpp.rs"]
mod fuzz;
mod samples;

use tollwire_smpp::{Framer, decode};

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
        match random.below(7) {
            0 => octets[at] = u8::try_from(random.below(256)).unwrap(),
            1 => octets[at] ^= 1 << random.below(8),
            2 => octets.truncate(at.max(16)),
            3 => octets.insert(at, u8::try_from(random.below(256)).unwrap()),
            4 => {
                let part = octets[at..].to_vec();
                octets.extend(part);
            }
            // Another command over the same body.
            5 => octets[7] = u8::try_from(random.below(0x23)).unwrap(),
            _ => octets[at] = [0, 1, 0x10, 0x7f, 0x80, 0xff][random.below(6)],
        }
    }
    // Mostly with a length that is right, so that the damage is found behind the header.
    if random.below(8) != 0 {
        let length = u32::try_from(octets.len()).unwrap().to_be_bytes();
        octets[..4].copy_from_slice(&length);
    }
}

#[test]
fn mutated_pdus_do_no_harm() {
    let samples = samples::all();
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut read, mut refused) = (0, 0);
    for _ in 0..MUTATIONS {
        let mut octets = samples[random.below(samples.len())].octets.clone();
        mutate(&mut random, &mut octets);
        fuzz::smpp_stream(&octets);
        fuzz::smpp_pdu(&octets[4..]);
        let mut framer = Framer::new(4096);
        framer.push(&octets);
        while let Some(Ok(frame)) = framer.next() {
            match decode(&frame) {
                Ok(_) => read += 1,
                Err(_) => refused += 1,
            }
        }
    }
    // The damage is of both kinds, or this test says nothing.
    assert!(read > 10_000, "{read}");
    assert!(refused > 10_000, "{refused}");
}

#[test]
fn mutated_receipts_and_times_do_no_harm() {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let receipt =
        b"id:77 sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:hi";
    for _ in 0..MUTATIONS {
        let mut octets = receipt.to_vec();
        let mut time = b"260301120000000+".to_vec();
        if random.below(2) == 0 {
            time[15] = b'R';
        }
        for _ in 0..=random.below(3) {
            let at = random.below(octets.len());
            octets[at] = b" :0Aids\0\xff"[random.below(9)];
            let at = random.below(16);
            time[at] = b"0123456789+-Rx"[random.below(14)];
        }
        fuzz::smpp_receipt(&octets);
        fuzz::smpp_time(&time);
    }
}

#[test]
fn mutated_tariffs_do_no_harm() {
    let mut random = Random(0x1319_8A2E_0370_7344);
    // The first octet chooses the format; prices, classes, payers, digits and a final NUL follow.
    let seeds: [&[u8]; 5] = [
        b"\0\x01\0\0\0\0\0\0\x02\xe6\x30EUR\x02advertiser",
        b"\x41199\0",
        b"\x027\0",
        b"\x43\x01\x2c",
        b"\x04\x80\x01\x01\0\x07\x01",
    ];
    for _ in 0..MUTATIONS {
        let mut octets = seeds[random.below(seeds.len())].to_vec();
        for _ in 0..=random.below(3) {
            let at = 1 + random.below(octets.len() - 1);
            octets[at] = random.next() as u8;
        }
        octets.truncate(1 + random.below(octets.len() + 3).min(octets.len() - 1));
        fuzz::smpp_tariff(&octets);
    }
}
