//! A predicate over an attribute list.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::slp::filter(data));
