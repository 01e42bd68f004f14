//! Accounting messages: each is stored, charged once, and acknowledged with what may be used from then on.

use tollwire_peer::{Reason, Refusal, Word};

use super::{Change, Core, MOST_PENDING, MOST_TAKING, Open, Pending, Work, busy, refuse, wait};
use crate::peer::effect::{Effect, Reply};
use crate::peer::event::{Answer, ClientId, Taken};
use crate::peer::gate::{What, compare};
use crate::peer::measure::{Measure, units};
use crate::peer::session::{Kind, Message, Revocation, Session, State};

impl Core {
    pub(super) fn message(
        &mut self,
        now: i64,
        client: ClientId,
        message: Box<Message>,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.messages += 1;
        let open = self.open.get_mut(&message.session);
        let full = open
            .as_ref()
            .is_some_and(|open| open.pending.len() >= MOST_PENDING);
        if self.taking >= MOST_TAKING || full {
            let what = "many messages wait already";
            return refuse(client, Word::TooMany, what, effects);
        }
        self.taking += 1;
        let mut ordered = None;
        // Where nothing else is to be done first, its order goes to the disk with it.
        if let Some(open) = open
            && open.work == Work::Idle
            && open.session.state == State::Open
            && open.session.order.is_none()
            && open.pending.is_empty()
            && open.wants.revoke.is_none()
            && *open.session.terms.provider == *message.from
            && !open.is_gated()
            && fault(&open.session, &message).is_none()
            && message.sequence > open.session.sequence
        {
            open.work = Work::Taking;
            let session = order(&open.session, &message, None);
            self.counters.over_reports += u64::from(session.flags.over_granted);
            ordered = Some(Box::new(session));
        }
        effects.push(Effect::Take {
            client,
            message,
            ordered,
            at_ms: now,
        });
    }

    pub(super) fn taken(
        &mut self,
        now: i64,
        client: ClientId,
        (message, ordered): (Box<Message>, bool),
        outcome: Option<Taken>,
        effects: &mut Vec<Effect>,
    ) {
        self.taking = self.taking.saturating_sub(1);
        let id = message.session.clone();
        if ordered
            && let Some(open) = self.open.get_mut(&id)
            && open.work == Work::Taking
        {
            open.work = Work::Idle;
        }
        let refused = match outcome {
            None => {
                effects.push(Effect::Reply {
                    client,
                    reply: busy(),
                });
                None
            }
            Some(Taken::Stored(session)) => {
                self.stands(now, client, (*session, message, ordered), effects);
                None
            }
            Some(Taken::Pending(session)) => {
                self.counters.repeated += 1;
                self.stands(now, client, (*session, message, false), effects);
                None
            }
            Some(Taken::Answered(answer)) => {
                self.counters.repeated += 1;
                let reply = match answer.said {
                    Ok(token) => Reply::Token(token),
                    Err(refusal) => Reply::Refused(refusal),
                };
                effects.push(Effect::Reply { client, reply });
                None
            }
            Some(Taken::Unknown) => Some((Word::UnknownSession, "no session of this name")),
            Some(Taken::NotYours) => {
                Some((Word::Certificate, "the session is of another provider"))
            }
            Some(Taken::Replayed) => Some((
                Word::Replayed,
                "message_id, sequence or nonce was used by another message",
            )),
            Some(Taken::Full) => Some((Word::TooMany, "many messages wait already")),
        };
        if let Some((word, detail)) = refused {
            refuse(client, word, detail, effects);
        }
        self.go_on(now, &id, effects);
    }

    /// A message is on disk, and not answered.
    fn stands(
        &mut self,
        now: i64,
        client: ClientId,
        (stored, message, ordered): (Session, Box<Message>, bool),
        effects: &mut Vec<Effect>,
    ) {
        let id = message.session.clone();
        if !self.open.contains_key(&id) {
            if stored.state != State::Closed {
                // It has just ended, and what was read of it is older: asked again, it will be seen.
                return effects.push(Effect::Reply {
                    client,
                    reply: busy(),
                });
            }
            self.enter(&stored.user);
            self.open.insert(id.clone(), Open::new(stored.clone(), now));
        }
        let Some(open) = self.open.get_mut(&id) else {
            return;
        };
        open.heard_ms = now;
        open.wants.silent = false;
        if ordered {
            open.session = stored;
            return wait(&mut open.asking, client, effects);
        }
        let asked = open.session.order.as_ref();
        let asked = asked.and_then(|order| order.message.as_ref());
        if asked.is_some_and(|asked| asked.id == message.id)
            || open.answering.as_ref() == Some(&message.id)
        {
            return wait(&mut open.asking, client, effects);
        }
        let place = open.pending.entry(message.sequence);
        let pending = place.or_insert_with(|| Pending::new(message));
        wait(&mut pending.clients, client, effects);
    }

    /// Deals with the message that is next.
    pub(super) fn next_message(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let Some((sequence, pending)) = open.pending.pop_first() else {
            return;
        };
        let message = &pending.message;
        let session = &open.session;
        open.answering = Some(message.id.clone());
        if message.sequence <= session.sequence {
            open.asking = pending.clients;
            let session = session.clone();
            let named = (&*message.id, message.sequence);
            return self.acknowledge(now, (session, id), named, effects);
        }
        if let Some((refusal, shrinks)) = fault(session, message) {
            tracing::warn!(
                session = id, provider = %session.terms.provider, why = %refusal.detail,
                "an accounting message is refused"
            );
            open.asking = pending.clients;
            let mut session = session.clone();
            session.flags.shrinking |= shrinks;
            let said = Err(refusal);
            let change = Change {
                answered: Some((message.id.clone(), Answer { said })),
                ..Change::of(session)
            };
            return self.store(change, effects);
        }
        let is_open = session.state == State::Open;
        if is_open
            && open.is_gated()
            && pending.counted.is_none()
            && let Some(order) = session.gate_order().map(Box::new)
        {
            let what = match (message.cause, session.revocation) {
                (None, None) => What::Count,
                _ => What::Close,
            };
            effects.push(Effect::Gate { what, order });
            open.work = Work::Counting(sequence);
            open.answering = None;
            open.pending.insert(sequence, pending);
            return;
        }
        let session = match is_open {
            true => {
                let mut session = session.clone();
                session.counted = open.counted;
                order(&session, message, pending.counted)
            }
            false => late(session, message),
        };
        if session.flags != open.session.flags {
            let flags = session.flags;
            self.counters.over_reports += u64::from(flags.over_granted || flags.over_gate);
        }
        open.asking = pending.clients;
        if session.order.is_none() {
            let named = (&*message.id.clone(), message.sequence);
            return self.acknowledge(now, (session, id), named, effects);
        }
        self.store(Change::of(session), effects);
    }
}

impl Open {
    /// The end of its gate, if it has one.
    pub(super) fn close_gate(&self) -> Option<Effect> {
        let (what, order) = (What::Close, Box::new(self.session.gate_order()?));
        Some(Effect::Gate { what, order })
    }

    /// Whether what passes is counted by a gate.
    pub(super) fn is_gated(&self) -> bool {
        self.session.terms.gate.is_some() && self.session.terms.rating_groups.octets.is_some()
    }
}

/// What is wrong with a message, and whether its totals became less.
fn fault(session: &Session, message: &Message) -> Option<(Refusal, bool)> {
    let refused = |what: &str, shrinks| Some((Refusal::new(Word::Malformed, what), shrinks));
    let groups = &session.terms.rating_groups;
    for measure in Measure::ALL {
        match (groups.of(measure), message.data.of(measure)) {
            (None, None) => {}
            (Some(_), Some(total)) if total < 0 => return refused("data is negative", false),
            (Some(_), Some(total)) if total < session.reported.of(measure) => {
                return refused("totals become less", true);
            }
            (Some(_), Some(_)) => {}
            _ => return refused("data has just what the credential says to collect", false),
        }
    }
    None
}

/// A session with the order that a message leads to. `counted`: whether its gate was counted for it.
fn order(session: &Session, message: &Message, counted: Option<bool>) -> Session {
    let mut session = session.clone();
    let granted = session.granted;
    let mut flags = session.flags;
    let mut charged = session.charged.map(|measure, before| {
        if session.terms.rating_groups.of(measure).is_none() {
            return before;
        }
        let total = message.data.of(measure).unwrap_or(0);
        let mut believed = units(measure, total);
        if believed > granted.of(measure) {
            flags.over_granted = true;
            believed = granted.of(measure);
        }
        believed.max(before)
    });
    session.flags = flags;
    session.flags.not_counted |= counted == Some(false);
    if let (Some(true), Some(gate)) = (counted, &session.terms.gate) {
        let reported = message.data.octets.unwrap_or(0).max(0).unsigned_abs();
        let compared = compare(reported, session.counted, gate.tolerance);
        if compared.beyond.is_some() {
            session.flags.over_gate = true;
            let passed = i64::try_from(compared.charged).unwrap_or(i64::MAX);
            let believed = charged.octets.min(passed);
            charged.octets = believed.max(session.charged.octets);
            session.revocation.get_or_insert(Revocation {
                reason: Reason::Report,
                taken: false,
            });
        }
    }
    let kind = match message.cause {
        Some(_) => Kind::Terminate,
        None => Kind::Update,
    };
    session.give_order(kind, charged, Some(Box::new(message.clone())));
    session
}

/// A session that is over, with a message that came after that. What it says was used is asked for, if the charging core
/// takes it: it does where it was itself that ended the session.
fn late(session: &Session, message: &Message) -> Session {
    let mut late = session.clone();
    late.flags.late = true;
    let charged = session.charged.map(|measure, before| {
        let total = message.data.of(measure).unwrap_or(0);
        match session.terms.rating_groups.of(measure) {
            Some(_) => units(measure, total).max(before),
            None => before,
        }
    });
    if message.cause.is_some() && charged != session.charged {
        late.give_order(Kind::Terminate, charged, Some(Box::new(message.clone())));
    } else {
        late.sequence = late.sequence.max(message.sequence);
    }
    late
}
