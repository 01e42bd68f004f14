//! What stands around the elements: table, sets, chain and rules.

use super::attributes::Attributes;
use super::element::{self, Set};
use super::quota;
use super::socket::{CREATE, Message};
use super::table::TableSettings;
use crate::flow::Family;

pub(super) const NEWTABLE: u16 = 0;
const NEWCHAIN: u16 = 3;
pub(super) const NEWRULE: u16 = 6;
const NEWSET: u16 = 9;
const NFT_SET_TIMEOUT: u32 = 0x10;
const NFT_SET_OBJECT: u32 = 0x40;
/// nft's own numbers of the types in a key, six bits each; they make `nft list` print addresses.
const TYPE_IPV4_ADDR: u32 = 7;
const TYPE_IPV6_ADDR: u32 = 8;
const TYPE_INET_SERVICE: u32 = 13;
/// The first of the sixteen 32-bit registers.
const REGISTER: u32 = 8;
const REGISTER_VERDICT: u32 = 0;
const NF_DROP: u32 = 0;
const NF_ACCEPT: u32 = 1;
const NF_INET_FORWARD: u32 = 2;
const UDP: u8 = 17;
pub(super) const FAMILIES: [Family; 2] = [Family::Ip4, Family::Ip6];
pub(super) const CHAIN: &str = "forward";

/// Table, sets, chain and rules.
pub(super) fn frame(settings: &TableSettings) -> Vec<Message> {
    let name = settings.name.as_str();
    let create = |kind, attributes| Message {
        kind,
        flags: CREATE,
        attributes,
        elements: Attributes::new(),
    };
    let mut messages = vec![create(NEWTABLE, Attributes::new().text(1, name))];
    for family in FAMILIES {
        for set in [Set::Gate, Set::Volume, Set::Usage] {
            messages.push(create(NEWSET, new_set(settings, set, family)));
        }
    }
    let hook = Attributes::new()
        .u32(1, NF_INET_FORWARD)
        .bytes(2, &settings.priority.to_be_bytes());
    let chain = Attributes::new()
        .text(1, name)
        .text(3, CHAIN)
        .nested(4, hook)
        .u32(5, NF_ACCEPT)
        .text(7, "filter");
    messages.push(create(NEWCHAIN, chain));
    let rule = |expressions: Attributes| {
        // NLM_F_APPEND.
        let attributes = Attributes::new()
            .text(1, name)
            .text(2, CHAIN)
            .nested(4, expressions);
        Message {
            kind: NEWRULE,
            flags: CREATE | 0x800,
            attributes,
            elements: Attributes::new(),
        }
    };
    for family in FAMILIES {
        messages.push(rule(verdict(
            expression(later_fragment(family), "counter", Attributes::new()),
            NF_DROP,
        )));
    }
    for family in FAMILIES {
        let key = load_key(guarded(settings, Some(family)), family);
        let passed = lookup(lookup(key, Set::Gate, family), Set::Usage, family);
        messages.push(rule(verdict(passed, NF_ACCEPT)));
        let key = load_key(guarded(settings, Some(family)), family);
        let passed = lookup(within_quota(key, family), Set::Usage, family);
        messages.push(rule(verdict(passed, NF_ACCEPT)));
    }
    let dropped = expression(guarded(settings, None), "counter", Attributes::new());
    messages.push(rule(verdict(dropped, NF_DROP)));
    messages
}

fn new_set(settings: &TableSettings, set: Set, family: Family) -> Attributes {
    let (address, length) = match family {
        Family::Ip4 => (TYPE_IPV4_ADDR, 16),
        Family::Ip6 => (TYPE_IPV6_ADDR, 40),
    };
    let kind = (((address << 6 | TYPE_INET_SERVICE) << 6) | address) << 6 | TYPE_INET_SERVICE;
    let attributes = Attributes::new()
        .text(1, &settings.name)
        .text(2, element::set_name(set, family))
        .u32(4, kind)
        .u32(5, length)
        .nested(9, Attributes::new().u32(1, settings.size))
        // NFTA_SET_ID must be there; nothing refers to it.
        .u32(10, 1);
    match set {
        Set::Gate => attributes.u32(3, NFT_SET_TIMEOUT),
        Set::Volume => attributes
            .u32(3, NFT_SET_TIMEOUT | NFT_SET_OBJECT)
            .u32(15, quota::TYPE_QUOTA),
        Set::Usage => {
            let counter = Attributes::new()
                .text(1, "counter")
                .nested(2, Attributes::new());
            attributes.u32(3, 0).nested(17, counter)
        }
    }
}

fn expression(list: Attributes, name: &str, data: Attributes) -> Attributes {
    list.nested(1, Attributes::new().text(1, name).nested(2, data))
}

/// `meta KEY` into the first register.
fn meta(list: Attributes, key: u32) -> Attributes {
    expression(list, "meta", Attributes::new().u32(1, REGISTER).u32(2, key))
}

/// Compares the first register; 0 is equal, 1 not equal, 3 at most, 5 at least.
fn compare(list: Attributes, operator: u32, value: &[u8]) -> Attributes {
    let data = Attributes::new()
        .u32(1, REGISTER)
        .u32(2, operator)
        .nested(3, Attributes::new().bytes(1, value));
    expression(list, "cmp", data)
}

/// Octets of the packet into a register; base 1 is the network header, 2 the transport header.
fn payload(list: Attributes, register: u32, base: u32, offset: u32, length: u32) -> Attributes {
    let data = Attributes::new()
        .u32(1, register)
        .u32(2, base)
        .u32(3, offset)
        .u32(4, length);
    expression(list, "payload", data)
}

/// UDP, of one family if it is given.
fn udp(family: Option<Family>) -> Attributes {
    let mut list = Attributes::new();
    if let Some(family) = family {
        // NFT_META_NFPROTO: 2 is IPv4, 10 is IPv6.
        let protocol = if family == Family::Ip4 { 2 } else { 10 };
        list = compare(meta(list, 15), 0, &[protocol]);
    }
    compare(meta(list, 16), 0, &[UDP])
}

/// A fragment of a UDP datagram other than its first. It has no ports: its sender's data would be read in their place,
/// and choose whether it passes and is counted.
fn later_fragment(family: Family) -> Attributes {
    let list = udp(Some(family));
    // The fragment offset: RFC 791 3.1, the low thirteen bits at octet 6; RFC 8200 4.5, the high thirteen bits at octet
    // 2 of extension header 44.
    let (list, mask) = match family {
        Family::Ip4 => (payload(list, REGISTER, 1, 6, 2), 0x1fff_u16),
        Family::Ip6 => {
            let data = Attributes::new()
                .u32(1, REGISTER)
                .bytes(2, &[44])
                .u32(3, 2)
                .u32(4, 2);
            (expression(list, "exthdr", data), 0xfff8)
        }
    };
    let value = |octets: &[u8]| Attributes::new().bytes(1, octets);
    let masked = Attributes::new()
        .u32(1, REGISTER)
        .u32(2, REGISTER)
        .u32(3, 2)
        .nested(4, value(&mask.to_be_bytes()))
        .nested(5, value(&[0, 0]));
    // Not equal.
    compare(expression(list, "bitwise", masked), 1, &[0, 0])
}

/// UDP to a guarded port.
fn guarded(settings: &TableSettings, family: Option<Family>) -> Attributes {
    let mut list = udp(family);
    let (first, last) = settings.ports;
    list = payload(list, REGISTER, 2, 2, 2);
    list = compare(list, 5, &first.to_be_bytes());
    compare(list, 3, &last.to_be_bytes())
}

/// The set's key into the registers from the first on.
fn load_key(list: Attributes, family: Family) -> Attributes {
    // Offsets of the addresses in the headers, and registers of four octets that each takes.
    let (source, destination, length) = match family {
        Family::Ip4 => (12, 16, 4),
        Family::Ip6 => (8, 24, 16),
    };
    let words = length / 4;
    let list = payload(list, REGISTER, 1, source, length);
    let list = payload(list, REGISTER + words, 2, 0, 2);
    let list = payload(list, REGISTER + words + 1, 1, destination, length);
    payload(list, REGISTER + 2 * words + 1, 2, 2, 2)
}

fn lookup(list: Attributes, set: Set, family: Family) -> Attributes {
    let data = Attributes::new()
        .text(1, element::set_name(set, family))
        .u32(2, REGISTER);
    expression(list, "lookup", data)
}

/// Goes on while the quota that the map has for the key lasts.
fn within_quota(list: Attributes, family: Family) -> Attributes {
    let data = Attributes::new()
        .u32(3, REGISTER)
        .text(4, element::set_name(Set::Volume, family));
    expression(list, "objref", data)
}

fn verdict(list: Attributes, code: u32) -> Attributes {
    let data = Attributes::new().u32(1, REGISTER_VERDICT).nested(
        2,
        Attributes::new().nested(2, Attributes::new().u32(1, code)),
    );
    expression(list, "immediate", data)
}
