//! Quota objects on the wire.

use super::attributes::{Attributes, find, number};
use super::socket::{CREATE, DUMP, Message};

const NEWOBJ: u16 = 18;
const GETOBJ: u16 = 19;
const DELOBJ: u16 = 20;

const OBJ_TABLE: u16 = 1;
const OBJ_NAME: u16 = 2;
const OBJ_TYPE: u16 = 3;
const OBJ_DATA: u16 = 4;
const QUOTA_BYTES: u16 = 1;
const QUOTA_CONSUMED: u16 = 4;

/// NFT_OBJECT_QUOTA.
pub(super) const TYPE_QUOTA: u32 = 2;

fn object(table: &str, name: &str) -> Attributes {
    Attributes::new()
        .text(OBJ_TABLE, table)
        .text(OBJ_NAME, name)
        .u32(OBJ_TYPE, TYPE_QUOTA)
}

/// Makes a quota, or changes the size of the one that is there.
pub(super) fn set(table: &str, name: &str, octets: u64) -> Message {
    Message {
        kind: NEWOBJ,
        flags: CREATE,
        attributes: object(table, name)
            .nested(OBJ_DATA, Attributes::new().u64(QUOTA_BYTES, octets)),
        elements: Attributes::new(),
    }
}

/// Takes a quota away; the kernel refuses while an element refers to it.
pub(super) fn remove(table: &str, name: &str) -> Message {
    Message {
        kind: DELOBJ,
        flags: 0,
        attributes: object(table, name),
        elements: Attributes::new(),
    }
}

/// Asks for one quota.
pub(super) fn get(table: &str, name: &str) -> Message {
    Message {
        kind: GETOBJ,
        flags: 0,
        attributes: object(table, name),
        elements: Attributes::new(),
    }
}

/// Asks for every quota.
pub(super) fn get_all(table: &str) -> Message {
    Message {
        kind: GETOBJ,
        flags: DUMP,
        attributes: Attributes::new()
            .text(OBJ_TABLE, table)
            .u32(OBJ_TYPE, TYPE_QUOTA),
        elements: Attributes::new(),
    }
}

/// What the kernel says of a quota.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) octets: u64,
    /// Refused packets included, and never above `octets`.
    pub(super) consumed: u64,
}

/// The quota of one answer.
pub(super) fn found(answer: &[u8]) -> Option<Found> {
    let data = find(answer, OBJ_DATA)?;
    Some(Found {
        name: String::from_utf8_lossy(find(answer, OBJ_NAME)?.strip_suffix(&[0])?).into_owned(),
        octets: find(data, QUOTA_BYTES).and_then(number)?,
        consumed: find(data, QUOTA_CONSUMED).and_then(number).unwrap_or(0),
    })
}
