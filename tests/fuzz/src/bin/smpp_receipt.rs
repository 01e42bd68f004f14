//! The text of a delivery receipt.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::smpp::smpp_receipt(data));
