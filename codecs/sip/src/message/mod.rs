//! One SIP message: the octets received, and an ordered list of spans over them.

mod build;
mod edit;
mod parse;
mod typed;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use build::{RequestBuilder, ResponseBuilder};
pub(crate) use parse::{Head, parse_head};
pub use parse::{MAX_HEADER_FIELDS, MAX_MESSAGE_SIZE, ParseFailure};

use crate::error::Problem;
use crate::header::HeaderName;
use crate::method::Method;
use crate::text::Elements;

/// One message, received or built.
///
/// Cloning copies a pointer. An edit of a message that has clones copies its list of
/// header fields first, never its octets.
#[derive(Clone)]
pub struct Message {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    /// The octets received.
    wire: Bytes,
    /// Lines and values made here: edits, and folded values unfolded.
    added: Vec<u8>,
    start: Start,
    fields: Vec<Field>,
    body: Bytes,
}

/// The request line or status line.
#[derive(Clone, Debug)]
struct Start {
    /// The line with its CRLF.
    line: Span,
    /// The request's method, or that of the response's CSeq.
    method: Method,
    kind: Kind,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            line: Span::default(),
            method: Method::Other(Box::default()),
            kind: Kind::Request {
                uri: Span::default(),
            },
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Request { uri: Span },
    Response { status: u16, reason: Span },
}

/// One header field.
#[derive(Clone, Copy, Debug)]
struct Field {
    name: HeaderName,
    /// Octets of the name at the start of `line`.
    name_length: u16,
    /// The field as it is sent, with its CRLF.
    line: Span,
    /// The value, unfolded and without white space at its ends.
    value: Span,
}

/// A range of `Inner::wire`, or of `Inner::added` if the top bit of `start` is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Span {
    start: u32,
    length: u32,
}

impl Span {
    const ADDED: u32 = 1 << 31;

    /// Lengths are bounded by [`MAX_MESSAGE_SIZE`], far below 2**31.
    fn wire(start: usize, end: usize) -> Self {
        Self {
            start: start as u32,
            length: end.saturating_sub(start) as u32,
        }
    }

    fn added(start: usize, end: usize) -> Self {
        Self {
            start: start as u32 | Self::ADDED,
            length: end.saturating_sub(start) as u32,
        }
    }
}

/// The elements of `value` if `name` is a list, else `value` itself.
fn elements(name: HeaderName, value: &str) -> impl Iterator<Item = &str> {
    let (list, single) = if name.is_list() {
        (Some(Elements::new(value)), None)
    } else {
        (None, Some(value))
    };
    list.into_iter().flatten().chain(single)
}

impl Inner {
    fn bytes(&self, span: Span) -> &[u8] {
        let source: &[u8] = if span.start & Span::ADDED == 0 {
            &self.wire
        } else {
            &self.added
        };
        let start = (span.start & !Span::ADDED) as usize;
        source
            .get(start..start + span.length as usize)
            .unwrap_or_default()
    }

    fn text(&self, span: Span) -> Result<&str, Problem> {
        std::str::from_utf8(self.bytes(span)).map_err(|_| Problem::NotUtf8)
    }

    fn name_text(&self, field: &Field) -> &str {
        let line = self.bytes(field.line);
        line.get(..usize::from(field.name_length))
            .and_then(|name| std::str::from_utf8(name).ok())
            .unwrap_or_default()
    }
}

impl Message {
    /// Whether this is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.inner.start.kind, Kind::Request { .. })
    }

    /// Whether this is a response.
    pub fn is_response(&self) -> bool {
        !self.is_request()
    }

    /// The method of the request line; of a response, the method of its CSeq
    /// (an empty [`Method::Other`] if that cannot be read).
    pub fn method(&self) -> &Method {
        &self.inner.start.method
    }

    /// The status code, if this is a response.
    pub fn status(&self) -> Option<u16> {
        match self.inner.start.kind {
            Kind::Request { .. } => None,
            Kind::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase; empty for a request.
    pub fn reason(&self) -> &str {
        match self.inner.start.kind {
            Kind::Request { .. } => "",
            Kind::Response { reason, .. } => self.inner.text(reason).unwrap_or_default(),
        }
    }

    /// The Request-URI as written, if this is a request (and the URI is UTF-8).
    pub fn request_uri(&self) -> Option<&str> {
        match self.inner.start.kind {
            Kind::Request { uri } => self.inner.text(uri).ok(),
            Kind::Response { .. } => None,
        }
    }

    /// The value of the first header field called `name`, unfolded, lists whole.
    /// `None` if there is none, or it is not UTF-8.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        let field = self.inner.fields.iter().find(|field| field.name == name)?;
        self.inner.text(field.value).ok()
    }

    /// The value of the first header field spelled `name` (for [`HeaderName::Extension`]).
    pub fn header_named(&self, name: &str) -> Option<&str> {
        self.fields()
            .find(|(_, candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, _, value)| value)
    }

    /// Whether there is a header field called `name`.
    pub fn contains(&self, name: HeaderName) -> bool {
        self.inner.fields.iter().any(|field| field.name == name)
    }

    /// The value of each header field called `name`, lists whole. Those that are not UTF-8 are passed over.
    pub fn header_fields(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.inner
            .fields
            .iter()
            .filter(move |field| field.name == name)
            .filter_map(|field| self.inner.text(field.value).ok())
    }

    /// Each value called `name`: where the header field is a list, each element of each field
    /// (RFC 3261 7.3.1). Empty elements are kept; their parser reports them. Header fields that are not UTF-8 are passed over.
    pub fn headers(&self, name: HeaderName) -> impl Iterator<Item = &str> {
        self.header_fields(name)
            .flat_map(move |value| elements(name, value))
    }

    /// Whether one of the values called `name` is `token`, without regard to case: option tags, methods in Allow.
    pub fn lists(&self, name: HeaderName, token: &str) -> bool {
        self.headers(name)
            .any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Every header field in order: its name, the name as written, its value. Those that are not UTF-8 show an empty value.
    pub fn fields(&self) -> impl Iterator<Item = (HeaderName, &str, &str)> {
        self.inner.fields.iter().map(|field| {
            (
                field.name,
                self.inner.name_text(field),
                self.inner.text(field.value).unwrap_or_default(),
            )
        })
    }

    /// The body.
    pub fn body(&self) -> &[u8] {
        &self.inner.body
    }

    /// The body, sharing the message's octets.
    pub fn body_bytes(&self) -> Bytes {
        self.inner.body.clone()
    }

    /// Octets that [`Message::write_to`] will write.
    pub fn encoded_length(&self) -> usize {
        let lines: usize = self
            .inner
            .fields
            .iter()
            .map(|field| field.line.length as usize)
            .sum();
        self.inner.start.line.length as usize + lines + 2 + self.inner.body.len()
    }

    /// Appends the message as it is sent.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.reserve(self.encoded_length());
        let mut run = self.inner.start.line;
        for field in &self.inner.fields {
            // Neighbours on the wire go out in one copy.
            if run.start + run.length == field.line.start {
                run.length += field.line.length;
            } else {
                out.extend_from_slice(self.inner.bytes(run));
                run = field.line;
            }
        }
        out.extend_from_slice(self.inner.bytes(run));
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.inner.body);
    }

    /// The message as it is sent.
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out.into()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

/// Two messages are equal if they are sent as the same octets.
impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.to_bytes() == other.to_bytes()
    }
}

impl Eq for Message {}
