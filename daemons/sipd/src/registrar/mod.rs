//! The registrar (RFC 3261 10.3): what a REGISTER changes, and its answer.
//!
//! The request was validated, authenticated and authorised before it comes here.
//! The changed bindings count at once in memory; the 200 goes out only after the
//! store has them. A failed store takes the change back and answers 503.

mod binding;
mod location;

use tollwire_runtime::clock::Now;
use tollwire_sip::{Contacts, HeaderName, Message, NameAddr};

pub use binding::Binding;
pub use location::Location;

use std::net::SocketAddr;

/// What the operator decides about registrations. Times in seconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Given to a contact that asks for no time.
    pub default_expires: u32,
    /// A shorter time is refused with 423.
    pub min_expires: u32,
    /// A longer time is cut to this.
    pub max_expires: u32,
    /// Contacts that one address of record may have.
    pub max_contacts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_expires: 3600,
            min_expires: 60,
            max_expires: 7200,
            max_contacts: 10,
        }
    }
}

/// What a REGISTER comes to.
#[derive(Debug)]
pub enum Outcome {
    /// Send this: a refusal, or a query's answer.
    Answer(Message),
    /// Store `bindings` as all that `address_of_record` has, then send `response`.
    Store {
        /// Canonical address of record.
        address_of_record: Box<str>,
        /// All its bindings now.
        bindings: Vec<Binding>,
        /// Its bindings before, for [`Registrar::take_back`].
        before: Vec<Binding>,
        /// The 200.
        response: Message,
    },
}

/// Handles REGISTER requests for our domains.
#[derive(Debug)]
pub struct Registrar {
    settings: Settings,
    /// The bindings.
    pub location: Location,
}

impl Registrar {
    /// A registrar that knows `location` already.
    pub fn new(settings: Settings, location: Location) -> Self {
        Self { settings, location }
    }

    /// Applies `request` for `address_of_record`, which came from `received` over `transport`.
    pub fn register(
        &mut self,
        now: Now,
        request: &Message,
        address_of_record: &str,
        received: SocketAddr,
        transport: &str,
    ) -> Outcome {
        match self.updated(now, request, address_of_record, received, transport) {
            Err(refusal) => Outcome::Answer(refusal),
            Ok(None) => Outcome::Answer(self.listing(now, request, address_of_record)),
            Ok(Some(bindings)) => {
                let before = self.location.replace(address_of_record, bindings.clone());
                Outcome::Store {
                    address_of_record: address_of_record.into(),
                    bindings,
                    before,
                    response: self.listing(now, request, address_of_record),
                }
            }
        }
    }

    /// The store refused the change: memory forgets it too. Returns the answer to `request`.
    pub fn take_back(
        &mut self,
        request: &Message,
        address_of_record: &str,
        before: Vec<Binding>,
    ) -> Message {
        self.location.replace(address_of_record, before);
        Message::response_to(request, 503, "")
            .stateless_to_tag()
            .header(HeaderName::RetryAfter, "30")
            .build()
    }

    /// All bindings that the request leaves; `None` if it only asks (10.3 step 6).
    fn updated(
        &self,
        now: Now,
        request: &Message,
        address_of_record: &str,
        received: SocketAddr,
        transport: &str,
    ) -> Result<Option<Vec<Binding>>, Message> {
        let refuse = |status, reason| refusal(request, status, reason).build();
        let (Ok(call_id), Ok(cseq)) = (request.call_id(), request.cseq()) else {
            return Err(refuse(400, ""));
        };
        let Ok(expires) = request.expires() else {
            return Err(refuse(400, "Bad Expires"));
        };
        let Ok(contacts) = request.contacts() else {
            return Err(refuse(400, "Bad Contact"));
        };
        let mut bindings = self.location.all(address_of_record).to_vec();
        bindings.retain(|binding| binding.expires_at_unix_ms > now.unix_ms);
        // 10.3 step 7: a request that is not newer than what made the binding changes nothing at all.
        let is_newer =
            |binding: &Binding| *binding.call_id != *call_id || cseq.number > binding.sequence;
        let contacts = match contacts {
            Contacts::All => {
                // 10.3 step 6: "*" stands alone, with Expires: 0.
                if expires != Some(0) {
                    return Err(refuse(400, "Expires Must Be Zero"));
                }
                if !bindings.iter().all(is_newer) {
                    return Err(refuse(500, "CSeq Out Of Order"));
                }
                return Ok(Some(Vec::new()));
            }
            Contacts::List(contacts) if contacts.is_empty() => return Ok(None),
            Contacts::List(contacts) => contacts,
        };
        for contact in &contacts {
            let uri = match contact.uri() {
                Ok(uri) if uri.sip().is_some() => uri,
                _ => return Err(refuse(400, "Bad Contact URI")),
            };
            let seconds = self.granted(request, contact, expires)?;
            let instance = instance(contact);
            let existing = bindings
                .iter()
                .position(|binding| binding.is_named_by(&uri, instance.as_deref()));
            if let Some(place) = existing {
                let old = bindings.remove(place);
                if !is_newer(&old) {
                    return Err(refuse(500, "CSeq Out Of Order"));
                }
            }
            if seconds > 0 {
                bindings.push(Binding {
                    contact: contact.uri.into(),
                    instance,
                    q: contact.q_thousandths(),
                    expires_at_unix_ms: now.unix_ms.saturating_add(i64::from(seconds) * 1000),
                    call_id: call_id.into(),
                    sequence: cseq.number,
                    path: request.headers(HeaderName::Path).map(Box::from).collect(),
                    received,
                    transport: transport.into(),
                });
            }
        }
        if bindings.len() > self.settings.max_contacts {
            return Err(refuse(403, "Too Many Contacts"));
        }
        Ok(Some(bindings))
    }

    /// Seconds that `contact` gets: its own parameter, or the header field, or the default.
    fn granted(
        &self,
        request: &Message,
        contact: &NameAddr<'_>,
        expires: Option<u32>,
    ) -> Result<u32, Message> {
        let asked = contact
            .expires()
            .or(expires)
            .unwrap_or(self.settings.default_expires);
        // 10.2.8: 423 with the least time we accept; zero is a removal, not a short time.
        if asked > 0 && asked < self.settings.min_expires {
            return Err(refusal(request, 423, "")
                .header(
                    HeaderName::MinExpires,
                    &self.settings.min_expires.to_string(),
                )
                .build());
        }
        Ok(asked.min(self.settings.max_expires))
    }

    /// The 200 with every current binding (10.3 step 8).
    fn listing(&self, now: Now, request: &Message, address_of_record: &str) -> Message {
        let mut response = Message::response_to(request, 200, "").stateless_to_tag();
        for binding in self.location.lookup(address_of_record, now.unix_ms) {
            let mut value = format!(
                "<{}>;expires={}",
                binding.contact,
                binding.seconds_left(now.unix_ms)
            );
            if binding.q < 1000 {
                value.push_str(&format!(";q=0.{:03}", binding.q));
            }
            response = response.header(HeaderName::Contact, &value);
        }
        // RFC 3327 5.3: the phone sees the path that was stored.
        for path in request.headers(HeaderName::Path) {
            response = response.header(HeaderName::Path, path);
        }
        response.build()
    }
}

fn refusal(request: &Message, status: u16, reason: &str) -> tollwire_sip::ResponseBuilder {
    Message::response_to(request, status, reason).stateless_to_tag()
}

/// `+sip.instance` with `reg-id`, which together name a binding (RFC 5626 6).
fn instance(contact: &NameAddr<'_>) -> Option<Box<str>> {
    let instance = contact.params.value("+sip.instance")?;
    let flow = contact.params.value("reg-id")?;
    Some(format!("{instance};{flow}").into())
}

#[cfg(test)]
mod tests;
