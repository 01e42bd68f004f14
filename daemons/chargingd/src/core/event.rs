//! One-time events (RFC 8506 6): one request, one answer, and nothing held in between.
//!
//! | Requested-Action | what happens |
//! | --- | --- |
//! | DIRECT_DEBITING | all of it is debited, or nothing: DIAMETER_CREDIT_LIMIT_REACHED |
//! | REFUND_ACCOUNT | it is paid back, up to the operator's `max_refund_micro` for one request |
//! | CHECK_BALANCE | Check-Balance-Result says whether it could be debited now |
//! | PRICE_ENQUIRY | Cost-Information says what it would cost |
//!
//! What an event costs stands in the request (CC-Money), or is what a call of CC-Time seconds to the called party costs.
//! The record is the client's, as with a sum that is held. A repeated request gets the first answer: a debit is a session
//! that is over as soon as it has begun, and is remembered as such.

use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, RequestedAction, RequestedServiceUnit,
};
use tollwire_runtime::clock::Now;

use super::Core;
use super::money::micro;
use super::request::learn;
use crate::account::Account;
use crate::effect::{Effect, Mutation};
use crate::ledger::{About, Commodity, Entry, revenue};
use crate::session::{Answered, Facts, Outcome, Session, Sum};

/// What an event is worth to this server.
struct Priced {
    amount_micro: i64,
    /// CC-Time, if the price is that of a call.
    seconds: Option<u32>,
    /// CC-Service-Specific-Units that the client counts.
    units: u64,
}

impl Core {
    /// The answer to a CCR of type EVENT_REQUEST.
    pub(super) fn one_time_event(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        // RFC 8506 8.41: it is there in an event, and in an event alone.
        let Some(action) = request.requested_action else {
            return Outcome::refused(ResultCode::MISSING_AVP.0);
        };
        let moves_money = matches!(
            action,
            RequestedAction::DirectDebiting | RequestedAction::RefundAccount
        );
        if moves_money && let Some(known) = self.sessions.get(request.session_id.as_str()) {
            return self.said_before(known.clone(), action, request);
        }
        let Some(account) = self.payer(request) else {
            return Outcome::refused(ResultCode::USER_UNKNOWN.0);
        };
        let account = account.clone();
        // Who is blocked spends nothing; what he is owed he gets.
        if account.blocked && action != RequestedAction::RefundAccount {
            return Outcome::refused(ResultCode::END_USER_SERVICE_DENIED.0);
        }
        let Some(priced) = self.price_of(request, &account) else {
            return Outcome::refused(ResultCode::RATING_FAILED.0);
        };
        let currency = Self::currency_number(account.currency);
        let service = request.multiple_services_credit_controls.first();
        let success = Outcome {
            rating_group: service.and_then(|service| service.rating_group),
            multiple_services: service.is_some(),
            ..Outcome::refused(ResultCode::SUCCESS.0)
        };
        let enough = priced.amount_micro <= account.available_micro();
        match action {
            RequestedAction::CheckBalance => Outcome {
                enough_credit: Some(enough),
                ..success
            },
            RequestedAction::PriceEnquiry => Outcome {
                cost: Some((priced.amount_micro, currency)),
                ..success
            },
            RequestedAction::DirectDebiting if !enough => {
                Outcome::refused(ResultCode::CREDIT_LIMIT_REACHED.0)
            }
            RequestedAction::RefundAccount
                if priced.amount_micro > self.settings.max_refund_micro =>
            {
                tracing::warn!(
                    client = %request.origin_host, account = %account.name,
                    asked_micro = priced.amount_micro, allowed_micro = self.settings.max_refund_micro,
                    "a refund above grants.max_refund_micro is refused"
                );
                Outcome::refused(ResultCode::AUTHORIZATION_REJECTED.0)
            }
            RequestedAction::DirectDebiting | RequestedAction::RefundAccount => {
                let outcome = Outcome {
                    granted_seconds: priced.seconds,
                    granted_sum: priced.seconds.is_none().then_some(Sum {
                        amount_micro: priced.amount_micro,
                        currency,
                        units: priced.units,
                    }),
                    cost: Some((priced.amount_micro, currency)),
                    ..success
                };
                let back = action == RequestedAction::RefundAccount;
                let signed = match back {
                    true => -priced.amount_micro,
                    false => priced.amount_micro,
                };
                self.settle(now, request, &account, signed, outcome, effects)
            }
        }
    }

    /// What the event costs: what the client says, or what a call of so many seconds costs.
    fn price_of(&self, request: &CreditControlRequest, account: &Account) -> Option<Priced> {
        let asked = requested(request)?;
        let units = asked.cc_service_specific_units.unwrap_or(1);
        if let Some(money) = &asked.cc_money {
            return Some(Priced {
                amount_micro: micro(money, account.currency)?,
                seconds: None,
                units,
            });
        }
        let seconds = asked.cc_time?;
        let mut facts = Facts::default();
        learn(&mut facts, request);
        let tariff = self.tariffs.find(&facts.to, account.currency)?;
        Some(Priced {
            amount_micro: tariff.price_micro(seconds.into()),
            seconds: Some(seconds),
            units,
        })
    }

    /// Moves the money, and remembers the answer.
    fn settle(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        account: &Account,
        signed_micro: i64,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let session = Session {
            id: request.session_id.as_str().into(),
            account: account.name.clone(),
            tariff: Self::priced_by_client(account.currency),
            origin_host: request.origin_host.as_str().into(),
            origin_realm: request.origin_realm.as_str().into(),
            rating_group: outcome.rating_group,
            multiple_services: outcome.multiple_services,
            of_money: Some(outcome.granted_sum.map_or(1, |sum| sum.units)),
            used_seconds: 0,
            granted_seconds: 0,
            charged_micro: signed_micro,
            held_micro: 0,
            began_unix_ms: now.unix_ms,
            due_unix_ms: now.unix_ms,
            last: Answered {
                number: request.cc_request_number,
                request_type: request.cc_request_type.number(),
                outcome: outcome.clone(),
            },
            facts: Facts::default(),
            closed_unix_ms: Some(now.unix_ms),
            late: None,
        };
        let key = session.entry_key(request.cc_request_number);
        match signed_micro {
            back if back < 0 => {
                self.refund(now, &account.name, back.saturating_neg(), key, effects)
            }
            spent => self.transfer(now, &account.name, spent, key, effects),
        }
        self.put(None, session, effects);
        outcome
    }

    /// Pays back out of what customers have spent.
    fn refund(
        &mut self,
        now: Now,
        account: &str,
        amount_micro: i64,
        key: String,
        effects: &mut Vec<Effect>,
    ) {
        let Some(account) = self.accounts.get_mut(account) else {
            return;
        };
        account.balance_micro = account.balance_micro.saturating_add(amount_micro);
        effects.push(Effect::Store(Mutation::Entry(Entry {
            key,
            debit: revenue(Commodity::Money(account.currency)),
            credit: account.name.clone(),
            amount: amount_micro,
            commodity: Commodity::Money(account.currency),
            unix_ms: now.unix_ms,
            about: About::default(),
        })));
        effects.push(Effect::Store(Mutation::Account(account.clone())));
    }

    /// The answer to an event under a Session-Id that is known: the first answer, if it is the same event.
    fn said_before(
        &mut self,
        known: Session,
        action: RequestedAction,
        request: &CreditControlRequest,
    ) -> Outcome {
        let back = action == RequestedAction::RefundAccount;
        let asked = requested(request);
        // By what was asked, not by what it costs: tariffs change.
        let same_units = match known.last.outcome.granted_seconds {
            Some(seconds) => asked.is_some_and(|units| units.cc_time == Some(seconds)),
            None => asked
                .and_then(|units| units.cc_money.as_ref())
                .and_then(|money| micro(money, known.tariff.currency))
                .is_some_and(|amount| amount == known.charged_micro.saturating_abs()),
        };
        let same_payer = self
            .payer(request)
            .is_some_and(|account| account.name == known.account);
        let same = known.last.request_type == CcRequestType::EventRequest.number()
            && known.last.number == request.cc_request_number
            && (known.charged_micro < 0) == (back && known.charged_micro != 0)
            && same_units
            && same_payer;
        if !same {
            // Another request under a name that is in use.
            return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
        }
        self.counters.repeated += 1;
        known.last.outcome
    }
}

fn requested(request: &CreditControlRequest) -> Option<&RequestedServiceUnit> {
    match request.multiple_services_credit_controls.first() {
        Some(service) => service.requested_service_unit.as_ref(),
        None => request.requested_service_unit.as_ref(),
    }
}
