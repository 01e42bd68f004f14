//! Where a new request goes (RFC 3261 16.5).

use crate::core::Core;
use crate::services::{Services, Target};
use std::collections::VecDeque;
use tollwire_runtime::clock::Now;
use tollwire_sip::{Host, Message, Uri};

/// Why there is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoTarget {
    pub(crate) status: u16,
    pub(crate) reason: &'static str,
}

const NOT_FOUND: NoTarget = NoTarget {
    status: 404,
    reason: "Not Found",
};
const UNAVAILABLE: NoTarget = NoTarget {
    status: 480,
    reason: "Temporarily Unavailable",
};
const FOREIGN: NoTarget = NoTarget {
    status: 403,
    reason: "Domain Not Served Here",
};

impl<S: Services> Core<S> {
    /// Groups of targets in order of preference.
    pub(crate) fn targets(
        &mut self,
        now: Now,
        request: &Message,
    ) -> Result<VecDeque<Vec<Target>>, NoTarget> {
        let text = request.request_uri().unwrap_or_default();
        let uri = Uri::parse(text).map_err(|_| NOT_FOUND)?;
        let (number, bound) = match &uri {
            Uri::Tel(tel) => (tel.canonical_number(), VecDeque::new()),
            Uri::Sip(sip) => {
                let local = match sip.host {
                    Host::Name(name) => self.policy.is_local_domain(name),
                    host => {
                        self.listeners.is_own(host, sip.port_or_default())
                            || self.policy.is_local_domain(&host.to_string())
                    }
                };
                if !local {
                    return Err(FOREIGN);
                }
                let Some(user) = sip.unescaped_user() else {
                    return Err(NOT_FOUND);
                };
                let bound = self.services.lookup(
                    now,
                    &format!("sip:{}@{}", sip.user.unwrap_or_default(), sip.host),
                );
                (user.into_owned(), VecDeque::from(bound))
            }
            Uri::Other { .. } => return Err(NOT_FOUND),
        };
        if bound.iter().any(|group| !group.is_empty()) {
            return Ok(bound);
        }
        let number = visual_separators_removed(&number);
        let Some(route) = self.policy.route(&number) else {
            return Err(UNAVAILABLE);
        };
        Ok(route
            .gateways
            .iter()
            .map(|gateway| {
                vec![Target {
                    uri: with_user(gateway, &number).into(),
                    path: Vec::new(),
                    flow: None,
                }]
            })
            .collect())
    }
}

/// The gateway's URI with the number as its user part.
fn with_user(gateway: &str, number: &str) -> String {
    match gateway.split_once(':') {
        Some((scheme, rest)) => {
            let host = rest.split_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}:{number}@{host}")
        }
        None => gateway.to_owned(),
    }
}

/// RFC 3966 3: `-`, `.`, `(` and `)` say nothing.
fn visual_separators_removed(number: &str) -> String {
    number
        .chars()
        .filter(|character| !matches!(character, '-' | '.' | '(' | ')'))
        .collect()
}
