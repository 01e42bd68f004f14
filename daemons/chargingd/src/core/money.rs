//! Event charging with unit reservation of a sum of money (RFC 8506 6.2 in a session of its own, 3GPP TS 32.299
//! 5.2.2.3, "ECUR"): the client knows the price, of a short message for example.
//!
//! ```text
//! CCR-Initial   Requested-Service-Unit { CC-Money }  -> all of it is held, or nothing
//! CCR-Update                                         -> it is held for longer
//! CCR-Terminate Used-Service-Unit { CC-Money }       -> that much is debited, the rest released
//! CCR-Terminate                                      -> all of it is released
//! ```
//! A client that falls silent has its hold released; its late report is debited if the account still has the sum. The record is the client's: none is made here; the
//! ledger's entry names the Session-Id.

use iso_currency::Currency;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcMoney, CcRequestType, CreditControlRequest, SubscriptionIdType,
};
use tollwire_runtime::clock::Now;

use super::Core;
use super::grant::after;
use super::purse::{Keys, amount};
use crate::account::Account;
use crate::effect::Effect;
use crate::ledger::About;
use crate::session::{Answered, Granted, Outcome, Price, Service, ServiceOutcome, Session, Sum};

/// Part of a sum, micro-units, and what it is for.
pub(super) type Portion = (i64, About);

/// What a request says of money.
struct Asked<'a> {
    requested: Option<&'a CcMoney>,
    used: Option<&'a CcMoney>,
    units: Option<u64>,
    rating_group: Option<u32>,
    service_identifiers: Vec<u32>,
}

impl<'a> Asked<'a> {
    fn of(request: &'a CreditControlRequest) -> Self {
        let service = request.multiple_services_credit_controls.first();
        let (requested, used) = match service {
            Some(service) => (
                service.requested_service_unit.as_ref(),
                service.used_service_units.first(),
            ),
            None => (
                request.requested_service_unit.as_ref(),
                request.used_service_units.first(),
            ),
        };
        Self {
            requested: requested.and_then(|units| units.cc_money.as_ref()),
            used: used.and_then(|units| units.cc_money.as_ref()),
            units: requested.and_then(|units| units.cc_service_specific_units),
            rating_group: service.and_then(|service| service.rating_group),
            service_identifiers: match service {
                Some(service) => service.service_identifiers.clone(),
                None => request.service_identifier.into_iter().collect(),
            },
        }
    }
}

/// Whether the request reserves money rather than time.
pub(super) fn is_of_money(request: &CreditControlRequest) -> bool {
    Asked::of(request).requested.is_some()
}

/// Micro-units, if they are 0 or more of this currency. Without a currency it is the account's.
pub(super) fn micro(money: &CcMoney, currency: Currency) -> Option<i64> {
    let ours = u32::from(currency.numeric());
    let same = money.currency_code.is_none_or(|code| code == ours);
    money
        .unit_value
        .micro()
        .filter(|amount| same && *amount >= 0)
}

impl Core {
    /// The answer to a CCR of a session of money.
    pub(super) fn money(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let Some(session) = self.sessions.get(request.session_id.as_str()) else {
            return match request.cc_request_type {
                CcRequestType::InitialRequest => self.hold(now, request, effects),
                _ => Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0),
            };
        };
        let session = session.clone();
        let Some((amount_micro, currency)) = sum_of(&session) else {
            return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
        };
        let last = &session.last;
        let terminates = request.cc_request_type == CcRequestType::TerminationRequest;
        if session.closed_unix_ms.is_some() {
            // A client that repeats its last request after a crash of its own gets the answer again. What supervision
            // closed holds nothing any more, whatever the first answer said.
            if terminates && last.request_type == CcRequestType::TerminationRequest.number() {
                self.counters.repeated += 1;
                return last.outcome.clone();
            }
            if Self::is_late(&session, request) {
                let used = Asked::of(request).used;
                let used = used.map_or(Some(0), |money| micro(money, currency));
                return match used {
                    Some(used) => self.late_sum(now, session, used, request, effects),
                    None => Outcome::refused(ResultCode::RATING_FAILED.0),
                };
            }
            return Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0);
        }
        match request.cc_request_type {
            CcRequestType::InitialRequest => {
                self.counters.repeated += 1;
                let asked = Asked::of(request);
                let same =
                    asked.requested.and_then(|money| micro(money, currency)) == Some(amount_micro);
                if !same {
                    return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
                }
                self.prolong(now, session, request, effects)
            }
            CcRequestType::UpdateRequest => self.prolong(now, session, request, effects),
            CcRequestType::TerminationRequest => self.take(now, session, request, effects),
            CcRequestType::EventRequest => Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0),
        }
    }

    /// Holds the sum.
    fn hold(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if self.due.len() >= self.settings.max_sessions {
            return Outcome::refused(ResultCode::TOO_BUSY.0);
        }
        let Some(account) = self.payer(request) else {
            return Outcome::refused(ResultCode::USER_UNKNOWN.0);
        };
        if account.blocked {
            return Outcome::refused(ResultCode::END_USER_SERVICE_DENIED.0);
        }
        let asked = Asked::of(request);
        let Some(amount) = asked
            .requested
            .and_then(|money| micro(money, account.currency))
        else {
            return Outcome::refused(ResultCode::RATING_FAILED.0);
        };
        let (name, currency) = (account.name.clone(), account.currency);
        let units = asked.units.unwrap_or(1);
        let payers = match self.payers(&name, asked.rating_group, &asked.service_identifiers) {
            Ok(payers) => payers,
            Err(code) => return Outcome::refused(code.0),
        };
        let Some(reserved) = self.reserve_sum(now, &name, &payers, (units, amount), effects) else {
            return Outcome::refused(ResultCode::CREDIT_LIMIT_REACHED.0);
        };
        let price = Price::Sum {
            amount_micro: amount,
            currency,
            units,
        };
        let mut service = Service::new(asked.rating_group, asked.service_identifiers, price);
        service.shares = reserved.shares;
        service.granted = units;
        service.free = reserved.free;
        let mut session = Session {
            due_unix_ms: self.silent_at(now),
            ..Session::begin(request, name, vec![service], now.unix_ms)
        };
        let outcome = self.granted(&session);
        session.last.outcome = outcome.clone();
        self.put(None, session, effects);
        outcome
    }

    /// Holds it for longer.
    fn prolong(
        &mut self,
        now: Now,
        before: Session,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = before.clone();
        session.due_unix_ms = self.silent_at(now);
        let outcome = self.granted(&session);
        session.last = Answered::to(request, outcome.clone());
        self.put(Some(&before), session, effects);
        outcome
    }

    /// Debits what was used, releases the rest, and closes the session.
    fn take(
        &mut self,
        now: Now,
        before: Session,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = before.clone();
        let Some((held, currency)) = sum_of(&session) else {
            return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
        };
        let used = match Asked::of(request).used {
            None => 0,
            Some(money) => match micro(money, currency) {
                Some(used) => used,
                None => return Outcome::refused(ResultCode::RATING_FAILED.0),
            },
        };
        if used > held {
            self.counters.excessive_reports += 1;
            tracing::warn!(
                session = %session.id, client = %session.origin_host, reported_micro = used,
                charged_micro = held, "a client reported more than was held; charged what was held"
            );
        }
        self.spend_sum(
            now,
            &mut session,
            used.min(held),
            (
                request.cc_request_number,
                &[(used.min(held), About::default())],
            ),
            effects,
        );
        session.closed_unix_ms = Some(now.unix_ms);
        let outcome = self.outcome_of_sum(&session);
        session.last = Answered::to(request, outcome.clone());
        self.put(Some(&before), session, effects);
        outcome
    }

    /// Debits `used_micro` of what is held, units for the same part of the whole, and releases the rest. Money is for
    /// `portions` in their order, units for the first.
    pub(super) fn spend_sum(
        &mut self,
        now: Now,
        session: &mut Session,
        used_micro: i64,
        (request_number, portions): (u32, &[Portion]),
        effects: &mut Vec<Effect>,
    ) {
        let mut keys = Keys::of(now, session.entry_key(request_number));
        let about = portions.first().map(|(_, about)| about.clone());
        let about = about.unwrap_or_default();
        let Some(service) = session.services.first_mut() else {
            return;
        };
        let Price::Sum {
            amount_micro,
            units,
            ..
        } = service.price
        else {
            return;
        };
        let shares = std::mem::take(&mut service.shares);
        self.release(&shares);
        // Units stand for their part of the sum: what was used of it is taken from them first.
        let of_units: u64 = shares
            .iter()
            .filter(|share| share.units)
            .map(|share| share.amount.unsigned_abs())
            .sum();
        let used_units = portion_of(units, used_micro, amount_micro);
        let mut left = used_units.saturating_sub(service.free).min(of_units);
        for share in shares.iter().filter(|share| share.units) {
            let taken = share.amount.min(amount(left));
            left -= taken.unsigned_abs();
            self.spend(&share.purse, taken, about.clone(), &mut keys, effects);
        }
        let money: i64 = shares
            .iter()
            .filter(|share| !share.units)
            .map(|share| share.amount)
            .sum();
        // What the units stand for costs nothing more.
        let covered = amount_micro.saturating_sub(money);
        let mut owed = used_micro.saturating_sub(covered).max(0);
        let mut portions = portions.iter().cloned();
        let mut portion = portions.next();
        for share in shares.iter().filter(|share| !share.units) {
            let mut of_share = share.amount.min(owed);
            owed -= of_share;
            while of_share > 0
                && let Some((left, about)) = &mut portion
            {
                let taken = of_share.min(*left);
                self.spend(&share.purse, taken, about.clone(), &mut keys, effects);
                service.charged_micro = service.charged_micro.saturating_add(taken);
                of_share -= taken;
                *left -= taken;
                if *left == 0 {
                    portion = portions.next();
                }
            }
        }
        service.granted = 0;
        service.free = 0;
    }

    /// The answer that ends a session of money.
    pub(super) fn outcome_of_sum(&self, session: &Session) -> Outcome {
        let currency = sum_of(session).map(|(_, currency)| currency);
        let services = session.services.iter().map(|service| {
            ServiceOutcome::of(
                service.rating_group,
                &service.service_identifiers,
                ResultCode::SUCCESS.0,
            )
        });
        Outcome {
            cost: currency
                .map(|currency| (session.charged_micro(), Self::currency_number(currency))),
            services: services.collect(),
            multiple_services: session.multiple_services,
            ..Outcome::refused(ResultCode::SUCCESS.0)
        }
    }

    /// The account that an identity of the request belongs to, or that a private one names.
    pub(super) fn payer(&self, request: &CreditControlRequest) -> Option<&Account> {
        self.subscriber(request).or_else(|| {
            request
                .subscription_ids
                .iter()
                .filter(|id| id.subscription_id_type == SubscriptionIdType::EndUserPrivate)
                .find_map(|id| self.accounts.get(id.subscription_id_data.as_str()))
        })
    }

    fn silent_at(&self, now: Now) -> i64 {
        after(now.unix_ms, self.settings.message_hold_seconds)
    }

    fn granted(&self, session: &Session) -> Outcome {
        let mut outcome = self.outcome_of_sum(session);
        outcome.cost = None;
        for (told, service) in outcome.services.iter_mut().zip(&session.services) {
            if let Price::Sum {
                amount_micro,
                currency,
                units,
            } = service.price
            {
                told.granted = Some(Granted::Sum(Sum {
                    amount_micro,
                    currency: Self::currency_number(currency),
                    units,
                }));
                told.validity_seconds = Some(self.settings.message_hold_seconds);
            }
        }
        outcome
    }
}

/// What a session of money is for.
pub(super) fn sum_of(session: &Session) -> Option<(i64, Currency)> {
    match session.services.first()?.price {
        Price::Sum {
            amount_micro,
            currency,
            ..
        } => Some((amount_micro, currency)),
        Price::Tariff(_) => None,
    }
}

/// So many of `units` as `used` is of `whole`, rounded up; all of them if nothing was asked for but used.
fn portion_of(units: u64, used: i64, whole: i64) -> u64 {
    if used >= whole {
        return units;
    }
    let (used, whole) = (i128::from(used.max(0)), i128::from(whole.max(1)));
    let part = (i128::from(units) * used + whole - 1) / whole;
    u64::try_from(part).unwrap_or(units)
}
