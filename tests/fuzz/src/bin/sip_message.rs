//! One SIP message, read, asked for every typed value, edited and printed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::sip::sip_message(data));
