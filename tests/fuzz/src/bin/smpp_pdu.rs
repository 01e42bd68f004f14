//! One PDU, read, refused or written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::smpp::smpp_pdu(data));
