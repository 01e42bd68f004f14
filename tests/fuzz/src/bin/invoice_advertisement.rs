//! How a billing server describes itself, and its form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::signed::advertisement(data));
