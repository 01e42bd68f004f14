//! One-time events (RFC 8506 6): one request, one answer, and nothing held in between.
//!
//! | Requested-Action | what happens |
//! | --- | --- |
//! | DIRECT_DEBITING | all of it is debited, or nothing: DIAMETER_CREDIT_LIMIT_REACHED |
//! | REFUND_ACCOUNT | it is paid back, up to the operator's `max_refund_micro` for one request |
//! | CHECK_BALANCE | Check-Balance-Result says whether it could be debited now |
//! | PRICE_ENQUIRY | Cost-Information says what it would cost |
//!
//! What an event costs stands in the request (CC-Money), or is the tariff's price of what is asked for: CC-Time,
//! CC-Total-Octets or CC-Service-Specific-Units. A billing server's request says for whom the money is, and what it keeps of it
//! ([`InvoiceParameters`]): that is paid in money alone, and stands in the ledger as two parts.
//! The record is the client's, as with a sum that is held. A repeated request gets the first answer: a debit is a session
//! that is over as soon as it has begun, and is remembered as such.

use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, InvoiceParameters, RequestedAction, RequestedServiceUnit,
};
use tollwire_runtime::clock::Now;

use super::Core;
use super::fund::used_of;
use super::money::{Portion, micro, sum_of};
use super::purse::{Keys, Posting};
use super::request::learn;
use crate::account::Account;
use crate::effect::Effect;
use crate::ledger::{About, Commodity, revenue};
use crate::rating::{Measure, Query};
use crate::session::{
    Facts, Granted, Invoiced, Outcome, Price, Service, ServiceOutcome, Session, Sum,
};

/// What an event is worth to this server.
struct Priced {
    amount_micro: i64,
    /// CC-Time, if the price is that of a call.
    seconds: Option<u32>,
    /// CC-Service-Specific-Units that the client counts.
    units: u64,
    /// What the ledger's entries are for; they come to `amount_micro`.
    portions: Vec<Portion>,
    /// The invoice that is paid or given back.
    invoice: Option<InvoiceParameters>,
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
        let Some(priced) = self.price_of(now, request, &account) else {
            return Outcome::refused(ResultCode::RATING_FAILED.0);
        };
        let currency = Self::currency_number(account.currency);
        let service = request.multiple_services_credit_controls.first();
        let rating_group = service.and_then(|service| service.rating_group);
        let service_identifiers = match service {
            Some(service) => service.service_identifiers.clone(),
            None => request.service_identifier.into_iter().collect(),
        };
        let success = Outcome {
            services: vec![ServiceOutcome::of(
                rating_group,
                &service_identifiers,
                ResultCode::SUCCESS.0,
            )],
            multiple_services: service.is_some(),
            ..Outcome::refused(ResultCode::SUCCESS.0)
        };
        if action == RequestedAction::PriceEnquiry {
            return Outcome {
                cost: Some((priced.amount_micro, currency)),
                ..success
            };
        }
        let price = Price::Sum {
            amount_micro: priced.amount_micro,
            currency: account.currency,
            units: priced.units,
        };
        let mut service = Service::new(rating_group, service_identifiers, price);
        let back = action == RequestedAction::RefundAccount;
        if !back {
            let payers = self.payers(&account.name, rating_group, &service.service_identifiers);
            let sum = (priced.units, priced.amount_micro);
            let reserved = payers.and_then(|payers| {
                self.reserve_sum(now, &account.name, &payers, sum, effects)
                    .ok_or(ResultCode::CREDIT_LIMIT_REACHED)
            });
            let reserved = match reserved {
                Ok(reserved) => reserved,
                Err(code) if action == RequestedAction::DirectDebiting => {
                    return Outcome::refused(code.0);
                }
                Err(_) => {
                    return Outcome {
                        enough_credit: Some(false),
                        ..success
                    };
                }
            };
            if action == RequestedAction::CheckBalance {
                self.release(&reserved.shares);
                return Outcome {
                    enough_credit: Some(true),
                    ..success
                };
            }
            service.shares = reserved.shares;
            service.granted = priced.units;
            service.free = reserved.free;
        } else if let Some(invoice) = &priced.invoice
            && let Some(debit) = &invoice.debit
        {
            // What was debited bounds what is given back, once.
            if let Err(code) =
                self.give_back(&account, invoice, debit, priced.amount_micro, effects)
            {
                return Outcome::refused(code.0);
            }
        } else if priced.amount_micro > self.settings.max_refund_micro {
            tracing::warn!(
                client = %request.origin_host, account = %account.name,
                asked_micro = priced.amount_micro, allowed_micro = self.settings.max_refund_micro,
                "a refund above grants.max_refund_micro is refused"
            );
            return Outcome::refused(ResultCode::AUTHORIZATION_REJECTED.0);
        }
        let mut outcome = success;
        if let Some(told) = outcome.services.first_mut() {
            told.granted = Some(match priced.seconds {
                Some(seconds) => Granted::Seconds(seconds),
                None => Granted::Sum(Sum {
                    amount_micro: priced.amount_micro,
                    currency,
                    units: priced.units,
                }),
            });
        }
        self.settle(
            now,
            request,
            &account,
            (service, back, &priced),
            outcome,
            effects,
        )
    }

    /// What the event costs: what the client says, or what the tariff does of a call of so many seconds or so many units.
    fn price_of(
        &self,
        now: Now,
        request: &CreditControlRequest,
        account: &Account,
    ) -> Option<Priced> {
        let service = request.multiple_services_credit_controls.first();
        let asked = requested(request)?;
        let units = asked.cc_service_specific_units.unwrap_or(1);
        if let Some(money) = &asked.cc_money {
            let amount_micro = micro(money, account.currency)?;
            return Some(match InvoiceParameters::of(request).ok()? {
                None => Priced {
                    amount_micro,
                    seconds: None,
                    units,
                    portions: vec![(amount_micro, About::default())],
                    invoice: None,
                },
                Some(invoice) => Priced {
                    amount_micro,
                    seconds: None,
                    units: 0,
                    portions: portions(amount_micro, &invoice)?,
                    invoice: Some(invoice),
                },
            });
        }
        let mut facts = Facts::default();
        learn(&mut facts, request);
        let identifier = service
            .and_then(|service| service.service_identifiers.first().copied())
            .or(request.service_identifier);
        let tariff = self.tariffs.find(&Query {
            called: &facts.to,
            calling: &facts.from,
            rating_group: service.and_then(|service| service.rating_group),
            service_identifier: identifier,
            currency: account.currency,
            at_unix_ms: now.unix_ms,
        })?;
        let (used, seconds) = match tariff.measure() {
            Measure::Time | Measure::Combined => {
                let seconds = asked.cc_time?;
                (used_of(Measure::Time, seconds.into()), Some(seconds))
            }
            Measure::Volume => (used_of(Measure::Volume, asked.cc_total_octets?), None),
            Measure::Events => (used_of(Measure::Events, units), None),
        };
        let amount_micro = tariff.price_micro(now.unix_ms, used);
        Some(Priced {
            amount_micro,
            seconds,
            units,
            portions: vec![(amount_micro, Price::Tariff(tariff.clone()).about())],
            invoice: None,
        })
    }

    /// Marks the debit of an invoice as given back, if it is just this one and was not yet.
    fn give_back(
        &mut self,
        account: &Account,
        invoice: &InvoiceParameters,
        debit: &str,
        amount_micro: i64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), ResultCode> {
        let before = self.sessions.get(debit).cloned();
        let before = before.ok_or(ResultCode::UNKNOWN_SESSION_ID)?;
        let same = before.account == account.name
            && before.charged_micro() == amount_micro
            && before.invoice
                == Some(Invoiced {
                    provider: invoice.provider.as_str().into(),
                    fee_micro: invoice.fee_micro,
                    refunded: false,
                });
        if !same {
            tracing::warn!(
                account = %account.name, debit, asked_micro = amount_micro,
                "a refund is refused: that is not what was paid, or it has been given back"
            );
            return Err(ResultCode::AUTHORIZATION_REJECTED);
        }
        let mut after = before.clone();
        if let Some(invoice) = &mut after.invoice {
            invoice.refunded = true;
        }
        self.put(Some(&before), after, effects);
        Ok(())
    }

    /// Moves the money, and remembers the answer.
    fn settle(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        account: &Account,
        (service, back, priced): (Service, bool, &Priced),
        mut outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = Session {
            closed_unix_ms: Some(now.unix_ms),
            invoice: priced.invoice.as_ref().map(|invoice| Invoiced {
                provider: invoice.provider.as_str().into(),
                fee_micro: invoice.fee_micro,
                refunded: back,
            }),
            ..Session::begin(request, account.name.clone(), vec![service], now.unix_ms)
        };
        let amount = sum_of(&session).map_or(0, |(amount, _)| amount);
        let number = request.cc_request_number;
        if back {
            let commodity = Commodity::Money(account.currency);
            let mut keys = Keys::of(now, session.entry_key(number));
            for (part, about) in &priced.portions {
                let posting = Posting {
                    debit: &revenue(commodity),
                    credit: &account.name,
                    amount: *part,
                    commodity,
                    about: about.clone(),
                };
                self.post(posting, &mut keys, effects);
            }
            if let Some(service) = session.services.first_mut() {
                service.charged_micro = -amount;
            }
            outcome.cost = Some((amount, Self::currency_number(account.currency)));
        } else {
            self.spend_sum(
                now,
                &mut session,
                amount,
                (number, &priced.portions),
                effects,
            );
            let cost = session.charged_micro();
            outcome.cost = Some((cost, Self::currency_number(account.currency)));
        }
        session.last.outcome = outcome.clone();
        self.put(None, session, effects);
        outcome
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
        let granted = known
            .last
            .outcome
            .services
            .first()
            .and_then(|told| told.granted);
        let was = sum_of(&known);
        // By what was asked, not by what it costs: tariffs change.
        let same_units = match granted {
            Some(Granted::Seconds(seconds)) => {
                asked.is_some_and(|units| units.cc_time == Some(seconds))
            }
            _ => asked.is_some_and(|units| match &units.cc_money {
                Some(money) => {
                    was.is_some_and(|(amount, currency)| micro(money, currency) == Some(amount))
                }
                None => match granted {
                    Some(Granted::Sum(sum)) => {
                        units.cc_service_specific_units.unwrap_or(1) == sum.units
                    }
                    _ => false,
                },
            }),
        };
        let same_payer = self
            .payer(request)
            .is_some_and(|account| account.name == known.account);
        let same = known.last.request_type == CcRequestType::EventRequest.number()
            && known.last.number == request.cc_request_number
            && (known.charged_micro() < 0) == (back && known.charged_micro() != 0)
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

/// What the provider is credited, and what the billing server keeps. The fee is the whole of its part: a settlement takes it off
/// exactly, whatever its rate was. Nothing, if more would be kept than is paid.
fn portions(amount_micro: i64, invoice: &InvoiceParameters) -> Option<Vec<Portion>> {
    let net_micro = amount_micro.checked_sub(invoice.fee_micro)?;
    if net_micro < 0 {
        return None;
    }
    let about = |commission_basis_points| About {
        service: invoice.service.as_str().into(),
        provider: invoice.provider.as_str().into(),
        tax_basis_points: invoice.tax_basis_points,
        commission_basis_points,
    };
    let parts = [(net_micro, about(0)), (invoice.fee_micro, about(10_000))];
    Some(parts.into_iter().filter(|(part, _)| *part > 0).collect())
}

fn requested(request: &CreditControlRequest) -> Option<&RequestedServiceUnit> {
    match request.multiple_services_credit_controls.first() {
        Some(service) => service.requested_service_unit.as_ref(),
        None => request.requested_service_unit.as_ref(),
    }
}
