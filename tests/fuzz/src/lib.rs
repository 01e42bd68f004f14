//! What every fuzz target asserts.

pub mod diameter;
pub mod peer;
pub mod signed;
pub mod sip;
pub mod slp;
pub mod smpp;

use std::fmt::Debug;

/// What decodes must encode to something that decodes to the same value and encodes to the same
/// octets again.
///
/// # Panics
/// When it does not: a finding.
pub fn assert_stable<T: PartialEq + Debug, E: Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, E>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let Ok(value) = decode(bytes) else {
        return;
    };
    let encoded = encode(&value);
    let again = decode(&encoded).expect("what was encoded decodes");
    assert_eq!(value, again);
    assert_eq!(encoded, encode(&again));
}
