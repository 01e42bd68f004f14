//! What is wrong with a message, and the one place that says how it is answered.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::error::{HeaderError, Problem};
use crate::header::HeaderName;
use crate::message::Message;
use crate::method::Method;
use crate::status::reason_phrase;
use crate::uri::{Host, Uri};
use crate::via::MAGIC_COOKIE;

/// A fault of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The first line is neither a request line nor a status line (RFC 3261 7.1, 7.2).
    StartLine,
    /// Another version of SIP.
    Version,
    /// A line of the head is no header field.
    HeaderField,
    /// A CR or LF that is not part of a CRLF.
    LineEnd,
    /// The head does not end with an empty line.
    HeadTruncated,
    /// More header fields than [`crate::message::MAX_HEADER_FIELDS`].
    TooManyHeaderFields,
    /// Longer than the limit.
    TooLarge,
    /// Content-Length is repeated or no number; on a stream, also missing.
    ContentLength,
    /// Content-Length says more than the datagram holds.
    BodyTruncated,
    /// A header field that is missing or malformed.
    Header(HeaderError),
    /// The Request-URI is malformed, or has header fields (RFC 3261 19.1.1, table 1).
    RequestUri,
    /// The method of CSeq is not that of the request line.
    MethodMismatch,
    /// A Via branch that is the magic cookie and nothing more names no transaction.
    Branch,
    /// A Via that would send the response to a broadcast or multicast address.
    ViaAddress,
    /// Max-Forwards is zero.
    TooManyHops,
    /// The scheme of the Request-URI is not served.
    UriScheme,
    /// The option tags of Require or Proxy-Require that are not supported.
    Extensions(Vec<String>),
    /// The method is known but not served here; the methods that are.
    MethodNotAllowed(Vec<String>),
    /// The method is not known.
    MethodNotImplemented,
    /// The body's type is not understood; those that are.
    MediaType(Vec<String>),
    /// No answer can be made in the types that Accept lists.
    Accept,
}

impl Fault {
    /// How the fault is answered: the table of RFC 3261 8.2, 16.3 and 21.
    pub fn rejection(&self) -> Rejection {
        let plain = |status, detail: &str| Rejection {
            status,
            reason: detail.to_owned(),
            headers: Vec::new(),
        };
        let listing = |status, name, list: &[String]| Rejection {
            status,
            reason: reason_phrase(status).to_owned(),
            headers: vec![(name, list.join(", "))],
        };
        match self {
            // 21.4.1: the Reason-Phrase SHOULD identify the syntax problem.
            Self::StartLine => plain(400, "Malformed Start Line"),
            Self::HeaderField => plain(400, "Malformed Header Field"),
            Self::LineEnd => plain(400, "Malformed Line End"),
            Self::HeadTruncated => plain(400, "Header Fields Not Terminated"),
            Self::TooManyHeaderFields => plain(400, "Too Many Header Fields"),
            Self::ContentLength => plain(400, "Malformed Content-Length"),
            Self::BodyTruncated => plain(400, "Content-Length Exceeds Message"),
            Self::Header(error) => {
                let problem = match error.problem {
                    Problem::Missing => "Missing",
                    Problem::Repeated => "Repeated",
                    Problem::OutOfRange => "Out-of-Range",
                    _ => "Malformed",
                };
                plain(400, &format!("{problem} {} Header Field", error.header))
            }
            Self::RequestUri => plain(400, "Malformed Request-URI"),
            Self::MethodMismatch => plain(400, "CSeq Method Mismatch"),
            Self::Branch => plain(400, "Missing Transaction Identifier"),
            Self::ViaAddress => plain(400, "Unusable Via Address"),
            Self::MethodNotAllowed(allowed) => listing(405, HeaderName::Allow, allowed),
            Self::Accept => plain(406, reason_phrase(406)),
            Self::TooLarge => plain(513, reason_phrase(513)),
            Self::MediaType(accepted) => listing(415, HeaderName::Accept, accepted),
            Self::UriScheme => plain(416, reason_phrase(416)),
            Self::Extensions(tags) => listing(420, HeaderName::Unsupported, tags),
            Self::TooManyHops => plain(483, reason_phrase(483)),
            Self::MethodNotImplemented => plain(501, reason_phrase(501)),
            Self::Version => plain(505, reason_phrase(505)),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejection = self.rejection();
        write!(formatter, "{} {}", rejection.status, rejection.reason)
    }
}

impl std::error::Error for Fault {}

impl From<HeaderError> for Fault {
    fn from(error: HeaderError) -> Self {
        Self::Header(error)
    }
}

/// The answer to a message that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// Header fields the status calls for: Unsupported, Allow, Accept.
    pub headers: Vec<(HeaderName, String)>,
}

impl Rejection {
    /// The response to `message`. `None` where silence is right: it is a response or an ACK, or has no Via.
    pub fn response(&self, message: &Message) -> Option<Message> {
        if message.is_response()
            || *message.method() == Method::Ack
            || !message.contains(HeaderName::Via)
        {
            return None;
        }
        let mut builder =
            Message::response_to(message, self.status, &self.reason).stateless_to_tag();
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        Some(builder.build())
    }
}

impl From<&Fault> for Rejection {
    fn from(fault: &Fault) -> Self {
        fault.rejection()
    }
}

/// As what an element answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A proxy: RFC 3261 16.3.
    Proxy,
    /// A user agent server, a registrar among them: RFC 3261 8.2.
    UserAgentServer,
}

/// What an element can do; see [`Message::check_for`].
#[derive(Debug, Clone, Copy)]
pub struct Capabilities<'a> {
    /// As what it answers.
    pub role: Role,
    /// The methods it serves; a proxy forwards any.
    pub methods: &'a [Method],
    /// The option tags it supports.
    pub extensions: &'a [&'a str],
    /// The media types of bodies it understands; a proxy forwards any.
    pub media_types: &'a [&'a str],
    /// Whether it can route `tel:` URIs.
    pub tel: bool,
}

impl Message {
    /// Whether the message is well-formed enough to be worked on (RFC 3261 8.2 and 16.3 step 1): its mandatory
    /// header fields are there once and readable, and agree with the start line. A response at fault is dropped.
    ///
    /// RFC 2543 senders are served: no Max-Forwards, From tag or branch is asked for.
    pub fn check(&self) -> Result<(), Fault> {
        self.check_vias()?;
        self.from()?.uri().map_err(uri_fault(HeaderName::From))?;
        self.to()?.uri().map_err(uri_fault(HeaderName::To))?;
        self.call_id()?;
        let cseq = self.cseq()?;
        if cseq.method != *self.method() {
            // RFC 4475 3.1.2.18: for a method that is not known, 501 serves the future better than 400.
            return Err(match self.method() {
                Method::Other(_) if self.is_request() => Fault::MethodNotImplemented,
                _ => Fault::MethodMismatch,
            });
        }
        if self.is_response() {
            return Ok(());
        }
        self.max_forwards()?;
        self.check_contacts()?;
        for route in self.routes() {
            route?;
        }
        match self.request_uri().map(Uri::parse) {
            Some(Ok(Uri::Sip(uri))) if uri.headers.is_some() => Err(Fault::RequestUri),
            Some(Ok(_)) => Ok(()),
            _ => Err(Fault::RequestUri),
        }
    }

    fn check_vias(&self) -> Result<(), Fault> {
        let mut count = 0;
        for via in self.vias() {
            let via = via?;
            if via
                .branch()
                .is_some_and(|branch| branch.eq_ignore_ascii_case(MAGIC_COOKIE))
            {
                return Err(Fault::Branch);
            }
            // RFC 4475 3.3.10: the Vias below ours name where the response goes next.
            if count > 0 && self.is_response() && is_group(via.host) {
                return Err(Fault::ViaAddress);
            }
            count += 1;
        }
        if count == 0 {
            return Err(Fault::Header(HeaderError {
                header: HeaderName::Via,
                problem: Problem::Missing,
            }));
        }
        Ok(())
    }

    /// Whether an element with `capabilities` can serve this request, already found sound by [`Message::check`].
    pub fn check_for(&self, capabilities: &Capabilities<'_>) -> Result<(), Fault> {
        // 8.2.2.3 and 8.2.1: ACK is never answered, and CANCEL is answered whatever it requires.
        if self.is_response() || matches!(self.method(), Method::Ack | Method::Cancel) {
            return Ok(());
        }
        let is_proxy = capabilities.role == Role::Proxy;
        if !is_proxy && !capabilities.methods.contains(self.method()) {
            return Err(match self.method() {
                Method::Other(_) => Fault::MethodNotImplemented,
                _ => Fault::MethodNotAllowed(
                    (capabilities.methods.iter())
                        .map(ToString::to_string)
                        .collect(),
                ),
            });
        }
        match self.request_uri().map(Uri::parse) {
            Some(Ok(Uri::Sip(_))) => {}
            Some(Ok(Uri::Tel(_))) if capabilities.tel => {}
            _ => return Err(Fault::UriScheme),
        }
        if is_proxy && self.max_forwards()? == Some(0) {
            return Err(Fault::TooManyHops);
        }
        let required = if is_proxy {
            HeaderName::ProxyRequire
        } else {
            HeaderName::Require
        };
        let unsupported: Vec<String> = self
            .headers(required)
            .filter(|tag| {
                !(capabilities.extensions.iter()).any(|known| known.eq_ignore_ascii_case(tag))
            })
            .map(str::to_owned)
            .collect();
        if !unsupported.is_empty() {
            return Err(Fault::Extensions(unsupported));
        }
        if is_proxy {
            return Ok(());
        }
        self.check_content(capabilities)
    }

    fn check_content(&self, capabilities: &Capabilities<'_>) -> Result<(), Fault> {
        let known = |media_type: &str| {
            (capabilities.media_types.iter()).any(|known| known.eq_ignore_ascii_case(media_type))
        };
        if !self.body().is_empty() && !self.media_type().is_some_and(known) {
            return Err(Fault::MediaType(
                (capabilities.media_types.iter())
                    .map(ToString::to_string)
                    .collect(),
            ));
        }
        // 20.1: only an INVITE's success needs a body of ours.
        if *self.method() == Method::Invite && self.contains(HeaderName::Accept) {
            let acceptable = self.headers(HeaderName::Accept).any(|range| {
                let range = range.split(';').next().unwrap_or_default().trim();
                range == "*/*" || range.eq_ignore_ascii_case("application/*") || known(range)
            });
            if !acceptable {
                return Err(Fault::Accept);
            }
        }
        Ok(())
    }
}

fn uri_fault(header: HeaderName) -> impl Fn(Problem) -> Fault {
    move |problem| Fault::Header(HeaderError { header, problem })
}

fn is_group(host: Host<'_>) -> bool {
    match host.address() {
        Some(IpAddr::V4(address)) => address == Ipv4Addr::BROADCAST || address.is_multicast(),
        Some(IpAddr::V6(address)) => address.is_multicast(),
        None => false,
    }
}
