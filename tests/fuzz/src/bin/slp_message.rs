//! One SLP message, read and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::slp::message(data));
