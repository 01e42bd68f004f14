//! The last report of a client that had fallen silent: its session was closed (Tcc, RFC 8506 13) and its reservation
//! released, but what it used it used.
//!
//! Within `remember_seconds` it is debited after all: never more than was held for it, and never what the account has not
//! got any more. A call leaves a second record of what the report adds; the record of a message is its client's.

use tollwire_cdr::EndCause;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{CcRequestType, CreditControlRequest};
use tollwire_runtime::clock::Now;

use super::Core;
use super::request::{Asked, learn};
use crate::effect::{Effect, Mutation};
use crate::session::{Answered, Late, Outcome, Session};

/// What a late record's id has behind the Session-Id.
const LATE: &str = "#late";

impl Core {
    /// Whether `request` is the last report of a session that supervision has closed.
    pub(super) fn is_late(session: &Session, request: &CreditControlRequest) -> bool {
        session.closed_unix_ms.is_some()
            && session.late.is_some()
            && request.cc_request_type == CcRequestType::TerminationRequest
            && request.cc_request_number > session.last.number
    }

    /// Debits what a call used beyond its last report, as far as it was granted and the account has it.
    pub(super) fn late_report(
        &mut self,
        now: Now,
        before: Session,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = before.clone();
        let late = session.late.take().unwrap_or_default();
        let asked = Asked::of(request);
        learn(&mut session.facts, request);
        let used = asked.used_seconds.min(late.seconds);
        let total = session.used_seconds.saturating_add(used);
        let answered = total > 0 || session.facts.answer_unix_ms.is_some();
        let price = match answered {
            true => session.tariff.price_micro(total),
            false => 0,
        };
        let owed = price.saturating_sub(session.charged_micro).max(0);
        let amount = self.collectable(&session, owed);
        self.late_debit(now, &mut session, amount, request, effects);
        if used > 0 || amount > 0 {
            self.late_record(now, &session, used, amount, &asked, effects);
        }
        session.used_seconds = total;
        let outcome = Outcome {
            cost: Some((
                session.charged_micro,
                Self::currency_number(session.tariff.currency),
            )),
            rating_group: session.rating_group,
            multiple_services: session.multiple_services,
            ..Outcome::refused(ResultCode::SUCCESS.0)
        };
        self.late_answer(&before, session, request, outcome, effects)
    }

    /// Debits what was used of a sum that was held, if the account still has all of it.
    pub(super) fn late_sum(
        &mut self,
        now: Now,
        before: Session,
        used_micro: i64,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let mut session = before.clone();
        let late = session.late.unwrap_or_default();
        let owed = used_micro.min(late.held_micro);
        if self.collectable(&session, owed) < owed {
            // It stays open: the account may be filled before the client asks again.
            return Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0);
        }
        session.late = None;
        self.late_debit(now, &mut session, owed, request, effects);
        let outcome = Outcome {
            cost: Some((owed, Self::currency_number(session.tariff.currency))),
            rating_group: session.rating_group,
            multiple_services: session.multiple_services,
            ..Outcome::refused(ResultCode::SUCCESS.0)
        };
        self.late_answer(&before, session, request, outcome, effects)
    }

    /// As much of `owed` as the account has.
    fn collectable(&self, session: &Session, owed: i64) -> i64 {
        let available = self
            .accounts
            .get(&session.account)
            .map_or(0, |account| account.available_micro());
        if available < owed {
            tracing::warn!(
                session = %session.id, account = %session.account, owed_micro = owed, available_micro = available,
                "a late report finds less than it costs"
            );
        }
        owed.min(available)
    }

    fn late_debit(
        &mut self,
        now: Now,
        session: &mut Session,
        amount: i64,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.late_reports += 1;
        session.charged_micro = session.charged_micro.saturating_add(amount);
        let key = session.entry_key(request.cc_request_number);
        self.transfer(now, &session.account, amount, key, effects);
    }

    /// A record of what the report adds, beside the one that was made when the session was closed.
    fn late_record(
        &mut self,
        now: Now,
        session: &Session,
        used: u64,
        amount: i64,
        asked: &Asked,
        effects: &mut Vec<Effect>,
    ) {
        self.last_record += 1;
        self.counters.records += 1;
        let mut facts = session.facts.clone();
        facts.end_cause = Some(EndCause::SupervisionExpired);
        facts.octets_from_caller = asked.octets_from_caller;
        facts.octets_to_caller = asked.octets_to_caller;
        let part = Session {
            facts,
            used_seconds: used,
            charged_micro: amount,
            ..session.clone()
        };
        let mut record = self.record(&part, now);
        record.record_id.push_str(LATE);
        let whole = session.used_seconds.saturating_add(used);
        let charged = session.tariff.charged_seconds(whole);
        let before = session.tariff.charged_seconds(session.used_seconds);
        record.charged_seconds = charged.saturating_sub(before);
        record.duration_ms = i64::try_from(used.saturating_mul(1_000)).unwrap_or(i64::MAX);
        effects.push(Effect::Store(Mutation::Record(Box::new(record))));
    }

    fn late_answer(
        &mut self,
        before: &Session,
        mut session: Session,
        request: &CreditControlRequest,
        outcome: Outcome,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        session.last = Answered {
            number: request.cc_request_number,
            request_type: request.cc_request_type.number(),
            outcome: outcome.clone(),
        };
        self.put(Some(before), session, effects);
        outcome
    }
}

impl Late {
    /// What supervision takes from a session, to be claimed by a late report.
    pub(super) fn of(session: &Session) -> Self {
        Self {
            seconds: session.granted_seconds,
            held_micro: session.held_micro,
        }
    }
}
