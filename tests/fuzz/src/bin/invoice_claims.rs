//! What shops and billing servers sign.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::signed::claims(data));
