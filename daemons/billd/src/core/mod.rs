//! What becomes of a payment, without the world: events in, effects out, time as an argument.
//!
//! Nothing is asked of the charging system before it is on disk that it will be, and a shop is told only what is on disk: so
//! that whatever is killed when, what was begun is found again. Asking twice is harmless: the charging system knows a charge
//! by its Session-Id, a shop an acknowledgement by its invoice.

mod credit;
mod outbox;
mod pay;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::world as fixture;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use tollwire_runtime::clock::Now;

use crate::effect::{Change, Effect, Reply};
use crate::event::{ClientId, Event};
use crate::payment::{Order, Payment, PaymentId, State};
use crate::settings::Settings;

/// Clients that may wait for one payment.
const MAX_WAITING: usize = 64;

/// What an open payment waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    /// The time of its next attempt.
    Later,
    /// Its turn.
    Turn,
    /// An answer of the charging system, or of the shop.
    Answer,
    /// The disk.
    Disk,
}

/// A payment that is not over.
#[derive(Debug)]
struct Open {
    order: Arc<Order>,
    payment: Payment,
    work: Work,
    /// When it is looked at again, if it waits for that.
    due_ms: i64,
    /// Attempts at what it is about.
    tries: u32,
    /// Whether the charging system, or the shop, may have heard of it already and nothing is known of its answer.
    unheard: bool,
    /// Browsers that wait for the debit, other billing servers that wait for the shop.
    waiting: Vec<ClientId>,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Debited.
    pub paid: u64,
    /// Refused by the charging system.
    pub refused: u64,
    /// Taken by shops.
    pub acknowledged: u64,
    /// Paid back.
    pub refunded: u64,
    /// Forms of payments that were known.
    pub repeated: u64,
    /// Attempts at acknowledgements.
    pub posts: u64,
    /// Acknowledgements that were void before a shop answered.
    pub expired: u64,
    /// Invoices handed on.
    pub forwarded: u64,
}

/// All payments that are not over.
#[derive(Debug)]
pub struct Core {
    settings: Arc<Settings>,
    open: HashMap<PaymentId, Open>,
    due: BTreeSet<(i64, PaymentId)>,
    outbox: outbox::Outbox,
    /// Orders that are being stored.
    beginning: usize,
    counters: Counters,
}

impl Core {
    /// With the payments that the store has open.
    pub fn new(
        now: Now,
        settings: Arc<Settings>,
        recovered: Vec<Payment>,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut core = Self {
            settings,
            open: HashMap::new(),
            due: BTreeSet::new(),
            outbox: outbox::Outbox::default(),
            beginning: 0,
            counters: Counters::default(),
        };
        for payment in recovered {
            if payment.state.is_open() {
                let id = core.take_in(payment);
                if let Some(open) = core.open.get_mut(&id) {
                    // Nothing is known of what the run before had asked.
                    open.unheard = true;
                }
                core.schedule(&id, now.unix_ms);
            }
        }
        core.handle(now, Event::Tick, effects);
        core
    }

    /// One event.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let now = now.unix_ms;
        match event {
            Event::Pay { client, order } => self.pay(now, client, order, effects),
            Event::Collected {
                client,
                payment,
                until,
            } => self.collected(now, client, *payment, until, effects),
            Event::Begun {
                client,
                payer,
                outcome,
            } => self.begun(now, client, (outcome, &payer), effects),
            Event::NotBegun { client } => {
                self.beginning = self.beginning.saturating_sub(1);
                reply(client, Reply::Busy, effects);
            }
            Event::Stored(id, change) => self.stored(now, &id, change, effects),
            Event::NotStored(id, _) => self.not_stored(now, &id, effects),
            Event::Credit {
                id,
                attempt,
                action,
                result,
            } => self.credit(now, &id, (attempt, action), result, effects),
            Event::Posted { id, result } => self.posted(now, &id, result, effects),
            Event::Tick => self.tick(now, effects),
            Event::Reloaded(settings) => self.settings = settings,
        }
        self.post_what_may(now, effects);
    }

    /// When [`Event::Tick`] is due, milliseconds since 1970.
    pub fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Counts since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Payments that are open, in a state.
    pub fn open_in(&self, state: State) -> usize {
        let open = self.open.values();
        open.filter(|open| open.payment.state == state).count()
    }

    /// Whether nothing is on its way to the disk or to the charging system.
    pub fn is_quiet(&self) -> bool {
        let moves = |open: &Open| match open.work {
            Work::Disk => true,
            Work::Answer => open.payment.state != State::Paid,
            Work::Later | Work::Turn => false,
        };
        self.beginning == 0 && !self.open.values().any(moves)
    }

    fn take_in(&mut self, payment: Payment) -> PaymentId {
        let id = payment.order.id.clone();
        let open = Open {
            order: Arc::new(payment.order.clone()),
            payment,
            work: Work::Later,
            due_ms: 0,
            tries: 0,
            unheard: false,
            waiting: Vec::new(),
        };
        self.open.insert(id.clone(), open);
        id
    }

    /// It is looked at again then.
    fn schedule(&mut self, id: &PaymentId, at_ms: i64) {
        if let Some(open) = self.open.get_mut(id) {
            self.due.remove(&(open.due_ms, id.clone()));
            open.work = Work::Later;
            open.due_ms = at_ms;
            self.due.insert((at_ms, id.clone()));
        }
    }

    /// Later, each time longer.
    fn back_off(&mut self, now: i64, id: &PaymentId) {
        let settings = &self.settings;
        let Some(open) = self.open.get(id) else {
            return;
        };
        let (first, most) = match open.payment.state {
            State::Paid => (settings.post_first_ms, settings.post_most_ms),
            _ => (settings.credit_first_ms, settings.credit_most_ms),
        };
        let doublings = open.tries.saturating_sub(1).min(32);
        let wait = first.saturating_mul(1 << doublings).min(most);
        self.schedule(id, now.saturating_add(wait));
    }

    fn tick(&mut self, now: i64, effects: &mut Vec<Effect>) {
        while let Some((at, id)) = self.due.first().cloned()
            && at <= now
        {
            self.due.remove(&(at, id.clone()));
            self.work_on(now, &id, effects);
        }
    }

    /// Does what the state of a payment asks for.
    fn work_on(&mut self, now: i64, id: &PaymentId, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get(id) else {
            return;
        };
        match open.payment.state {
            State::Charging | State::Refunding => self.ask(id, effects),
            State::Paid => self.offer(now, id, effects),
            State::Forwarded | State::Refused | State::Acknowledged | State::Refunded => {}
        }
    }

    /// Puts a change on its way to the disk.
    fn store(&mut self, now: i64, id: &PaymentId, change: Change, effects: &mut Vec<Effect>) {
        if let Some(open) = self.open.get_mut(id) {
            open.work = Work::Disk;
            effects.push(Effect::Store {
                id: id.clone(),
                change,
                at_ms: now,
            });
        }
    }

    /// A change is on disk: what was waiting for it may happen.
    fn stored(&mut self, now: i64, id: &PaymentId, change: Change, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        open.tries = 0;
        open.unheard = false;
        open.payment.changed_ms = now;
        match change {
            Change::Collected { until, attempt } => {
                open.payment.state = State::Charging;
                open.payment.attempt = attempt;
                if let Some(onward) = &mut open.payment.order.onward {
                    onward.acknowledged_until = until;
                }
                self.work_on(now, id, effects);
            }
            Change::Paid {
                at_ms,
                acknowledgement,
            } => {
                open.payment.state = State::Paid;
                open.payment.paid_ms = Some(at_ms);
                open.payment.acknowledgement = Some(acknowledgement);
                self.counters.paid += 1;
                // A billing server that collected for us waits until the shop has answered.
                if open.order.onward.is_none() {
                    let token = open.order.token.clone();
                    self.answer(id, &Reply::Receipt(token), effects);
                }
                self.offer(now, id, effects);
            }
            Change::To { state, cause } => {
                open.payment.state = state;
                open.payment.cause = cause;
                let chained = open.order.onward.is_some();
                let token = open.order.token.clone();
                let said = match state {
                    State::Acknowledged => {
                        self.counters.acknowledged += 1;
                        Reply::Taken
                    }
                    State::Refunding if chained => Reply::NotTaken,
                    State::Refused if chained => Reply::NotYet,
                    State::Refused => {
                        self.counters.refused += 1;
                        pay::refused(cause)
                    }
                    State::Refunded => {
                        self.counters.refunded += 1;
                        Reply::NotTaken
                    }
                    _ => Reply::Receipt(token),
                };
                // What a browser still waits for then is a receipt.
                let said = match said {
                    Reply::Taken | Reply::NotTaken if !chained => {
                        Reply::Receipt(open_token(&self.open, id))
                    }
                    said => said,
                };
                self.answer(id, &said, effects);
                if state.is_open() {
                    self.work_on(now, id, effects);
                } else if let Some(open) = self.open.remove(id) {
                    self.due.remove(&(open.due_ms, id.clone()));
                    if state != State::Refused {
                        effects.push(Effect::Record(Box::new(open.payment)));
                    }
                }
            }
        }
    }

    /// The disk refuses: what was asked is asked again, and changes nothing twice.
    fn not_stored(&mut self, now: i64, id: &PaymentId, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        open.tries = open.tries.saturating_add(1);
        open.unheard = true;
        let said = match &open.order.onward {
            Some(_) => Reply::NotYet,
            None => Reply::Pending(open.order.token.clone()),
        };
        // One whose collection could not be stored is not ours to charge: the onward server comes again.
        if matches!(open.payment.state, State::Forwarded | State::Refused) {
            self.answer(id, &said, effects);
            self.open.remove(id);
            return;
        }
        self.answer(id, &said, effects);
        self.back_off(now, id);
    }

    fn answer(&mut self, id: &PaymentId, said: &Reply, effects: &mut Vec<Effect>) {
        if let Some(open) = self.open.get_mut(id) {
            for client in std::mem::take(&mut open.waiting) {
                reply(client, said.clone(), effects);
            }
        }
    }
}

fn open_token(open: &HashMap<PaymentId, Open>, id: &PaymentId) -> Box<str> {
    open.get(id)
        .map(|open| open.order.token.clone())
        .unwrap_or_default()
}

fn reply(client: ClientId, reply: Reply, effects: &mut Vec<Effect>) {
    effects.push(Effect::Reply { client, reply });
}
