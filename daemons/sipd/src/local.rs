//! Registrar, location and authentication, with the store behind them.

use std::net::SocketAddr;

use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{Flow, ServerTransactionId};
use tollwire_sip::{Host, Message, Uri};

use crate::auth::{self, Authenticator, Role, Subscribers};
use crate::registrar::{Binding, Outcome, Registrar};
use crate::services::{Services, Target, Verdict};
use crate::store::Change;

/// A 200 that waits for the store.
#[derive(Debug)]
pub struct Registration {
    /// Its transaction.
    pub transaction: ServerTransactionId,
    /// The REGISTER.
    pub request: Message,
    /// The 200.
    pub response: Message,
    /// Whose bindings.
    pub address_of_record: Box<str>,
    /// All its bindings before.
    pub before: Vec<Binding>,
    /// What to store.
    pub change: Change,
}

/// The services of this daemon.
pub struct Local {
    authenticator: Authenticator,
    /// The registrar.
    pub registrar: Registrar,
    /// Who may register and call.
    pub subscribers: Subscribers,
    /// The domain that our own addresses stand for.
    domain: Box<str>,
    /// Whether a host is a domain of ours.
    domains: Vec<Box<str>>,
    /// For the driver to hand to the store.
    pub registrations: Vec<Registration>,
}

impl Local {
    /// `domains` holds at least one.
    pub fn new(
        authenticator: Authenticator,
        registrar: Registrar,
        subscribers: Subscribers,
        domains: Vec<Box<str>>,
    ) -> Self {
        Self {
            authenticator,
            registrar,
            subscribers,
            domain: domains.first().cloned().unwrap_or_default(),
            domains,
            registrations: Vec::new(),
        }
    }

    /// The form in which addresses of record are compared; an address of ours stands for our first domain.
    pub fn canonical(&self, uri: &Uri<'_>) -> String {
        match uri {
            Uri::Sip(sip) => {
                let host = match sip.host {
                    Host::Name(name) => name.to_ascii_lowercase(),
                    address => {
                        let address = address.to_string();
                        let known = self.domains.iter().any(|domain| **domain == *address);
                        if known {
                            address
                        } else {
                            self.domain.to_string()
                        }
                    }
                };
                format!("sip:{}@{host}", sip.unescaped_user().unwrap_or_default())
            }
            other => other.address_of_record(),
        }
    }

    fn refuse(request: &Message, status: u16, reason: &str) -> Message {
        Message::response_to(request, status, reason)
            .stateless_to_tag()
            .build()
    }
}

impl Services for Local {
    fn authenticate(&mut self, now: Now, request: &Message, source: SocketAddr) -> Verdict {
        let verdict =
            self.authenticator
                .check(now, request, source.ip(), Role::Proxy, &self.subscribers);
        match verdict {
            auth::Verdict::Challenge(response) | auth::Verdict::Refuse(response) => {
                Verdict::Answer(response)
            }
            auth::Verdict::Authenticated { identity, .. } => {
                let from = request.from().ok().and_then(|from| from.uri().ok());
                // Nobody calls in another's name.
                if from.is_some_and(|from| self.canonical(&from) == *identity) {
                    Verdict::Known { identity }
                } else {
                    Verdict::Answer(Self::refuse(request, 403, "From Is Not Yours"))
                }
            }
        }
    }

    fn lookup(&mut self, now: Now, address_of_record: &str) -> Vec<Vec<Target>> {
        let Ok(uri) = Uri::parse(address_of_record) else {
            return Vec::new();
        };
        let address = self.canonical(&uri);
        let mut groups: Vec<(u16, Vec<Target>)> = Vec::new();
        for binding in self.registrar.location.lookup(&address, now.unix_ms) {
            let target = Target {
                uri: binding.contact.clone(),
                path: binding.path.clone(),
                flow: None,
            };
            match groups.last_mut() {
                Some((q, group)) if *q == binding.q => group.push(target),
                _ => groups.push((binding.q, vec![target])),
            }
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    fn register(
        &mut self,
        now: Now,
        transaction: ServerTransactionId,
        request: &Message,
        flow: Flow,
    ) -> Option<Message> {
        let source = flow.remote.ip();
        let verdict =
            self.authenticator
                .check(now, request, source, Role::Server, &self.subscribers);
        let identity = match verdict {
            auth::Verdict::Challenge(response) | auth::Verdict::Refuse(response) => {
                return Some(response);
            }
            auth::Verdict::Authenticated { identity, .. } => identity,
        };
        let to = request.to().ok().and_then(|to| to.uri().ok());
        let address_of_record = to.map(|to| self.canonical(&to));
        // RFC 3261 10.3 step 4: whoever registers for another has no right to.
        let Some(address_of_record) = address_of_record.filter(|address| **address == *identity)
        else {
            return Some(Self::refuse(request, 403, "Address Of Record Is Not Yours"));
        };
        let outcome = self.registrar.register(
            now,
            request,
            &address_of_record,
            flow.remote,
            flow.transport.as_str(),
        );
        match outcome {
            Outcome::Answer(response) => Some(response),
            Outcome::Store {
                address_of_record,
                bindings,
                before,
                response,
            } => {
                self.registrations.push(Registration {
                    transaction,
                    request: request.clone(),
                    response,
                    change: Change::Bindings {
                        address_of_record: address_of_record.clone(),
                        bindings,
                    },
                    address_of_record,
                    before,
                });
                None
            }
        }
    }
}
