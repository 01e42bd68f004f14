//! The charging system: debits, and refunds.

use tollwire_diameter::ResultCode;
use tollwire_invoice::{Acknowledgement, SKEW_SECONDS};

use super::{Core, Work};
use crate::effect::{Change, CreditOrder, Effect, Reply};
use crate::event::{CreditAction, CreditResult};
use crate::payment::{PaymentId, State};

impl Core {
    /// Asks for what the state wants.
    pub(super) fn ask(&mut self, id: &PaymentId, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let action = match open.payment.state {
            State::Refunding => CreditAction::Refund,
            _ => CreditAction::Debit,
        };
        open.work = Work::Answer;
        open.tries = open.tries.saturating_add(1);
        effects.push(Effect::Credit(Box::new(CreditOrder {
            action,
            order: open.order.clone(),
            attempt: open.payment.attempt,
            repeated: open.unheard,
        })));
    }

    pub(super) fn credit(
        &mut self,
        now: i64,
        id: &PaymentId,
        (attempt, action): (u32, CreditAction),
        result: CreditResult,
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let awaited = match open.payment.state {
            State::Charging => CreditAction::Debit,
            State::Refunding => CreditAction::Refund,
            _ => return,
        };
        if open.work != Work::Answer || action != awaited || attempt != open.payment.attempt {
            return;
        }
        match (action, result) {
            (CreditAction::Debit, CreditResult::Granted) => self.debited(now, id, effects),
            (CreditAction::Debit, CreditResult::Refused(cause)) => {
                let state = State::Refused;
                self.store(now, id, Change::To { state, cause }, effects);
            }
            (CreditAction::Debit, CreditResult::NotSent) if !open.unheard => {
                let change = Change::To {
                    state: State::Refused,
                    cause: ResultCode::UNABLE_TO_DELIVER.0,
                };
                self.store(now, id, change, effects);
            }
            (CreditAction::Refund, CreditResult::Granted) => {
                let change = Change::To {
                    state: State::Refunded,
                    cause: open.payment.cause,
                };
                self.store(now, id, change, effects);
            }
            (action, result) => {
                if let CreditResult::Refused(code) = result {
                    tracing::error!(payment = %id, code, "the charging system refuses to pay back; it is asked again");
                }
                open.unheard |= result == CreditResult::Unknown;
                let said = match &open.order.onward {
                    Some(_) => Reply::NotYet,
                    None => Reply::Pending(open.order.token.clone()),
                };
                if action == CreditAction::Debit {
                    self.answer(id, &said, effects);
                }
                self.back_off(now, id);
            }
        }
    }

    /// The money is ours: the acknowledgement is made, and stored with that.
    fn debited(&mut self, now: i64, id: &PaymentId, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let invoice = &open.order.invoice;
        let at = now / 1000;
        // Its shop would refuse it: the answer came too late.
        if at > invoice.exp.saturating_add(SKEW_SECONDS) {
            let change = Change::To {
                state: State::Refunding,
                cause: 410,
            };
            return self.store(now, id, change, effects);
        }
        open.payment.paid_ms = Some(now);
        let lifetime = self.settings.acknowledgement_seconds;
        let exp = open.payment.acknowledgement_expires(lifetime);
        let acknowledgement = Acknowledgement::of(
            (invoice, id.as_str()),
            &self.settings.url,
            id.as_str(),
            at,
            exp,
        );
        match acknowledgement.sign(&self.settings.key) {
            Ok(token) => {
                let change = Change::Paid {
                    at_ms: now,
                    acknowledgement: token.into(),
                };
                self.store(now, id, change, effects);
            }
            // Asked again, it is granted again.
            Err(error) => {
                tracing::error!(payment = %id, %error, "an acknowledgement cannot be signed");
                open.unheard = true;
                self.back_off(now, id);
            }
        }
    }
}
