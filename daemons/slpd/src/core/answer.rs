//! Requests for services, attributes and types (RFC 2608 8.1, 10.1, 10.3).

use std::net::IpAddr;
use std::ops::ControlFlow;

use tollwire_runtime::clock::Now;
use tollwire_slp::message::{
    AttrRply, AttrRqst, NamingAuthority, SrvRplyWriter, SrvRqst, SrvTypeRply, SrvTypeRqst,
};
use tollwire_slp::service_type::{DIRECTORY_AGENT, SERVICE_AGENT, host_of};
use tollwire_slp::{
    AuthenticationBlock, Body, ErrorCode, Extension, Filter, Message, ScopeList, ServiceType,
    TagList, encode,
};

use super::dispatch::{Asked, Outcome, reply_header};
use super::{Core, is_link_local};
use crate::event::Channel;
use crate::registry::{Entry, Find, Shown, StoredBlock};

/// Services looked at in vain that cost as much as a request.
const EXAMINED_FOR_A_REQUEST: usize = 50;

impl Core {
    pub(super) fn service_request(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        request: &SrvRqst<'_>,
    ) -> Outcome {
        if asked.to_many && self.has_answered(request.previous_responders) {
            self.counters.dropped_previous_responder += 1;
            return Outcome::Silence;
        }
        let parsed = self.parse(request.service_type, request.scopes);
        let (service_type, scopes) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return error.into(),
        };
        let filter = match request.predicate.trim() {
            "" => None,
            predicate => match Filter::parse(predicate) {
                Ok(filter) => Some(filter),
                Err(error) => return error.error_code().into(),
            },
        };
        match service_type.as_str() {
            DIRECTORY_AGENT if self.is_directory_agent() => {
                return self.directory_agent_request(now, asked, request, filter.as_ref());
            }
            SERVICE_AGENT if !self.is_directory_agent() && asked.to_many => {
                return self.service_agent_request(now, asked, filter.as_ref());
            }
            _ => {}
        }
        if !request.spi.is_empty() && !self.knows_spi(request.spi) {
            return ErrorCode::AUTHENTICATION_UNKNOWN.into();
        }
        let find = Find {
            service_type: &service_type,
            scopes: &scopes,
            language: asked.header.language,
            filter: filter.as_ref(),
            // Multicast is for service agents: a directory agent says what is of its own host (RFC 2608 6.1).
            local: asked.to_many,
            budget: self.settings.examined,
        };
        let Ok(mut reply) = SrvRplyWriter::new(&reply_header(asked), self.room(asked)) else {
            return Outcome::Silence;
        };
        let mut extensions = Vec::new();
        let found = self.registry.find(now, &find, |entry| {
            let signed = request.spi.is_empty() || entry.url_block(request.spi).is_some();
            if !signed || !is_reachable(entry, asked) {
                return ControlFlow::Continue(());
            }
            let extension = asked
                .with_attributes
                .then(|| attribute_extension(entry, request.spi))
                .flatten();
            let octets = extension.as_ref().map_or(0, Extension::encoded_length);
            if !reply.push(&entry.url_entry(now, request.spi), octets) {
                return ControlFlow::Break(());
            }
            extensions.extend(extension);
            ControlFlow::Continue(())
        });
        let found = match found {
            Ok(found) => found,
            Err(error) => return error.into(),
        };
        self.counters.exhausted += u64::from(found.exhausted);

        if asked.to_many && reply.is_empty() && !reply.overflowed() {
            // RFC 2608 8.2: nobody says that he has nothing, if all were asked.
            return Outcome::Silence;
        }
        self.counters.service_requests += 1;
        let datagram = matches!(asked.channel, Channel::Datagram { .. });
        let cut = reply.overflowed() || found.exhausted;
        self.counters.overflows += u64::from(cut);
        let answer = reply.finish(cut && datagram, &extensions);
        self.charge(now, asked, found.examined / EXAMINED_FOR_A_REQUEST);
        match answer {
            Ok(octets) => Outcome::Answer(octets),
            Err(_) => ErrorCode::INTERNAL_ERROR.into(),
        }
    }

    pub(super) fn attribute_request(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        request: &AttrRqst<'_>,
    ) -> Outcome {
        if asked.to_many && self.has_answered(request.previous_responders) {
            self.counters.dropped_previous_responder += 1;
            return Outcome::Silence;
        }
        let tags = match TagList::parse(request.tags) {
            Ok(tags) => tags,
            Err(error) => return error.error_code().into(),
        };
        let is_url = request.url.contains(":/");
        // RFC 2608 10.3.
        if !request.spi.is_empty() && (!tags.is_empty() || !is_url) {
            return ErrorCode::AUTHENTICATION_FAILED.into();
        }
        if !request.spi.is_empty() && !self.knows_spi(request.spi) {
            return ErrorCode::AUTHENTICATION_UNKNOWN.into();
        }
        let answer = match is_url {
            true => self.attributes_of_url(now, asked, request, &tags),
            false => self.attributes_of_type(asked, request, &tags),
        };
        let (text, whole, block) = match answer {
            Ok(answer) => answer,
            Err(error) => return error.into(),
        };
        self.attributes_told(asked, &text, whole, block.as_ref())
    }

    /// An answer with these attributes, signed or not.
    pub(super) fn attributes_told(
        &mut self,
        asked: &Asked<'_>,
        text: &str,
        whole: bool,
        block: Option<&StoredBlock>,
    ) -> Outcome {
        if asked.to_many && text.is_empty() && whole {
            return Outcome::Silence;
        }
        self.counters.attribute_requests += 1;
        self.counters.overflows += u64::from(!whole);
        let body = Body::AttrRply(AttrRply {
            error: ErrorCode::OK,
            attributes: text,
            authentication: block.into_iter().map(StoredBlock::as_block).collect(),
        });
        reply(asked, body, !whole)
    }

    /// Text, whether it is all there is, and its signature.
    fn attributes_of_url(
        &self,
        now: Now,
        asked: &Asked<'_>,
        request: &AttrRqst<'_>,
        tags: &TagList,
    ) -> Result<(String, bool, Option<StoredBlock>), ErrorCode> {
        let scopes = self.parse_scopes(request.scopes)?;
        let language = asked.header.language;
        let entry = self
            .registry
            .entry_of_url(now, request.url, language, &scopes, asked.to_many)?
            .filter(|entry| is_reachable(entry, asked));
        let Some(entry) = entry else {
            return Ok((String::new(), true, None));
        };
        let block = match request.spi {
            "" => None,
            // Who asks for a signature is not answered without (RFC 2608 10.4).
            spi => Some(block(entry, spi).ok_or(ErrorCode::AUTHENTICATION_UNKNOWN)?),
        };
        let signature = block.as_ref().map(StoredBlock::as_block);
        let octets = signature.map_or(0, |block: AuthenticationBlock<'_>| block.encoded_length());
        let room = self.attribute_room(asked, octets);
        // What is signed stays octet for octet as it was registered (RFC 2608 10.5).
        if tags.is_empty() && entry.text.len() <= room {
            return Ok((entry.text.to_string(), true, block));
        }
        let (text, whole) = entry.attributes.select(tags).to_text_within(room);
        Ok((text, whole, block.filter(|_| whole)))
    }

    fn attributes_of_type(
        &self,
        asked: &Asked<'_>,
        request: &AttrRqst<'_>,
        tags: &TagList,
    ) -> Result<(String, bool, Option<StoredBlock>), ErrorCode> {
        let (service_type, scopes) = self.parse(request.url, request.scopes)?;
        let find = Find {
            service_type: &service_type,
            scopes: &scopes,
            language: asked.header.language,
            filter: None,
            local: asked.to_many,
            budget: self.settings.examined,
        };
        let room = self.attribute_room(asked, 0);
        let (text, whole) = self.registry.attributes_of_type(&find, tags, room);
        Ok((text, whole, None))
    }

    /// Octets that an attribute list may have in the answer: what its length can say, and the datagram holds.
    pub(super) fn attribute_room(&self, asked: &Asked<'_>, signature: usize) -> usize {
        let around = 14 + asked.header.language.len() + 5 + signature;
        self.room(asked)
            .saturating_sub(around)
            .min(usize::from(u16::MAX))
    }

    pub(super) fn type_request(&mut self, asked: &Asked<'_>, request: &SrvTypeRqst<'_>) -> Outcome {
        if asked.to_many && self.has_answered(request.previous_responders) {
            self.counters.dropped_previous_responder += 1;
            return Outcome::Silence;
        }
        let scopes = match self.parse_scopes(request.scopes) {
            Ok(scopes) => scopes,
            Err(error) => return error.into(),
        };
        if let NamingAuthority::Named(name) = request.naming_authority
            && tollwire_slp::text::equal(name, "iana")
        {
            // RFC 2608 4.2: it is never written.
            return ErrorCode::PARSE_ERROR.into();
        }
        let room = self.attribute_room(asked, 0);
        let (mut text, mut whole) = (String::new(), true);
        let examined = self.settings.examined;
        let shown = asked.old.map(|_| (super::v1::is_shown as Shown, examined));
        for service_type in
            self.registry
                .service_types(request.naming_authority, &scopes, asked.to_many, shown)
        {
            if text.len() + 1 + service_type.len() > room {
                whole = false;
                break;
            }
            if !text.is_empty() {
                text.push(',');
            }
            text.push_str(service_type);
        }
        if asked.to_many && text.is_empty() {
            return Outcome::Silence;
        }
        self.counters.type_requests += 1;
        self.counters.overflows += u64::from(!whole);
        let body = Body::SrvTypeRply(SrvTypeRply {
            error: ErrorCode::OK,
            service_types: &text,
        });
        reply(asked, body, !whole)
    }

    /// The type and the scopes of a request.
    fn parse(
        &self,
        service_type: &str,
        scopes: &str,
    ) -> Result<(ServiceType, ScopeList), ErrorCode> {
        let service_type = ServiceType::parse(service_type).map_err(|error| error.error_code())?;
        // Only who looks for agents may leave the scopes out (RFC 2608 11.2).
        let for_agents = matches!(service_type.as_str(), DIRECTORY_AGENT | SERVICE_AGENT);
        if for_agents && scopes.is_empty() {
            return Ok((service_type, self.settings.scopes.clone()));
        }
        Ok((service_type, self.parse_scopes(scopes)?))
    }

    fn parse_scopes(&self, scopes: &str) -> Result<ScopeList, ErrorCode> {
        let scopes = ScopeList::parse(scopes).map_err(|error| error.error_code())?;
        match self.serves(&scopes) {
            true => Ok(scopes),
            false => Err(ErrorCode::SCOPE_NOT_SUPPORTED),
        }
    }
}

fn block(entry: &Entry, spi: &str) -> Option<StoredBlock> {
    entry.attribute_block(spi).cloned()
}

/// The attributes of an entry, for a requester that wants them beside its URL; signed, or not at all, if an SPI is
/// asked for (RFC 3059 2).
fn attribute_extension<'a>(entry: &'a Entry, spi: &str) -> Option<Extension<'a>> {
    let authentication = match spi {
        "" => Vec::new(),
        spi => vec![entry.attribute_block(spi)?.as_block()],
    };
    Some(Extension::AttributeList {
        url: &entry.url,
        attributes: &entry.text,
        authentication,
    })
}

fn reply(asked: &Asked<'_>, body: Body<'_>, overflow: bool) -> Outcome {
    let mut header = reply_header(asked);
    // It has no meaning on a stream (RFC 2608 6.2).
    header.flags.overflow = overflow && matches!(asked.channel, Channel::Datagram { .. });
    let message = Message {
        header,
        body,
        extensions: Vec::new(),
    };
    let mut octets = Vec::new();
    match encode(&message, &mut octets) {
        Ok(()) => Outcome::Answer(octets),
        Err(_) => ErrorCode::INTERNAL_ERROR.into(),
    }
}

/// Whether the requester can use the service's address (RFC 3111 4.2.3, 4.2.4): a link-local one is for those on its
/// own link.
fn is_reachable(entry: &Entry, asked: &Asked<'_>) -> bool {
    if asked.old.is_some() && !super::v1::is_shown(entry) {
        return false;
    }
    let literal = host_of(&entry.url).and_then(|host| {
        let bare = host.split('%').next().unwrap_or(host);
        bare.parse::<IpAddr>().ok()
    });
    if !literal.is_some_and(|address| address.is_ipv6() && is_link_local(address)) {
        return true;
    }
    match asked.channel {
        Channel::Datagram {
            remote, interface, ..
        } => {
            let remote = remote.ip();
            remote.is_loopback()
                || (is_link_local(remote)
                    && (entry.interface == 0 || entry.interface == *interface))
        }
        channel => channel
            .remote()
            .is_none_or(|remote| remote.ip().is_loopback() || is_link_local(remote.ip())),
    }
}
