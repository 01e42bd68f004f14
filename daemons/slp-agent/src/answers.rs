//! What the replies to a question say together.

use std::collections::HashMap;

use tollwire_slp::{AttributeList, Body, Extension, Message, ScopeList, ServiceType, decode};

/// A service that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its URL.
    pub url: String,
    /// Seconds that it may be used and remembered, at most (RFC 2608 8.2).
    pub lifetime: u16,
    /// Its attribute list, if it was asked for and told (RFC 3059).
    pub attributes: Option<String>,
}

/// Services, each URL once.
#[derive(Debug, Default)]
pub(crate) struct Services {
    services: Vec<Service>,
    by_url: HashMap<String, usize>,
}

impl Services {
    /// Takes in a reply, and returns the services that are new by it.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Vec<Service> {
        let Ok(message) = decode(octets) else {
            return Vec::new();
        };
        match &message.body {
            Body::SrvRply(reply) => reply
                .urls
                .iter()
                .filter_map(|entry| {
                    let attributes = attributes_of(&message, entry.url);
                    self.add(entry.url, entry.lifetime, attributes)
                })
                .collect(),
            Body::SaAdvert(advert) => self
                .add_agent(advert.url, advert.attributes)
                .into_iter()
                .collect(),
            Body::DaAdvert(advert) => self
                .add_agent(advert.url, advert.attributes)
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Takes in an agent, and returns it if it is new. Agents are services too, that live as long as they answer: an
    /// advert tells no lifetime.
    pub(crate) fn add_agent(&mut self, url: &str, attributes: &str) -> Option<Service> {
        self.add(url, u16::MAX, Some(attributes.to_owned()))
    }

    fn add(&mut self, url: &str, lifetime: u16, attributes: Option<String>) -> Option<Service> {
        if let Some(known) = self
            .by_url
            .get(url)
            .and_then(|at| self.services.get_mut(*at))
        {
            // Of two that tell of it the one that was told later knows more.
            known.lifetime = known.lifetime.max(lifetime);
            known.attributes = known.attributes.take().or(attributes);
            return None;
        }
        let service = Service {
            url: url.into(),
            lifetime,
            attributes,
        };
        self.by_url.insert(url.into(), self.services.len());
        self.services.push(service.clone());
        Some(service)
    }

    pub(crate) fn finish(self) -> Vec<Service> {
        self.services
    }
}

fn attributes_of(message: &Message<'_>, url: &str) -> Option<String> {
    message
        .extensions
        .iter()
        .find_map(|extension| match extension {
            Extension::AttributeList {
                url: of,
                attributes,
                ..
            } if *of == url => Some((*attributes).to_owned()),
            _ => None,
        })
}

/// Attribute lists of several replies: one as it is, several as their union (RFC 2608 10.4).
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    text: String,
    parsed: Option<AttributeList>,
}

impl Attributes {
    pub(crate) fn take(&mut self, octets: &[u8]) {
        let Ok(message) = decode(octets) else {
            return;
        };
        let Body::AttrRply(reply) = &message.body else {
            return;
        };
        if reply.attributes.is_empty() {
            return;
        }
        let list = AttributeList::parse(reply.attributes).ok();
        if self.text.is_empty() {
            self.text = reply.attributes.into();
            self.parsed = list;
            return;
        }
        match (&mut self.parsed, list) {
            (Some(all), Some(list)) => {
                all.merge(&list);
                self.text = all.to_string();
            }
            // Values of several types under one tag are no list that can be read, but may be the union of two.
            _ => {
                self.parsed = None;
                self.text.push(',');
                self.text.push_str(reply.attributes);
            }
        }
    }

    pub(crate) fn finish(self) -> String {
        self.text
    }
}

/// Service types, each once, sorted.
#[derive(Debug, Default)]
pub(crate) struct ServiceTypes(Vec<String>);

impl ServiceTypes {
    pub(crate) fn take(&mut self, octets: &[u8]) {
        let Ok(message) = decode(octets) else {
            return;
        };
        let Body::SrvTypeRply(reply) = &message.body else {
            return;
        };
        for one in reply.service_types.split(',') {
            // What is no type is passed over: the others are.
            if let Ok(one) = ServiceType::parse(one) {
                self.0.push(one.as_str().into());
            }
        }
    }

    pub(crate) fn finish(mut self) -> Vec<String> {
        self.0.sort();
        self.0.dedup();
        self.0
    }
}

/// Scopes of adverts.
#[derive(Debug, Default)]
pub(crate) struct Scopes(ScopeList);

impl Scopes {
    pub(crate) fn take(&mut self, octets: &[u8]) {
        let Ok(message) = decode(octets) else {
            return;
        };
        let scopes = match &message.body {
            Body::SaAdvert(advert) => advert.scopes,
            Body::DaAdvert(advert) => advert.scopes,
            _ => return,
        };
        if let Ok(scopes) = ScopeList::parse(scopes) {
            self.add(&scopes);
        }
    }

    pub(crate) fn add(&mut self, scopes: &ScopeList) {
        self.0 = self.0.union(scopes);
    }

    pub(crate) fn finish(self) -> ScopeList {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollwire_slp::message::{AttrRply, SrvRply, SrvTypeRply};
    use tollwire_slp::{Header, UrlEntry, encode};

    fn message(body: Body<'_>, extensions: Vec<Extension<'_>>) -> Vec<u8> {
        let mut octets = Vec::new();
        let message = Message {
            header: Header {
                xid: 1,
                language: "en",
                ..Header::default()
            },
            body,
            extensions,
        };
        encode(&message, &mut octets).unwrap();
        octets
    }

    fn services(entries: &[(&str, u16)], extensions: Vec<Extension<'_>>) -> Vec<u8> {
        let urls = entries.iter().map(|(url, lifetime)| UrlEntry {
            lifetime: *lifetime,
            url,
            authentication: Vec::new(),
        });
        let reply = SrvRply {
            urls: urls.collect(),
            ..SrvRply::default()
        };
        message(Body::SrvRply(reply), extensions)
    }

    #[test]
    fn a_url_is_told_once_and_lives_the_longest_that_was_said() {
        let mut all = Services::default();
        assert_eq!(
            all.take(&services(
                &[("service:x://a", 9), ("service:x://b", 9)],
                vec![]
            ))
            .len(),
            2
        );
        let attributes = Extension::AttributeList {
            url: "service:x://a",
            attributes: "(n=1)",
            authentication: Vec::new(),
        };
        assert!(
            all.take(&services(&[("service:x://a", 99)], vec![attributes]))
                .is_empty()
        );
        let all = all.finish();
        assert_eq!(
            all[0],
            Service {
                url: "service:x://a".into(),
                lifetime: 99,
                attributes: Some("(n=1)".into())
            }
        );
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn attribute_lists_are_united_and_one_alone_stays_as_it_is() {
        let take = |lists: &[&str]| {
            let mut all = Attributes::default();
            for attributes in lists {
                let reply = AttrRply {
                    attributes,
                    ..AttrRply::default()
                };
                all.take(&message(Body::AttrRply(reply), vec![]));
            }
            all.finish()
        };
        assert_eq!(take(&["( A = 1 ),b"]), "( A = 1 ),b");
        assert_eq!(take(&["(a=1),b", "(A=2)"]), "(a=1,2),b");
        assert_eq!(take(&["(a=1,x)", "(b=2)"]), "(a=1,x),(b=2)");
        assert_eq!(take(&["", "(b=2)"]), "(b=2)");
    }

    #[test]
    fn types_are_sorted_and_each_once() {
        let mut all = ServiceTypes::default();
        for service_types in ["service:b,service:a", "SERVICE:A,,service:c.x"] {
            let reply = SrvTypeRply {
                service_types,
                ..SrvTypeRply::default()
            };
            all.take(&message(Body::SrvTypeRply(reply), vec![]));
        }
        assert_eq!(all.finish(), ["service:a", "service:b", "service:c.x"]);
    }
}
