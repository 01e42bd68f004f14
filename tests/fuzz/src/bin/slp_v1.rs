//! A request of SLPv1, and its words in version 2.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::slp::version_1(data));
