//! Datagrams at a user agent.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::slp::user_agent(data));
