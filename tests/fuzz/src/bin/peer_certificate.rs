//! A certificate, a chain or a root.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::peer::certificate(data));
