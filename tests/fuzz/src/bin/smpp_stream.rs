//! A stream of PDUs cut in different ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::smpp::smpp_stream(data));
