//! Forms, and acknowledgements of billing servers that collected for us.

use tollwire_diameter::ResultCode;

use super::{Core, MAX_WAITING, Work, reply};
use crate::effect::{Change, Effect, Reply};
use crate::event::{Begun, ClientId};
use crate::payment::{Order, Payer, Payment, PaymentId, State};

/// What a customer hears when nobody paid.
pub(super) fn refused(cause: u32) -> Reply {
    match ResultCode(cause) {
        ResultCode::CREDIT_LIMIT_REACHED => Reply::NotEnough,
        // Of our own: it could not be asked.
        ResultCode::UNABLE_TO_DELIVER => Reply::TryAgain,
        code => Reply::Denied(code.0),
    }
}

impl Core {
    pub(super) fn pay(
        &mut self,
        now: i64,
        client: ClientId,
        order: Box<Order>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(open) = self.open.get(&order.id) {
            let payment = open.payment.clone();
            self.known(client, &order.payer, payment, effects);
        } else if self.open.len() + self.beginning >= self.settings.max_open {
            reply(client, Reply::Busy, effects);
        } else {
            self.beginning += 1;
            effects.push(Effect::Begin {
                client,
                order,
                at_ms: now,
            });
        }
    }

    pub(super) fn begun(
        &mut self,
        now: i64,
        client: ClientId,
        (outcome, payer): (Begun, &Payer),
        effects: &mut Vec<Effect>,
    ) {
        self.beginning = self.beginning.saturating_sub(1);
        match outcome {
            Begun::Stored(payment) if payment.state == State::Forwarded => {
                self.counters.forwarded += 1;
                if let Some(onward) = payment.order.onward {
                    reply(client, Reply::Forward(onward), effects);
                }
            }
            Begun::Stored(payment) => {
                let id = self.take_in(*payment);
                self.wait_for(&id, client, effects);
                self.work_on(now, &id, effects);
            }
            Begun::Full => reply(client, Reply::Busy, effects),
            Begun::Known(payment) => self.known(client, payer, *payment, effects),
            Begun::Reference(payment) => {
                tracing::warn!(
                    shop = %payment.order.invoice.iss, reference = %payment.order.invoice.reference,
                    "a second invoice with a reference that was used is refused"
                );
                let said = match payment.state {
                    State::Charging | State::Forwarded => Reply::BeingPaid,
                    _ => Reply::AlreadyPaid,
                };
                reply(client, said, effects);
            }
        }
    }

    /// A form of a payment that is there: the answer is the same, and nothing is charged again.
    fn known(
        &mut self,
        client: ClientId,
        payer: &Payer,
        payment: Payment,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.repeated += 1;
        if let Some(onward) = payment.order.onward {
            let said = match payment.state {
                State::Forwarded => Reply::Forward(onward),
                State::Charging | State::Refused => Reply::BeingPaid,
                _ => Reply::AlreadyPaid,
            };
            return reply(client, said, effects);
        }
        if payment.order.payer != *payer {
            let said = match payment.state {
                State::Charging => Reply::BeingPaid,
                _ => Reply::AlreadyPaid,
            };
            return reply(client, said, effects);
        }
        match payment.state {
            State::Charging => {
                let id = payment.order.id.clone();
                let later = (self.open.get(&id)).is_none_or(|open| open.work == Work::Later);
                if later {
                    // Its answer is awaited for longer than a browser waits.
                    reply(client, Reply::Pending(payment.order.token), effects);
                } else {
                    self.wait_for(&id, client, effects);
                }
            }
            State::Refused => reply(client, refused(payment.cause), effects),
            _ => reply(client, Reply::Receipt(payment.order.token), effects),
        }
    }

    fn wait_for(&mut self, id: &PaymentId, client: ClientId, effects: &mut Vec<Effect>) {
        match self.open.get_mut(id) {
            Some(open) if open.waiting.len() < MAX_WAITING => open.waiting.push(client),
            _ => reply(client, Reply::Busy, effects),
        }
    }

    /// Another billing server collected it, and its acknowledgement is good until then.
    pub(super) fn collected(
        &mut self,
        now: i64,
        client: ClientId,
        payment: Payment,
        until: i64,
        effects: &mut Vec<Effect>,
    ) {
        let id = payment.order.id.clone();
        if let Some(open) = self.open.get(&id) {
            // A refund has been decided, and is not taken back.
            if open.payment.state == State::Refunding {
                return reply(client, Reply::NotTaken, effects);
            }
            return self.wait_for(&id, client, effects);
        }
        match payment.state {
            State::Acknowledged => reply(client, Reply::Taken, effects),
            State::Refunding | State::Refunded => reply(client, Reply::NotTaken, effects),
            State::Forwarded | State::Refused => {
                if self.open.len() + self.beginning >= self.settings.max_open {
                    return reply(client, Reply::NotYet, effects);
                }
                let attempt = payment.attempt.saturating_add(1);
                let id = self.take_in(payment);
                self.wait_for(&id, client, effects);
                self.store(now, &id, Change::Collected { until, attempt }, effects);
            }
            // Open, and yet not known: on its way in.
            State::Charging | State::Paid => reply(client, Reply::NotYet, effects),
        }
    }
}
