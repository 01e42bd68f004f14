//! Session descriptions (RFC 8866) as a gate for media reads them: where each media line
//! receives RTP and RTCP, and in which directions; and the flows an offer and its answer
//! agree on ([`flows`], RFC 3264).
//!
//! A description that a gate cannot open a hole for is refused: host names (their address may
//! be another one for the phone than for us), multicast, port ranges, networks other than IN.

mod flows;

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
pub use flows::{Endpoint, FlowDirection, FlowError, MediaFlow, flows};
use sdp_types::{AddrType, Attribute, Bandwidth, Connection, Media, NetType, Session};
use thiserror::Error;

/// The longest description accepted, octets.
pub const MAX_DESCRIPTION_SIZE: usize = 64 * 1024;

/// The most media lines accepted.
pub const MAX_MEDIA_LINES: usize = 32;

/// Why a description is refused. All are answered with 488 (RFC 3261 21.4.26).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SdpError {
    /// Longer than [`MAX_DESCRIPTION_SIZE`].
    #[error("session description too long")]
    TooLong,
    /// Does not follow the grammar.
    #[error("malformed session description: {0}")]
    Malformed(String),
    /// More media lines than [`MAX_MEDIA_LINES`].
    #[error("too many media lines")]
    TooManyMediaLines,
    /// A media line in use has no `c=` line, neither of its own nor of the session (RFC 8866 5.7).
    #[error("media line {0} has no connection address")]
    NoConnection(usize),
    /// A media line has `c=` lines that name different addresses.
    #[error("media line {0} has several connection addresses")]
    SeveralConnections(usize),
    /// Another network or address type than IN IP4 and IN IP6, or a host name.
    #[error("media line {0} has a connection address that is no IP address")]
    NotAnAddress(usize),
    /// A multicast or broadcast address.
    #[error("media line {0} has a connection address that is not unicast")]
    NotUnicast(usize),
    /// A range of ports (RFC 8866 5.14).
    #[error("media line {0} has a range of ports")]
    PortRange(usize),
    /// An `a=rtcp` that does not follow RFC 3605.
    #[error("media line {0} has a malformed rtcp attribute")]
    Rtcp(usize),
}

/// What a media line carries.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `text`
    Text,
    /// `application`
    Application,
    /// `message`
    Message,
    /// `image`
    Image,
    /// Any other.
    Other(String),
}

impl MediaKind {
    fn parse(token: &str) -> Self {
        match token {
            "audio" => Self::Audio,
            "video" => Self::Video,
            "text" => Self::Text,
            "application" => Self::Application,
            "message" => Self::Message,
            "image" => Self::Image,
            other => Self::Other(other.to_owned()),
        }
    }

    /// As it stands in the media line.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Text => "text",
            Self::Application => "application",
            Self::Message => "message",
            Self::Image => "image",
            Self::Other(token) => token,
        }
    }
}

/// The direction of media as the side that wrote the description sees it (RFC 8866 6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// `sendrecv`, also when no attribute is given.
    SendRecv,
    /// `sendonly`
    SendOnly,
    /// `recvonly`
    RecvOnly,
    /// `inactive`
    Inactive,
}

impl Direction {
    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn of(attributes: &[Attribute]) -> Option<Self> {
        attributes
            .iter()
            .find_map(|attribute| match attribute.attribute.as_str() {
                "sendrecv" => Some(Self::SendRecv),
                "sendonly" => Some(Self::SendOnly),
                "recvonly" => Some(Self::RecvOnly),
                "inactive" => Some(Self::Inactive),
                _ => None,
            })
    }
}

/// One media line, with what it inherits from the session level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaLine {
    /// What it carries.
    pub kind: MediaKind,
    /// The transport protocol: `RTP/AVP`, `RTP/SAVPF`, `udptl`...
    pub protocol: String,
    /// Where the writer receives. `None` if the line is not in use (port 0) or the address is unspecified
    /// (0.0.0.0 or ::), the old form of hold (RFC 3264 8.4).
    pub address: Option<IpAddr>,
    /// The port; 0 for a line not in use (RFC 3264 6).
    pub port: u16,
    /// The `rtcp` attribute: where the writer receives RTCP (RFC 3605).
    pub rtcp: Option<SocketAddr>,
    /// The `rtcp-mux` attribute: RTCP on the RTP port, if both sides say so (RFC 5761 5.1.1).
    pub rtcp_mux: bool,
    /// The direction.
    pub direction: Direction,
    /// What the writer wants to receive at most, kbit/s: `b=AS`, else `b=TIAS` rounded up.
    pub bandwidth: Option<u64>,
}

impl MediaLine {
    /// Whether the line is in use: its port is not 0.
    pub fn is_used(&self) -> bool {
        self.port != 0
    }

    /// Whether the media travels over UDP.
    pub fn is_udp(&self) -> bool {
        let protocol = self.protocol.as_bytes();
        let starts = |prefix: &[u8]| {
            protocol
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        starts(b"RTP/") || starts(b"UDP") || starts(b"DTLS/")
    }

    /// Whether the media is RTP, and so comes with RTCP.
    pub fn is_rtp(&self) -> bool {
        self.is_udp() && self.protocol.to_ascii_uppercase().contains("RTP/")
    }
}

/// A session description that a gate can work with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    session: Session,
    media: Vec<MediaLine>,
}

impl SessionDescription {
    /// Reads a description.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_DESCRIPTION_SIZE {
            return Err(SdpError::TooLong);
        }
        let session =
            Session::parse(body).map_err(|error| SdpError::Malformed(error.to_string()))?;
        if session.medias.len() > MAX_MEDIA_LINES {
            return Err(SdpError::TooManyMediaLines);
        }
        let media = session
            .medias
            .iter()
            .enumerate()
            .map(|(index, media)| media_line(&session, media, index + 1))
            .collect::<Result<_, _>>()?;
        Ok(Self { session, media })
    }

    /// The media lines, in order.
    pub fn media(&self) -> &[MediaLine] {
        &self.media
    }

    /// The whole description, unknown attributes included.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session id and version of the `o=` line; the version grows with each change (RFC 3264 8).
    pub fn version(&self) -> (&str, u64) {
        (
            &self.session.origin.sess_id,
            self.session.origin.sess_version,
        )
    }

    /// The description as sent; equal in meaning to what was read, not octet for octet.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        // Writing to a vector does not fail.
        let _ = self.session.write(&mut out);
        out.into()
    }
}

/// `number` counts from 1, as messages to people do.
fn media_line(session: &Session, media: &Media, number: usize) -> Result<MediaLine, SdpError> {
    let has = |name: &str| {
        (media.attributes.iter()).any(|attribute| attribute.attribute.eq_ignore_ascii_case(name))
    };
    let mut line = MediaLine {
        kind: MediaKind::parse(&media.media),
        protocol: media.proto.clone(),
        address: None,
        port: media.port,
        rtcp: None,
        rtcp_mux: has("rtcp-mux"),
        direction: Direction::of(&media.attributes)
            .or_else(|| Direction::of(&session.attributes))
            .unwrap_or(Direction::SendRecv),
        bandwidth: bandwidth(&media.bandwidths).or_else(|| bandwidth(&session.bandwidths)),
    };
    if !line.is_used() {
        return Ok(line);
    }
    if media.num_ports.is_some_and(|count| count > 1) {
        return Err(SdpError::PortRange(number));
    }
    let connection = match media.connections.as_slice() {
        [] => session
            .connection
            .as_ref()
            .ok_or(SdpError::NoConnection(number))?,
        [first, rest @ ..] if rest.iter().all(|other| other == first) => first,
        _ => return Err(SdpError::SeveralConnections(number)),
    };
    let address = unicast(connection, number)?;
    line.address = (!address.is_unspecified()).then_some(address);
    line.rtcp = rtcp_attribute(media, address, number)?;
    Ok(line)
}

fn unicast(connection: &Connection, number: usize) -> Result<IpAddr, SdpError> {
    let address: IpAddr = connection
        .connection_address
        .parse()
        .ok()
        .or_else(|| {
            // "address/ttl" is multicast's form; read it to give the right reason.
            let (address, _) = connection.connection_address.split_once('/')?;
            address.parse().ok().filter(IpAddr::is_multicast)
        })
        .ok_or(SdpError::NotAnAddress(number))?;
    let type_fits = match connection.addrtype {
        AddrType::Ip4 => address.is_ipv4(),
        AddrType::Ip6 => address.is_ipv6(),
        AddrType::Other(_) => false,
    };
    if connection.nettype != NetType::In || !type_fits {
        return Err(SdpError::NotAnAddress(number));
    }
    let address = address.to_canonical();
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_multicast() || is_broadcast {
        return Err(SdpError::NotUnicast(number));
    }
    Ok(address)
}

/// RFC 3605 2.1: `a=rtcp:port [nettype addrtype connection-address]`.
fn rtcp_attribute(
    media: &Media,
    address: IpAddr,
    number: usize,
) -> Result<Option<SocketAddr>, SdpError> {
    let Some(attribute) = (media.attributes.iter())
        .find(|attribute| attribute.attribute.eq_ignore_ascii_case("rtcp"))
    else {
        return Ok(None);
    };
    let malformed = SdpError::Rtcp(number);
    let mut words = attribute
        .value
        .as_deref()
        .unwrap_or_default()
        .split_ascii_whitespace();
    let port: u16 = words
        .next()
        .and_then(|port| port.parse().ok())
        .filter(|port| *port != 0)
        .ok_or(malformed.clone())?;
    let address = match (words.next(), words.next(), words.next(), words.next()) {
        (None, ..) => address,
        (Some(nettype), Some(addrtype), Some(text), None) => {
            let connection = Connection::new(nettype.into(), AddrType::new(addrtype), text);
            let rtcp = unicast(&connection, number)?;
            // The peer sends both from one address, so they share its family.
            if rtcp.is_ipv4() != address.is_ipv4() {
                return Err(malformed);
            }
            rtcp
        }
        _ => return Err(malformed),
    };
    Ok((!address.is_unspecified()).then(|| SocketAddr::new(address, port)))
}

/// kbit/s: `b=AS` (RFC 8866 5.8), else `b=TIAS`, which counts bits (RFC 3890 6.2.2).
fn bandwidth(list: &[Bandwidth]) -> Option<u64> {
    let value = |name: &str| {
        list.iter()
            .find(|bandwidth| bandwidth.bwtype.eq_ignore_ascii_case(name))
            .map(|bandwidth| bandwidth.bandwidth)
    };
    value("AS").or_else(|| value("TIAS").map(|bits| bits.div_ceil(1000)))
}
