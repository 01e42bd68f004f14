//! The core: Rx sessions in memory, events in, effects out.
//!
//! ```text
//! AAR  -> Table(open, count)        -> Done -> Answer
//! STR  -> Table(close, read, clean) -> Done -> Answer(final counts)
//! Tick -> Table(read)               -> Done -> silence: Report(loss of bearer); quota: Table(close), Report(out of credit)
//! ```
//!
//! The kernel ends a session by itself when its time is over; what this core adds is knowing and telling.

mod activity;
mod adoption;
mod answered;
mod gates;
mod request;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tollwire_diameter::rx::{AaRequest, SpecificAction};
use tollwire_runtime::clock::Now;

pub use session::{Direction, Flow, Place, Session, Volume, units};

use crate::effect::{Answer, Code, Effect};
use crate::event::Event;
use crate::flow::{FlowKey, Usage};
use crate::nftables::{Change, Job, Reading};
use activity::{note_activity, take_counts};
use answered::Answered;
use gates::{close_gates, closing, new_flows, replace_component, set_gates};

/// What the operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Media silent for so long is a lost bearer; zero never is.
    pub silence: Duration,
    /// How often counters are looked at.
    pub poll: Duration,
    /// How long a session that has ended keeps its counters for an STR.
    pub retention: Duration,
    /// Given to an AAR without Session-Timeout.
    pub default_timeout: Duration,
    /// Sessions at once.
    pub max_sessions: usize,
    /// UDP destination ports that only gates open: first and last.
    pub guarded: (u16, u16),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            silence: Duration::from_secs(30),
            poll: Duration::from_secs(2),
            retention: Duration::from_secs(600),
            default_timeout: Duration::from_secs(3600),
            max_sessions: 100_000,
            guarded: (10_000, 65_535),
        }
    }
}

/// The longest Session-Timeout: thirty days.
const LONGEST: u32 = 30 * 86_400;
/// A Session-Id and a place are the label of a counter, of 250 octets at the most.
const LONGEST_SESSION_ID: usize = 200;
/// Sessions looked at together.
const POLLED: usize = 128;
/// Flows of one session.
const MAX_FLOWS: usize = 64;

#[derive(Debug)]
enum Pending {
    Authorise {
        token: u64,
        session: Rc<str>,
        read: Vec<FlowKey>,
        /// As it was, in case the kernel refuses.
        previous: Option<Box<Session>>,
    },
    Terminate {
        token: u64,
        session: Box<Session>,
    },
    Poll {
        sessions: Vec<Polled>,
    },
    Close {
        session: Rc<str>,
        read: Vec<FlowKey>,
    },
    Forget,
}

/// What of a session was asked for.
#[derive(Debug)]
struct Polled {
    session: Rc<str>,
    /// What it said of its revision then.
    revision: u64,
    keys: Vec<FlowKey>,
    /// Whether its quota was asked for.
    limited: bool,
}

/// Counters for the metrics page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// AARs.
    pub authorised: u64,
    /// AARs and STRs refused.
    pub refused: u64,
    /// Sessions ended by STR.
    pub terminated: u64,
    /// Sessions whose media fell silent.
    pub losses: u64,
    /// Sessions whose time or octets were spent.
    pub spent: u64,
}

/// All sessions.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    sessions: HashMap<Rc<str>, Box<Session>>,
    owners: HashMap<FlowKey, Rc<str>>,
    ends: BTreeSet<(Instant, Rc<str>)>,
    next_poll: Option<Instant>,
    /// Sessions still to be looked at.
    to_poll: Vec<Rc<str>>,
    polling: bool,
    pending: HashMap<u64, Pending>,
    ticket: u64,
    counters: Counters,
    answered: Answered,
    revision: u64,
}

impl Core {
    /// A core without sessions.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            sessions: HashMap::new(),
            owners: HashMap::new(),
            ends: BTreeSet::new(),
            next_poll: None,
            to_poll: Vec::new(),
            polling: false,
            pending: HashMap::new(),
            ticket: 0,
            counters: Counters::default(),
            answered: Answered::default(),
            revision: 0,
        }
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Adopted(standing) => self.adopt(now, standing, effects),
            Event::Authorise { token, request } => self.authorise(now, token, &request, effects),
            Event::Terminate { token, request } => {
                self.terminate(token, &request.session_id, effects)
            }
            Event::Done { ticket, result } => self.done(now, ticket, result, effects),
            Event::Disowned(session) => self.forget(&session, effects),
            Event::Unheard(session) => self.unheard(now, &session),
            Event::Tick => self.tick(now, effects),
        }
        if self.next_poll.is_none() && !self.polling && !self.sessions.is_empty() {
            self.next_poll = Some(now.instant + self.settings.poll);
        }
    }

    /// When [`Event::Tick`] is due.
    pub fn next_deadline(&self) -> Option<Instant> {
        let end = self.ends.first().map(|(end, _)| *end);
        [end, self.next_poll].into_iter().flatten().min()
    }

    /// Every session.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(|session| &**session)
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn authorise(&mut self, now: Now, token: u64, request: &AaRequest, effects: &mut Vec<Effect>) {
        self.counters.authorised += 1;
        if let Err(answer) = self.change(now, token, request, effects) {
            self.counters.refused += 1;
            effects.push(Effect::Answer { token, answer });
        }
    }

    fn change(
        &mut self,
        now: Now,
        token: u64,
        request: &AaRequest,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Answer> {
        let id = &*request.session_id;
        let components = request::components(request)?;
        if id.len() > LONGEST_SESSION_ID {
            return Err(request::invalid(format!(
                "a Session-Id of more than {LONGEST_SESSION_ID} octets"
            )));
        }
        if !self.sessions.contains_key(id) && self.sessions.len() >= self.settings.max_sessions {
            return Err(Answer::Refused {
                code: Code::TooBusy,
                message: "too many sessions".into(),
            });
        }
        let wanted = || components.iter().flat_map(|component| &component.flows);
        let mut ended: Vec<(Rc<str>, FlowKey)> = Vec::new();
        for flow in wanted() {
            let owner = self.owners.get(&flow.key).filter(|owner| ***owner != *id);
            let Some(owner) = owner.and_then(|owner| self.sessions.get(owner)) else {
                continue;
            };
            // One that has ended keeps its counts until somebody asks, not the addresses.
            if !owner.spent {
                return Err(Answer::Refused {
                    code: Code::NotAuthorized,
                    message: format!("{} belongs to another session", flow.key),
                });
            }
            ended.push((owner.id.clone(), flow.key));
        }
        let known = (self.sessions.get(id)).map_or(&[][..], |session| &session.flows);
        if wanted().count() + known.len() > MAX_FLOWS {
            return Err(request::invalid(format!(
                "more than {MAX_FLOWS} flows in a session"
            )));
        }
        let granted = request::granted(request);
        if granted.is_some() {
            request::limitable(wanted().chain(known), self.settings.guarded)?;
        }
        let timeout = request
            .session_timeout
            .map_or(self.settings.default_timeout, |seconds| {
                Duration::from_secs(seconds.min(LONGEST).into())
            });
        let previous = self.take(id);
        let mut session = previous
            .clone()
            .unwrap_or_else(|| Box::new(new_session(id, now)));
        let reopened = session.spent || !session.has_open_media();
        self.revision += 1;
        session.revision = self.revision;
        session.origin_host.clone_from(&request.origin_host);
        session.origin_realm.clone_from(&request.origin_realm);
        session.ends_at = now.instant + timeout;
        let was_spent = std::mem::replace(&mut session.spent, timeout.is_zero());
        for action in &request.specific_actions {
            session.report_loss |= *action == SpecificAction::IndicationOfLossOfBearer;
            session.report_credit |= *action == SpecificAction::IndicationOfOutOfCredit;
        }
        let mut job = Job::default();
        for (owner, key) in ended {
            self.give_up(&owner, key);
            job.changes.push(Change::RemoveUsage { key });
        }
        for component in components {
            replace_component(&mut session, component, &mut job);
        }
        // A renewal of silent media leaves it silent: only media let pass anew have their time to begin.
        let started = |flow: &Flow| {
            let before = previous.iter().flat_map(|session| &session.flows);
            flow.open
                && !flow.place.rtcp
                && !before
                    .into_iter()
                    .any(|old| old.open && old.key == flow.key)
        };
        if reopened || session.flows.iter().any(started) {
            session.active_at = now.instant;
            session.loss_reported = false;
        }
        set_gates(&mut session, granted, was_spent, timeout, &mut job);
        // What is counted from now on needs no look.
        let new = new_flows(&job);
        let old = session.flows.iter().map(|flow| flow.key);
        job.read.extend(old.filter(|key| !new.contains(key)));
        let read = job.read.clone();
        let id = session.id.clone();
        self.put(session);
        let pending = Pending::Authorise {
            token,
            session: id,
            read,
            previous,
        };
        self.start(job, pending, effects);
        Ok(())
    }

    fn terminate(&mut self, token: u64, id: &str, effects: &mut Vec<Effect>) {
        let Some(session) = self.take(id) else {
            // Asked again: the answer was lost.
            if let Some(answer) = self.answered.find(id) {
                effects.push(Effect::Answer { token, answer });
                return;
            }
            self.counters.refused += 1;
            let message = format!("no session {id}");
            let answer = Answer::Refused {
                code: Code::UnknownSession,
                message,
            };
            effects.push(Effect::Answer { token, answer });
            return;
        };
        self.counters.terminated += 1;
        let job = closing(&session);
        let pending = Pending::Terminate { token, session };
        self.start(job, pending, effects);
    }

    /// A flow of a session that has ended goes to another; what passed until then stays in its books.
    fn give_up(&mut self, id: &str, key: FlowKey) {
        let Some(mut session) = self.take(id) else {
            return;
        };
        let (gone, kept) = std::mem::take(&mut session.flows)
            .into_iter()
            .partition(|flow| flow.key == key);
        session.flows = kept;
        let gone: Vec<Flow> = gone;
        let counted = gone.iter().map(|flow| (flow.place, flow.key, flow.usage));
        session.past.extend(counted);
        self.put(session);
    }

    /// The client could not be told: once more after another such silence.
    fn unheard(&mut self, now: Now, id: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.active_at = now.instant;
            session.loss_reported = false;
        }
    }

    fn forget(&mut self, id: &str, effects: &mut Vec<Effect>) {
        if let Some(session) = self.take(id) {
            self.start(closing(&session), Pending::Forget, effects);
        }
    }

    fn start(&mut self, job: Job, pending: Pending, effects: &mut Vec<Effect>) {
        self.ticket += 1;
        self.pending.insert(self.ticket, pending);
        effects.push(Effect::Table {
            ticket: self.ticket,
            job,
        });
    }

    fn done(
        &mut self,
        now: Now,
        ticket: u64,
        result: io::Result<Reading>,
        effects: &mut Vec<Effect>,
    ) {
        match self.pending.remove(&ticket) {
            None | Some(Pending::Forget) => {}
            Some(Pending::Authorise {
                token,
                session,
                read,
                previous,
            }) => match result {
                Ok(reading) => {
                    self.read(now, &session, &read, &reading.counters);
                    if let Some(session) = self.sessions.get(&session) {
                        let keys = session.flows.iter().map(|flow| flow.key);
                        let begun: Vec<FlowKey> = keys.filter(|key| !read.contains(key)).collect();
                        effects.push(Effect::Answer {
                            token,
                            answer: success(session, &begun),
                        });
                    } else {
                        let answer = Answer::Refused {
                            code: Code::UnknownSession,
                            message: "the session ended meanwhile".into(),
                        };
                        effects.push(Effect::Answer { token, answer });
                    }
                }
                Err(error) => {
                    self.counters.refused += 1;
                    // Its transaction left no trace: the session is what it was.
                    drop(self.take(&session));
                    if let Some(previous) = previous {
                        self.put(previous);
                    }
                    let message = format!("the kernel refused: {error}");
                    let answer = Answer::Refused {
                        code: Code::UnableToComply,
                        message,
                    };
                    effects.push(Effect::Answer { token, answer });
                }
            },
            Some(Pending::Terminate { token, mut session }) => {
                let answer = match result {
                    Ok(reading) => {
                        take_counts(&mut session, now, &reading.counters);
                        let answer = success(&session, &[]);
                        self.answered.keep(&session.id, answer.clone());
                        answer
                    }
                    Err(error) => {
                        // It can be asked again.
                        if !self.sessions.contains_key(&session.id) {
                            self.put(session);
                        }
                        Answer::Refused {
                            code: Code::UnableToComply,
                            message: format!("the kernel refused: {error}"),
                        }
                    }
                };
                effects.push(Effect::Answer { token, answer });
            }
            Some(Pending::Poll { sessions }) => {
                self.polling = false;
                self.polled(now, &sessions, result.unwrap_or_default(), effects);
                self.poll(effects);
            }
            Some(Pending::Close { session, read }) => {
                let reading = result.unwrap_or_default();
                self.read(now, &session, &read, &reading.counters);
                self.report_spent(&session, effects);
            }
        }
    }

    fn tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        while let Some((end, id)) = self.ends.first()
            && *end <= now.instant
        {
            let id = id.clone();
            self.ended(now, &id, effects);
        }
        if self.next_poll.is_some_and(|poll| poll <= now.instant) {
            self.next_poll = None;
            self.to_poll = (self.sessions.values())
                .filter(|session| session.has_open_media())
                .map(|session| session.id.clone())
                .collect();
            self.poll(effects);
        }
    }

    /// Looks at some of the sessions whose turn it is: what they need fits in one answer of the kernel, and changes
    /// that wait are not kept for long.
    fn poll(&mut self, effects: &mut Vec<Effect>) {
        while !self.to_poll.is_empty() {
            let from = self.to_poll.len().saturating_sub(POLLED);
            let some = self.to_poll.split_off(from);
            let mut job = Job::default();
            let mut sessions = Vec::new();
            for session in some.iter().filter_map(|id| self.sessions.get(id)) {
                let keys: Vec<FlowKey> = session.flows.iter().map(|flow| flow.key).collect();
                job.read.extend(&keys);
                job.quotas.extend(session.quota_name());
                sessions.push(Polled {
                    session: session.id.clone(),
                    revision: session.revision,
                    keys,
                    limited: session.volume.is_some(),
                });
            }
            if !sessions.is_empty() {
                self.polling = true;
                self.start(job, Pending::Poll { sessions }, effects);
                return;
            }
        }
    }

    /// A session's time is over: the kernel has shut its gates. After the retention, nobody asked what passed.
    fn ended(&mut self, now: Now, id: &str, effects: &mut Vec<Effect>) {
        let Some(mut session) = self.take(id) else {
            return;
        };
        if session.spent {
            tracing::warn!(
                session = id,
                "nobody terminated a session that had ended; its counters are dropped"
            );
            self.start(closing(&session), Pending::Forget, effects);
            return;
        }
        self.shut(now, &mut session, effects);
        self.put(session);
    }

    /// Gates shut, counters read; the client is told when they are.
    fn shut(&mut self, now: Now, session: &mut Session, effects: &mut Vec<Effect>) {
        self.counters.spent += 1;
        session.spent = true;
        session.ends_at = now.instant + self.settings.retention;
        let read: Vec<FlowKey> = session.flows.iter().map(|flow| flow.key).collect();
        let job = Job {
            changes: close_gates(session),
            read: read.clone(),
            ..Job::default()
        };
        let pending = Pending::Close {
            session: session.id.clone(),
            read,
        };
        self.start(job, pending, effects);
    }

    fn polled(
        &mut self,
        now: Now,
        sessions: &[Polled],
        reading: Reading,
        effects: &mut Vec<Effect>,
    ) {
        let mut counters = reading.counters.into_iter();
        let mut quotas = reading.spent.into_iter();
        for polled in sessions {
            let counts: Vec<Usage> = counters.by_ref().take(polled.keys.len()).collect();
            let spent = polled.limited && quotas.next().unwrap_or(false);
            self.read(now, &polled.session, &polled.keys, &counts);
            let Some(mut session) = self.take(&polled.session) else {
                continue;
            };
            // What was changed meanwhile may have a new quota.
            let spent = spent && session.revision == polled.revision;
            let silent = !self.settings.silence.is_zero()
                && now.instant.saturating_duration_since(session.active_at)
                    >= self.settings.silence;
            if session.has_open_media() && spent {
                self.shut(now, &mut session, effects);
            } else if session.has_open_media() && silent && !session.loss_reported {
                session.loss_reported = true;
                self.counters.losses += 1;
                if session.report_loss {
                    effects.push(report(&session, SpecificAction::IndicationOfLossOfBearer));
                }
            }
            self.put(session);
        }
    }

    fn report_spent(&self, id: &str, effects: &mut Vec<Effect>) {
        if let Some(session) = self.sessions.get(id)
            && session.report_credit
        {
            effects.push(report(session, SpecificAction::IndicationOfOutOfCredit));
        }
    }

    /// Notes what counters say; `counters` is empty if they could not be read.
    fn read(&mut self, now: Now, id: &str, keys: &[FlowKey], counters: &[Usage]) {
        let Some(session) = self.sessions.get_mut(id) else {
            return;
        };
        for (key, counter) in keys.iter().zip(counters) {
            if let Some(flow) = session.flows.iter_mut().find(|flow| flow.key == *key) {
                flow.usage = *counter;
            } else if let Some(past) = session.past.iter_mut().rev().find(|past| past.1 == *key) {
                past.2 = *counter;
            }
        }
        note_activity(session, now);
    }

    fn put(&mut self, session: Box<Session>) {
        self.ends.insert((session.ends_at, session.id.clone()));
        for flow in &session.flows {
            self.owners.insert(flow.key, session.id.clone());
        }
        self.sessions.insert(session.id.clone(), session);
    }

    fn take(&mut self, id: &str) -> Option<Box<Session>> {
        let session = self.sessions.remove(id)?;
        self.ends.remove(&(session.ends_at, session.id.clone()));
        for flow in &session.flows {
            self.owners.remove(&flow.key);
        }
        Some(session)
    }
}

fn new_session(id: &str, now: Now) -> Session {
    Session {
        id: id.into(),
        origin_host: String::new(),
        origin_realm: String::new(),
        flows: Vec::new(),
        past: Vec::new(),
        ends_at: now.instant,
        volume: None,
        revision: 0,
        report_loss: false,
        report_credit: false,
        packets: 0,
        looked_unix_ms: now.unix_ms,
        pace: (0, 0),
        active_at: now.instant,
        last_packet_unix_ms: None,
        loss_reported: false,
        spent: false,
    }
}

fn success(session: &Session, begun: &[FlowKey]) -> Answer {
    Answer::Success {
        report: session.report(begun),
        last_packet_unix_ms: session.last_packet_unix_ms,
    }
}

fn report(session: &Session, action: SpecificAction) -> Effect {
    Effect::Report {
        session_id: session.id.to_string(),
        origin_host: session.origin_host.clone(),
        origin_realm: session.origin_realm.clone(),
        action,
        last_packet_unix_ms: session.last_packet_unix_ms,
        report: session.report(&[]),
    }
}
