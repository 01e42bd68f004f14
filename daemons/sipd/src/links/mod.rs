//! The calls' orders as Diameter, and Diameter as the calls' events.

pub mod ro;
pub mod rx;

use crate::calls::CallNumber;
use crate::supervision::Parties;

/// Session-Id (RFC 6733 8.8): our name, the call's number in halves, and which link it is for.
pub fn session_id(origin_host: &str, parties: &Parties, link: &str) -> String {
    let (high, low) = parties.session;
    format!("{origin_host};{high};{low};{link}")
}

/// The call that a Session-Id of ours names.
pub fn call_of(session_id: &str) -> Option<CallNumber> {
    let mut parts = session_id.split(';').skip(1);
    let mut half = || parts.next()?.parse::<u32>().ok().map(u64::from);
    let (high, low) = (half()?, half()?);
    Some(CallNumber(high << 32 | low))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_names_its_call() {
        assert_eq!(
            call_of("sipd.example.org;1;2;ro"),
            Some(CallNumber((1 << 32) + 2))
        );
        for foreign in ["", "sipd", "sipd;1", "sipd;x;2;ro", "sipd;1;4294967296"] {
            assert_eq!(call_of(foreign), None, "{foreign}");
        }
    }
}
