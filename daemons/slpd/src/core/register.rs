//! Registrations of others (RFC 2608 8.3, 9.3, 10.6), and who may make them.

use tollwire_runtime::clock::Now;
use tollwire_slp::message::{SrvAck, SrvDeReg, SrvReg};
use tollwire_slp::signature::{of_deregistration, of_registration};
use tollwire_slp::template::Fault;
use tollwire_slp::{
    AttributeList, AuthenticationBlock, Body, ErrorCode, Extension, Message, ScopeList,
    ServiceType, Unencodable, encode,
};

use super::dispatch::{Asked, Outcome, reply_header};
use super::{Core, to_store};
use crate::effect::Effect;
use crate::event::Channel;
use crate::registry::{Change, Deregistration, Registration, Source};

impl Core {
    pub(super) fn registration(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        registration: &SrvReg<'_>,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let source = match self.source_of(now, asked, !registration.url.authentication.is_empty()) {
            Ok(source) => source,
            Err(outcome) => return outcome,
        };
        let verified = match self.verify_registration(now, asked, registration) {
            Ok(verified) => verified,
            Err(error) => return error.into(),
        };
        if let Err(error) = self.check_scopes(registration.scopes) {
            return error.into();
        }
        if let Some(refusal) = self.break_of_template(now, asked, registration) {
            return refusal;
        }
        let new = Registration {
            url: registration.url.url,
            language: asked.header.language,
            service_type: registration.service_type,
            scopes: registration.scopes,
            attributes: registration.attributes,
            lifetime: Some(registration.url.lifetime),
            url_blocks: &registration.url.authentication,
            attribute_blocks: &registration.authentication,
            fresh: asked.header.flags.fresh,
            source,
            interface: interface_of(asked),
            verified,
        };
        let id = match self.registry.register(now, &new) {
            Ok(id) => id,
            Err(error) => return error.into(),
        };
        self.counters.registrations += 1;
        if let Some(entry) = self.registry.get(id) {
            effects.push(Effect::Store(vec![entry.as_change()]));
            if entry.is_local() {
                let entry = entry.clone();
                self.local_changed(now, &entry);
                self.join(effects);
            }
        }
        acknowledge(asked)
    }

    pub(super) fn deregistration(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        deregistration: &SrvDeReg<'_>,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let signed = !deregistration.url.authentication.is_empty();
        let source = match self.source_of(now, asked, signed) {
            Ok(source) => source,
            Err(outcome) => return outcome,
        };
        let verified = match self.verify_deregistration(now, asked, deregistration) {
            Ok(verified) => verified,
            Err(error) => return error.into(),
        };
        if let Err(error) = self.check_scopes(deregistration.scopes) {
            return error.into();
        }
        let order = Deregistration {
            url: deregistration.url.url,
            language: asked.header.language,
            scopes: deregistration.scopes,
            tags: deregistration.tags,
            url_blocks: &deregistration.url.authentication,
            source,
            verified,
        };
        let changes = match self.registry.deregister(now, &order) {
            Ok(changes) => changes,
            Err(error) => return error.into(),
        };
        self.counters.deregistrations += 1;
        if let Some(peers) = &mut self.peers {
            for change in &changes {
                let (url, language) = match change {
                    Change::Put(snapshot) => (&snapshot.url, &snapshot.language),
                    Change::Remove { url, language } => (url, language),
                };
                peers.changed(now.instant, url, language);
            }
        }
        to_store(changes, effects);
        if source == Source::Local {
            self.join(effects);
        }
        acknowledge(asked)
    }

    /// Who asks to change the registry, if he may.
    fn source_of(&mut self, now: Now, asked: &Asked<'_>, signed: bool) -> Result<Source, Outcome> {
        // Never by multicast: there is no request of that kind (RFC 2608 6.3), and whoever it reaches would take it in.
        if asked.to_many {
            self.counters.refused_source += 1;
            return Err(Outcome::Silence);
        }
        if asked.channel.is_local() {
            return Ok(Source::Local);
        }
        if !self.is_directory_agent() {
            self.counters.refused_source += 1;
            return Err(ErrorCode::MSG_NOT_SUPPORTED.into());
        }
        let Some(remote) = asked.channel.remote() else {
            return Ok(Source::Local);
        };
        let address = remote.ip().to_canonical();
        let on_link = match asked.channel {
            Channel::Datagram { on_link, .. } => *on_link,
            _ => self.links.contains(address),
        };
        let allowed = (self.settings.on_link && on_link)
            || self
                .settings
                .allowed_networks
                .iter()
                .any(|network| network.contains(&address));
        match allowed || signed {
            true => Ok(Source::Address(address)),
            // There is no code for "not from there". This one says what would help: a signature.
            false => {
                self.counters.refused_source += 1;
                if self.may_log(now) {
                    tracing::info!(%remote, "refused: no registrations from there");
                }
                Err(ErrorCode::AUTHENTICATION_ABSENT.into())
            }
        }
    }

    /// The refusal of a service that is not as a template of its type says (RFC 2609).
    fn break_of_template(
        &mut self,
        now: Now,
        asked: &Asked<'_>,
        registration: &SrvReg<'_>,
    ) -> Option<Outcome> {
        if self.settings.templates.is_empty() {
            return None;
        }
        // What cannot be read is refused with its own code, by the registry.
        let service_type = ServiceType::parse(registration.service_type).ok()?;
        let mut attributes = AttributeList::parse(registration.attributes).ok()?;
        if !asked.header.flags.fresh {
            let (_, known) = self
                .registry
                .of_url(registration.url.url)
                .find(|(_, entry)| entry.language.eq_ignore_ascii_case(asked.header.language))?;
            let mut whole = known.attributes.clone();
            whole.update(attributes);
            attributes = whole;
        }
        let templates = self.settings.templates.iter();
        let (template, violations) = templates
            .filter(|template| template.is_of(&service_type))
            .map(|template| (template, template.violations(&attributes)))
            .find(|(_, violations)| !violations.is_empty())?;
        let told: Vec<String> = violations.iter().map(ToString::to_string).collect();
        let missing: Vec<&str> = violations
            .iter()
            .filter(|violation| violation.fault == Fault::Missing)
            .map(|violation| violation.tag.as_str())
            .collect();
        let (id, missing) = (template.id(), missing.join(","));
        if self.may_log(now) {
            tracing::info!(
                url = registration.url.url,
                template = id,
                why = told.join("; "),
                "a registration breaks its template"
            );
        }
        let extensions = match missing.is_empty() {
            true => Vec::new(),
            // RFC 2608 D.1.
            false => vec![Extension::RequiredAttributeMissing {
                template: &id,
                tags: &missing,
            }],
        };
        self.counters.errors += 1;
        let error = ErrorCode::INVALID_REGISTRATION;
        Some(acknowledgement(asked, error, extensions))
    }

    /// Every scope of a registration has to be one of ours (RFC 2608 8.3).
    fn check_scopes(&self, scopes: &str) -> Result<(), ErrorCode> {
        let scopes = ScopeList::parse(scopes).map_err(|error| error.error_code())?;
        match !scopes.is_empty() && scopes.is_subset(&self.settings.scopes) {
            true => Ok(()),
            false => Err(ErrorCode::SCOPE_NOT_SUPPORTED),
        }
    }

    fn verify_registration(
        &self,
        now: Now,
        asked: &Asked<'_>,
        registration: &SrvReg<'_>,
    ) -> Result<bool, ErrorCode> {
        let blocks = registration.url.authentication.iter();
        let blocks: Vec<&AuthenticationBlock<'_>> =
            blocks.chain(&registration.authentication).collect();
        let header = asked.header;
        self.verify(now, asked, &blocks, |block| {
            let fresh = header.flags.fresh;
            of_registration(
                block.spi,
                block.timestamp,
                header.language,
                fresh,
                registration,
            )
        })
    }

    fn verify_deregistration(
        &self,
        now: Now,
        asked: &Asked<'_>,
        deregistration: &SrvDeReg<'_>,
    ) -> Result<bool, ErrorCode> {
        let blocks: Vec<_> = deregistration.url.authentication.iter().collect();
        let language = asked.header.language;
        self.verify(now, asked, &blocks, |block| {
            of_deregistration(block.spi, block.timestamp, language, deregistration)
        })
    }

    /// Whether there are signatures, all of them right (RFC 2608 12.5: what cannot be verified is refused).
    fn verify<'a>(
        &self,
        now: Now,
        asked: &Asked<'_>,
        blocks: &[&AuthenticationBlock<'a>],
        signed: impl Fn(&AuthenticationBlock<'a>) -> Result<Vec<u8>, Unencodable>,
    ) -> Result<bool, ErrorCode> {
        for block in blocks {
            let octets = signed(block).map_err(|_| ErrorCode::AUTHENTICATION_FAILED)?;
            self.settings.keys.verify(now.unix_ms, block, &octets)?;
        }
        // The registration socket's file mode has said who may.
        let needed = self.settings.require_authentication && !asked.channel.is_local();
        match blocks.is_empty() && needed {
            true => Err(ErrorCode::AUTHENTICATION_ABSENT),
            false => Ok(!blocks.is_empty()),
        }
    }

    /// Whether this agent can verify signatures of this SPI.
    pub(super) fn knows_spi(&self, spi: &str) -> bool {
        self.settings.keys.knows(spi)
    }
}

fn interface_of(asked: &Asked<'_>) -> u32 {
    match asked.channel {
        Channel::Datagram { interface, .. } => *interface,
        _ => 0,
    }
}

fn acknowledge(asked: &Asked<'_>) -> Outcome {
    acknowledgement(asked, ErrorCode::OK, Vec::new())
}

fn acknowledgement(asked: &Asked<'_>, error: ErrorCode, extensions: Vec<Extension<'_>>) -> Outcome {
    let message = Message {
        header: reply_header(asked),
        body: Body::SrvAck(SrvAck { error }),
        extensions,
    };
    let mut octets = Vec::new();
    match encode(&message, &mut octets) {
        Ok(()) => Outcome::Answer(octets),
        Err(_) => Outcome::Silence,
    }
}
