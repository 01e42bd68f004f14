//! Answers (RFC 2165 6, 8, 10, 13, 14).

use tollwire_wire::Writer;

use super::attributes::attributes_to_v1;
use super::message::Header;
use super::{Charset, ErrorCode, HEADER_LENGTH, VERSION};
use crate::header::Function;
use crate::message::Body;
use crate::service_type::ServiceType;

/// An answer of version 2, to be told in version 1.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// What version 2 would answer.
    pub body: &'a Body<'a>,
    /// Whether it would not be all there is.
    pub overflow: bool,
    /// Of a registration: whether it is a new one.
    pub fresh: bool,
}

/// The octets of an answer to the request with this header, at most `limit` of them. On a stream OVERFLOW means
/// nothing, and is not said.
///
/// Nothing for what is no answer.
pub fn encode(header: &Header, reply: Reply<'_>, limit: usize, is_stream: bool) -> Option<Vec<u8>> {
    let limit = limit.min(usize::from(u16::MAX));
    let charset = Charset::of(header.encoding).unwrap_or(Charset::Ascii);
    let mut answer = Answer {
        writer: Writer::with_capacity(256),
        charset,
        limit,
        overflow: reply.overflow,
    };
    let function = answer.function_of(reply.body)?;
    answer.writer.u8(VERSION);
    answer.writer.u8(function as u8);
    answer.writer.u16(0);
    answer.writer.u8(0);
    answer.writer.u8(0);
    answer.writer.bytes(&header.language);
    answer.writer.u16(charset.mib());
    answer.writer.u16(header.xid);
    debug_assert_eq!(answer.writer.len(), HEADER_LENGTH);
    answer.body(reply.body)?;
    let flags = super::Flags {
        overflow: answer.overflow && !is_stream,
        fresh: reply.fresh && function == Function::SrvAck,
        ..super::Flags::default()
    };
    let length = u16::try_from(answer.writer.len()).ok()?;
    answer.writer.patch_u16(2, length);
    // The dialect behind the flags is zero.
    answer.writer.patch_u16(4, u16::from(flags.bits()) << 8);
    Some(answer.writer.into_vec())
}

struct Answer {
    writer: Writer,
    charset: Charset,
    limit: usize,
    overflow: bool,
}

impl Answer {
    fn function_of(&self, body: &Body<'_>) -> Option<Function> {
        let function = body.function();
        matches!(
            function,
            Function::SrvRply
                | Function::SrvAck
                | Function::AttrRply
                | Function::SrvTypeRply
                | Function::DaAdvert
        )
        .then_some(function)
    }

    fn body(&mut self, body: &Body<'_>) -> Option<()> {
        match body {
            Body::SrvRply(reply) => {
                self.writer.u16(ErrorCode::from(reply.error).0);
                let urls = reply.urls.iter();
                self.counted(urls, |entry| (Some(entry.lifetime), entry.url.into()));
            }
            Body::SrvTypeRply(reply) => {
                self.writer.u16(ErrorCode::from(reply.error).0);
                // RFC 2608 3: version 1 knows no abstract types.
                let types: Vec<ServiceType> = reply
                    .service_types
                    .split(',')
                    .filter_map(|kind| ServiceType::parse(kind).ok())
                    .filter(|kind| kind.abstract_type().is_none())
                    .collect();
                self.counted(types.iter(), |kind| (None, format!("{}://", kind.as_str())));
            }
            Body::SrvAck(reply) => self.writer.u16(ErrorCode::from(reply.error).0),
            Body::AttrRply(reply) => {
                self.writer.u16(ErrorCode::from(reply.error).0);
                let room = self.limit.saturating_sub(self.writer.len() + 2);
                // An encoding never needs more octets than UTF-8.
                let (text, whole) = attributes_to_v1(reply.attributes, room);
                self.overflow |= !whole;
                self.text(&text)?;
            }
            Body::DaAdvert(advert) => {
                self.writer.u16(ErrorCode::from(advert.error).0);
                self.text(advert.url)?;
                self.text(advert.scopes)?;
            }
            _ => return None,
        }
        Some(())
    }

    /// A count, and as many items as fit.
    fn counted<T>(
        &mut self,
        items: impl Iterator<Item = T>,
        text: impl Fn(T) -> (Option<u16>, String),
    ) {
        let count_at = self.writer.len();
        self.writer.u16(0);
        let mut count = 0_u16;
        for item in items {
            let (lifetime, text) = text(item);
            let text = self.charset.encode(&text);
            let length = 2 + lifetime.map_or(0, |_| 2) + text.len();
            let Ok(text_length) = u16::try_from(text.len()) else {
                continue;
            };
            if self.writer.len() + length > self.limit || count == u16::MAX {
                self.overflow = true;
                break;
            }
            if let Some(lifetime) = lifetime {
                self.writer.u16(lifetime);
            }
            self.writer.u16(text_length);
            self.writer.bytes(&text);
            count += 1;
        }
        self.writer.patch_u16(count_at, count);
    }

    fn text(&mut self, text: &str) -> Option<()> {
        let octets = self.charset.encode(text);
        self.writer.u16(u16::try_from(octets.len()).ok()?);
        self.writer.bytes(&octets);
        Some(())
    }
}

/// The answer to a request of `function` that says nothing but an error.
pub fn refusal(header: &Header, function: Function, error: ErrorCode) -> Option<Vec<u8>> {
    let answer = function.answer()?;
    let charset = Charset::of(header.encoding).unwrap_or(Charset::Ascii);
    let mut writer = Writer::with_capacity(HEADER_LENGTH + 4);
    writer.u8(VERSION);
    writer.u8(answer as u8);
    writer.u16(0);
    writer.u16(0);
    writer.bytes(&header.language);
    writer.u16(charset.mib());
    writer.u16(header.xid);
    writer.u16(error.0);
    if answer != Function::SrvAck {
        // No entries, or an empty list.
        writer.u16(0);
    }
    let length = u16::try_from(writer.len()).ok()?;
    writer.patch_u16(2, length);
    Some(writer.into_vec())
}
