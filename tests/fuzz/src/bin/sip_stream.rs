//! A SIP stream cut in different ways.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::sip::sip_stream(data));
