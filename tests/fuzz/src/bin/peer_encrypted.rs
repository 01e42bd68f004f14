//! An encrypted key.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::peer::encrypted(data));
