//! Requests (RFC 2165 4, 5, 7, 9, 11, 12).

use tollwire_wire::{Reader, ShortBuffer};

use super::attributes::{attributes_to_v2, scopes_to_v2, tags_to_v2};
use super::predicate::{parse_predicate, type_to_v2};
use super::{Charset, ErrorCode, UNSCOPED, VERSION};
use crate::agent::Authority;
use crate::header::Function;
use crate::service_type::ServiceType;

const OVERFLOW: u8 = 0x80;
const MONOLINGUAL: u8 = 0x40;
const URL_AUTHENTICATION: u8 = 0x20;
const ATTRIBUTE_AUTHENTICATION: u8 = 0x10;
const FRESH: u8 = 0x08;
/// The length that stands for all naming authorities (RFC 2165 7).
const ALL: u16 = 0xFFFF;

/// The flags of RFC 2165 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags {
    /// O: the message holds not all there is.
    pub overflow: bool,
    /// M: answers in another language are of no use.
    pub monolingual: bool,
    /// U: URLs bear signatures.
    pub url_authentication: bool,
    /// A: attributes bear signatures.
    pub attribute_authentication: bool,
    /// F: the registration is new.
    pub fresh: bool,
}

impl Flags {
    fn from_bits(bits: u8) -> Self {
        Self {
            overflow: bits & OVERFLOW != 0,
            monolingual: bits & MONOLINGUAL != 0,
            url_authentication: bits & URL_AUTHENTICATION != 0,
            attribute_authentication: bits & ATTRIBUTE_AUTHENTICATION != 0,
            fresh: bits & FRESH != 0,
        }
    }

    pub(super) fn bits(self) -> u8 {
        [
            (self.overflow, OVERFLOW),
            (self.monolingual, MONOLINGUAL),
            (self.url_authentication, URL_AUTHENTICATION),
            (self.attribute_authentication, ATTRIBUTE_AUTHENTICATION),
            (self.fresh, FRESH),
        ]
        .into_iter()
        .filter(|(set, _)| *set)
        .fold(0, |bits, (_, bit)| bits | bit)
    }
}

/// What stands before a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The flags.
    pub flags: Flags,
    /// ISO 639 code, two letters.
    pub language: [u8; 2],
    /// MIBenum of the character encoding.
    pub encoding: u16,
    /// Names the request.
    pub xid: u16,
}

impl Header {
    /// The language as a tag of version 2.
    pub fn language(&self) -> &str {
        std::str::from_utf8(&self.language).unwrap_or("en")
    }
}

/// A request, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What is asked.
    pub function: Function,
    /// Its header.
    pub header: Header,
    /// Its body.
    pub request: Request,
}

/// A request in the words of version 1, decoded from its character encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of RFC 2165 under their names"
)]
pub enum Request {
    SrvReq {
        previous_responders: String,
        predicate: String,
    },
    SrvReg {
        lifetime: u16,
        url: String,
        attributes: String,
    },
    SrvDereg {
        url: String,
        tags: String,
    },
    AttrRqst {
        previous_responders: String,
        url: String,
        scope: String,
        select: String,
    },
    SrvTypeRqst {
        previous_responders: String,
        naming_authority: Authority,
        scope: String,
    },
}

/// A request in the words of version 2. Scopes that are empty are any.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "the fields are those of RFC 2608 under their names"
)]
pub enum V2 {
    SrvRqst {
        previous_responders: String,
        service_type: String,
        scopes: String,
        predicate: String,
    },
    SrvReg {
        lifetime: u16,
        url: String,
        service_type: String,
        scopes: String,
        attributes: String,
    },
    SrvDeReg {
        url: String,
        tags: String,
    },
    AttrRqst {
        previous_responders: String,
        url: String,
        scopes: String,
        tags: String,
    },
    SrvTypeRqst {
        previous_responders: String,
        naming_authority: Authority,
        scopes: String,
    },
}

/// Octets that are no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecodable {
    /// Whom to tell, and about which function, if that could be read.
    pub asked: Option<(Function, Header)>,
    /// What to tell.
    pub error: ErrorCode,
}

impl From<ShortBuffer> for Undecodable {
    fn from(_: ShortBuffer) -> Self {
        Self {
            asked: None,
            error: ErrorCode::PROTOCOL_PARSE_ERROR,
        }
    }
}

/// Reads the request that `octets` are, no more and no less.
///
/// # Errors
/// What to answer, if anybody can be answered. Answers and adverts are none that anybody is told of.
pub fn decode(octets: &[u8]) -> Result<Message, Undecodable> {
    let silent = Undecodable {
        asked: None,
        error: ErrorCode::PROTOCOL_PARSE_ERROR,
    };
    let mut reader = Reader::new(octets);
    let version = reader.u8()?;
    let function = Function::from_id(reader.u8()?);
    let length = reader.u16()?;
    let flags = Flags::from_bits(reader.u8()?);
    let _dialect = reader.u8()?;
    let language = match reader.take(2)? {
        [first, second] => [first.to_ascii_lowercase(), second.to_ascii_lowercase()],
        _ => return Err(silent),
    };
    let header = Header {
        flags,
        language,
        encoding: reader.u16()?,
        xid: reader.u16()?,
    };
    let function = function
        .filter(|function| function.answer().is_some())
        .ok_or(silent)?;
    if version != VERSION || usize::from(length) != octets.len() {
        return Err(silent);
    }
    let fault = |error| Undecodable {
        asked: Some((function, header)),
        error,
    };
    if !language.iter().all(u8::is_ascii_alphabetic) {
        return Err(fault(ErrorCode::PROTOCOL_PARSE_ERROR));
    }
    let charset = Charset::of(header.encoding).ok_or(fault(ErrorCode::CHARSET_NOT_UNDERSTOOD))?;
    // The signatures of version 1 cannot be verified, and what cannot be is refused (RFC 2608 12.5).
    let signed = flags.url_authentication || flags.attribute_authentication;
    if signed && matches!(function, Function::SrvReg | Function::SrvDeReg) {
        return Err(fault(ErrorCode::AUTHENTICATION_FAILED));
    }
    let request = Request::read(function, &mut Body { reader, charset })
        .map_err(|error| fault(error.error))?;
    Ok(Message {
        function,
        header,
        request,
    })
}

struct Body<'a> {
    reader: Reader<'a>,
    charset: Charset,
}

impl Body<'_> {
    fn text(&mut self) -> Result<String, Undecodable> {
        let length = self.reader.u16()?;
        self.text_of(length)
    }

    fn text_of(&mut self, length: u16) -> Result<String, Undecodable> {
        let octets = self.reader.take(usize::from(length))?;
        self.charset.decode(octets).ok_or(Undecodable {
            asked: None,
            error: ErrorCode::PROTOCOL_PARSE_ERROR,
        })
    }
}

impl Request {
    fn read(function: Function, body: &mut Body<'_>) -> Result<Self, Undecodable> {
        let request = match function {
            Function::SrvReg => Self::SrvReg {
                lifetime: body.reader.u16()?,
                url: body.text()?,
                attributes: body.text()?,
            },
            Function::SrvDeReg => Self::SrvDereg {
                url: body.text()?,
                tags: body.text()?,
            },
            Function::AttrRqst => Self::AttrRqst {
                previous_responders: body.text()?,
                url: body.text()?,
                scope: body.text()?,
                select: body.text()?,
            },
            Function::SrvTypeRqst => Self::SrvTypeRqst {
                previous_responders: body.text()?,
                naming_authority: match body.reader.u16()? {
                    ALL => Authority::All,
                    0 => Authority::Iana,
                    length => Authority::Named(body.text_of(length)?),
                },
                scope: body.text()?,
            },
            _ => Self::SrvReq {
                previous_responders: body.text()?,
                predicate: body.text()?,
            },
        };
        match body.reader.is_empty() {
            true => Ok(request),
            false => Err(Undecodable {
                asked: None,
                error: ErrorCode::PROTOCOL_PARSE_ERROR,
            }),
        }
    }

    /// The same in the words of version 2.
    ///
    /// # Errors
    /// A predicate or an attribute list that cannot be read, a URL without a type.
    pub fn to_v2(&self) -> Result<V2, ErrorCode> {
        Ok(match self {
            Self::SrvReq {
                previous_responders,
                predicate,
            } => {
                let query =
                    parse_predicate(predicate).map_err(|_| ErrorCode::PROTOCOL_PARSE_ERROR)?;
                V2::SrvRqst {
                    previous_responders: previous_responders.clone(),
                    service_type: query.service_type,
                    scopes: query.scopes,
                    predicate: query.filter,
                }
            }
            Self::SrvReg {
                lifetime,
                url,
                attributes,
            } => {
                let service_type =
                    ServiceType::of_url(url).map_err(|_| ErrorCode::INVALID_REGISTRATION)?;
                let translated =
                    attributes_to_v2(attributes).map_err(|_| ErrorCode::INVALID_REGISTRATION)?;
                V2::SrvReg {
                    lifetime: *lifetime,
                    url: url.clone(),
                    service_type: service_type.as_str().into(),
                    scopes: translated.scopes.unwrap_or_else(|| UNSCOPED.into()),
                    attributes: translated.attributes,
                }
            }
            Self::SrvDereg { url, tags } => V2::SrvDeReg {
                url: url.clone(),
                tags: tags_to_v2(tags),
            },
            Self::AttrRqst {
                previous_responders,
                url,
                scope,
                select,
            } => {
                let is_url = url.contains(":/");
                V2::AttrRqst {
                    previous_responders: previous_responders.clone(),
                    url: match is_url {
                        true => url.clone(),
                        false => type_to_v2(url),
                    },
                    scopes: match scopes_to_v2(scope) {
                        // "This field is ignored in the case when a full URL is sent" (RFC 2165 12).
                        _ if is_url => String::new(),
                        none if none.is_empty() => UNSCOPED.into(),
                        scopes => scopes,
                    },
                    tags: tags_to_v2(select),
                }
            }
            Self::SrvTypeRqst {
                previous_responders,
                naming_authority,
                scope,
            } => V2::SrvTypeRqst {
                previous_responders: previous_responders.clone(),
                naming_authority: naming_authority.clone(),
                // "If this field is omitted, all Service Types ... are returned" (RFC 2165 7).
                scopes: scopes_to_v2(scope),
            },
        })
    }
}
