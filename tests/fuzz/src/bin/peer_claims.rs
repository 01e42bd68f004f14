//! What user, provider and accounting manager sign.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::peer::claims(data));
