//! What becomes of credentials and of accounting messages, without the world: events in, effects out, time as an argument.
//!
//! ```text
//! Request -> Begin (disk) -> Charge: hold -> Store: credentials -> OpenGate -> Deliver -> Store: open -> Reply
//! Message -> Take (disk, with its order) -> Charge: debit, hold -> Store: acknowledgement -> Reply
//! ```
//!
//! What is asked of the charging core stands on disk before, with its number: whoever is killed when, it is asked again just
//! so, and the charging core knows what it did by Session-Id and number. One thing at a time is done for a session.

mod charge;
mod end;
mod gate;
mod issue;
mod message;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tollwire_peer::{Reason, Refusal, Word};
use tollwire_runtime::clock::Now;

use super::effect::{Change, Credentials, Effect, Reply};
use super::event::{ClientId, Event};
use super::gate::{Counted, What};
use super::session::{Message, Session, State};
use super::settings::Settings;

/// Messages of one session that may wait.
pub const MOST_PENDING: usize = 32;
/// Clients that may wait for one answer.
const MOST_WAITING: usize = 16;
/// Requests and messages that may be on their way to the disk.
const MOST_TAKING: usize = 4096;

/// What is under way for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// Nothing.
    Idle,
    /// A message with its order is on its way to the disk.
    Taking,
    /// A change is.
    Disk,
    /// The charging core is asked.
    Charging,
    /// The gate is opened.
    Opening,
    /// It is counted, for the message of this sequence number.
    Counting(i64),
    /// The provider is given its credential.
    Delivering,
    /// The pause before another attempt, until then.
    Later(i64),
}

/// A message that waits for its turn.
#[derive(Debug)]
struct Pending {
    message: Box<Message>,
    clients: Vec<ClientId>,
    /// Whether the gate was counted for it; `Some(false)`: it cannot be.
    counted: Option<bool>,
}

/// What is to be done when nothing is under way.
#[derive(Debug, Default)]
struct Wants {
    revoke: Option<Reason>,
    /// The revocation was taken, or will never be.
    taken: bool,
    refresh: bool,
    silent: bool,
}

/// A session that something is left to do for.
#[derive(Debug)]
struct Open {
    /// As it is on disk.
    session: Session,
    work: Work,
    /// Attempts at what is under way.
    tries: u32,
    /// A change that could not be stored.
    redo: Option<Box<Change>>,
    pending: BTreeMap<i64, Pending>,
    /// Who waits for the message that is being charged.
    asking: Vec<ClientId>,
    /// Which that is, where its order is not on disk yet, or it has none.
    answering: Option<Box<str>>,
    /// Who waits for the credential.
    waiting: Vec<ClientId>,
    /// Which operators wait for its end to be noted.
    closing: Vec<ClientId>,
    credentials: Option<Credentials>,
    gate_open: bool,
    /// What passed the gate, as it was told last.
    counted: Counted,
    /// It was told when the gate was closed.
    count_is_last: bool,
    wants: Wants,
    /// When the provider was last heard of.
    heard_ms: i64,
    /// Since when it could be.
    since_ms: i64,
    /// When the provider is told again to stop.
    revoke_ms: i64,
    revoke_tries: u32,
    revoking: bool,
    due_ms: Option<i64>,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests for credentials.
    pub requests: u64,
    /// Credentials that were acknowledged by their provider.
    pub issued: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// Accounting messages.
    pub messages: u64,
    /// Accounting messages that were there before.
    pub repeated: u64,
    /// Sessions that ended.
    pub closed: u64,
    /// Of them, because their provider fell silent.
    pub silent: u64,
    /// Revocations.
    pub revoked: u64,
    /// Reports of more than was granted or passed.
    pub over_reports: u64,
    /// Sessions with use that could not be charged.
    pub uncharged: u64,
}

/// All sessions that something is left to do for.
#[derive(Debug)]
pub struct Core {
    settings: Arc<Settings>,
    open: HashMap<Box<str>, Open>,
    due: BTreeSet<(i64, Box<str>)>,
    /// Sessions of each user that something is left to do for, and requests for more.
    of_user: HashMap<Box<str>, usize>,
    /// What is on its way to the disk and of no session yet.
    taking: usize,
    counters: Counters,
}

/// A session of the store, with what else it has to begin again with.
#[derive(Debug, Clone)]
pub struct Recovered {
    /// The session.
    pub session: Session,
    /// Its credentials, if they were made.
    pub credentials: Option<Credentials>,
    /// Its messages that are not answered.
    pub pending: Vec<Message>,
}

impl Core {
    /// With what the store has to do.
    pub fn new(
        now: Now,
        settings: Arc<Settings>,
        recovered: Vec<Recovered>,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut core = Self {
            settings,
            open: HashMap::new(),
            due: BTreeSet::new(),
            of_user: HashMap::new(),
            taking: 0,
            counters: Counters::default(),
        };
        for recovered in recovered {
            let id = recovered.session.id.clone();
            core.enter(&recovered.session.user);
            let mut open = Open::new(recovered.session, now.unix_ms);
            open.credentials = recovered.credentials;
            let ordered = open.session.order.as_ref();
            let ordered = ordered.and_then(|order| Some(order.message.as_ref()?.id.clone()));
            for message in recovered.pending {
                if Some(&message.id) != ordered.as_ref() {
                    open.pending
                        .insert(message.sequence, Pending::new(Box::new(message)));
                }
            }
            if open.session.state == State::Open && open.session.revocation.is_some() {
                effects.extend(open.close_gate());
            }
            core.open.insert(id.clone(), open);
            core.go_on(now.unix_ms, &id, effects);
        }
        core
    }

    /// One event.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let now = now.unix_ms;
        match event {
            Event::Request { client, request } => self.request(now, client, *request, effects),
            Event::Begun {
                client,
                session,
                outcome,
            } => self.begun(now, client, *session, outcome, effects),
            Event::Message { client, message } => self.message(now, client, message, effects),
            Event::Taken {
                client,
                message,
                ordered,
                outcome,
            } => self.taken(now, client, (message, ordered), outcome, effects),
            Event::Stored(change) => self.stored(now, *change, effects),
            Event::NotStored(change) => self.not_stored(now, change, effects),
            Event::Charged { id, number, result } => {
                self.charged(now, &id, number, result, effects);
            }
            Event::Refresh(id) => self.want(now, &id, |wants| wants.refresh = true, effects),
            Event::Aborted(id) => self.revoke(now, &id, Reason::Operator, effects),
            Event::Withdrawn(id) => self.revoke(now, &id, Reason::Certificate, effects),
            Event::Delivered { id, result } => self.delivered(now, &id, result, effects),
            Event::Revoked { id, taken } => self.revoked(now, &id, taken, effects),
            Event::Gate { id, what, outcome } => self.gate(now, &id, what, outcome, effects),
            Event::Close { client, id } => self.close(now, client, &id, effects),
            Event::Tick => self.tick(now, effects),
            Event::Reloaded(settings) => self.settings = settings,
        }
    }

    /// When [`Event::Tick`] is due, milliseconds since 1970.
    pub fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Sessions that are not over.
    pub fn live(&self) -> usize {
        let open = self.open.values();
        open.filter(|open| open.session.state != State::Closed)
            .count()
    }

    /// Revocations that are not taken yet.
    pub fn owed_revocations(&self) -> usize {
        let open = self.open.values();
        open.filter(|open| open.session.owes_revocation()).count()
    }

    fn enter(&mut self, user: &str) {
        *self.of_user.entry(user.into()).or_default() += 1;
    }

    fn leave(&mut self, user: &str) {
        if let Some(count) = self.of_user.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_user.remove(user);
            }
        }
    }

    /// Notes something that is to be done, and does it if nothing else is under way.
    fn want(
        &mut self,
        now: i64,
        id: &str,
        note: impl FnOnce(&mut Wants),
        effects: &mut Vec<Effect>,
    ) {
        if let Some(open) = self.open.get_mut(id) {
            note(&mut open.wants);
            self.go_on(now, id, effects);
        }
    }

    /// What follows now, when it is looked at again, and whether it is over.
    fn go_on(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        self.proceed(now, id, effects);
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let done = open.work == Work::Idle && open.pending.is_empty() && open.session.is_over();
        let (name, due) = (open.session.id.clone(), open.due_ms.take());
        if let Some(due) = due {
            self.due.remove(&(due, name.clone()));
        }
        if done {
            if let Some(open) = self.open.remove(id) {
                self.leave(&open.session.user);
            }
            return;
        }
        if let Some(due) = self.deadline(id)
            && let Some(open) = self.open.get_mut(id)
        {
            open.due_ms = Some(due);
            self.due.insert((due, name));
        }
    }

    /// The next thing to do, if nothing is under way.
    fn proceed(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        if open.work != Work::Idle {
            return;
        }
        if open.session.owes_revocation() && open.wants.taken {
            return self.note_taken(id, effects);
        }
        if open.session.order.is_some() {
            return self.ask(id, effects);
        }
        match open.session.state {
            State::Granted => self.deliver(now, id, effects),
            State::Open => {
                if self.note_revocation(id, effects) {
                    return;
                }
                let Some(open) = self.open.get_mut(id) else {
                    return;
                };
                if !open.pending.is_empty() {
                    self.next_message(now, id, effects);
                } else if open.wants.silent {
                    self.fall_silent(now, id, effects);
                } else if std::mem::take(&mut open.wants.refresh) {
                    self.refresh(now, id, effects);
                }
            }
            State::Closed => {
                let has = !open.pending.is_empty();
                for client in std::mem::take(&mut open.closing) {
                    effects.push(Effect::Reply {
                        client,
                        reply: Reply::Closed,
                    });
                }
                if has {
                    self.next_message(now, id, effects);
                }
            }
            // Nothing but their orders leads on.
            State::Issuing | State::Failing => {}
        }
    }

    /// Puts a change on its way to the disk.
    fn store(&mut self, change: Change, effects: &mut Vec<Effect>) {
        if let Some(open) = self.open.get_mut(&change.session.id) {
            open.work = Work::Disk;
            effects.push(Effect::Store(Box::new(change)));
        }
    }

    /// Later, each time longer.
    fn back_off(&mut self, now: i64, id: &str) {
        let settings = &self.settings;
        if let Some(open) = self.open.get_mut(id) {
            open.tries = open.tries.saturating_add(1);
            open.work = Work::Later(now.saturating_add(pause(settings, open.tries)));
        }
    }

    /// A change is on disk: what was waiting for it may happen.
    fn stored(&mut self, now: i64, change: Change, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(&change.session.id) else {
            return;
        };
        let before = std::mem::replace(&mut open.session, *change.session);
        let id = open.session.id.clone();
        open.work = Work::Idle;
        open.tries = 0;
        open.redo = None;
        if let Some(credentials) = change.credentials {
            open.credentials = Some(credentials);
        }
        if open.session.owes_revocation() && before.revocation.is_none() {
            self.counters.revoked += 1;
            open.revoke_ms = now;
            // The kernel stops it whatever the provider does.
            effects.extend(open.close_gate());
            for client in std::mem::take(&mut open.closing) {
                let reply = Reply::Closed;
                effects.push(Effect::Reply { client, reply });
            }
        }
        if open.session.granted.octets != before.granted.octets
            && open.session.state == State::Open
            && open.session.revocation.is_none()
            && open.is_gated()
            && let Some(order) = open.session.gate_order().map(Box::new)
        {
            let what = What::Move;
            effects.push(Effect::Gate { what, order });
        }
        if let Some((_, answer)) = change.answered {
            open.answering = None;
            let reply = match answer.said {
                Ok(token) => Reply::Token(token),
                Err(refusal) => Reply::Refused(refusal),
            };
            for client in std::mem::take(&mut open.asking) {
                effects.push(Effect::Reply {
                    client,
                    reply: reply.clone(),
                });
            }
        }
        if open.session.state == State::Open && before.state != State::Open {
            self.counters.issued += 1;
            let credentials = open.credentials.take();
            for client in std::mem::take(&mut open.waiting) {
                let reply = match &credentials {
                    Some(credentials) => Reply::Token(credentials.service_credential.clone()),
                    None => busy(),
                };
                effects.push(Effect::Reply { client, reply });
            }
        }
        if open.session.state == State::Closed && before.state != State::Closed {
            open.credentials = None;
            let reply = Reply::Refused(match &open.session.failure {
                Some(failure) => failure.clone(),
                None => Refusal::new(Word::Closed, "the session is over"),
            });
            for client in std::mem::take(&mut open.waiting) {
                let reply = reply.clone();
                effects.push(Effect::Reply { client, reply });
            }
            match open.session.failure {
                Some(_) => self.counters.refused += 1,
                None => self.counters.closed += 1,
            }
        }
        self.go_on(now, &id, effects);
    }

    /// The disk refuses. What was to be stored is stored later; nobody waits so long.
    fn not_stored(&mut self, now: i64, change: Box<Change>, effects: &mut Vec<Effect>) {
        let id = change.session.id.clone();
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        open.redo = Some(change);
        self.nobody_waits(&id, effects);
        self.back_off(now, &id);
        self.go_on(now, &id, effects);
    }

    /// Whoever waits is told to come again.
    fn nobody_waits(&mut self, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let waiting = std::mem::take(&mut open.waiting).into_iter();
        let asking = std::mem::take(&mut open.asking);
        for client in waiting.chain(asking) {
            let reply = busy();
            effects.push(Effect::Reply { client, reply });
        }
    }
}

impl Open {
    fn new(session: Session, since_ms: i64) -> Self {
        Self {
            heard_ms: session.heard_ms,
            since_ms,
            counted: session.counted,
            work: Work::Idle,
            tries: 0,
            redo: None,
            pending: BTreeMap::new(),
            asking: Vec::new(),
            answering: None,
            waiting: Vec::new(),
            closing: Vec::new(),
            credentials: None,
            gate_open: false,
            count_is_last: false,
            wants: Wants::default(),
            revoke_ms: since_ms,
            revoke_tries: 0,
            revoking: false,
            due_ms: None,
            session,
        }
    }
}

impl Pending {
    fn new(message: Box<Message>) -> Self {
        Self {
            message,
            clients: Vec::new(),
            counted: None,
        }
    }
}

impl Change {
    fn of(session: Session) -> Self {
        Self {
            session: Box::new(session),
            credentials: None,
            answered: None,
        }
    }
}

/// The pause before the attempt after so many.
fn pause(settings: &Settings, tries: u32) -> i64 {
    let doublings = tries.saturating_sub(1).min(32);
    let wait = settings.retry_first_ms.saturating_mul(1 << doublings);
    wait.min(settings.retry_most_ms)
}

fn busy() -> Reply {
    Reply::Refused(Refusal::new(
        Word::Unavailable,
        "nothing can be stored or charged now: try again",
    ))
}

fn refuse(client: ClientId, word: Word, detail: &str, effects: &mut Vec<Effect>) {
    let reply = Reply::Refused(Refusal::new(word, detail));
    effects.push(Effect::Reply { client, reply });
}

/// Lets a client wait, or sends it away.
fn wait(waiting: &mut Vec<ClientId>, client: ClientId, effects: &mut Vec<Effect>) {
    match waiting.len() < MOST_WAITING {
        true => waiting.push(client),
        false => refuse(client, Word::TooMany, "many wait for this already", effects),
    }
}
