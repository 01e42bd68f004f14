//! From octets to spans, in one pass.

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr2;

use super::{Field, Inner, Kind, Message, Span};
use crate::header::HeaderName;
use crate::method::Method;
use crate::rejection::{Fault, Rejection};
use crate::text;
use crate::values::CSeq;

/// The longest message accepted, octets.
pub const MAX_MESSAGE_SIZE: usize = 1 << 20;

/// The most header fields accepted in one message.
pub const MAX_HEADER_FIELDS: usize = 256;

/// A datagram that is no message, with what was found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseFailure {
    /// What is wrong.
    pub fault: Fault,
    found: Option<Message>,
}

impl ParseFailure {
    pub(crate) fn new(fault: Fault, found: Option<Message>) -> Self {
        Self { fault, found }
    }

    pub(crate) fn with_fault(self, fault: Fault) -> Self {
        Self { fault, ..self }
    }

    /// The status and reason the fault is answered with.
    pub fn rejection(&self) -> Rejection {
        self.fault.rejection()
    }

    /// What could be read of the message: some header fields may be missing.
    pub fn found(&self) -> Option<&Message> {
        self.found.as_ref()
    }

    /// The answer. `None` where silence is right: the message was a response or an ACK,
    /// or lacks the header fields an answer is made of (RFC 3261 8.2.6).
    pub fn response(&self) -> Option<Message> {
        self.rejection().response(self.found.as_ref()?)
    }
}

impl std::fmt::Display for ParseFailure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.fault.fmt(formatter)
    }
}

impl std::error::Error for ParseFailure {}

impl Message {
    /// Reads one datagram. CRLFs before the start line are passed over (RFC 3261 7.5); octets
    /// beyond Content-Length are dropped (18.3). The message shares the datagram's memory.
    pub fn parse(datagram: Bytes) -> Result<Self, ParseFailure> {
        if datagram.len() > MAX_MESSAGE_SIZE {
            return Err(ParseFailure::new(Fault::TooLarge, None));
        }
        let mut start = 0;
        while datagram
            .get(start..)
            .is_some_and(|rest| rest.starts_with(b"\r\n"))
        {
            start += 2;
        }
        let mut head = parse_head(datagram.slice(start..));
        let available = head.inner.wire.len().saturating_sub(head.length);
        let body_length = match head.content_length {
            Some(length) if length <= available => length,
            Some(_) => {
                head.fail(Fault::BodyTruncated);
                available
            }
            None => available,
        };
        let end = head.length + body_length;
        let body = head.inner.wire.slice(head.length.min(end)..end);
        head.into_message(body)
    }
}

/// The start line and header fields of a message, read from the front of a buffer.
pub(crate) struct Head {
    inner: Inner,
    /// Octets up to and including the empty line.
    pub(crate) length: usize,
    /// The sound value of Content-Length, if there is one.
    pub(crate) content_length: Option<usize>,
    /// The first fault.
    pub(crate) fault: Option<Fault>,
}

impl Head {
    fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// The message with its body.
    pub(crate) fn into_message(mut self, body: Bytes) -> Result<Message, ParseFailure> {
        self.inner.body = body;
        let message = Message {
            inner: Arc::new(self.inner),
        };
        match self.fault {
            None => Ok(message),
            Some(fault) => Err(ParseFailure::new(fault, Some(message))),
        }
    }
}

/// Reads the head at the front of `wire`. It reads on after a fault, so that an answer can be made.
pub(crate) fn parse_head(wire: Bytes) -> Head {
    let mut head = Head {
        inner: Inner {
            fields: Vec::with_capacity(24),
            ..Inner::default()
        },
        length: 0,
        content_length: None,
        fault: None,
    };
    let buffer = wire.clone();
    head.inner.wire = wire;
    let Some(line_end) = next_line(&buffer, 0, &mut head) else {
        head.length = buffer.len();
        head.fail(Fault::StartLine);
        return head;
    };
    if let Err(fault) = head.start_line(buffer.get(..line_end.content).unwrap_or_default()) {
        head.fail(fault);
    }
    if line_end.folded {
        head.fail(Fault::StartLine);
    }
    head.inner.start.line = Span::wire(0, line_end.next);
    let mut position = line_end.next;
    loop {
        if buffer
            .get(position..)
            .is_some_and(|rest| rest.starts_with(b"\r\n"))
        {
            position += 2;
            break;
        }
        let Some(line_end) = next_line(&buffer, position, &mut head) else {
            position = buffer.len();
            head.fail(Fault::HeadTruncated);
            break;
        };
        if head.inner.fields.len() == MAX_HEADER_FIELDS {
            head.fail(Fault::TooManyHeaderFields);
        } else if let Err(fault) = head.header_field(&buffer, position, &line_end) {
            head.fail(fault);
        }
        position = line_end.next;
    }
    head.length = position;
    if let Kind::Response { .. } = head.inner.start.kind
        && let Some(field) = (head.inner.fields.iter()).find(|field| field.name == HeaderName::CSeq)
        && let Some(cseq) = head
            .inner
            .text(field.value)
            .ok()
            .and_then(|text| CSeq::parse(text).ok())
    {
        head.inner.start.method = cseq.method;
    }
    head
}

/// Where a line ends.
struct LineEnd {
    /// The end of its content: where its last CRLF starts.
    content: usize,
    /// The start of the next line.
    next: usize,
    /// Whether it goes on over several lines (RFC 3261 7.3.1).
    folded: bool,
}

/// The end of the line that starts at `start`; `None` if the buffer ends first.
fn next_line(buffer: &[u8], start: usize, head: &mut Head) -> Option<LineEnd> {
    let mut position = start;
    let mut folded = false;
    loop {
        let found = position + memchr2(b'\r', b'\n', buffer.get(position..)?)?;
        if buffer.get(found..found + 2) != Some(b"\r\n") {
            // A lone CR or LF: what we take for one header field, the next element may take for two.
            head.fail(Fault::LineEnd);
            position = found + 1;
            continue;
        }
        match buffer.get(found + 2) {
            // An empty line of white space cannot end the head.
            Some(b' ' | b'\t') => {
                folded = true;
                position = found + 2;
            }
            _ => {
                return Some(LineEnd {
                    content: found,
                    next: found + 2,
                    folded,
                });
            }
        }
    }
}

impl Head {
    fn start_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        if line
            .get(..4)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"))
        {
            return self.status_line(line);
        }
        // Request-Line = Method SP Request-URI SP SIP-Version
        let method_end = line
            .iter()
            .position(|&byte| !text::is_token_byte(byte))
            .unwrap_or(line.len());
        let (method, rest) = line.split_at_checked(method_end).ok_or(Fault::StartLine)?;
        if let Ok(method) = std::str::from_utf8(method)
            && !method.is_empty()
        {
            self.inner.start.method = Method::from_token(method);
        }
        let rest = rest.strip_prefix(b" ").ok_or(Fault::StartLine)?;
        let version_start = memchr::memrchr(b' ', rest).ok_or(Fault::StartLine)?;
        let (uri, version) = rest
            .split_at_checked(version_start)
            .ok_or(Fault::StartLine)?;
        let uri_start = method_end + 1;
        self.inner.start.kind = Kind::Request {
            uri: Span::wire(uri_start, uri_start + uri.len()),
        };
        check_version(version.get(1..).unwrap_or_default())?;
        if method.is_empty() || uri.is_empty() || uri.iter().any(|&byte| byte <= b' ') {
            return Err(Fault::StartLine);
        }
        Ok(())
    }

    fn status_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        // Status-Line = SIP-Version SP Status-Code SP Reason-Phrase; whatever follows, it is no request.
        self.inner.start.kind = Kind::Response {
            status: 0,
            reason: Span::default(),
        };
        let version_end = memchr::memchr(b' ', line).ok_or(Fault::StartLine)?;
        let (version, rest) = line.split_at_checked(version_end).ok_or(Fault::StartLine)?;
        check_version(version)?;
        let digits = rest.get(1..4).ok_or(Fault::StartLine)?;
        let status = std::str::from_utf8(digits)
            .ok()
            .and_then(text::decimal)
            .and_then(|status| u16::try_from(status).ok())
            .filter(|status| (100..700).contains(status))
            .ok_or(Fault::StartLine)?;
        // The space after the code is required; RFC 4475 3.1.1.13 allows to live without it.
        if !matches!(rest.get(4), None | Some(b' ')) {
            return Err(Fault::StartLine);
        }
        self.inner.start.kind = Kind::Response {
            status,
            reason: Span::wire((version_end + 5).min(line.len()), line.len()),
        };
        Ok(())
    }

    fn header_field(&mut self, buffer: &[u8], start: usize, end: &LineEnd) -> Result<(), Fault> {
        let line = buffer.get(start..end.content).unwrap_or_default();
        let name_length = line
            .iter()
            .position(|&byte| !text::is_token_byte(byte))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(name_length).unwrap_or_default();
        // HCOLON = *( SP / HTAB ) ":" SWS
        let blanks = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let value = rest
            .get(blanks..)
            .and_then(|rest| rest.strip_prefix(b":"))
            .ok_or(Fault::HeaderField)?;
        let name_bytes = u16::try_from(name_length).map_err(|_| Fault::HeaderField)?;
        if name_bytes == 0 {
            return Err(Fault::HeaderField);
        }
        let value_start = start + name_length + blanks + 1;
        let value_span = if end.folded {
            let span_start = self.inner.added.len();
            unfold(value, &mut self.inner.added);
            Span::added(span_start, self.inner.added.len())
        } else {
            let leading = value.iter().take_while(is_blank).count();
            let trailing = value.iter().rev().take_while(is_blank).count();
            Span::wire(
                value_start + leading,
                (value_start + value.len()).saturating_sub(trailing),
            )
        };
        let field = Field {
            name: HeaderName::from_bytes(name),
            name_length: name_bytes,
            line: Span::wire(start, end.next),
            value: value_span,
        };
        self.inner.fields.push(field);
        if field.name == HeaderName::ContentLength {
            self.content_length_field(field.value)?;
        }
        Ok(())
    }

    fn content_length_field(&mut self, value: Span) -> Result<(), Fault> {
        // RFC 4475 3.3.9: two values leave no way to tell where the body ends.
        if self.content_length.take().is_some() {
            return Err(Fault::ContentLength);
        }
        let length = self
            .inner
            .text(value)
            .ok()
            .and_then(text::decimal)
            .and_then(|length| usize::try_from(length).ok())
            .ok_or(Fault::ContentLength)?;
        self.content_length = Some(length);
        Ok(())
    }
}

fn is_blank(byte: &&u8) -> bool {
    matches!(**byte, b' ' | b'\t')
}

/// Appends `value` with each line fold, and the white space around it, as one space (RFC 3261 7.3.1).
fn unfold(value: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for line in value.split(|&byte| byte == b'\n') {
        let part = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii();
        if part.is_empty() {
            continue;
        }
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(part);
    }
}

fn check_version(version: &[u8]) -> Result<(), Fault> {
    if version.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(());
    }
    let names_sip = version
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"SIP/"));
    let digits = version.get(4..).unwrap_or_default();
    let well_formed = digits
        .split_first()
        .is_some_and(|(first, rest)| first.is_ascii_digit() && rest.contains(&b'.'))
        && digits
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.');
    Err(if names_sip && well_formed {
        Fault::Version
    } else {
        Fault::StartLine
    })
}
