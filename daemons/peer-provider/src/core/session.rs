//! One session: what it may use, has used, and has told.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tollwire_peer::{Cause, Data, Measure, Policies};
use tollwire_runtime::clock::Now;

use super::Settings;
use super::effect::{Effect, SessionId};
use super::outbox::Outgoing;
use super::totals::{Totals, is_dry, milliseconds};

/// How often sessions look at the time of day.
const HOURS: Duration = Duration::from_secs(1);

/// What a credential says of a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The manager's name.
    pub manager: String,
    /// What may be done.
    pub policies: Policies,
    /// Where the user was, as the manager saw it.
    pub address: IpAddr,
    /// The port that his datagrams come from, where it was told.
    pub udp_port: Option<u16>,
    /// Its service passes datagrams on.
    pub is_udp: bool,
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody has used it yet.
    Granted,
    /// It is used.
    Open,
    /// It is over, and its final message on its way.
    Ended(Cause),
}

/// A session as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its identifier.
    pub id: SessionId,
    /// What the credential says.
    pub terms: Terms,
    /// How far it has come.
    pub state: State,
    /// Where the user's datagrams come from.
    pub address: IpAddr,
    /// What it has used.
    pub used: Totals,
    /// Up to where it may use more.
    pub granted: Data,
    /// No more will be granted.
    pub last: bool,
    /// The newest message's number.
    pub sequence: u64,
    /// What that one told.
    pub reported: Totals,
    /// Messages that are not acknowledged: their numbers, and whether they are final.
    pub outbox: Vec<(u64, bool)>,
}

/// May so many octets pass?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many, and they are counted.
    Octets(usize),
    /// None before more is granted.
    Wait,
    /// None any more.
    Ended,
}

/// A session in memory.
#[derive(Debug)]
pub struct Session {
    pub(super) id: SessionId,
    pub(super) terms: Terms,
    pub(super) state: State,
    pub(super) address: IpAddr,
    pub(super) port: Option<u16>,
    pub(super) used: Totals,
    pub(super) granted: Data,
    pub(super) last: bool,
    /// Requests that are being stored.
    pub(super) requesting: u64,
    /// Requests that are served.
    pub(super) under_way: usize,
    /// Time was counted up to here; `None` while it is not open.
    pub(super) since: Option<Instant>,
    pub(super) active: Instant,
    /// When the manager was heard last.
    pub(super) heard: Instant,
    pub(super) messaged: Instant,
    pub(super) sequence: u64,
    pub(super) reported: Totals,
    pub(super) outbox: VecDeque<Outgoing>,
    pub(super) checkpointed: Totals,
    pub(super) checkpoint_at: Instant,
    pub(super) checkpointing: bool,
    /// Somebody waits for the next one.
    pub(super) is_held_up: bool,
    /// The last one could not be stored: none before then.
    pub(super) checkpoint_not_before: Instant,
    /// The end is on disk.
    pub(super) end_is_stored: bool,
    /// When it is looked after next, as the timers have it.
    pub(super) wake: Option<Instant>,
}

/// A session as others see it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Its identifier.
    pub id: SessionId,
    /// The manager's name.
    pub manager: String,
    /// The service's.
    pub service: String,
    /// How far it has come.
    pub state: State,
    /// Where it is used from.
    pub address: IpAddr,
    /// What it has used.
    pub used: Totals,
    /// Up to where it may.
    pub granted: Data,
    /// No more will be granted.
    pub last: bool,
    /// Its end, seconds since 1970, if nothing ends it before.
    pub not_after: i64,
    /// Requests under way.
    pub under_way: usize,
    /// Messages made.
    pub sequence: u64,
    /// Of them not acknowledged.
    pub unacknowledged: usize,
}

impl Session {
    pub(super) fn new(now: Now, stored: Stored) -> Self {
        let at = now.instant;
        let is_open = stored.state == State::Open;
        // After a restart each tells at another moment of the pace, or all of them would at once for ever.
        let behind = match stored.sequence {
            0 => Duration::ZERO,
            _ => pace(&stored.terms.policies) * share(&stored.id) / 256,
        };
        let outgoing = |(sequence, is_final): (u64, bool)| {
            Outgoing::stored(sequence, is_final, stored.reported, at)
        };
        Self {
            port: stored.terms.udp_port,
            since: is_open.then_some(at),
            active: at,
            heard: at,
            messaged: at.checked_sub(behind).unwrap_or(at),
            checkpoint_at: at,
            checkpoint_not_before: at,
            checkpointing: false,
            is_held_up: false,
            requesting: 0,
            under_way: 0,
            end_is_stored: matches!(stored.state, State::Ended(_)),
            wake: None,
            outbox: stored.outbox.into_iter().map(outgoing).collect(),
            checkpointed: stored.used,
            id: stored.id,
            terms: stored.terms,
            state: stored.state,
            address: stored.address,
            used: stored.used,
            granted: stored.granted,
            last: stored.last,
            sequence: stored.sequence,
            reported: stored.reported,
        }
    }

    pub(super) fn view(&self) -> View {
        View {
            id: self.id.clone(),
            manager: self.terms.manager.clone(),
            service: self.terms.policies.service.clone(),
            state: self.state,
            address: self.address,
            used: self.used,
            granted: self.granted,
            last: self.last,
            not_after: self.terms.policies.not_after,
            under_way: self.under_way,
            sequence: self.sequence,
            unacknowledged: self.outbox.len(),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    pub(super) fn end_is_stored(&self) -> bool {
        self.end_is_stored
    }

    pub(super) fn requests(&self) -> u64 {
        self.used.requests.saturating_add(self.requesting)
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way
    }

    pub(super) fn is_last(&self) -> bool {
        self.last
    }

    /// What is left, with requests that are being stored taken for used.
    pub(super) fn left(&self) -> Data {
        let with_requests = Totals {
            requests: self.requests(),
            ..self.used
        };
        with_requests.left(&self.granted)
    }

    /// Counts the time that went by. What is beyond the grant is not served, and not counted.
    pub(super) fn settle(&mut self, now: Instant) {
        let Some(since) = self.since else { return };
        let elapsed = milliseconds(now.saturating_duration_since(since));
        if elapsed == 0 {
            return;
        }
        self.since = Some(since + Duration::from_millis(elapsed));
        let left = self.left();
        if !is_dry(&left) {
            let counted = elapsed.min(left.time_ms.unwrap_or(u64::MAX));
            self.used.time_ms = self.used.time_ms.saturating_add(counted);
        }
    }

    /// A request is let through, once it is stored.
    pub(super) fn begin(&mut self, counts: bool) {
        self.requesting = self.requesting.saturating_add(u64::from(counts));
        self.under_way += 1;
    }

    /// It is stored, or not.
    pub(super) fn begun(&mut self, now: Instant, counts: bool, stored: bool) {
        self.requesting = self.requesting.saturating_sub(u64::from(counts));
        if !stored {
            return self.release(now);
        }
        self.used.requests = self.used.requests.saturating_add(u64::from(counts));
        self.checkpointed.requests = self.used.requests;
        self.active = now;
        if self.state == State::Granted {
            self.state = State::Open;
            self.since = Some(now);
        }
    }

    /// A request is over.
    pub(super) fn release(&mut self, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        self.active = now;
    }

    /// Whether `wanted` octets may pass: as many as are left, or with `whole` all or none.
    pub(super) fn take(
        &mut self,
        now: Instant,
        settings: &Settings,
        wanted: usize,
        whole: bool,
    ) -> Taken {
        if self.state != State::Open {
            return Taken::Ended;
        }
        self.settle(now);
        let left = self.left();
        if left.time_ms == Some(0) {
            return Taken::Wait;
        }
        let asked = wanted as u64;
        // A crash forgets no more than this: a disk that is slower than the service holds it up.
        let room = settings.checkpoint_octets.saturating_sub(self.unstored());
        if room == 0 {
            self.is_held_up = true;
            return Taken::Wait;
        }
        let granted = left.octets.map_or(asked, |it| it.min(asked));
        if (granted == 0 && wanted > 0) || (whole && granted < asked) {
            return Taken::Wait;
        }
        let count = match whole {
            true => granted,
            false => granted.min(room),
        };
        self.used.octets = self.used.octets.saturating_add(count);
        self.active = now;
        Taken::Octets(usize::try_from(count).unwrap_or(wanted))
    }

    /// Octets that are not on disk.
    fn unstored(&self) -> u64 {
        self.used.octets.saturating_sub(self.checkpointed.octets)
    }

    /// Octets that were taken did not pass after all. What was told or stored stays.
    pub(super) fn give_back(&mut self, octets: usize) {
        let least = self.reported.octets.max(self.checkpointed.octets);
        let rest = self.used.octets.checked_sub(octets as u64);
        if let Some(rest) = rest
            && rest >= least
            && !self.is_over()
        {
            self.used.octets = rest;
        }
    }

    pub(super) fn end(&mut self, now: Instant, cause: Cause, effects: &mut Vec<Effect>) {
        if self.is_over() {
            return;
        }
        self.settle(now);
        self.since = None;
        self.state = State::Ended(cause);
        let id = self.id.clone();
        self.message(now, None, effects);
        effects.push(Effect::Changed { id });
    }

    pub(super) fn checkpoint_stored(&mut self, totals: Totals, effects: &mut Vec<Effect>) {
        self.checkpointed.time_ms = self.checkpointed.time_ms.max(totals.time_ms);
        self.checkpointed.octets = self.checkpointed.octets.max(totals.octets);
        if std::mem::take(&mut self.is_held_up) {
            let id = self.id.clone();
            effects.push(Effect::Changed { id });
        }
    }

    pub(super) fn checkpointed(
        &mut self,
        now: Instant,
        settings: &Settings,
        totals: Totals,
        stored: bool,
        effects: &mut Vec<Effect>,
    ) {
        self.checkpointing = false;
        match stored {
            true => self.checkpoint_stored(totals, effects),
            false => self.checkpoint_not_before = now + settings.retry,
        }
    }

    pub(super) fn is_at_its_end(&self, now: Now, settings: &Settings) -> Option<Cause> {
        let (at, policies) = (now.instant, &self.terms.policies);
        if self.is_over() {
            return None;
        }
        if now.unix_ms >= policies.not_after.saturating_mul(1_000) {
            return Some(Cause::Lifetime);
        }
        let is_open = self.state == State::Open;
        let is_idle = self.under_way == 0 && self.requesting == 0;
        let left = self.left();
        let no_requests = !self.terms.is_udp && is_idle;
        if self.last && (is_dry(&left) || (no_requests && left.requests == Some(0))) {
            return Some(Cause::Credit);
        }
        if is_open
            && !policies.times_of_day.is_empty()
            && policies.timely(now.unix_ms / 1_000).is_err()
        {
            return Some(Cause::Policy);
        }
        let all_used = |most: u64| self.requests() >= most;
        if is_open && no_requests && policies.max_requests.is_some_and(all_used) {
            return Some(Cause::Policy);
        }
        if is_open && is_idle && settings.idle.is_some_and(|idle| at >= self.active + idle) {
            return Some(Cause::Lost);
        }
        (at >= self.lost_at(settings)).then_some(Cause::Lost)
    }

    /// When the manager has been silent too long: it has closed the session on its side.
    pub(super) fn lost_at(&self, settings: &Settings) -> Instant {
        self.heard + self.longest_silence() + settings.lost
    }

    fn longest_silence(&self) -> Duration {
        Duration::from_secs(self.terms.policies.max_seconds_between_messages.into())
    }

    pub(super) fn checkpoint_is_due(&self, at: Instant, settings: &Settings) -> bool {
        if self.checkpointing || !self.is_unstored() || at < self.checkpoint_not_before {
            return false;
        }
        // Before anybody has to wait for it.
        at >= self.checkpoint_at || self.unstored() >= settings.checkpoint_octets / 2
    }

    fn is_unstored(&self) -> bool {
        let time_matters = self.granted.time_ms.is_some()
            || (self.terms.policies.collect).contains(&Measure::Time);
        !self.is_over()
            && (self.used.octets != self.checkpointed.octets
                || (time_matters && self.used.time_ms != self.checkpointed.time_ms))
    }

    /// When it has to be looked after next, if nothing happens.
    pub(super) fn next(&self, now: Now, settings: &Settings) -> Option<Instant> {
        let at = now.instant;
        let mut next: Option<Instant> = None;
        let mut add = |then: Instant| next = Some(next.map_or(then, |it| it.min(then)));
        if let Some(then) = self.message_is_due() {
            add(then);
        }
        if self.is_over() {
            return next;
        }
        if self.is_at_its_end(now, settings).is_some() {
            return Some(at);
        }
        let policies = &self.terms.policies;
        let left_ms = (policies.not_after.saturating_mul(1_000)).saturating_sub(now.unix_ms);
        add(at + Duration::from_millis(left_ms.max(0).unsigned_abs()));
        if self.outbox.is_empty() {
            add(self.message_at(settings));
        }
        add(self.lost_at(settings));
        if let Some(since) = self.since {
            if !policies.times_of_day.is_empty() {
                add(at + HOURS);
            }
            if let Some(idle) = settings.idle
                && self.under_way == 0
            {
                add(self.active + idle);
            }
            if let Some(left) = self.left().time_ms
                && left > 0
            {
                add(since + Duration::from_millis(left));
            }
            if !self.checkpointing {
                // Time goes by, and is to be stored.
                match self.is_unstored() {
                    true if self.unstored() >= settings.checkpoint_octets / 2 => {
                        add(self.checkpoint_not_before);
                    }
                    true => add(self.checkpoint_at.max(self.checkpoint_not_before)),
                    false => add(self.checkpoint_at.max(at + settings.checkpoint)),
                }
            }
        }
        if self.checkpoint_is_due(at, settings) {
            add(at);
        }
        next
    }

    /// Whether datagrams from there are of this session; the first port that is heard is its port, where none was told.
    pub(super) fn binds(&mut self, source: SocketAddr) -> bool {
        let fits = self.state == State::Open
            && self.address == source.ip().to_canonical()
            && self.port.is_none_or(|port| port == source.port());
        if fits {
            self.port = Some(source.port());
        }
        fits
    }

    /// The user is elsewhere.
    pub(super) fn moves(&mut self, address: IpAddr) {
        if self.address != address {
            self.address = address;
            // Its network may give it another port.
            self.port = None;
        }
    }
}

/// How long after a message the next one is made: what the policies allow, less what it may take to get there.
pub(super) fn pace(policies: &Policies) -> Duration {
    Duration::from_secs(policies.max_seconds_between_messages.into()) * 4 / 5
}

/// A number below 256 that is another for most identifiers.
fn share(id: &str) -> u32 {
    let sum = id
        .bytes()
        .fold(0u8, |sum, octet| sum.wrapping_mul(31).wrapping_add(octet));
    sum.into()
}
