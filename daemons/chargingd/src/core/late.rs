//! The last report of a client that had fallen silent: its session was closed (Tcc, RFC 8506 13) and its reservation
//! released, but what it used it used.
//!
//! Within `remember_seconds` it is debited after all: never more than was held for it, and never what the accounts have
//! not got any more. A call leaves a second record of what the report adds; the record of a message is its client's.

use tollwire_cdr::EndCause;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{CcRequestType, CreditControlRequest};
use tollwire_runtime::clock::Now;

use super::Core;
use super::credit::place;
use super::fund::Beyond;
use super::money::sum_of;
use super::pool::held_units;
use super::purse::Keys;
use super::request::{Asked, learn};
use crate::effect::Effect;
use crate::rating::{Measure, Used};
use crate::session::{Answered, Late, Outcome, Service, Session, split, units_of};

/// What a late record's id has behind the Session-Id.
const LATE: &str = "#late";

impl Core {
    /// Whether `request` is the last report of a session that supervision has closed.
    pub(super) fn is_late(session: &Session, request: &CreditControlRequest) -> bool {
        session.closed_unix_ms.is_some()
            && session
                .services
                .iter()
                .any(|service| service.late.is_some())
            && request.cc_request_type == CcRequestType::TerminationRequest
            && request.cc_request_number > session.last.number
    }

    /// Debits what was used beyond the last report, as far as it was granted and the accounts have it.
    pub(super) fn late_report(
        &mut self,
        now: Now,
        before: Session,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = before.clone();
        learn(&mut session.facts, request);
        self.counters.late_reports += 1;
        let mut keys = Keys::of(now, session.entry_key(request.cc_request_number));
        let account = session.account.clone();
        let answer = session.facts.answer_unix_ms;
        let mut outcomes = Vec::new();
        for asked in Asked::of_session(&session, request) {
            outcomes.push(asked.outcome(ResultCode::SUCCESS));
            let found = place(&session, &asked);
            let Some(service) = found.and_then(|index| session.services.get_mut(index)) else {
                continue;
            };
            let Some(late) = service.late.take() else {
                continue;
            };
            let mut part = service.clone();
            let mut service = service.clone();
            service.shares = session.gather_late(&service, late.shares);
            let held = service.shares.clone();
            let granted = match service.pool {
                Some(_) => held_units(now, &service),
                None => late.granted,
            };
            let used = at_most(&service, asked.used, granted);
            service.granted = granted;
            service.shares = self.take_again(&held);
            let how = (answer, Beyond::Nothing);
            let report = split(used, asked.after);
            self.consume(&account, &mut service, report, how, &mut keys, effects);
            let spent = service.priced_micro - part.priced_micro;
            session.scatter_late(&service, held, spent);
            if let Some(place) = found.and_then(|index| session.services.get_mut(index)) {
                *place = service.clone();
            }
            part.charged_micro = service.charged_micro - part.charged_micro;
            part.used = used;
            if part.is_used() || part.charged_micro > 0 {
                self.late_record(now, &session, (&part, &service), &asked, effects);
            }
        }
        for service in &mut session.services {
            service.late = None;
        }
        let outcome = self.outcome(&session, outcomes);
        self.late_answer(&before, session, request, outcome, effects)
    }

    /// Debits what was used of a sum that was held, if the accounts still have all of it.
    pub(super) fn late_sum(
        &mut self,
        now: Now,
        before: Session,
        used_micro: i64,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = before.clone();
        let held = sum_of(&session).map_or(0, |(amount, _)| amount);
        let Some(service) = session.services.first_mut() else {
            return Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0);
        };
        let Some(late) = service.late.take() else {
            return Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0);
        };
        let shares = self.take_again(&late.shares);
        let total = |shares: &[crate::session::Share]| -> i64 {
            shares.iter().map(|share| share.amount).sum()
        };
        if used_micro > 0 && total(&shares) < total(&late.shares).min(used_micro) {
            self.release(&shares);
            tracing::warn!(
                session = %before.id, account = %before.account, owed_micro = used_micro,
                "a late report finds less than it costs"
            );
            // It stays open: the account may be filled before the client asks again.
            return Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0);
        }
        self.counters.late_reports += 1;
        service.granted = late.granted;
        service.shares = shares;
        let number = request.cc_request_number;
        self.spend_sum(
            now,
            &mut session,
            used_micro.min(held),
            (number, &[(used_micro.min(held), Default::default())]),
            effects,
        );
        let outcome = self.outcome_of_sum(&session);
        self.late_answer(&before, session, request, outcome, effects)
    }

    /// A record of what the report adds, beside the one that was made when the session was closed.
    fn late_record(
        &mut self,
        now: Now,
        session: &Session,
        (part, whole): (&Service, &Service),
        asked: &Asked,
        effects: &mut Vec<Effect>,
    ) {
        let mut session = session.clone();
        session.facts.end_cause = Some(EndCause::SupervisionExpired);
        session.facts.octets_from_caller = asked.octets_from_caller;
        session.facts.octets_to_caller = asked.octets_to_caller;
        let mut record = self.record(&session, part, now);
        record.record_id.push_str(LATE);
        let mut earlier = whole.used;
        earlier.seconds = earlier.seconds.saturating_sub(part.used.seconds);
        record.charged_seconds =
            charged_seconds(whole, whole.used).saturating_sub(charged_seconds(whole, earlier));
        record.duration_ms =
            i64::try_from(part.used.seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.write(record, effects);
    }

    fn late_answer(
        &mut self,
        before: &Session,
        mut session: Session,
        request: &CreditControlRequest,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        session.last = Answered::to(request, outcome.clone());
        self.put(Some(before), session, effects);
        outcome
    }
}

/// Of a report, no more than was granted.
fn at_most(service: &Service, mut used: Used, granted: u64) -> Used {
    match service.price.measure() {
        Some(Measure::Time | Measure::Combined) => used.seconds = used.seconds.min(granted),
        Some(Measure::Volume) => used.octets = used.octets.min(granted),
        Some(Measure::Events) => used.events = used.events.min(granted),
        None => {}
    }
    used
}

/// Seconds of use with the tariff's increments.
pub(super) fn charged_seconds(service: &Service, used: Used) -> u64 {
    match &service.price {
        crate::session::Price::Tariff(tariff) => match tariff.measure() {
            Measure::Time | Measure::Combined => units_of(Measure::Time, tariff.charged(used)),
            _ => used.seconds,
        },
        crate::session::Price::Sum { .. } => 0,
    }
}

impl Late {
    /// What supervision takes from a service, to be claimed by a late report.
    pub(super) fn of(service: &mut Service) -> Self {
        Self {
            granted: std::mem::take(&mut service.granted),
            shares: std::mem::take(&mut service.shares),
        }
    }
}
