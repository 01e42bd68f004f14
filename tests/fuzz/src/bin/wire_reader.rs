//! The cursor under every binary codec: whatever is asked of it, it stays inside its buffer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollwire_wire::Reader;

fuzz_target!(|input: (Vec<(u8, usize)>, &[u8])| {
    let (steps, bytes) = input;
    let mut reader = Reader::new(bytes);
    for (step, length) in steps {
        let before = reader.position();
        let left = reader.remaining();
        let done = match step % 7 {
            0 => reader.u8().is_ok(),
            1 => reader.u16().is_ok(),
            2 => reader.u24().is_ok(),
            3 => reader.u32().is_ok(),
            4 => reader.u64().is_ok(),
            5 => reader.take(length).is_ok(),
            _ => reader.skip(length).is_ok(),
        };
        assert_eq!(reader.position() + reader.remaining(), before + left);
        assert!(
            done || reader.position() == before,
            "a failed read moves nothing"
        );
    }
});
