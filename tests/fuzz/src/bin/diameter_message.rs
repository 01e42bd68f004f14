//! One Diameter message, read, read as every command, and written again.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tollwire_fuzz::diameter::diameter_message(data));
