//! What an agent asks another, whichever way it is sent.

use crate::error::Unencodable;
use crate::extension::Extension;
use crate::header::{Flags, Function, Header};
use crate::message::{
    AttrRqst, Body, Message, NamingAuthority, SrvDeReg, SrvReg, SrvRqst, SrvTypeRqst, encode,
};
pub use crate::service_type::{DIRECTORY_AGENT, SERVICE_AGENT};
use crate::url_entry::UrlEntry;

/// A request, without what differs each time that it is sent: XID, flags and previous responders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// RFC 1766 language tag.
    pub language: String,
    /// Comma list of scopes; empty only when looking for directory or service agents.
    pub scopes: String,
    /// What is asked.
    pub question: Question,
}

/// What is asked. Strings are as on the wire, escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Which services there are (RFC 2608 8.1).
    Services {
        /// Their type.
        service_type: String,
        /// LDAPv3 filter, or empty.
        predicate: String,
        /// Whose signature the answer needs, or empty.
        spi: String,
        /// Whether the answer is to hold their attributes too (RFC 3059), where the other side knows how.
        attributes: bool,
    },
    /// What attributes a service has, or all services of a type (RFC 2608 10.3).
    Attributes {
        /// A URL or a service type.
        url: String,
        /// Comma list of tags; empty is all.
        tags: String,
        /// Whose signature the answer needs, or empty.
        spi: String,
    },
    /// Which service types there are (RFC 2608 10.1).
    ServiceTypes {
        /// Whose.
        naming_authority: Authority,
    },
    /// Take a service in (RFC 2608 8.3).
    Register {
        /// Its URL.
        url: String,
        /// Its type.
        service_type: String,
        /// Its attribute list.
        attributes: String,
        /// Seconds that it lives, 1 to 65535.
        lifetime: u16,
        /// Whether it takes the place of what was registered; otherwise its attributes are added (RFC 2608 9.3).
        fresh: bool,
    },
    /// Take a service out, or some of its attributes (RFC 2608 10.6).
    Deregister {
        /// Its URL.
        url: String,
        /// Comma list of tags to remove; empty removes the service in every language.
        tags: String,
    },
}

/// Whose service types are asked for (RFC 2608 10.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Authority {
    /// IANA's: types without a naming authority.
    #[default]
    Iana,
    /// Everybody's.
    All,
    /// This one's.
    Named(String),
}

/// Which group a request is multicast to. IPv4 has but one; IPv6 tells them apart (RFC 3111 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Group {
    /// SVRLOC: requests for attributes and service types.
    General,
    /// SVRLOC-DA: requests for directory agents.
    DirectoryAgents,
    /// Service Location: requests for services of this type.
    ServiceType(String),
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery<'a> {
    /// To one agent.
    Unicast,
    /// To a group, without answers from these, a comma list (RFC 2608 6.3).
    Multicast {
        /// The PRList.
        previous_responders: &'a str,
    },
}

impl Request {
    /// A request for directory agents of `scopes`; empty finds those of any.
    pub fn directory_agents(language: &str, scopes: &str) -> Self {
        Self::agents(DIRECTORY_AGENT, language, scopes)
    }

    /// A request for service agents of `scopes`; empty finds those of any.
    pub fn service_agents(language: &str, scopes: &str) -> Self {
        Self::agents(SERVICE_AGENT, language, scopes)
    }

    fn agents(service_type: &str, language: &str, scopes: &str) -> Self {
        Self {
            language: language.into(),
            scopes: scopes.into(),
            question: Question::Services {
                service_type: service_type.into(),
                predicate: String::new(),
                spi: String::new(),
                attributes: false,
            },
        }
    }

    /// The same, for services that are signed by this SPI; empty for any. Of no consequence to other requests: an
    /// attribute list need not be signed by itself for its service to be.
    #[must_use]
    pub fn signed_by(mut self, by: &str) -> Self {
        if let Question::Services { spi, .. } = &mut self.question {
            *spi = by.into();
        }
        self
    }

    /// The octets to send.
    ///
    /// # Errors
    /// A field that is too long for any message.
    pub fn encode(&self, xid: u16, delivery: Delivery<'_>) -> Result<Vec<u8>, Unencodable> {
        let (multicast, previous_responders) = match delivery {
            Delivery::Unicast => (false, ""),
            Delivery::Multicast {
                previous_responders,
            } => (true, previous_responders),
        };
        let mut extensions = Vec::new();
        let mut fresh = false;
        let scopes = self.scopes.as_str();
        let body = match &self.question {
            Question::Services {
                service_type,
                predicate,
                spi,
                attributes,
            } => {
                if *attributes {
                    extensions.push(Extension::AttributeList {
                        url: "",
                        attributes: "",
                        authentication: Vec::new(),
                    });
                }
                Body::SrvRqst(SrvRqst {
                    previous_responders,
                    service_type,
                    scopes,
                    predicate,
                    spi,
                })
            }
            Question::Attributes { url, tags, spi } => Body::AttrRqst(AttrRqst {
                previous_responders,
                url,
                scopes,
                tags,
                spi,
            }),
            Question::ServiceTypes { naming_authority } => Body::SrvTypeRqst(SrvTypeRqst {
                previous_responders,
                naming_authority: match naming_authority {
                    Authority::Iana => NamingAuthority::Iana,
                    Authority::All => NamingAuthority::All,
                    Authority::Named(name) => NamingAuthority::Named(name),
                },
                scopes,
            }),
            Question::Register {
                url,
                service_type,
                attributes,
                lifetime,
                fresh: is_fresh,
            } => {
                fresh = *is_fresh;
                Body::SrvReg(SrvReg {
                    url: UrlEntry {
                        lifetime: *lifetime,
                        url,
                        authentication: Vec::new(),
                    },
                    service_type,
                    scopes,
                    attributes,
                    authentication: Vec::new(),
                })
            }
            Question::Deregister { url, tags } => Body::SrvDeReg(SrvDeReg {
                scopes,
                url: UrlEntry {
                    lifetime: 0,
                    url,
                    authentication: Vec::new(),
                },
                tags,
            }),
        };
        let message = Message {
            header: Header {
                flags: Flags {
                    overflow: false,
                    fresh,
                    multicast,
                },
                xid,
                language: &self.language,
            },
            body,
            extensions,
        };
        let mut octets = Vec::new();
        encode(&message, &mut octets)?;
        Ok(octets)
    }

    /// The function of the messages that answer it (RFC 2608 8.1, 10).
    pub fn answer(&self) -> Function {
        match &self.question {
            Question::Services { service_type, .. } if is_type(service_type, DIRECTORY_AGENT) => {
                Function::DaAdvert
            }
            Question::Services { service_type, .. } if is_type(service_type, SERVICE_AGENT) => {
                Function::SaAdvert
            }
            Question::Services { .. } => Function::SrvRply,
            Question::Attributes { .. } => Function::AttrRply,
            Question::ServiceTypes { .. } => Function::SrvTypeRply,
            Question::Register { .. } | Question::Deregister { .. } => Function::SrvAck,
        }
    }

    /// The group to multicast it to (RFC 3111 4.1). Registrations are never multicast (RFC 2608 8.3).
    pub fn group(&self) -> Option<Group> {
        match &self.question {
            Question::Services { service_type, .. } if is_type(service_type, DIRECTORY_AGENT) => {
                Some(Group::DirectoryAgents)
            }
            Question::Services { service_type, .. } => {
                Some(Group::ServiceType(service_type.clone()))
            }
            Question::Attributes { .. } | Question::ServiceTypes { .. } => Some(Group::General),
            Question::Register { .. } | Question::Deregister { .. } => None,
        }
    }
}

fn is_type(service_type: &str, name: &str) -> bool {
    crate::text::equal(service_type, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::decode;

    #[test]
    fn multicast_says_so_and_names_who_answered() {
        let request = Request::directory_agents("en", "DEFAULT");
        let octets = request
            .encode(
                7,
                Delivery::Multicast {
                    previous_responders: "192.0.2.1",
                },
            )
            .unwrap();
        let message = decode(&octets).unwrap();
        assert!(message.header.flags.multicast);
        assert_eq!(message.header.xid, 7);
        let Body::SrvRqst(body) = message.body else {
            panic!("{message:?}");
        };
        assert_eq!(body.previous_responders, "192.0.2.1");
        assert_eq!(body.service_type, DIRECTORY_AGENT);
        assert_eq!(request.answer(), Function::DaAdvert);
        assert_eq!(request.group(), Some(Group::DirectoryAgents));
    }

    #[test]
    fn unicast_names_nobody() {
        let request = Request {
            language: "en".into(),
            scopes: "A,B".into(),
            question: Question::ServiceTypes {
                naming_authority: Authority::All,
            },
        };
        let octets = request.encode(9, Delivery::Unicast).unwrap();
        let message = decode(&octets).unwrap();
        assert!(!message.header.flags.multicast);
        assert_eq!(
            message.body,
            Body::SrvTypeRqst(SrvTypeRqst {
                previous_responders: "",
                naming_authority: NamingAuthority::All,
                scopes: "A,B",
            })
        );
    }

    #[test]
    fn registrations_are_fresh_or_not_and_have_no_group() {
        for fresh in [true, false] {
            let request = Request {
                language: "en".into(),
                scopes: "DEFAULT".into(),
                question: Question::Register {
                    url: "service:x://h".into(),
                    service_type: "service:x".into(),
                    attributes: "(a=1)".into(),
                    lifetime: 60,
                    fresh,
                },
            };
            let octets = request.encode(9, Delivery::Unicast).unwrap();
            assert_eq!(decode(&octets).unwrap().header.flags.fresh, fresh);
            assert_eq!(request.group(), None);
            assert_eq!(request.answer(), Function::SrvAck);
        }
    }

    #[test]
    fn attributes_are_asked_for_by_an_empty_extension() {
        let mut request = Request::service_agents("en", "DEFAULT");
        if let Question::Services { attributes, .. } = &mut request.question {
            *attributes = true;
        }
        let octets = request.encode(9, Delivery::Unicast).unwrap();
        assert_eq!(
            decode(&octets).unwrap().extensions,
            [Extension::AttributeList {
                url: "",
                attributes: "",
                authentication: Vec::new()
            }]
        );
    }
}
