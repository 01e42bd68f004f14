//! Sessions: pure. Time is an argument, what is to be done comes back as effects.
//!
//! ```text
//! request --admit--> nonce and count on disk --admitted--> served, take(octets)... --release
//! Message effect --> on disk --> Post effect --> acknowledged --> on disk --> more may be served
//! ```
//! Nothing is told that is not on disk, and nothing is on disk that was not served or told before it is served: what a
//! session has used only grows, over crashes too.

mod effect;
mod outbox;
mod session;
mod totals;

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tollwire_peer::{Policies, Refusal, Word};
use tollwire_runtime::clock::Now;

pub use effect::{Answer, Effect, Event, SessionId, Settled};
pub use session::{State, Stored, Taken, Terms, View};
pub use totals::Totals;

use crate::check::{self, Asked, Denied};
use session::Session;

/// Sessions that are looked after in one turn at the most.
const TURN: usize = 256;

/// What bounds sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How often totals are stored while they grow.
    pub checkpoint: Duration,
    /// How many octets may have passed that are not.
    pub checkpoint_octets: u64,
    /// How long a manager may be silent, beyond the policy's pace.
    pub lost: Duration,
    /// How long a session may be open and not used; `None` as long as it lives.
    pub idle: Option<Duration>,
    /// The first pause before something is tried again, and the least between messages.
    pub retry: Duration,
    /// The longest.
    pub longest_retry: Duration,
    /// How long after a session's lifetime its messages are still sent.
    pub give_up: Duration,
    /// Sessions at once.
    pub most: usize,
    /// Requests of one session at once.
    pub most_under_way: usize,
}

impl Settings {
    fn pause(&self, tries: u32) -> Duration {
        let doubled = 1u32
            .checked_shl(tries.saturating_sub(1))
            .unwrap_or(u32::MAX);
        self.retry.saturating_mul(doubled).min(self.longest_retry)
    }
}

/// All sessions that are not over and told.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    sessions: HashMap<SessionId, Session>,
    wakes: BTreeSet<(Instant, SessionId)>,
    /// Those that datagrams may be of, by service and address.
    datagrams: HashMap<(String, IpAddr), Vec<SessionId>>,
}

impl Core {
    /// With what was stored.
    pub fn new(now: Now, settings: Settings, stored: Vec<Stored>) -> Self {
        let mut core = Self {
            settings,
            sessions: HashMap::new(),
            wakes: BTreeSet::new(),
            datagrams: HashMap::new(),
        };
        for session in stored {
            core.add(now, session);
        }
        core
    }

    /// Other bounds, for what happens from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Whether one more session has no place.
    pub fn is_full(&self) -> bool {
        self.sessions.len() >= self.settings.most
    }

    /// Takes a session that is on disk; one that is known stays as it is.
    pub fn add(&mut self, now: Now, stored: Stored) {
        let id = stored.id.clone();
        if self.sessions.contains_key(&id) {
            return;
        }
        let is_open_udp = stored.terms.is_udp && stored.state == State::Open;
        self.sessions.insert(id.clone(), Session::new(now, stored));
        if is_open_udp {
            self.list(&id);
        }
        self.wake(now, &id);
    }

    /// How many there are, and how many of them are used.
    pub fn counts(&self) -> (usize, usize) {
        let is_open = |session: &&Session| session.state == State::Open;
        (
            self.sessions.len(),
            self.sessions.values().filter(is_open).count(),
        )
    }

    /// Messages that are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        let of = |session: &Session| session.view().unacknowledged;
        self.sessions.values().map(of).sum()
    }

    /// All of them, as they are.
    pub fn views(&mut self, now: Now) -> Vec<View> {
        let view = |session: &mut Session| {
            session.settle(now.instant);
            session.view()
        };
        self.sessions.values_mut().map(view).collect()
    }

    /// One as it is.
    pub fn view(&mut self, now: Now, id: &str) -> Option<View> {
        let session = self.sessions.get_mut(id)?;
        session.settle(now.instant);
        Some(session.view())
    }

    /// The terms of one.
    pub fn terms(&self, id: &str) -> Option<&Terms> {
        self.sessions.get(id).map(|session| &session.terms)
    }

    /// Whether one is over, and that is on disk; also of one that is forgotten.
    pub fn end_is_stored(&self, id: &str) -> bool {
        (self.sessions.get(id)).is_none_or(Session::end_is_stored)
    }

    /// Whether one can be used no more.
    pub fn is_over(&self, id: &str) -> bool {
        self.sessions.get(id).is_none_or(Session::is_over)
    }

    /// When [`Self::handle`] is to be told the time next.
    pub fn next(&self) -> Option<Instant> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Lets a request through to be stored, and [`Self::admitted`]. Its signature has been verified.
    ///
    /// # Errors
    /// Why it is not: with [`Denied::Wait`] it may be, once more is granted.
    pub fn admit(&mut self, now: Now, id: &str, asked: &Asked<'_>) -> Result<(), Denied> {
        let refused = |word, detail: &str| Denied::Refused(Refusal::new(word, detail));
        let session = self.sessions.get_mut(id).ok_or_else(unknown)?;
        session.settle(now.instant);
        let policies: &Policies = &session.terms.policies;
        if session.is_over() {
            return Err(refused(Word::Closed, "the session is over"));
        }
        check::policies(policies, session.terms.address, asked, now.unix_ms / 1_000)?;
        let counts = asked.purpose.counts();
        let most = policies.max_requests;
        if counts && most.is_some_and(|most| session.requests() >= most) {
            let detail = "max_requests: as many requests as are allowed were made";
            return Err(refused(Word::Policy, detail));
        }
        if asked.purpose.serves() {
            let left = session.left();
            if totals::is_dry(&left) || (counts && left.requests == Some(0)) {
                let denied = match session.is_last() {
                    true => refused(Word::NoCredit, "what was granted is used up"),
                    false => Denied::Wait,
                };
                self.wake(now, &asked_id(id));
                return Err(denied);
            }
            if session.under_way() >= self.settings.most_under_way {
                return Err(refused(Word::TooMany, "too many requests at once"));
            }
            session.begin(counts);
        }
        Ok(())
    }

    /// A request that was let through is on disk, and is served; or it could not be stored. Whether it may be served.
    pub fn admitted(&mut self, now: Now, id: &str, asked: &Asked<'_>, stored: bool) -> bool {
        let Some(session) = self.sessions.get_mut(id) else {
            return false;
        };
        if !asked.purpose.serves() {
            return stored;
        }
        session.begun(
            now.instant,
            asked.purpose.counts(),
            stored && !session.is_over(),
        );
        let is_served = stored && !session.is_over();
        if is_served && session.terms.is_udp {
            let id = session.id.clone();
            self.unlist(&id);
            if let Some(session) = self.sessions.get_mut(&id) {
                session.moves(asked.source.to_canonical());
            }
            self.list(&id);
        }
        self.wake(now, &asked_id(id));
        is_served
    }

    /// A request that was served is over.
    pub fn release(&mut self, now: Now, id: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.release(now.instant);
            self.wake(now, &asked_id(id));
        }
    }

    /// Whether `octets` of content may pass: as many as are left.
    pub fn take(&mut self, now: Now, id: &str, octets: usize) -> Taken {
        self.take_some(now, id, octets, false)
    }

    /// Whether a datagram may pass.
    pub fn take_datagram(&mut self, now: Now, id: &str, octets: usize) -> Taken {
        self.take_some(now, id, octets, true)
    }

    fn take_some(&mut self, now: Now, id: &str, octets: usize, whole: bool) -> Taken {
        let Some(session) = self.sessions.get_mut(id) else {
            return Taken::Ended;
        };
        let taken = session.take(now.instant, &self.settings, octets, whole);
        let id = session.id.clone();
        self.wake(now, &id);
        taken
    }

    /// Octets that were taken did not pass after all.
    pub fn give_back(&mut self, id: &str, octets: usize) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.give_back(octets);
        }
    }

    /// The open session that a datagram from `source` to this service is of.
    pub fn session_of(&mut self, service: &str, source: SocketAddr) -> Option<SessionId> {
        let address = source.ip().to_canonical();
        let all = self.datagrams.get(&(service.to_owned(), address))?;
        let told = |id: &&SessionId| {
            let session = self.sessions.get(*id);
            session.is_some_and(|session| session.port == Some(source.port()))
        };
        let id = (all.iter().find(told).or_else(|| {
            let silent = |id: &&SessionId| {
                let session = self.sessions.get(*id);
                session.is_some_and(|session| session.port.is_none())
            };
            all.iter().find(silent)
        })?)
        .clone();
        let session = self.sessions.get_mut(&id)?;
        session.binds(source).then_some(id)
    }

    /// Whether datagrams from `source` are still of this session.
    pub fn is_bound(&self, id: &str, source: SocketAddr) -> bool {
        self.sessions.get(id).is_some_and(|session| {
            session.state == State::Open
                && session.address == source.ip().to_canonical()
                && session.port == Some(source.port())
        })
    }

    /// Handles an event, and what is due by now.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let (at, settings) = (now.instant, self.settings);
        let (id, _) = match event {
            Event::Tick => return self.tick(now, effects),
            Event::Message {
                id,
                sequence,
                stored,
            } => {
                let session = self.sessions.get_mut(&id);
                let done =
                    session.map(|it| it.message_stored(at, &settings, sequence, stored, effects));
                (id, done)
            }
            Event::Checkpoint { id, totals, stored } => {
                let session = self.sessions.get_mut(&id);
                let done =
                    session.map(|it| it.checkpointed(at, &settings, totals, stored, effects));
                (id, done)
            }
            Event::Answered {
                id,
                sequence,
                answer,
            } => {
                let session = self.sessions.get_mut(&id);
                let done = session.map(|it| it.answered(at, &settings, sequence, answer, effects));
                (id, done)
            }
            Event::Settled {
                id,
                sequence,
                settled,
                stored,
            } => {
                let session = self.sessions.get_mut(&id);
                let done = session
                    .map(|it| it.settled(at, &settings, sequence, &settled, stored, effects));
                (id, done)
            }
            Event::End { id, cause } => {
                let session = self.sessions.get_mut(&id);
                let done = session.map(|it| it.end(at, cause, effects));
                (id, done)
            }
        };
        self.after(now, &id, effects);
        self.tick(now, effects);
    }

    /// Takes out what is over.
    fn after(&mut self, now: Now, id: &SessionId, effects: &[Effect]) {
        if effects.contains(&Effect::Forget { id: id.clone() }) {
            self.unlist(id);
            if let Some(session) = self.sessions.remove(id)
                && let Some(at) = session.wake
            {
                self.wakes.remove(&(at, id.clone()));
            }
            return;
        }
        if self.is_over(id) {
            self.unlist(id);
        }
        self.wake(now, id);
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // Others have their turn between so many.
        for _ in 0..TURN {
            let Some((at, id)) = self.wakes.first().cloned() else {
                return;
            };
            if at > now.instant {
                return;
            }
            self.wakes.pop_first();
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            session.wake = None;
            session.due(now, &self.settings, effects);
            if session.is_over() {
                self.unlist(&id);
            }
            let next = (self.sessions.get(&id)).and_then(|it| it.next(now, &self.settings));
            // What is due now was done: a moment later at the earliest, or a fault here would never let go.
            let next = next.map(|next| next.max(now.instant + Duration::from_millis(1)));
            self.set_wake(&id, next);
        }
    }

    fn wake(&mut self, now: Now, id: &SessionId) {
        let session = self.sessions.get(id);
        let next = session.and_then(|it| it.next(now, &self.settings));
        self.set_wake(id, next);
    }

    fn set_wake(&mut self, id: &SessionId, next: Option<Instant>) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        if session.wake == next {
            return;
        }
        if let Some(before) = session.wake.take() {
            self.wakes.remove(&(before, session.id.clone()));
        }
        session.wake = next;
        if let Some(next) = next {
            self.wakes.insert((next, session.id.clone()));
        }
    }

    fn list(&mut self, id: &SessionId) {
        if let Some(session) = self.sessions.get(id) {
            let key = (session.terms.policies.service.clone(), session.address);
            self.datagrams.entry(key).or_default().push(id.clone());
        }
    }

    fn unlist(&mut self, id: &SessionId) {
        let Some(session) = self.sessions.get(id).filter(|it| it.terms.is_udp) else {
            return;
        };
        let key = (session.terms.policies.service.clone(), session.address);
        if let Some(all) = self.datagrams.get_mut(&key) {
            all.retain(|it| it != id);
            if all.is_empty() {
                self.datagrams.remove(&key);
            }
        }
    }
}

fn unknown() -> Denied {
    Denied::Refused(Refusal::new(Word::UnknownSession, "no such session"))
}

fn asked_id(id: &str) -> SessionId {
    id.into()
}
