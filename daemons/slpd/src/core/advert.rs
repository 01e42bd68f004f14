//! What an agent says of itself (RFC 2608 8.5, 8.6, 12).

use std::collections::BTreeSet;
use std::net::IpAddr;

use tollwire_runtime::clock::Now;
use tollwire_slp::agent::Group;
use tollwire_slp::message::{DaAdvert, SaAdvert, SrvRqst};
use tollwire_slp::multicast::{LINK_LOCAL, SITE_LOCAL, widest_scope};
use tollwire_slp::signature::{block, of_directory_agent, of_service_agent};
use tollwire_slp::{AttributeList, Body, ErrorCode, Filter, Flags, Header, Message, encode};

use super::Core;
use super::dispatch::{Asked, Outcome, reply_header};
use crate::effect::Effect;
use crate::event::Attachment;

impl Core {
    /// An unsolicited DAAdvert by each of these addresses.
    pub(super) fn advertise(
        &self,
        now: Now,
        attachments: &[Attachment],
        boot_timestamp: u32,
        effects: &mut Vec<Effect>,
    ) {
        // On its loopback a host speaks to itself alone, who knows.
        for attachment in attachments.iter().filter(|own| !own.loopback) {
            let ipv6_scopes = match attachment.address {
                IpAddr::V4(_) => Vec::new(),
                IpAddr::V6(address) => match widest_scope(address) {
                    SITE_LOCAL => vec![SITE_LOCAL],
                    scope => vec![scope.min(LINK_LOCAL)],
                },
            };
            let header = Header {
                flags: Flags::default(),
                // RFC 2608 8.5: nobody asked.
                xid: 0,
                language: &self.settings.language,
            };
            let octets = self.directory_agent_advert(
                now,
                header,
                attachment.address,
                boot_timestamp,
                (ErrorCode::OK, None),
            );
            effects.extend(octets.map(|octets| Effect::Multicast {
                group: Group::DirectoryAgents,
                ipv6_scopes,
                from: Some(attachment.address),
                octets,
            }));
        }
    }

    fn directory_agent_advert(
        &self,
        now: Now,
        header: Header<'_>,
        address: IpAddr,
        boot_timestamp: u32,
        (error, spi): (ErrorCode, Option<&str>),
    ) -> Option<Vec<u8>> {
        let url = format!("service:directory-agent://{}", literal(address));
        let spis = self.settings.keys.spis();
        let mut advert = DaAdvert {
            error,
            boot_timestamp,
            url: &url,
            scopes: self.settings.scopes.as_str(),
            attributes: &self.settings.attributes,
            spis: &spis,
            authentication: Vec::new(),
        };
        let signature;
        if let Some(signer) = self.settings.keys.signer(spi) {
            let timestamp = signer.timestamp(now.unix_ms);
            signature = signer.sign(&of_directory_agent(&signer.spi, timestamp, &advert).ok()?);
            advert.authentication = vec![block(&signer.spi, timestamp, &signature)];
        }
        encoded(header, Body::DaAdvert(advert))
    }

    /// Who asks for directory agents is told of this one (RFC 2608 12.1).
    pub(super) fn directory_agent_request(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        request: &SrvRqst<'_>,
        filter: Option<&Filter>,
    ) -> Outcome {
        if filter.is_some_and(|filter| !self.own_attributes_match(filter)) {
            return match asked.to_many {
                true => Outcome::Silence,
                // It says so by an answer without services, as to any request (RFC 2608 8.2).
                false => no_services(asked),
            };
        }
        let Some(address) = self.own_address(asked.channel) else {
            return Outcome::Silence;
        };
        let error = match request.spi.is_empty() || self.knows_spi(request.spi) {
            true => ErrorCode::OK,
            false if asked.to_many => return Outcome::Silence,
            false => ErrorCode::AUTHENTICATION_UNKNOWN,
        };
        self.counters.agent_requests += 1;
        // Signed by the key that was asked for, or not at all (RFC 2608 8.5).
        let wanted = (error, Some(request.spi));
        self.directory_agent_advert(
            now,
            reply_header(asked),
            address,
            self.boot_timestamp,
            wanted,
        )
        .map_or(Outcome::Silence, Outcome::Answer)
    }

    fn own_attributes_match(&self, filter: &Filter) -> bool {
        // They were read when the configuration was.
        AttributeList::parse(&self.settings.attributes)
            .is_ok_and(|attributes| filter.matches(&attributes))
    }

    /// Who asks all service agents is told of this one, and of its types (RFC 2608 8.6).
    pub(super) fn service_agent_request(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        filter: Option<&Filter>,
    ) -> Outcome {
        let attributes = self.service_agent_attributes();
        let holds = |filter: &Filter| {
            AttributeList::parse(&attributes).is_ok_and(|attributes| filter.matches(&attributes))
        };
        if filter.is_some_and(|filter| !holds(filter)) {
            return Outcome::Silence;
        }
        let Some(address) = self.own_address(asked.channel) else {
            return Outcome::Silence;
        };
        let url = format!("service:service-agent://{}", literal(address));
        let advert = |attributes: &str| {
            let mut advert = SaAdvert {
                url: &url,
                scopes: self.settings.scopes.as_str(),
                attributes,
                authentication: Vec::new(),
            };
            let signature;
            if let Some(signer) = self.settings.keys.signer(None) {
                let timestamp = signer.timestamp(now.unix_ms);
                signature = signer.sign(&of_service_agent(&signer.spi, timestamp, &advert).ok()?);
                advert.authentication = vec![block(&signer.spi, timestamp, &signature)];
            }
            encoded(reply_header(asked), Body::SaAdvert(advert))
        };
        let room = self.room(asked);
        let fits = |octets: &Vec<u8>| octets.len() <= room;
        // With more types than a datagram holds they are left out: "SHOULD be kept short" (RFC 2608 8.6).
        let octets = advert(&attributes)
            .filter(fits)
            .or_else(|| advert(&self.settings.attributes));
        self.counters.agent_requests += 1;
        octets.map_or(Outcome::Silence, Outcome::Answer)
    }

    /// The configured attributes, and `service-type` with the types of this host's services.
    fn service_agent_attributes(&self) -> String {
        let types: BTreeSet<&str> = self
            .registry
            .local_types()
            .map(tollwire_slp::ServiceType::as_str)
            .collect();
        let types: Vec<&str> = types.into_iter().collect();
        let own = match types.is_empty() {
            true => String::new(),
            false => format!("(service-type={})", types.join(",")),
        };
        match (self.settings.attributes.as_str(), own.as_str()) {
            (configured, "") => configured.to_owned(),
            ("", own) => own.to_owned(),
            (configured, own) => format!("{configured},{own}"),
        }
    }
}

/// A SrvRply without entries.
fn no_services(asked: &Asked<'_>) -> Outcome {
    let body = Body::SrvRply(tollwire_slp::message::SrvRply::default());
    encoded(reply_header(asked), body).map_or(Outcome::Silence, Outcome::Answer)
}

fn encoded(header: Header<'_>, body: Body<'_>) -> Option<Vec<u8>> {
    let message = Message {
        header,
        body,
        extensions: Vec::new(),
    };
    let mut octets = Vec::new();
    encode(&message, &mut octets).ok()?;
    Some(octets)
}

/// An address as a URL has it (RFC 3111 3).
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
