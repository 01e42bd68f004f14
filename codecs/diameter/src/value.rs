//! The data formats of RFC 6733 4.2 and 4.3 as Rust types.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use tollwire_wire::{Reader, Writer};

use crate::error::DataFault;
use crate::result_code::ResultCode;

/// A type that the data of an AVP can have (RFC 6733 4.2, 4.3, 4.4).
pub trait AvpData: Sized + PartialEq {
    /// Reads the data of an AVP that stands inside `depth` groups.
    ///
    /// # Errors
    /// [`DataFault::Length`] or [`DataFault::Value`]; a group passes on its member's.
    fn decode_data(data: &Bytes, depth: u8) -> Result<Self, DataFault>;

    /// Appends the data, without padding.
    fn encode_data(&self, out: &mut Writer);
}

macro_rules! fixed_length {
    ($($type:ty),*) => {$(
        impl AvpData for $type {
            fn decode_data(data: &Bytes, _depth: u8) -> Result<Self, DataFault> {
                <[u8; size_of::<$type>()]>::try_from(data.as_ref())
                    .map(<$type>::from_be_bytes)
                    .map_err(|_| DataFault::Length)
            }

            fn encode_data(&self, out: &mut Writer) {
                out.bytes(&self.to_be_bytes());
            }
        }
    )*};
}

fixed_length!(u32, u64, i32, i64);

impl AvpData for Bytes {
    fn decode_data(data: &Bytes, _depth: u8) -> Result<Self, DataFault> {
        Ok(data.clone())
    }

    fn encode_data(&self, out: &mut Writer) {
        out.bytes(self);
    }
}

/// UTF8String and DiameterIdentity.
impl AvpData for String {
    fn decode_data(data: &Bytes, _depth: u8) -> Result<Self, DataFault> {
        std::str::from_utf8(data)
            .map(str::to_owned)
            .map_err(|_| DataFault::Value)
    }

    fn encode_data(&self, out: &mut Writer) {
        out.bytes(self.as_bytes());
    }
}

impl AvpData for ResultCode {
    fn decode_data(data: &Bytes, depth: u8) -> Result<Self, DataFault> {
        u32::decode_data(data, depth).map(Self)
    }

    fn encode_data(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

/// The Address format (RFC 6733 4.3.1): an address family number and the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Family 1 or 2.
    Ip(IpAddr),
    /// Any other family of IANA's registry, kept as it is (8 is an E.164 number).
    Other {
        /// The family's number.
        family: u16,
        /// The address.
        octets: Bytes,
    },
}

impl Default for Address {
    fn default() -> Self {
        Self::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl Address {
    const FAMILY_IPV4: u16 = 1;
    const FAMILY_IPV6: u16 = 2;
}

impl AvpData for Address {
    fn decode_data(data: &Bytes, _depth: u8) -> Result<Self, DataFault> {
        let mut reader = Reader::new(data);
        let family = reader.u16().map_err(|_| DataFault::Length)?;
        let octets = reader.rest();
        match family {
            Self::FAMILY_IPV4 => <[u8; 4]>::try_from(octets)
                .map(|octets| Self::Ip(Ipv4Addr::from(octets).into()))
                .map_err(|_| DataFault::Length),
            Self::FAMILY_IPV6 => <[u8; 16]>::try_from(octets)
                .map(|octets| Self::Ip(Ipv6Addr::from(octets).into()))
                .map_err(|_| DataFault::Length),
            _ => Ok(Self::Other {
                family,
                octets: data.slice(2..),
            }),
        }
    }

    fn encode_data(&self, out: &mut Writer) {
        match self {
            Self::Ip(IpAddr::V4(address)) => {
                out.u16(Self::FAMILY_IPV4);
                out.bytes(&address.octets());
            }
            Self::Ip(IpAddr::V6(address)) => {
                out.u16(Self::FAMILY_IPV6);
                out.bytes(&address.octets());
            }
            Self::Other { family, octets } => {
                out.u16(*family);
                out.bytes(octets);
            }
        }
    }
}

/// The Time format (RFC 6733 4.3.1): whole seconds of NTP, from 1900-01-01, and after
/// 2036-02-07 06:28:16 UTC from there (RFC 5905's next era, told apart by the highest bit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Time(pub u32);

impl Time {
    /// Seconds from 1900-01-01 to 1970-01-01.
    const UNIX_EPOCH: i64 = 2_208_988_800;
    /// Seconds in an NTP era.
    const ERA: i64 = 1 << 32;

    /// The second in which `unix_ms` (milliseconds since 1970) lies; years 1968 to 2104 survive.
    pub fn from_unix_ms(unix_ms: i64) -> Self {
        let seconds = unix_ms.div_euclid(1000).saturating_add(Self::UNIX_EPOCH);
        Self(u32::try_from(seconds.rem_euclid(Self::ERA)).unwrap_or(0))
    }

    /// Milliseconds since 1970-01-01.
    pub fn unix_ms(self) -> i64 {
        let seconds = i64::from(self.0);
        let era = if self.0 & 0x8000_0000 == 0 {
            Self::ERA
        } else {
            0
        };
        (seconds + era - Self::UNIX_EPOCH) * 1000
    }
}

impl AvpData for Time {
    fn decode_data(data: &Bytes, depth: u8) -> Result<Self, DataFault> {
        u32::decode_data(data, depth).map(Self)
    }

    fn encode_data(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

/// An IPv4 address as four octets (Framed-IP-Address, RFC 7155 4.4.10.5.1).
impl AvpData for Ipv4Addr {
    fn decode_data(data: &Bytes, depth: u8) -> Result<Self, DataFault> {
        u32::decode_data(data, depth).map(Self::from)
    }

    fn encode_data(&self, out: &mut Writer) {
        out.bytes(&self.octets());
    }
}

/// Defines an Enumerated type (RFC 6733 4.3.1).
///
/// `enum` refuses values it does not list with 5004; `open enum` keeps them in `Other`, for
/// sets that other releases extend.
macro_rules! enumerated {
    ($(
        $(#[$meta:meta])*
        $kind:ident $name:ident {
            $( $(#[$variant_meta:meta])* $variant:ident = $value:literal ),* $(,)?
        }
    )*) => {$(
        $crate::value::enumerated!{@$kind $(#[$meta])* $name { $( $(#[$variant_meta])* $variant = $value ),* } }
    )*};
    (@closed $(#[$meta:meta])* $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $value:literal ),* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $value,)* }
            }

            /// The value of `number`.
            pub const fn from_number(number: i32) -> Option<Self> {
                match number { $($value => Some(Self::$variant),)* _ => None }
            }
        }

        $crate::value::enumerated!{@data $name, |number| Self::from_number(number).ok_or($crate::error::DataFault::Value), $($variant)*}
    };
    (@open $(#[$meta:meta])* $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $value:literal ),* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $( $(#[$variant_meta])* $variant, )*
            /// A value of another release or vendor.
            Other(i32),
        }

        impl $name {
            /// Every value that has a name.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $value,)* Self::Other(number) => number }
            }

            /// The value of `number`.
            pub const fn from_number(number: i32) -> Self {
                match number { $($value => Self::$variant,)* other => Self::Other(other) }
            }
        }

        $crate::value::enumerated!{@data $name, |number| Ok(Self::from_number(number)), $($variant)*}
    };
    (@data $name:ident, |$number:ident| $from:expr, $first:ident $($rest:ident)*) => {
        impl Default for $name {
            fn default() -> Self { Self::$first }
        }

        impl $crate::value::AvpData for $name {
            fn decode_data(data: &bytes::Bytes, depth: u8) -> Result<Self, $crate::error::DataFault> {
                let $number = i32::decode_data(data, depth)?;
                $from
            }

            fn encode_data(&self, out: &mut tollwire_wire::Writer) {
                self.number().encode_data(out);
            }
        }
    };
}
pub(crate) use enumerated;

/// An IPv6 prefix as Framed-IPv6-Prefix carries it (RFC 3162 2.3, RFC 7155 4.4.10.5.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ipv6Prefix {
    /// The prefix, its remaining bits zero.
    pub address: Ipv6Addr,
    /// Leading bits that count, up to 128.
    pub length: u8,
}

impl Default for Ipv6Prefix {
    fn default() -> Self {
        Self {
            address: Ipv6Addr::UNSPECIFIED,
            length: 0,
        }
    }
}

impl AvpData for Ipv6Prefix {
    fn decode_data(data: &Bytes, _depth: u8) -> Result<Self, DataFault> {
        let mut reader = Reader::new(data);
        let (Ok(_reserved), Ok(length)) = (reader.u8(), reader.u8()) else {
            return Err(DataFault::Length);
        };
        let octets = reader.rest();
        if length > 128 {
            return Err(DataFault::Value);
        }
        if octets.len() > 16 || octets.len() < usize::from(length).div_ceil(8) {
            return Err(DataFault::Length);
        }
        let mut address = [0; 16];
        for (place, octet) in address.iter_mut().zip(octets) {
            *place = *octet;
        }
        // RFC 3162 2.3: bits outside the prefix length must be zero; here they are made so.
        let mask = u128::MAX
            .checked_shl(128 - u32::from(length))
            .unwrap_or_default();
        Ok(Self {
            address: Ipv6Addr::from_bits(u128::from_be_bytes(address) & mask),
            length,
        })
    }

    fn encode_data(&self, out: &mut Writer) {
        out.u8(0);
        out.u8(self.length);
        let octets = self.address.octets();
        let count = usize::from(self.length.min(128)).div_ceil(8);
        out.bytes(octets.get(..count).unwrap_or(&octets));
    }
}
