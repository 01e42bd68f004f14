//! The value of a tariff TLV.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::smpp::smpp_tariff(data));
