//! SLP as the RFC writes it, octet by octet: a second hand that knows nothing of ours.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// OVERFLOW.
pub const OVERFLOW: u16 = 0x8000;
/// FRESH.
pub const FRESH: u16 = 0x4000;
/// REQUEST MCAST.
pub const REQUEST_MCAST: u16 = 0x2000;

/// The group of IPv4.
pub const GROUP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 253)), 427);

/// Error codes (RFC 2608 7).
#[allow(missing_docs)]
pub mod error {
    pub const OK: u16 = 0;
    pub const LANGUAGE_NOT_SUPPORTED: u16 = 1;
    pub const PARSE_ERROR: u16 = 2;
    pub const INVALID_REGISTRATION: u16 = 3;
    pub const SCOPE_NOT_SUPPORTED: u16 = 4;
    pub const AUTHENTICATION_UNKNOWN: u16 = 5;
    pub const AUTHENTICATION_ABSENT: u16 = 6;
    pub const VER_NOT_SUPPORTED: u16 = 9;
    pub const OPTION_NOT_UNDERSTOOD: u16 = 12;
    pub const INVALID_UPDATE: u16 = 13;
    pub const MSG_NOT_SUPPORTED: u16 = 14;
    pub const AUTHENTICATION_FAILED: u16 = 7;
    pub const DA_BUSY_NOW: u16 = 11;
}

/// A string behind its length.
#[must_use]
pub fn string(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// A URL entry without signatures.
#[must_use]
pub fn url_entry(url: &str, lifetime: u16) -> Vec<u8> {
    [&[0][..], &lifetime.to_be_bytes(), &string(url), &[0]].concat()
}

/// A whole message.
#[must_use]
pub fn message(function: u8, flags: u16, xid: u16, language: &str, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(14 + language.len() + body.len()).expect("short");
    [
        &[2, function][..],
        &length.to_be_bytes()[1..],
        &flags.to_be_bytes(),
        &[0; 3],
        &xid.to_be_bytes(),
        &string(language),
        body,
    ]
    .concat()
}

/// A SrvRqst.
#[must_use]
pub fn service_request(
    flags: u16,
    xid: u16,
    previous: &str,
    kind: &str,
    scopes: &str,
    predicate: &str,
) -> Vec<u8> {
    let parts = [previous, kind, scopes, predicate, ""];
    let body: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
    message(1, flags, xid, "en", &body)
}

/// A SrvReg.
#[must_use]
pub fn registration(
    xid: u16,
    flags: u16,
    language: &str,
    url: &str,
    lifetime: u16,
    scopes: &str,
    attributes: &str,
) -> Vec<u8> {
    let kind = url.split("://").next().expect("a service URL");
    registration_of(
        xid,
        flags,
        language,
        (url, kind),
        lifetime,
        scopes,
        attributes,
    )
}

/// A SrvReg of a URL under this type.
#[must_use]
pub fn registration_of(
    xid: u16,
    flags: u16,
    language: &str,
    (url, kind): (&str, &str),
    lifetime: u16,
    scopes: &str,
    attributes: &str,
) -> Vec<u8> {
    let body = [
        url_entry(url, lifetime),
        string(kind),
        string(scopes),
        string(attributes),
        vec![0],
    ]
    .concat();
    message(3, flags, xid, language, &body)
}

/// A SrvDeReg.
#[must_use]
pub fn deregistration(xid: u16, language: &str, url: &str, scopes: &str, tags: &str) -> Vec<u8> {
    let body = [string(scopes), url_entry(url, 0), string(tags)].concat();
    message(4, 0, xid, language, &body)
}

/// An AttrRqst.
#[must_use]
pub fn attribute_request(xid: u16, language: &str, url: &str, scopes: &str, tags: &str) -> Vec<u8> {
    let parts = ["", url, scopes, tags, ""];
    let body: Vec<u8> = parts.iter().flat_map(|part| string(part)).collect();
    message(6, 0, xid, language, &body)
}

/// A SrvTypeRqst for all naming authorities.
#[must_use]
pub fn type_request(xid: u16, scopes: &str) -> Vec<u8> {
    let body = [string(""), vec![0xFF, 0xFF], string(scopes)].concat();
    message(9, 0, xid, "en", &body)
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The octets.
    pub octets: Vec<u8>,
    /// Who sent it.
    pub from: SocketAddr,
}

impl Reply {
    fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.octets[at], self.octets[at + 1]])
    }

    /// The function id.
    #[must_use]
    pub fn function(&self) -> u8 {
        self.octets[1]
    }

    /// The flags.
    #[must_use]
    pub fn flags(&self) -> u16 {
        self.u16(5)
    }

    /// The XID.
    #[must_use]
    pub fn xid(&self) -> u16 {
        self.u16(10)
    }

    /// The length field.
    #[must_use]
    pub fn length(&self) -> usize {
        let [a, b, c] = [self.octets[2], self.octets[3], self.octets[4]];
        usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)
    }

    fn body(&self) -> &[u8] {
        &self.octets[14 + usize::from(self.u16(12))..]
    }

    /// The language tag.
    #[must_use]
    pub fn language(&self) -> String {
        String::from_utf8_lossy(&self.octets[14..14 + usize::from(self.u16(12))]).into_owned()
    }

    /// The error code that every reply but SAAdvert begins with.
    #[must_use]
    pub fn error(&self) -> u16 {
        u16::from_be_bytes([self.body()[0], self.body()[1]])
    }

    /// Strings of the body, from an offset.
    fn strings(&self, mut at: usize, count: usize) -> Vec<String> {
        let body = self.body();
        (0..count)
            .map(|_| {
                let length = usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
                let text = String::from_utf8_lossy(&body[at + 2..at + 2 + length]).into_owned();
                at += 2 + length;
                text
            })
            .collect()
    }

    /// URLs of a SrvRply and their lifetimes; the whole of the message is read.
    ///
    /// # Panics
    /// When the count and the octets disagree.
    #[must_use]
    pub fn urls(&self) -> Vec<(String, u16)> {
        assert_eq!(self.function(), 2, "a SrvRply: {self:?}");
        let body = self.body();
        let count = u16::from_be_bytes([body[2], body[3]]);
        let mut at = 4;
        let mut urls = Vec::new();
        for _ in 0..count {
            let lifetime = u16::from_be_bytes([body[at + 1], body[at + 2]]);
            let length = usize::from(u16::from_be_bytes([body[at + 3], body[at + 4]]));
            let url = String::from_utf8_lossy(&body[at + 5..at + 5 + length]).into_owned();
            assert_eq!(body[at + 5 + length], 0, "no signatures");
            at += 6 + length;
            urls.push((url, lifetime));
        }
        if self.octets[7..10] == [0; 3] {
            assert_eq!(at, body.len(), "nothing behind the entries");
        }
        urls
    }

    /// URLs alone, in order.
    #[must_use]
    pub fn sorted_urls(&self) -> Vec<String> {
        let mut urls: Vec<String> = self.urls().into_iter().map(|(url, _)| url).collect();
        urls.sort_unstable();
        urls
    }

    /// The attribute list of an AttrRply, or the type list of a SrvTypeRply.
    #[must_use]
    pub fn text(&self) -> String {
        self.strings(2, 1).remove(0)
    }

    /// Boot timestamp, URL, scopes and attributes of a DAAdvert.
    #[must_use]
    pub fn directory_agent(&self) -> (u32, String, String, String) {
        assert_eq!(self.function(), 8, "a DAAdvert: {self:?}");
        let body = self.body();
        let boot = u32::from_be_bytes([body[2], body[3], body[4], body[5]]);
        let [url, scopes, attributes] = self.strings(6, 3).try_into().expect("three");
        (boot, url, scopes, attributes)
    }

    /// URL, scopes and attributes of a SAAdvert.
    #[must_use]
    pub fn service_agent(&self) -> (String, String, String) {
        assert_eq!(self.function(), 11, "a SAAdvert: {self:?}");
        let [url, scopes, attributes] = self.strings(0, 3).try_into().expect("three");
        (url, scopes, attributes)
    }
}

/// The next datagram within `patience`.
pub fn receive(socket: &UdpSocket, patience: Duration) -> Option<Reply> {
    let deadline = Instant::now() + patience;
    let mut buffer = vec![0; 65_536];
    loop {
        let left = deadline.checked_duration_since(Instant::now())?;
        socket
            .set_read_timeout(Some(left.max(Duration::from_millis(1))))
            .expect("a timeout");
        match socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                return Some(Reply {
                    octets: buffer[..length].to_vec(),
                    from,
                });
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}

/// Sends a request until it is answered. Answers under another XID are passed over.
///
/// # Panics
/// When nothing comes.
#[track_caller]
pub fn ask(socket: &UdpSocket, to: SocketAddr, request: &[u8]) -> Reply {
    let xid = u16::from_be_bytes([request[10], request[11]]);
    for _ in 0..10 {
        socket.send_to(request, to).expect("sent");
        let until = Instant::now() + Duration::from_secs(2);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            match receive(socket, left) {
                Some(reply) if reply.xid() == xid => return reply,
                Some(_) => {}
                None => break,
            }
        }
    }
    panic!("no answer from {to} to {request:02X?}");
}

/// Sends a request that is answered by silence, and then `probe`, which is answered: what comes before its answer came
/// for the request.
///
/// # Panics
/// When the probe is not answered.
#[track_caller]
pub fn silence(
    socket: &UdpSocket,
    to: SocketAddr,
    request: &[u8],
    agent: SocketAddr,
    probe: &[u8],
) -> Vec<Reply> {
    socket.send_to(request, to).expect("sent");
    socket.send_to(probe, agent).expect("sent");
    let xid = u16::from_be_bytes([probe[10], probe[11]]);
    let mut before = Vec::new();
    loop {
        let reply = receive(socket, Duration::from_secs(10)).expect("the probe's answer");
        if reply.xid() == xid {
            return before;
        }
        before.push(reply);
    }
}
