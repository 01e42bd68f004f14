//! The machine: events to effects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use super::legs::{Leg, Purpose, Work};
use super::query::Query;
use super::{Ask, Effect, Event, Impossible, LegId, Outcome, QueryId, Target, UserAgentSettings};
use crate::agent::convergence::{ConvergenceEvent, ConvergenceLimits};
use crate::agent::directory_agents::{Cover, DirectoryAgents, Heard};
use crate::agent::discovery::Discovery;
use crate::agent::exchange::ExchangeEvent;
use crate::agent::links::Links;
use crate::agent::random::{Random, Xids};
use crate::agent::request::Request;
use crate::agent::retransmission::later;
use crate::scope::ScopeList;

/// Directory agents that a question waits for in vain, one after the other, before it goes to everybody: adverts are
/// easily forged, and each costs CONFIG_RETRY_MAX.
const MAX_SILENT: usize = 3;

/// A user agent.
#[derive(Debug, Clone)]
pub struct UserAgent {
    pub(super) settings: UserAgentSettings,
    pub(super) xids: Xids,
    pub(super) agents: DirectoryAgents,
    pub(super) discovery: Discovery,
    /// The discovery under way, and when its first round is over.
    pub(super) discovering: Option<(LegId, Instant)>,
    passive: bool,
    pub(super) queries: BTreeMap<QueryId, Query>,
    pub(super) legs: BTreeMap<LegId, Leg>,
    pub(super) last_leg: u64,
}

impl UserAgent {
    /// One that has not started. `seed` is for what is left to chance: XIDs, and the wait before the first discovery.
    pub fn new(now: Instant, settings: UserAgentSettings, seed: u64) -> Self {
        let mut random = Random::new(seed);
        Self {
            xids: Xids::new(&mut random),
            agents: DirectoryAgents::new(
                settings.directory_agents,
                settings.configured.iter().copied(),
            ),
            discovery: Discovery::new(now, &settings.timers, &mut random),
            discovering: None,
            passive: false,
            queries: BTreeMap::new(),
            legs: BTreeMap::new(),
            last_leg: 0,
            settings,
        }
    }

    /// Directory agents that are known.
    pub fn directory_agents(&self) -> &DirectoryAgents {
        &self.agents
    }

    /// The networks that this host is attached to are now these.
    pub fn set_links(&mut self, links: Links) {
        self.agents.set_links(links);
    }

    /// When [`Event::Timer`] is due.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let legs = self.legs.values().filter_map(Leg::deadline);
        let queries = self.queries.values().filter_map(Query::deadline);
        legs.chain(queries).chain(self.discovery_due(now)).min()
    }

    /// When directory agents are looked for without anybody's asking: all the time while none is known, or while
    /// their adverts cannot be overheard (RFC 2608 12.2).
    fn discovery_due(&self, now: Instant) -> Option<Instant> {
        let wanted = self.settings.discover
            && self.settings.discover_by_itself
            && self.discovering.is_none()
            && !(self.passive && self.knows_any(now));
        wanted.then(|| self.discovery.due()).flatten()
    }

    pub(super) fn knows_any(&self, now: Instant) -> bool {
        self.agents.iter().any(|known| known.is_usable(now))
    }

    /// Takes an event, and says what is to be done for it, in this order.
    pub fn handle(&mut self, now: Instant, event: Event<'_>, effects: &mut Vec<Effect>) {
        match event {
            Event::Start => self.introduce(now, effects),
            Event::Ask(ask) => self.ask(now, ask, effects),
            Event::Cancel(id) => {
                self.queries.remove(&id);
                self.drop_legs(id, effects);
            }
            Event::Passive(passive) => self.passive = passive,
            Event::Datagram { from, octets } => self.datagram(now, from, octets, effects),
            Event::Answered { leg, octets } => self.answered(now, leg, octets, effects),
            Event::Unreachable(leg) => self.unreachable(now, leg, effects),
            Event::Timer => self.timer(now, effects),
        }
    }

    /// RFC 2608 12: configured directory agents are asked for their scopes by unicast.
    fn introduce(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let request =
            Request::directory_agents(&self.settings.language, "").signed_by(&self.settings.spi);
        for to in self.settings.configured.clone() {
            // It fits any datagram, and no XID is taken yet; otherwise it is asked without having been introduced.
            let _ = self.unicast(now, to, &request, Purpose::Introduction, effects);
        }
    }

    fn ask(&mut self, now: Instant, ask: Ask, effects: &mut Vec<Effect>) {
        let id = ask.id;
        if self.queries.len() >= self.settings.max_queries {
            let outcome = Outcome {
                impossible: Some(Impossible::Busy),
                ..Outcome::default()
            };
            return effects.push(Effect::Finished { id, outcome });
        }
        self.queries.insert(id, Query::new(now, ask));
        self.advance(now, id, effects);
    }

    /// Does what is next for a question: sends it to whom it is still to go, or ends it.
    pub(super) fn advance(&mut self, now: Instant, id: QueryId, effects: &mut Vec<Effect>) {
        let Some(mut query) = self.queries.remove(&id) else {
            return;
        };
        if query.waiting.is_none() && (!query.begun || !query.rest.is_empty()) {
            let sent = self.send(now, &mut query, effects);
            if let Err(impossible) = sent {
                query.outcome.impossible = Some(impossible);
                query.rest = ScopeList::default();
            }
        }
        if query.is_over() {
            let outcome = query.finish();
            effects.push(Effect::Finished { id, outcome });
        } else {
            self.queries.insert(id, query);
        }
    }

    fn send(
        &mut self,
        now: Instant,
        query: &mut Query,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Impossible> {
        match query.ask.target {
            Target::One(to) => {
                query.begun = true;
                let scopes = std::mem::take(&mut query.rest);
                self.ask_one(now, query, to, scopes, effects)
            }
            Target::Everybody => {
                query.begun = true;
                let scopes = std::mem::take(&mut query.rest);
                self.ask_everybody(now, query, scopes, effects)
            }
            Target::Discovery => {
                if !self.wait(now, query, effects) {
                    query.begun = true;
                    query.rest = ScopeList::default();
                }
                Ok(())
            }
            Target::EveryDirectoryAgent => {
                if self.wait(now, query, effects) {
                    return Ok(());
                }
                query.begun = true;
                let mut rest = std::mem::take(&mut query.rest);
                for (to, scopes) in self.agents.serving(now, &rest.clone()) {
                    rest = rest.without(&scopes);
                    self.ask_one(now, query, to, scopes, effects)?;
                }
                query.outcome.unserved = rest;
                Ok(())
            }
            Target::Anyone => {
                let silent = query.outcome.unanswered.len() >= MAX_SILENT;
                let cover = match silent {
                    true => Cover {
                        asked: Vec::new(),
                        rest: query.rest.clone(),
                    },
                    false => self.agents.cover(now, &query.rest, &query.except),
                };
                if !silent && !cover.rest.is_empty() && self.wait(now, query, effects) {
                    return Ok(());
                }
                // Without scopes there is nothing that a directory agent could be chosen by.
                let scopeless = !query.begun && query.rest.is_empty();
                query.begun = true;
                query.rest = ScopeList::default();
                for (to, scopes) in cover.asked {
                    self.ask_one(now, query, to, scopes, effects)?;
                }
                if cover.rest.is_empty() && !scopeless {
                    return Ok(());
                }
                if self.settings.multicast {
                    self.ask_everybody(now, query, cover.rest, effects)
                } else {
                    query.outcome.unserved = query.outcome.unserved.union(&cover.rest);
                    Ok(())
                }
            }
        }
    }

    /// Whether a question has to wait for directory agents to be found. It waits once.
    fn wait(&mut self, now: Instant, query: &mut Query, effects: &mut Vec<Effect>) -> bool {
        if query.discovered || !self.settings.discover {
            return false;
        }
        query.discovered = true;
        if self.discovering.is_none() && self.discovery.may_begin(now) {
            self.discover(now, effects);
        }
        // Whoever answers at all does so in the first round, unless a datagram is lost; to wait longer for directory
        // agents that most networks do not have would delay every first question by CONFIG_MC_MAX.
        query.waiting = self.discovering.map(|(_, round)| round);
        query.waiting.is_some()
    }

    fn discover(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.discovery.began(now);
        let request =
            Request::directory_agents(&self.settings.language, self.settings.scopes.as_str())
                .signed_by(&self.settings.spi);
        let limits = ConvergenceLimits {
            first_reply_is_enough: false,
            ..self.settings.convergence
        };
        let purpose = Purpose::Discovery;
        match self.multicast(now, request, purpose, limits, effects) {
            Ok(Some(leg)) => {
                self.discovering = Some((leg, later(now, self.settings.timers.retry)));
            }
            Ok(None) | Err(_) => self.discovery.ended(self.knows_any(now)),
        }
    }

    pub(super) fn heard(&mut self, now: Instant, heard: Heard, effects: &mut Vec<Effect>) {
        if matches!(heard, Heard::Same(_) | Heard::Ignored(_)) {
            return;
        }
        effects.push(Effect::Heard(heard));
        // Who waits for directory agents goes on as soon as there are enough of them.
        let served = |agent: &Self, query: &Query| {
            let cover = agent.agents.cover(now, &query.rest, &query.except);
            query.ask.target == Target::Anyone && cover.rest.is_empty()
        };
        self.wake(now, served, effects);
    }

    /// Lets those that wait go on, if `ready` says so.
    pub(super) fn wake(
        &mut self,
        now: Instant,
        ready: impl Fn(&Self, &Query) -> bool,
        effects: &mut Vec<Effect>,
    ) {
        let waiting = |query: &Query| query.waiting.is_some() && ready(self, query);
        let ids: Vec<QueryId> = self
            .queries
            .iter()
            .filter(|(_, query)| waiting(query))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if let Some(query) = self.queries.get_mut(&id) {
                query.waiting = None;
            }
            self.advance(now, id, effects);
        }
    }

    fn drop_legs(&mut self, id: QueryId, effects: &mut Vec<Effect>) -> Vec<SocketAddr> {
        let mut asked = Vec::new();
        self.legs.retain(|name, leg| {
            if leg.query() != Some(id) {
                return true;
            }
            if leg.is_of_one_agent() {
                effects.push(Effect::Close(*name));
            }
            if let Work::Exchange { to, .. } | Work::Stream { to, .. } = &leg.work {
                asked.push(*to);
            }
            false
        });
        asked
    }

    fn timer(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| now >= deadline);
        let legs: Vec<LegId> = self
            .legs
            .iter()
            .filter(|(_, leg)| due(leg.deadline()))
            .map(|(id, _)| *id)
            .collect();
        for id in legs {
            match self.legs.get(&id).map(|leg| &leg.work) {
                Some(Work::Exchange { .. }) => {
                    self.exchange(now, id, ExchangeEvent::Timer, effects);
                }
                Some(Work::Convergence(_)) => {
                    self.converge(now, id, ConvergenceEvent::Timer, effects);
                }
                Some(Work::Stream { .. }) => self.unreachable(now, id, effects),
                None => {}
            }
        }
        self.end_queries(now, effects);
        let round = self.discovering.map(|(leg, _)| leg);
        let finds = round
            .and_then(|leg| self.legs.get(&leg))
            .is_some_and(|leg| match &leg.work {
                Work::Convergence(convergence) => convergence.responders().next().is_some(),
                _ => false,
            });
        // Who wants every directory agent waits on while some answer; the others take what there is.
        if finds {
            let end = later(now, self.settings.timers.mc_max);
            let patient = |query: &&mut Query| query.ask.target != Target::Anyone;
            for query in self.queries.values_mut().filter(patient) {
                query.waiting = query.waiting.map(|_| end);
            }
        }
        self.wake(now, |_, query| due(query.waiting), effects);
        if due(self.discovery_due(now)) {
            self.discover(now, effects);
        }
    }

    /// Ends the questions whose time is up.
    fn end_queries(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let ended: Vec<QueryId> = self
            .queries
            .iter()
            .filter(|(_, query)| query.end.is_some_and(|end| now >= end))
            .map(|(id, _)| *id)
            .collect();
        for id in ended {
            let asked = self.drop_legs(id, effects);
            if let Some(mut query) = self.queries.remove(&id) {
                query.outcome.truncated = true;
                query.outcome.unanswered.extend(asked);
                let outcome = query.finish();
                effects.push(Effect::Finished { id, outcome });
            }
        }
    }
}
