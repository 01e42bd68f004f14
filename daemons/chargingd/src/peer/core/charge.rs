//! What the charging core is asked, and what its answers change.

use tollwire_diameter::ResultCode;
use tollwire_peer::{Reason, Refusal, Word};

use super::{Change, Core, Work};
use crate::peer::effect::Effect;
use crate::peer::event::{Answer, Charged};
use crate::peer::measure::Per;
use crate::peer::session::{Kind, Order, Revocation, Session, State};

/// What a session is granted.
struct Grant {
    granted: Per<Option<i64>>,
    refused: Option<u32>,
    last: bool,
    cost: Option<(i64, u32)>,
}

impl Core {
    /// Asks for what the order says.
    pub(super) fn ask(&mut self, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let Some(order) = open.session.order.clone() else {
            return;
        };
        open.work = Work::Charging;
        // Nothing passes any more when the last of it is charged; asked for again, it is closed already.
        if order.kind == Kind::Terminate {
            effects.extend(open.close_gate());
        }
        effects.push(Effect::Charge {
            session: Box::new(open.session.clone()),
            order,
        });
    }

    pub(super) fn charged(
        &mut self,
        now: i64,
        id: &str,
        number: u32,
        result: Charged,
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let Some(order) = open.session.order.clone() else {
            return;
        };
        if open.work != Work::Charging || order.number != number {
            return;
        }
        open.work = Work::Idle;
        let session = open.session.clone();
        match (order.kind, result) {
            (_, Charged::Unknown) => {
                self.nobody_waits(id, effects);
                self.back_off(now, id);
            }
            (Kind::Initial, Charged::Refused(code)) => {
                let failed = Session {
                    order: None,
                    state: State::Closed,
                    failure: Some(no_credit(code)),
                    keys: None,
                    ended_ms: Some(now),
                    ..session
                };
                self.store(Change::of(failed), effects);
            }
            (
                kind,
                Charged::Done {
                    granted,
                    refused,
                    last,
                    cost,
                },
            ) => {
                let grant = Grant {
                    granted,
                    refused,
                    last,
                    cost,
                };
                match kind {
                    Kind::Initial => self.held(now, session, grant, effects),
                    Kind::Update => self.debited(now, session, (order, grant), effects),
                    Kind::Terminate => {
                        let charged = Some(order.charged);
                        self.ended(now, session, (order, charged, grant.cost), effects);
                    }
                }
            }
            // It knows the session no more, or as over: the last report of one that it closed by itself is taken all the same.
            (Kind::Update, Charged::Refused(code)) => {
                tracing::warn!(session = id, code, "the charging core has ended a session");
                let mut session = session;
                session.give_order(Kind::Terminate, order.charged, order.message);
                session.last = true;
                self.store(Change::of(session), effects);
            }
            (Kind::Terminate, Charged::Refused(_)) => {
                self.ended(now, session, (order, None, None), effects);
            }
        }
        self.go_on(now, id, effects);
    }

    /// The first hold: the credentials are made.
    fn held(&mut self, now: i64, session: Session, grant: Grant, effects: &mut Vec<Effect>) {
        let id = session.id.clone();
        let groups = session.terms.rating_groups;
        let is_missing = (groups.all()).any(|(measure, _)| grant.granted.of(measure).is_none());
        let mut session = Session {
            order: None,
            state: State::Granted,
            last: grant.last,
            granted: grant.granted.map(|_, units| units.unwrap_or(0)),
            ..session
        };
        if let Some((_, currency)) = grant.cost {
            session.currency = currency;
        }
        if is_missing {
            let code = grant.refused;
            session.state = State::Failing;
            session.failure = Some(no_credit(
                code.unwrap_or(ResultCode::CREDIT_LIMIT_REACHED.0),
            ));
            session.keys = None;
            session.give_order(Kind::Terminate, Per::default(), None);
            return self.store(Change::of(session), effects);
        }
        match self.settings.seal.credentials(&session) {
            Ok(credentials) => {
                session.keys = None;
                let credentials = Some(credentials);
                self.store(
                    Change {
                        credentials,
                        ..Change::of(session)
                    },
                    effects,
                );
            }
            // Asked again, it is held all the same.
            Err(error) => {
                tracing::error!(session = %id, error, "credentials cannot be signed");
                self.nobody_waits(&id, effects);
                self.back_off(now, &id);
            }
        }
    }

    /// A debit, and a new hold.
    fn debited(
        &mut self,
        now: i64,
        mut session: Session,
        (order, grant): (Order, Grant),
        effects: &mut Vec<Effect>,
    ) {
        session.order = None;
        session.charged = order.charged;
        if let Some((cost, currency)) = grant.cost {
            session.cost_micro = cost;
            session.currency = currency;
        }
        // What was granted stays granted while it is held: the provider may have used it before it hears that there is no more.
        let goes_on = session.may_go_on(now);
        let before = session.granted;
        session.granted = session.charged.map(|measure, charged| {
            let more = grant.granted.of(measure).unwrap_or(0);
            let granted = charged.saturating_add(more);
            match goes_on {
                true => granted,
                false => granted.min(before.of(measure)),
            }
        });
        // What was last may be more again: the account was filled.
        session.last = !goes_on || grant.last || grant.refused.is_some();
        if let Some(code) = grant.refused
            && session.revocation.is_none()
        {
            let reason = match ResultCode(code) {
                ResultCode::CREDIT_LIMIT_REACHED => Reason::Credit,
                _ => Reason::Operator,
            };
            session.revocation = Some(Revocation {
                reason,
                taken: false,
            });
        }
        self.answer(now, session, order, effects);
    }

    /// The end: `charged` is what was debited in all, if that is known to have been.
    fn ended(
        &mut self,
        now: i64,
        mut session: Session,
        (order, charged, cost): (Order, Option<Per<i64>>, Option<(i64, u32)>),
        effects: &mut Vec<Effect>,
    ) {
        session.order = None;
        match charged {
            Some(charged) => session.charged = charged,
            None if order.charged != session.charged && !session.flags.uncharged => {
                session.flags.uncharged = true;
                self.counters.uncharged += 1;
                tracing::warn!(
                    session = %session.id, user = %session.user, provider = %session.terms.provider,
                    used = ?order.charged, charged = ?session.charged,
                    "what was used cannot be charged: its session is over"
                );
            }
            None => {}
        }
        if let Some((cost, currency)) = cost {
            session.cost_micro = cost;
            session.currency = currency;
        }
        session.granted = session.charged;
        session.last = true;
        if session.state != State::Closed {
            session.state = State::Closed;
            session.ended_ms = Some(now);
            let cause = order.message.as_ref();
            let cause = cause.and_then(|message| message.cause);
            session.cause = session.cause.or(cause);
        }
        // It has said its last word, and serves no more.
        let has_ended = (order.message.as_ref()).is_some_and(|message| message.cause.is_some());
        if let Some(revocation) = &mut session.revocation
            && has_ended
        {
            revocation.taken = true;
        }
        self.answer(now, session, order, effects);
    }

    /// Stores what came of an order, with the acknowledgement of the message that it was for.
    fn answer(&mut self, now: i64, mut session: Session, order: Order, effects: &mut Vec<Effect>) {
        let id = session.id.clone();
        let Some(message) = order.message else {
            return self.store(Change::of(session), effects);
        };
        session.reported = session
            .reported
            .map(|measure, known| message.data.of(measure).unwrap_or(known).max(known));
        session.sequence = session.sequence.max(message.sequence);
        self.acknowledge(
            now,
            (session, &id),
            (&message.id, message.sequence),
            effects,
        );
    }

    /// Stores a session with the acknowledgement of a message.
    pub(super) fn acknowledge(
        &mut self,
        now: i64,
        (mut session, id): (Session, &str),
        (message, sequence): (&str, i64),
        effects: &mut Vec<Effect>,
    ) {
        if let Some(open) = self.open.get(id) {
            session.heard_ms = open.heard_ms;
        }
        let seal = self.settings.seal.clone();
        match seal.acknowledgement(&session, (message, sequence), now) {
            Ok(token) => self.store(
                Change {
                    answered: Some((message.into(), Answer { said: Ok(token) })),
                    ..Change::of(session)
                },
                effects,
            ),
            // The order still stands on disk: asked again, the charging core says the same.
            Err(error) => {
                tracing::error!(session = id, error, "an acknowledgement cannot be signed");
                if let Some(open) = self.open.get_mut(id) {
                    open.answering = None;
                }
                self.nobody_waits(id, effects);
                self.back_off(now, id);
            }
        }
    }
}

/// What a user is told who gets nothing.
fn no_credit(code: u32) -> Refusal {
    match ResultCode(code) {
        ResultCode::CREDIT_LIMIT_REACHED => {
            Refusal::new(Word::NoCredit, "the account has not enough")
        }
        ResultCode::USER_UNKNOWN => {
            Refusal::new(Word::UnknownUser, "no account of this certificate's name")
        }
        ResultCode::END_USER_SERVICE_DENIED => {
            Refusal::new(Word::Policy, "the account may not use this service")
        }
        ResultCode::TOO_BUSY => Refusal::new(Word::Unavailable, "too many sessions: try again"),
        ResultCode(code) => {
            tracing::error!(code, "the charging core cannot charge a service of peers");
            Refusal::new(Word::Unavailable, "the service cannot be charged now")
        }
    }
}
