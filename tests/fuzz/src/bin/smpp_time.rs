//! An absolute or a relative time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::smpp::smpp_time(data));
