//! Edits. Each touches the header fields it names; all other octets stay as they came.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::{Field, Inner, Kind, Message, Span};
use crate::header::HeaderName;
use crate::text::Elements;

impl Message {
    fn inner_mut(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.inner)
    }

    /// Replaces the Request-URI; no effect on a response.
    pub fn set_request_uri(&mut self, uri: &str) {
        if !self.is_request() {
            return;
        }
        let inner = self.inner_mut();
        let start = inner.added.len();
        inner
            .added
            .extend_from_slice(inner.start.method.as_str().as_bytes());
        inner.added.push(b' ');
        let uri_start = inner.added.len();
        inner.added.extend(uri.bytes().filter(|byte| *byte > b' '));
        let uri_end = inner.added.len();
        inner.added.extend_from_slice(b" SIP/2.0\r\n");
        inner.start.line = Span::added(start, inner.added.len());
        inner.start.kind = Kind::Request {
            uri: Span::added(uri_start, uri_end),
        };
    }

    /// Puts a header field before the first of its name: the topmost value. Without one, a Via goes first
    /// of all and any other header field after the last Via.
    pub fn push_front(&mut self, name: HeaderName, value: &str) {
        let inner = self.inner_mut();
        let position = inner
            .fields
            .iter()
            .position(|field| field.name == name)
            .or_else(|| match name {
                HeaderName::Via => Some(0),
                _ => (inner.fields.iter())
                    .rposition(|field| field.name == HeaderName::Via)
                    .map(|last| last + 1),
            })
            .unwrap_or(0);
        let field = inner.line(name, name.as_str(), value.as_bytes());
        inner.fields.insert(position, field);
    }

    /// Adds a header field after the last of its name, or at the end.
    pub fn append(&mut self, name: HeaderName, value: &str) {
        let inner = self.inner_mut();
        let position = inner
            .fields
            .iter()
            .rposition(|field| field.name == name)
            .map_or(inner.fields.len(), |last| last + 1);
        let field = inner.line(name, name.as_str(), value.as_bytes());
        inner.fields.insert(position, field);
    }

    /// Removes every header field spelled `name`.
    pub fn remove_named(&mut self, name: &str) {
        let kept: Vec<Field> = (self.inner.fields.iter())
            .filter(|field| !self.inner.name_text(field).eq_ignore_ascii_case(name))
            .copied()
            .collect();
        if kept.len() != self.inner.fields.len() {
            self.inner_mut().fields = kept;
        }
    }

    /// Adds a header field by its text, at the end.
    pub fn append_named(&mut self, name: &str, value: &str) {
        let inner = self.inner_mut();
        let field = inner.line(
            HeaderName::from_bytes(name.as_bytes()),
            name,
            value.as_bytes(),
        );
        inner.fields.push(field);
    }

    /// Replaces every header field called `name` by one, in the first one's place (or at the end).
    pub fn set(&mut self, name: HeaderName, value: &str) {
        let inner = self.inner_mut();
        let field = inner.line(name, name.as_str(), value.as_bytes());
        match inner.fields.iter_mut().find(|field| field.name == name) {
            Some(first) => {
                *first = field;
                inner
                    .fields
                    .retain(|other| other.name != name || other.line == field.line);
            }
            None => inner.fields.push(field),
        }
    }

    /// Replaces the topmost value called `name`; the further elements of its list stay. Whether there was one.
    pub fn replace_first(&mut self, name: HeaderName, value: &str) -> bool {
        let replaced = match self.first_and_rest(name) {
            None => return false,
            Some((index, None)) => (index, value.to_owned()),
            Some((index, Some(rest))) => (index, format!("{value}, {rest}")),
        };
        self.put(replaced.0, &replaced.1);
        true
    }

    /// Removes the topmost value called `name`; the further elements of its list stay. Whether there was one.
    pub fn remove_first(&mut self, name: HeaderName) -> bool {
        match self.first_and_rest(name) {
            None => return false,
            Some((index, None)) => drop(self.inner_mut().fields.remove(index)),
            Some((index, Some(rest))) => {
                let rest = rest.to_owned();
                self.put(index, &rest);
            }
        }
        true
    }

    /// Removes the last value called `name`; the elements before it in its list stay. Whether there was one.
    pub fn remove_last(&mut self, name: HeaderName) -> bool {
        let Some(index) = (self.inner.fields.iter()).rposition(|field| field.name == name) else {
            return false;
        };
        let value = (self.inner.fields.get(index))
            .and_then(|field| self.inner.text(field.value).ok())
            .unwrap_or_default();
        let mut elements: Vec<&str> = if name.is_list() {
            Elements::new(value).collect()
        } else {
            Vec::new()
        };
        elements.pop();
        if elements.is_empty() {
            self.inner_mut().fields.remove(index);
        } else {
            let kept = elements.join(", ");
            self.put(index, &kept);
        }
        true
    }

    /// Removes every header field called `name`.
    pub fn remove_all(&mut self, name: HeaderName) {
        if self.contains(name) {
            self.inner_mut().fields.retain(|field| field.name != name);
        }
    }

    /// Removes the header fields called `name` for which `keep`, given the whole value, is false.
    pub fn retain(&mut self, name: HeaderName, mut keep: impl FnMut(&str) -> bool) {
        let kept: Vec<Field> = self
            .inner
            .fields
            .iter()
            .filter(|field| {
                field.name != name || keep(self.inner.text(field.value).unwrap_or_default())
            })
            .copied()
            .collect();
        if kept.len() != self.inner.fields.len() {
            self.inner_mut().fields = kept;
        }
    }

    /// Replaces the body, its Content-Type (`None` removes it) and its Content-Length.
    pub fn set_body(&mut self, content_type: Option<&str>, body: Bytes) {
        match content_type {
            Some(value) => self.set(HeaderName::ContentType, value),
            None => self.remove_all(HeaderName::ContentType),
        }
        self.set(HeaderName::ContentLength, &body.len().to_string());
        self.inner_mut().body = body;
    }

    /// Adds Content-Length if it is missing, as a stream needs it (RFC 3261 20.14).
    pub fn ensure_content_length(&mut self) {
        if !self.contains(HeaderName::ContentLength) {
            let length = self.inner.body.len().to_string();
            self.append(HeaderName::ContentLength, &length);
        }
    }

    /// Notes in the topmost Via where the request came from (RFC 3261 18.2.1, RFC 3581 4); see [`crate::Via::stamped`].
    pub fn stamp_received(&mut self, source: SocketAddr) {
        let stamped = self.via().ok().and_then(|via| via.stamped(source));
        if let Some(value) = stamped {
            self.replace_first(HeaderName::Via, &value);
        }
    }

    /// The index of the first field called `name`, and what its list holds after the first element.
    fn first_and_rest(&self, name: HeaderName) -> Option<(usize, Option<&str>)> {
        let index = (self.inner.fields.iter()).position(|field| field.name == name)?;
        if !name.is_list() {
            return Some((index, None));
        }
        let value = (self.inner.fields.get(index))
            .and_then(|field| self.inner.text(field.value).ok())
            .unwrap_or_default();
        let mut elements = Elements::new(value);
        elements.next();
        Some((index, elements.rest().map(str::trim)))
    }

    /// Gives the field at `index` another value, under the name it was written with.
    fn put(&mut self, index: usize, value: &str) {
        let inner = self.inner_mut();
        let Some(field) = inner.fields.get(index).copied() else {
            return;
        };
        let name = inner.name_text(&field).to_owned();
        let field = inner.line(field.name, &name, value.as_bytes());
        if let Some(place) = inner.fields.get_mut(index) {
            *place = field;
        }
    }
}

impl Inner {
    /// Writes a header field's line. Line ends in the value become spaces: they would start a field of their own.
    pub(super) fn line(&mut self, name: HeaderName, name_text: &str, value: &[u8]) -> Field {
        let start = self.added.len();
        self.added.reserve(name_text.len() + value.len() + 4);
        self.added.extend_from_slice(name_text.as_bytes());
        self.added.extend_from_slice(b": ");
        let value_start = self.added.len();
        self.added.extend_from_slice(value.trim_ascii());
        let value_end = self.added.len();
        for byte in self.added.iter_mut().skip(value_start) {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.added.extend_from_slice(b"\r\n");
        Field {
            name,
            name_length: name_text.len() as u16,
            line: Span::added(start, self.added.len()),
            value: Span::added(value_start, value_end),
        }
    }
}
