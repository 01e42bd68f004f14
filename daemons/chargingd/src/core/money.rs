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
use super::request::identities;
use crate::account::Account;
use crate::effect::Effect;
use crate::session::{Answered, Facts, Outcome, Session, Sum};
use crate::tariff::Tariff;

/// Name of the tariff of these sessions, whose price is the client's.
const BY_CLIENT: &str = "by-client";

/// What a request says of money.
struct Asked<'a> {
    requested: Option<&'a CcMoney>,
    used: Option<&'a CcMoney>,
    units: Option<u64>,
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
                let used = used.map_or(Some(0), |money| micro(money, session.tariff.currency));
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
                let same = asked
                    .requested
                    .and_then(|money| micro(money, session.tariff.currency))
                    == Some(session.held_micro);
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
        if amount > account.available_micro() {
            return Outcome::refused(ResultCode::CREDIT_LIMIT_REACHED.0);
        }
        let (name, currency) = (account.name.clone(), account.currency);
        let service = request.multiple_services_credit_controls.first();
        let mut session = Session {
            id: request.session_id.as_str().into(),
            account: name.clone(),
            tariff: Self::priced_by_client(currency),
            origin_host: request.origin_host.as_str().into(),
            origin_realm: request.origin_realm.as_str().into(),
            rating_group: service.and_then(|service| service.rating_group),
            multiple_services: service.is_some(),
            of_money: Some(asked.units.unwrap_or(1)),
            used_seconds: 0,
            granted_seconds: 0,
            charged_micro: 0,
            held_micro: amount,
            began_unix_ms: now.unix_ms,
            due_unix_ms: self.silent_at(now),
            last: Answered {
                number: request.cc_request_number,
                request_type: request.cc_request_type.number(),
                outcome: Outcome::refused(0),
            },
            facts: Facts::default(),
            closed_unix_ms: None,
            late: None,
        };
        self.set_held(&name, 0, amount);
        let outcome = self.granted(&session);
        session.last.outcome = outcome.clone();
        self.put(None, session, effects);
        outcome
    }

    /// The tariff of what the client prices.
    pub(super) fn priced_by_client(currency: Currency) -> Tariff {
        Tariff {
            name: BY_CLIENT.into(),
            prefixes: Vec::new(),
            currency,
            setup_fee_micro: 0,
            price_per_minute_micro: 0,
            steps: Vec::new(),
            free_seconds: 0,
            minimum_micro: 0,
            first_increment_seconds: 1,
            next_increment_seconds: 1,
        }
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
        session.last = Answered {
            number: request.cc_request_number,
            request_type: request.cc_request_type.number(),
            outcome: outcome.clone(),
        };
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
        let used = match Asked::of(request).used {
            None => 0,
            Some(money) => match micro(money, session.tariff.currency) {
                Some(used) => used,
                None => return Outcome::refused(ResultCode::RATING_FAILED.0),
            },
        };
        if used > session.held_micro {
            self.counters.excessive_reports += 1;
            tracing::warn!(
                session = %session.id, client = %session.origin_host, reported_micro = used,
                charged_micro = session.held_micro,
                "a client reported more than was held; charged what was held"
            );
        }
        let charged = used.min(session.held_micro);
        self.set_held(&session.account, session.held_micro, 0);
        session.held_micro = 0;
        session.charged_micro = charged;
        let key = session.entry_key(request.cc_request_number);
        self.transfer(now, &session.account, charged, key, effects);
        session.closed_unix_ms = Some(now.unix_ms);
        let outcome = Outcome {
            cost: Some((charged, Self::currency_number(session.tariff.currency))),
            rating_group: session.rating_group,
            multiple_services: session.multiple_services,
            ..Outcome::refused(ResultCode::SUCCESS.0)
        };
        session.last = Answered {
            number: request.cc_request_number,
            request_type: request.cc_request_type.number(),
            outcome: outcome.clone(),
        };
        self.put(Some(&before), session, effects);
        outcome
    }

    /// The account that an identity of the request belongs to, or that a private one names.
    pub(super) fn payer(&self, request: &CreditControlRequest) -> Option<&Account> {
        let by_identity = identities(request)
            .iter()
            .find_map(|identity| self.identities.get(identity))
            .and_then(|name| self.accounts.get(name));
        by_identity.or_else(|| {
            request
                .subscription_ids
                .iter()
                .filter(|id| id.subscription_id_type == SubscriptionIdType::EndUserPrivate)
                .find_map(|id| self.accounts.get(id.subscription_id_data.as_str()))
        })
    }

    fn silent_at(&self, now: Now) -> i64 {
        now.unix_ms
            .saturating_add(i64::from(self.settings.message_hold_seconds) * 1000)
    }

    fn granted(&self, session: &Session) -> Outcome {
        Outcome {
            granted_sum: Some(Sum {
                amount_micro: session.held_micro,
                currency: Self::currency_number(session.tariff.currency),
                units: session.of_money.unwrap_or(1),
            }),
            validity_seconds: Some(self.settings.message_hold_seconds),
            rating_group: session.rating_group,
            multiple_services: session.multiple_services,
            ..Outcome::refused(ResultCode::SUCCESS.0)
        }
    }
}
