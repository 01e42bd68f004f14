//! A token, a key or a set of keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::signed::token(data));
