//! Messages made here.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;

use super::{Inner, Kind, Message, Span, Start};
use crate::header::HeaderName;
use crate::method::Method;
use crate::status::reason_phrase;

/// Builds a request. Header fields stand in the order they are given; Content-Length comes last, by itself.
#[derive(Debug, Clone)]
pub struct RequestBuilder {
    message: Message,
}

impl RequestBuilder {
    /// A request line; the caller vouches for `uri`.
    pub fn new(method: Method, uri: &str) -> Self {
        let mut added = Vec::with_capacity(512);
        added.extend_from_slice(method.as_str().as_bytes());
        added.push(b' ');
        let uri_start = added.len();
        added.extend(uri.bytes().filter(|byte| *byte > b' '));
        let uri = Span::added(uri_start, added.len());
        added.extend_from_slice(b" SIP/2.0\r\n");
        Self {
            message: started(added, method, Kind::Request { uri }),
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.message.push(name, value);
        self
    }

    /// Adds a header field by its text.
    pub fn header_named(mut self, name: &str, value: &str) -> Self {
        self.message.append_named(name, value);
        self
    }

    /// Gives the request a body.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.message.set_body(Some(content_type), body.into());
        self
    }

    /// The request.
    pub fn build(mut self) -> Message {
        self.message.ensure_content_length();
        self.message
    }
}

/// Builds a response; made by [`Message::response_to`].
#[derive(Debug, Clone)]
pub struct ResponseBuilder {
    message: Message,
}

impl ResponseBuilder {
    /// Adds `tag` to To, unless it has one already (RFC 3261 8.2.6.2).
    pub fn to_tag(mut self, tag: &str) -> Self {
        let tagged = match self.message.to() {
            Ok(to) if to.tag().is_some() => None,
            Ok(_) => self
                .message
                .header(HeaderName::To)
                .map(|to| format!("{to};tag={tag}")),
            Err(_) => None,
        };
        if let Some(value) = tagged {
            self.message.set(HeaderName::To, &value);
        }
        self
    }

    /// Adds to To a tag made from the request, the same for each copy of it, as a stateless
    /// answer needs (RFC 3261 8.2.7).
    pub fn stateless_to_tag(self) -> Self {
        let mut hasher = DefaultHasher::new();
        for name in [
            HeaderName::Via,
            HeaderName::From,
            HeaderName::CallId,
            HeaderName::CSeq,
        ] {
            self.message.header(name).hash(&mut hasher);
        }
        let tag = format!("{:016x}", hasher.finish());
        self.to_tag(&tag)
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.message.push(name, value);
        self
    }

    /// Adds a header field by its text.
    pub fn header_named(mut self, name: &str, value: &str) -> Self {
        self.message.append_named(name, value);
        self
    }

    /// Gives the response a body.
    pub fn body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.message.set_body(Some(content_type), body.into());
        self
    }

    /// The response.
    pub fn build(mut self) -> Message {
        self.message.ensure_content_length();
        self.message
    }
}

impl Message {
    /// A response to `request` with its Via, From, To, Call-ID and CSeq (RFC 3261 8.2.6.2), and with its
    /// Timestamp if the status is 100 (8.2.6.1). An empty `reason` means the RFC's own phrase.
    pub fn response_to(request: &Message, status: u16, reason: &str) -> ResponseBuilder {
        let reason = if reason.is_empty() {
            reason_phrase(status)
        } else {
            reason
        };
        let mut added = Vec::with_capacity(512);
        added.extend_from_slice(format!("SIP/2.0 {status:03} ").as_bytes());
        let reason_start = added.len();
        added.extend(reason.bytes().map(|byte| match byte {
            b'\r' | b'\n' => b' ',
            other => other,
        }));
        let reason = Span::added(reason_start, added.len());
        added.extend_from_slice(b"\r\n");
        let mut message = started(
            added,
            request.method().clone(),
            Kind::Response { status, reason },
        );
        let inner = Arc::make_mut(&mut message.inner);
        for field in &request.inner.fields {
            let copied = matches!(
                field.name,
                HeaderName::Via
                    | HeaderName::From
                    | HeaderName::To
                    | HeaderName::CallId
                    | HeaderName::CSeq
            ) || (status == 100 && field.name == HeaderName::Timestamp);
            if copied {
                let line = inner.line(
                    field.name,
                    field.name.as_str(),
                    request.inner.bytes(field.value),
                );
                inner.fields.push(line);
            }
        }
        ResponseBuilder { message }
    }

    /// Adds a header field at the end.
    fn push(&mut self, name: HeaderName, value: &str) {
        let inner = Arc::make_mut(&mut self.inner);
        let field = inner.line(name, name.as_str(), value.as_bytes());
        inner.fields.push(field);
    }
}

fn started(added: Vec<u8>, method: Method, kind: Kind) -> Message {
    let line = Span::added(0, added.len());
    Message {
        inner: Arc::new(Inner {
            added,
            start: Start { line, method, kind },
            fields: Vec::with_capacity(16),
            ..Inner::default()
        }),
    }
}
