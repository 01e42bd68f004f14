//! Any message in words: every AVP by the name that the dictionary gives it.

use serde_json::{Value, json};
use tollwire_diameter::accounting::ServiceSpecificInfo;
use tollwire_diameter::dictionary::{self, DataType};
use tollwire_diameter::value::{Address, Time};
use tollwire_diameter::{Avp, Message};
use tollwire_runtime::accounting;

/// The AVPs of `message` as a list of name and value; groups hold lists again.
pub(super) fn avps(message: &Message) -> Value {
    list(&message.avps)
}

/// The record of Tollwire's that `message` carries.
pub(super) fn carried(message: &Message) -> Option<Value> {
    if message.text(&dictionary::SERVICE_CONTEXT_ID) != Some(accounting::SERVICE_CONTEXT) {
        return None;
    }
    let infos: Vec<ServiceSpecificInfo> = message
        .avps
        .iter()
        .filter(|avp| avp.is(&dictionary::SERVICE_SPECIFIC_INFO))
        .filter_map(|avp| avp.value().ok())
        .collect();
    serde_json::from_str(accounting::carried(&infos)?.json).ok()
}

fn list(avps: &[Avp]) -> Value {
    avps.iter().map(one).collect()
}

fn one(avp: &Avp) -> Value {
    let definition = dictionary::lookup(avp.code, avp.vendor_id);
    let name = match (definition, avp.vendor_id) {
        (Some(definition), _) => definition.name.to_owned(),
        (None, None) => format!("AVP {}", avp.code),
        (None, Some(vendor)) => format!("AVP {} of vendor {vendor}", avp.code),
    };
    let value = definition
        .and_then(|definition| read(avp, definition.data_type))
        .unwrap_or_else(|| octets(avp));
    json!({ "name": name, "value": value })
}

/// The value as its type has it; `None` if it is none of its type.
fn read(avp: &Avp, data_type: DataType) -> Option<Value> {
    Some(match data_type {
        DataType::Integer32 | DataType::Enumerated => avp.value::<i32>().ok()?.into(),
        DataType::Integer64 => avp.value::<i64>().ok()?.into(),
        DataType::Unsigned32 => avp.value::<u32>().ok()?.into(),
        DataType::Unsigned64 => avp.value::<u64>().ok()?.into(),
        DataType::Grouped => list(&avp.members().ok()?),
        DataType::Address => match avp.value::<Address>().ok()? {
            Address::Ip(address) => address.to_string().into(),
            Address::Other { .. } => return None,
        },
        DataType::Time => tollwire_cdr::Timestamp(avp.value::<Time>().ok()?.unix_ms())
            .to_string()
            .into(),
        DataType::Utf8String
        | DataType::DiameterIdentity
        | DataType::DiameterUri
        | DataType::IpFilterRule => avp.value::<String>().ok()?.into(),
        DataType::OctetString => return None,
    })
}

/// Octets that may be text: shown as such if all of them are printable.
fn octets(avp: &Avp) -> Value {
    match std::str::from_utf8(&avp.data) {
        Ok(text) if !text.is_empty() && !text.contains(char::is_control) => text.into(),
        _ => format!("0x{}", hex(&avp.data)).into(),
    }
}

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
