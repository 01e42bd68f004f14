use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use bytes::Bytes;
use tollwire_wire::Writer;

use crate::error::DataFault;
use crate::value::AvpData;

/// Port ranges that one side of a rule may list.
const MAX_PORTS: usize = 64;

/// An IPFilterRule (RFC 6733 4.3.1): `permit in 17 from 192.0.2.1 40000 to 192.0.2.9 30000`.
///
/// Printed and parsed by [`fmt::Display`] and [`FromStr`]; keywords are lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IpFilterRule {
    /// What becomes of a packet that matches.
    pub action: FilterAction,
    /// Which packets are looked at.
    pub direction: FilterDirection,
    /// IP protocol number; `None` is the keyword `ip`, any protocol.
    pub protocol: Option<u8>,
    /// Where the packet comes from.
    pub source: FilterEndpoint,
    /// Where it goes to.
    pub destination: FilterEndpoint,
    /// The options, not interpreted; empty when there are none.
    pub options: String,
}

/// The action of an [`IpFilterRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FilterAction {
    /// The packet passes.
    #[default]
    Permit,
    /// The packet is dropped.
    Deny,
}

/// The direction of an [`IpFilterRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FilterDirection {
    /// From the terminal (uplink).
    #[default]
    In,
    /// To the terminal (downlink).
    Out,
}

/// One side of an [`IpFilterRule`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterEndpoint {
    /// Whether `!` stands before the address: every other address matches.
    pub inverted: bool,
    /// The addresses.
    pub address: FilterAddress,
    /// The ports; empty is every port.
    pub ports: Vec<RangeInclusive<u16>>,
}

/// The addresses of one side of an [`IpFilterRule`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FilterAddress {
    /// `any`.
    #[default]
    Any,
    /// `assigned`: the terminal's own.
    Assigned,
    /// One address, or those that share its leading bits.
    Prefix {
        /// The address, its bits beyond the mask zero.
        address: IpAddr,
        /// Leading bits that count; 32 or 128 for one address.
        length: u8,
    },
}

impl FilterEndpoint {
    /// One address and one port.
    pub fn exact(address: IpAddr, port: u16) -> Self {
        Self {
            ports: vec![port..=port],
            ..Self::host(address)
        }
    }

    /// One address with every port.
    pub fn host(address: IpAddr) -> Self {
        Self {
            inverted: false,
            address: FilterAddress::Prefix {
                address,
                length: width(address),
            },
            ports: Vec::new(),
        }
    }

    /// The address, if the side is exactly one.
    pub fn single_address(&self) -> Option<IpAddr> {
        match self.address {
            FilterAddress::Prefix { address, length }
                if !self.inverted && length == width(address) =>
            {
                Some(address)
            }
            _ => None,
        }
    }

    /// The port, if the side is exactly one.
    pub fn single_port(&self) -> Option<u16> {
        match self.ports.as_slice() {
            [range] if range.start() == range.end() => Some(*range.start()),
            _ => None,
        }
    }
}

/// A text that is no IPFilterRule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IPFilterRule")]
pub struct InvalidFilterRule;

impl FromStr for IpFilterRule {
    type Err = InvalidFilterRule;

    fn from_str(text: &str) -> Result<Self, InvalidFilterRule> {
        let mut words = text.split_ascii_whitespace().peekable();
        let action = match words.next() {
            Some("permit") => FilterAction::Permit,
            Some("deny") => FilterAction::Deny,
            _ => return Err(InvalidFilterRule),
        };
        let direction = match words.next() {
            Some("in") => FilterDirection::In,
            Some("out") => FilterDirection::Out,
            _ => return Err(InvalidFilterRule),
        };
        let protocol = match words.next() {
            Some("ip") => None,
            Some(number) => Some(number.parse().map_err(|_| InvalidFilterRule)?),
            None => return Err(InvalidFilterRule),
        };
        let source = endpoint(&mut words, "from")?;
        let destination = endpoint(&mut words, "to")?;
        let mut options = String::new();
        for word in words {
            if !options.is_empty() {
                options.push(' ');
            }
            options.push_str(word);
        }
        Ok(Self {
            action,
            direction,
            protocol,
            source,
            destination,
            options,
        })
    }
}

fn endpoint<'a>(
    words: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    keyword: &str,
) -> Result<FilterEndpoint, InvalidFilterRule> {
    if words.next() != Some(keyword) {
        return Err(InvalidFilterRule);
    }
    let word = words.next().ok_or(InvalidFilterRule)?;
    let (inverted, word) = match word.strip_prefix('!') {
        // "ip! assigned" of the RFC's own example also puts a space behind the mark.
        Some("") => (true, words.next().ok_or(InvalidFilterRule)?),
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let address = match word {
        "any" => FilterAddress::Any,
        "assigned" => FilterAddress::Assigned,
        _ => prefix(word)?,
    };
    let ports = match words.peek() {
        Some(word) if word.starts_with(|first: char| first.is_ascii_digit()) => {
            let ports = ports(word)?;
            words.next();
            ports
        }
        _ => Vec::new(),
    };
    Ok(FilterEndpoint {
        inverted,
        address,
        ports,
    })
}

fn prefix(word: &str) -> Result<FilterAddress, InvalidFilterRule> {
    let (address, length) = match word.split_once('/') {
        Some((address, length)) => {
            let length = length.parse().map_err(|_| InvalidFilterRule)?;
            (address, Some(length))
        }
        None => (word, None),
    };
    let address: IpAddr = address.parse().map_err(|_| InvalidFilterRule)?;
    let length: u8 = length.unwrap_or(width(address));
    let host_bits = width(address)
        .checked_sub(length)
        .ok_or(InvalidFilterRule)?;
    let bits = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    };
    // "the IP number MUST NOT have bits set beyond the mask"
    let beyond = 1_u128
        .checked_shl(u32::from(host_bits))
        .map_or(u128::MAX, |limit| limit - 1);
    if bits & beyond != 0 {
        return Err(InvalidFilterRule);
    }
    Ok(FilterAddress::Prefix { address, length })
}

fn ports(word: &str) -> Result<Vec<RangeInclusive<u16>>, InvalidFilterRule> {
    let mut ports = Vec::new();
    for part in word.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: u16 = first.parse().map_err(|_| InvalidFilterRule)?;
        let last: u16 = last.parse().map_err(|_| InvalidFilterRule)?;
        if first > last || ports.len() == MAX_PORTS {
            return Err(InvalidFilterRule);
        }
        ports.push(first..=last);
    }
    Ok(ports)
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for IpFilterRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            FilterAction::Permit => "permit",
            FilterAction::Deny => "deny",
        };
        let direction = match self.direction {
            FilterDirection::In => "in",
            FilterDirection::Out => "out",
        };
        write!(formatter, "{action} {direction} ")?;
        match self.protocol {
            Some(number) => write!(formatter, "{number}")?,
            None => formatter.write_str("ip")?,
        }
        write!(formatter, " from {} to {}", self.source, self.destination)?;
        if !self.options.is_empty() {
            write!(formatter, " {}", self.options)?;
        }
        Ok(())
    }
}

impl fmt::Display for FilterEndpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.inverted {
            formatter.write_str("!")?;
        }
        match self.address {
            FilterAddress::Any => formatter.write_str("any")?,
            FilterAddress::Assigned => formatter.write_str("assigned")?,
            FilterAddress::Prefix { address, length } if length == width(address) => {
                write!(formatter, "{address}")?;
            }
            FilterAddress::Prefix { address, length } => write!(formatter, "{address}/{length}")?,
        }
        for (at, range) in self.ports.iter().enumerate() {
            formatter.write_str(if at == 0 { " " } else { "," })?;
            if range.start() == range.end() {
                write!(formatter, "{}", range.start())?;
            } else {
                write!(formatter, "{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

impl AvpData for IpFilterRule {
    fn decode_data(data: &Bytes, _depth: u8) -> Result<Self, DataFault> {
        std::str::from_utf8(data)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(DataFault::Value)
    }

    fn encode_data(&self, out: &mut Writer) {
        out.bytes(self.to_string().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_parsed() {
        for text in [
            "permit in 17 from 192.0.2.1 40000 to 192.0.2.9 30000",
            "permit out 17 from 2001:db8::1 40000-40001,9 to any",
            "deny in ip from !assigned to any",
            "permit in 6 from 192.0.2.0/24 to !10.0.0.0/8 80 established",
            "permit out ip from 0.0.0.0/0 to ::/0",
        ] {
            assert_eq!(text.parse::<IpFilterRule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_the_grammar_does_not_allow() {
        for text in [
            "",
            "permit",
            "allow in ip from any to any",
            "permit up ip from any to any",
            "permit in udp from any to any",
            "permit in 256 from any to any",
            "permit in 17 from any",
            "permit in 17 from any 1-x to any",
            "permit in 17 from any 5-4 to any",
            "permit in 17 from any 65536 to any",
            "permit in 17 from 192.0.2.1/24 to any",
            "permit in 17 from 192.0.2.1/33 to any",
            "permit in 17 from 2001:db8::/129 to any",
            "permit in 17 from 1.2.3 to any",
        ] {
            assert_eq!(
                text.parse::<IpFilterRule>(),
                Err(InvalidFilterRule),
                "{text}"
            );
        }
    }

    #[test]
    fn tells_single_endpoints() {
        let rule: IpFilterRule = "permit in 17 from 192.0.2.1 40000 to 192.0.2.0/24 30000-30001"
            .parse()
            .unwrap();
        assert_eq!(
            rule.source,
            FilterEndpoint::exact("192.0.2.1".parse().unwrap(), 40000)
        );
        assert_eq!(rule.source.single_port(), Some(40000));
        assert_eq!(rule.destination.single_address(), None);
        assert_eq!(rule.destination.single_port(), None);
    }
}
