//! Set elements on the wire.

use super::attributes::{Attributes, find, number, read};
use super::socket::{CREATE, DUMP, Message};
use crate::flow::{Family, FlowKey, Usage};

const NEWSETELEM: u16 = 12;
const GETSETELEM: u16 = 13;
const DELSETELEM: u16 = 14;
/// As DELSETELEM, without complaint if there is none; Linux 6.3 and later.
const DESTROYSETELEM: u16 = 30;

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const LIST_ELEM: u16 = 1;
const ELEM_KEY: u16 = 1;
const ELEM_TIMEOUT: u16 = 4;
const ELEM_EXPIRATION: u16 = 5;
const ELEM_USERDATA: u16 = 6;
const ELEM_EXPR: u16 = 7;
const ELEM_OBJREF: u16 = 9;
const ELEM_EXPRESSIONS: u16 = 11;
const DATA_VALUE: u16 = 1;
const EXPR_NAME: u16 = 1;
const EXPR_DATA: u16 = 2;
const COUNTER_BYTES: u16 = 1;
const COUNTER_PACKETS: u16 = 2;
/// libnftnl's type of an element's comment, which `nft list` shows.
const UDATA_COMMENT: u8 = 0;

/// Which of the three sets of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    Gate,
    Volume,
    Usage,
}

pub(super) fn set_name(set: Set, family: Family) -> &'static str {
    match (set, family) {
        (Set::Gate, Family::Ip4) => "gate4",
        (Set::Gate, Family::Ip6) => "gate6",
        (Set::Volume, Family::Ip4) => "volume4",
        (Set::Volume, Family::Ip6) => "volume6",
        (Set::Usage, Family::Ip4) => "usage4",
        (Set::Usage, Family::Ip6) => "usage6",
    }
}

fn element(key: FlowKey) -> Attributes {
    Attributes::new().nested(
        ELEM_KEY,
        Attributes::new().bytes(DATA_VALUE, &key.to_octets()),
    )
}

fn message(kind: u16, flags: u16, table: &str, set: &str, elements: Attributes) -> Message {
    Message {
        kind,
        flags,
        attributes: Attributes::new()
            .text(LIST_TABLE, table)
            .text(LIST_SET, set),
        elements,
    }
}

fn one(kind: u16, flags: u16, table: &str, set: Set, key: FlowKey, element: Attributes) -> Message {
    let elements = Attributes::new().nested(LIST_ELEM, element);
    message(kind, flags, table, set_name(set, key.family()), elements)
}

/// The set of gates with or without a quota.
pub(super) fn gates(limited: bool) -> Set {
    if limited { Set::Volume } else { Set::Gate }
}

/// A gate that shuts by itself.
pub(super) fn open_gate(
    table: &str,
    key: FlowKey,
    timeout_ms: u64,
    quota: Option<&str>,
) -> Message {
    let mut gate = element(key).u64(ELEM_TIMEOUT, timeout_ms.max(1));
    if let Some(name) = quota {
        gate = gate.text(ELEM_OBJREF, name);
    }
    let set = gates(quota.is_some());
    one(NEWSETELEM, CREATE, table, set, key, gate)
}

/// A counter, labelled.
pub(super) fn add_usage(table: &str, key: FlowKey, label: &str) -> Message {
    // TLV of libnftnl: type, length, text with its NUL; NFT_USERDATA_MAXLEN is 256.
    let mut text: Vec<u8> = label.bytes().take(250).collect();
    text.push(0);
    let mut userdata = vec![UDATA_COMMENT, u8::try_from(text.len()).unwrap_or(u8::MAX)];
    userdata.append(&mut text);
    let usage = element(key).bytes(ELEM_USERDATA, &userdata);
    // Without NLM_F_EXCL: a counter that is there goes on counting.
    one(NEWSETELEM, CREATE, table, Set::Usage, key, usage)
}

/// Takes an element away. `tolerant`: also if there is none, where the kernel can.
pub(super) fn remove(table: &str, set: Set, key: FlowKey, tolerant: bool) -> Message {
    let kind = if tolerant { DESTROYSETELEM } else { DELSETELEM };
    one(kind, 0, table, set, key, element(key))
}

/// Asks for the counters of `keys`, which are of one family.
pub(super) fn get_usage(table: &str, family: Family, keys: &[FlowKey]) -> Message {
    let elements = keys.iter().fold(Attributes::new(), |list, key| {
        list.nested(LIST_ELEM, element(*key))
    });
    message(GETSETELEM, 0, table, set_name(Set::Usage, family), elements)
}

/// Asks for every element of a set.
pub(super) fn get_all(table: &str, set: Set, family: Family) -> Message {
    Message {
        kind: GETSETELEM,
        flags: DUMP,
        attributes: Attributes::new()
            .text(LIST_TABLE, table)
            .text(LIST_SET, set_name(set, family)),
        elements: Attributes::new(),
    }
}

/// What the kernel says of an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) key: FlowKey,
    pub(super) usage: Usage,
    /// The quota it refers to.
    pub(super) quota: Option<String>,
    pub(super) expires_ms: Option<u64>,
    pub(super) label: Option<String>,
}

/// The elements of one answer.
pub(super) fn found(answer: &[u8]) -> Vec<Found> {
    let Some(elements) = find(answer, LIST_ELEMENTS) else {
        return Vec::new();
    };
    read(elements)
        .filter_map(|(_, element)| one_found(element))
        .collect()
}

fn one_found(element: &[u8]) -> Option<Found> {
    let key = find(find(element, ELEM_KEY)?, DATA_VALUE)?;
    let counter = find(element, ELEM_EXPR).or_else(|| {
        let list = find(element, ELEM_EXPRESSIONS)?;
        read(list)
            .map(|(_, expression)| expression)
            .find(|expression| find(expression, EXPR_NAME) == Some(b"counter\0"))
    });
    let value = |kind| {
        counter
            .and_then(|counter| find(find(counter, EXPR_DATA)?, kind))
            .and_then(number)
    };
    Some(Found {
        key: FlowKey::from_octets(key)?,
        usage: Usage {
            packets: value(COUNTER_PACKETS).unwrap_or(0),
            octets: value(COUNTER_BYTES).unwrap_or(0),
        },
        quota: find(element, ELEM_OBJREF)
            .and_then(|name| name.strip_suffix(&[0]))
            .map(|name| String::from_utf8_lossy(name).into_owned()),
        expires_ms: find(element, ELEM_EXPIRATION).and_then(number),
        label: find(element, ELEM_USERDATA).and_then(label),
    })
}

fn label(userdata: &[u8]) -> Option<String> {
    let (&[kind, length], rest) = userdata.split_first_chunk::<2>()?;
    let text = rest.get(..usize::from(length))?.strip_suffix(&[0])?;
    (kind == UDATA_COMMENT).then(|| String::from_utf8_lossy(text).into_owned())
}
