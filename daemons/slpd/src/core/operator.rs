//! What an operator asks.

use tollwire_runtime::clock::Now;

use super::{Core, seconds_left};
use crate::effect::{Effect, RegistrationView, Reply};
use crate::event::Operation;
use crate::registry::Entry;

/// Registrations in one answer, at most.
const LISTED: usize = 10_000;

impl Core {
    pub(super) fn operate(
        &mut self,
        now: Now,
        token: u64,
        operation: Operation,
        effects: &mut Vec<Effect>,
    ) {
        let reply = match operation {
            Operation::ListRegistrations { after, limit } => {
                Reply::Registrations(self.list(now, after.as_deref(), limit.min(LISTED)))
            }
            Operation::ListDirectoryAgents => Reply::DirectoryAgents(
                self.peers
                    .as_ref()
                    .map_or_else(Vec::new, super::peers::Peers::view),
            ),
            Operation::Discover => {
                if let Some(peers) = &mut self.peers {
                    peers.discover(now.instant, &self.settings, effects);
                }
                Reply::Done
            }
        };
        effects.push(Effect::Reply { token, reply });
    }

    fn list(&self, now: Now, after: Option<&str>, limit: usize) -> Vec<RegistrationView> {
        let mut all: Vec<&Entry> = self
            .registry
            .iter()
            .map(|(_, entry)| entry)
            .filter(|entry| after.is_none_or(|after| &*entry.url > after))
            .collect();
        all.sort_unstable_by(|a, b| (&a.url, &a.language).cmp(&(&b.url, &b.language)));
        all.truncate(limit);
        all.into_iter()
            .map(|entry| RegistrationView {
                url: entry.url.to_string(),
                language: entry.language.to_string(),
                service_type: entry.service_type.to_string(),
                scopes: entry.scopes.to_string(),
                attributes: entry.text.to_string(),
                lifetime_seconds: entry
                    .expires
                    .map(|expires| seconds_left(expires.instant, now.instant)),
                source: entry.source.to_string(),
            })
            .collect()
    }
}
