//! Requests of SLPv1 (RFC 2165), answered out of the same registry (RFC 2608 3).
//!
//! A request is put into the words of version 2, goes its way, and what comes of it is put into the words of version 1.
//! What version 1 must not see: services of concrete types that have an abstract one, and those whose language tag has
//! more than two letters.

use std::ops::ControlFlow;

use tollwire_runtime::clock::Now;
use tollwire_slp::agent::Authority;
use tollwire_slp::message::{AttrRqst, NamingAuthority, SrvDeReg, SrvReg, SrvRqst, SrvTypeRqst};
use tollwire_slp::v1::{self, V2};
use tollwire_slp::{
    AttributeList, ErrorCode, Flags, Header, ScopeList, ServiceType, TagList, UrlEntry, decode,
};

use super::Core;
use super::dispatch::{Asked, Outcome};
use crate::effect::Effect;
use crate::event::Channel;
use crate::registry::{Entry, Find};

/// Services whose attributes are united for one answer, at most: their union has no index of its own.
const MAX_UNITED: usize = 1_000;
/// The language of those who get no other (RFC 2165 17).
const DEFAULT_LANGUAGE: &str = "en";

/// What a request of version 1 has that one of version 2 has not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Old {
    /// Its header.
    pub header: v1::Header,
    /// Whether a registration is of what was not registered before.
    pub fresh: bool,
}

impl Core {
    /// Whether `octets` are for this part: version 1, and to be answered.
    pub(super) fn is_v1(&self, octets: &[u8]) -> bool {
        self.settings.slpv1 && self.is_directory_agent() && octets.first() == Some(&v1::VERSION)
    }

    pub(super) fn arrived_v1(
        &mut self,
        now: Now,
        octets: &[u8],
        channel: &Channel,
        effects: &mut Vec<Effect>,
    ) {
        let (function, header, request) = match v1::decode(octets) {
            Ok(message) => (message.function, message.header, Ok(message.request)),
            Err(v1::Undecodable {
                asked: Some((function, header)),
                error,
            }) => (function, header, Err(error)),
            Err(_) => {
                self.counters.dropped_malformed += 1;
                return;
            }
        };
        let old = Old {
            header,
            fresh: false,
        };
        let mut asked = Asked {
            channel,
            header: Header {
                flags: Flags::default(),
                xid: header.xid,
                language: header.language(),
            },
            function,
            length: octets.len(),
            to_many: channel.is_multicast(),
            with_attributes: false,
            old: Some(old),
        };
        let outcome = match request.and_then(|request| request.to_v2()) {
            Ok(request) => self.request_v1(now, &mut asked, &old, &request, effects),
            Err(error) => Outcome::Old(error),
        };
        self.answer(now, &asked, outcome, effects);
    }

    fn request_v1(
        &mut self,
        now: Now,
        asked: &mut Asked<'_>,
        old: &Old,
        request: &V2,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let outcome = self.once_v1(now, asked, request, effects);
        // RFC 2165 17: without the M bit what there is in English will do.
        let other_language = matches!(outcome, Outcome::Error(ErrorCode::LANGUAGE_NOT_SUPPORTED));
        if !other_language || old.header.flags.monolingual {
            return outcome;
        }
        asked.header.language = DEFAULT_LANGUAGE;
        self.once_v1(now, asked, request, effects)
    }

    fn once_v1(
        &mut self,
        now: Now,
        asked: &mut Asked<'_>,
        request: &V2,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        // RFC 2608 3: "unscoped SLPv1 requests are considered to be of DEFAULT scope".
        let or_default = |scopes: &str| match scopes {
            "" => tollwire_slp::scope::DEFAULT.to_owned(),
            scopes => scopes.to_owned(),
        };
        match request {
            V2::SrvRqst {
                previous_responders,
                service_type,
                scopes,
                predicate,
            } => {
                let request = SrvRqst {
                    previous_responders,
                    service_type,
                    scopes,
                    predicate,
                    spi: "",
                };
                self.service_request(now, asked, &request)
            }
            V2::AttrRqst {
                previous_responders,
                url,
                scopes,
                tags,
            } => {
                let scopes = or_default(scopes);
                if !url.contains(":/") {
                    let tags = TagList::parse(tags).map_err(|error| error.error_code());
                    return match tags {
                        Ok(_) if self.is_answered(asked, previous_responders) => Outcome::Silence,
                        Ok(tags) => self.attributes_v1(now, asked, url, &scopes, &tags),
                        Err(error) => error.into(),
                    };
                }
                let request = AttrRqst {
                    previous_responders,
                    url,
                    scopes: &scopes,
                    tags,
                    spi: "",
                };
                self.attribute_request(now, asked, &request)
            }
            V2::SrvTypeRqst {
                previous_responders,
                naming_authority,
                scopes,
            } => {
                let scopes = or_default(scopes);
                let request = SrvTypeRqst {
                    previous_responders,
                    naming_authority: match naming_authority {
                        Authority::Iana => NamingAuthority::Iana,
                        Authority::All => NamingAuthority::All,
                        Authority::Named(name) => NamingAuthority::Named(name),
                    },
                    scopes: &scopes,
                };
                self.type_request(asked, &request)
            }
            V2::SrvReg {
                lifetime,
                url,
                service_type,
                scopes,
                attributes,
            } => {
                // RFC 2165 9: a registration of what is registered is an update, without a flag that says so.
                let language = asked.header.language;
                let is_in = |entry: &Entry| entry.language.eq_ignore_ascii_case(language);
                let fresh = !self.registry.of_url(url).any(|(_, entry)| is_in(entry));
                asked.header.flags.fresh = fresh;
                if let Some(old) = &mut asked.old {
                    old.fresh = fresh;
                }
                let registration = SrvReg {
                    url: UrlEntry {
                        lifetime: *lifetime,
                        url,
                        authentication: Vec::new(),
                    },
                    service_type,
                    scopes,
                    attributes,
                    authentication: Vec::new(),
                };
                self.registration(now, asked, &registration, effects)
            }
            V2::SrvDeReg { url, tags } => {
                // RFC 2165 11: in every scope that it was registered in.
                let known = self.registry.of_url(url).next();
                let Some(scopes) = known.map(|(_, entry)| entry.scopes.as_str().to_owned()) else {
                    return Outcome::Old(v1::ErrorCode::INVALID_REGISTRATION);
                };
                let deregistration = SrvDeReg {
                    scopes: &scopes,
                    url: UrlEntry {
                        lifetime: 0,
                        url,
                        authentication: Vec::new(),
                    },
                    tags,
                };
                self.deregistration(now, asked, &deregistration, effects)
            }
        }
    }

    fn is_answered(&mut self, asked: &Asked<'_>, previous_responders: &str) -> bool {
        let is_answered = asked.to_many && self.has_answered(previous_responders);
        self.counters.dropped_previous_responder += u64::from(is_answered);
        is_answered
    }

    /// The union of the attributes of all services of a type. An abstract type's own index would have those of its
    /// concrete types too (RFC 2608 3, 8).
    fn attributes_v1(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        service_type: &str,
        scopes: &str,
        tags: &TagList,
    ) -> Outcome {
        let parsed = ServiceType::parse(service_type)
            .and_then(|service_type| Ok((service_type, ScopeList::parse(scopes)?)));
        let (service_type, scopes) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return error.error_code().into(),
        };
        if !self.serves(&scopes) {
            return ErrorCode::SCOPE_NOT_SUPPORTED.into();
        }
        let find = Find {
            service_type: &service_type,
            scopes: &scopes,
            language: asked.header.language,
            filter: None,
            local: asked.to_many,
            budget: self.settings.examined,
        };
        let mut union = AttributeList::default();
        let mut united = 0;
        let mut others = false;
        let _ = self.registry.find(now, &find, |entry| {
            let in_language = entry.language.eq_ignore_ascii_case(asked.header.language);
            match is_shown(entry) && in_language {
                true => {
                    union.merge(&entry.attributes.select(tags));
                    united += 1;
                }
                false => others |= is_shown(entry),
            }
            match united < MAX_UNITED {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        if united == 0 && others {
            return ErrorCode::LANGUAGE_NOT_SUPPORTED.into();
        }
        let room = self.attribute_room(asked, 0);
        let (text, whole) = union.to_text_within(room);
        self.attributes_told(asked, &text, whole && united < MAX_UNITED, None)
    }
}

/// Whether version 1 may see a service (RFC 2608 3).
pub(super) fn is_shown(entry: &Entry) -> bool {
    entry.language.len() <= 2 && entry.service_type.abstract_type().is_none()
}

/// The octets of an answer of version 2, in version 1, at most `limit` of them.
pub(super) fn answer_of_v2(
    old: &Old,
    octets: &[u8],
    limit: usize,
    is_stream: bool,
) -> Option<Vec<u8>> {
    let message = decode(octets).ok()?;
    let reply = v1::Reply {
        body: &message.body,
        overflow: message.header.flags.overflow,
        fresh: old.fresh && super::dispatch::says_ok(&message.body),
    };
    v1::encode(&old.header, reply, limit, is_stream)
}
