//! An attribute list, and other texts of SLP.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::slp::attributes(data));
