use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Where a node listens or connects: `unix:/run/tollwire/pinholed.sock`, `127.0.0.1:3868` or `tls:192.0.2.1:5658`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A stream socket in the file system.
    Unix(PathBuf),
    /// TCP; 3868 is Diameter's port.
    Tcp(SocketAddr),
    /// TLS over TCP, from the first octet; 5658 is its port (RFC 6733 2.1).
    Tls(SocketAddr),
}

/// A text that is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither unix:/PATH nor IP:PORT nor tls:IP:PORT")]
pub struct InvalidAddress(String);

impl Address {
    /// Whether only this host can reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) | Self::Tls(address) => address.ip().is_loopback(),
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let path = text.strip_prefix("unix:").unwrap_or(text);
        if path.starts_with('/') {
            return Ok(Self::Unix(path.into()));
        }
        let invalid = |_| InvalidAddress(text.to_owned());
        if let Some(address) = text.strip_prefix("tls:") {
            return address.parse().map(Self::Tls).map_err(invalid);
        }
        text.strip_prefix("tcp:")
            .unwrap_or(text)
            .parse()
            .map(Self::Tcp)
            .map_err(invalid)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(formatter),
            Self::Tls(address) => write!(formatter, "tls:{address}"),
        }
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Where one service can be had: `"unix:/run/a.sock"`, or a list of servers of which one works at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers {
    /// Tried first.
    pub first: Address,
    /// The others, in their order.
    pub others: Vec<Address>,
}

impl Servers {
    /// All of them, in their order.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl From<Address> for Servers {
    fn from(first: Address) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Servers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> Visitor<'de> for OneOrMore {
            type Value = Servers;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("unix:/PATH, IP:PORT, tls:IP:PORT or a list of them")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Servers, E> {
                let address: Address = text.parse().map_err(E::custom)?;
                Ok(address.into())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Servers, A::Error> {
                let first = list.next_element::<Address>()?;
                let first = first.ok_or_else(|| A::Error::custom("name one address at least"))?;
                let mut servers = Servers::from(first);
                while let Some(address) = list.next_element::<Address>()? {
                    if address == servers.first || servers.others.contains(&address) {
                        return Err(A::Error::custom(format!("{address} stands there twice")));
                    }
                    servers.others.push(address);
                }
                Ok(servers)
            }
        }

        deserializer.deserialize_any(OneOrMore)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_one_or_a_list() {
        let read = |text: &str| serde_json::from_str::<Servers>(text).map(|it| it.others.len());
        assert_eq!(read(r#""/run/a.sock""#).unwrap(), 0);
        assert_eq!(read(r#"["/run/a.sock", "127.0.0.1:3868"]"#).unwrap(), 1);
        for wrong in ["[]", r#""a.sock""#, r#"["/a", "/a"]"#, "1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_every_kind() {
        for (text, printed) in [
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("127.0.0.1:3868", "127.0.0.1:3868"),
            ("tcp:[::1]:3868", "[::1]:3868"),
            ("tls:192.0.2.1:5658", "tls:192.0.2.1:5658"),
            ("tls:[2001:db8::1]:5658", "tls:[2001:db8::1]:5658"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), printed);
        }
        assert!("localhost:3868".parse::<Address>().is_err());
        assert!("tls:/run/a.sock".parse::<Address>().is_err());
        assert!("tls:server.example:5658".parse::<Address>().is_err());
        assert!(!"tls:192.0.2.1:5658".parse::<Address>().unwrap().is_local());
        assert!("relative.sock".parse::<Address>().is_err());
        assert!(!"192.0.2.1:3868".parse::<Address>().unwrap().is_local());
        assert!("[::1]:3868".parse::<Address>().unwrap().is_local());
    }
}
