//! Credit control (RFC 8506 5, 6): grants, debits, repeated requests.

use tollwire_cdr::Payment;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{CcRequestType, CreditControlRequest};
use tollwire_runtime::clock::Now;

use super::Core;
use super::money::is_of_money;
use super::request::{Asked, identities, learn};
use crate::effect::Effect;
use crate::session::{Answered, Facts, Outcome, Session};

/// Reports may lie this much beyond the wall clock: two clocks, and whole started seconds.
const CLOCK_TOLERANCE_SECONDS: u64 = 2;

impl Core {
    /// The answer to a CCR, and what it changes.
    pub(super) fn credit_control(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if request.multiple_services_credit_controls.len() > 1 {
            return Outcome::refused(ResultCode::RATING_FAILED.0);
        }
        if request.cc_request_type == CcRequestType::EventRequest {
            return self.one_time_event(now, request, effects);
        }
        let session = self.sessions.get(request.session_id.as_str());
        if session.map_or_else(
            || is_of_money(request),
            |session| session.of_money.is_some(),
        ) {
            return self.money(now, request, effects);
        }
        if let Some(repeated) = session.and_then(|session| repeated(session, request)) {
            self.counters.repeated += 1;
            return repeated;
        }
        match (request.cc_request_type, session) {
            (CcRequestType::InitialRequest, None) => self.initial(now, request, effects),
            // Another session under a name that is in use, or a number that was not the next.
            (CcRequestType::InitialRequest, Some(_)) => {
                Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0)
            }
            (_, Some(session)) if session.closed_unix_ms.is_none() => {
                if request.cc_request_number <= session.last.number {
                    return Outcome::refused(ResultCode::UNABLE_TO_COMPLY.0);
                }
                let session = session.clone();
                self.report(now, session, request, effects)
            }
            (_, Some(session)) if Self::is_late(session, request) => {
                let session = session.clone();
                self.late_report(now, session, request, effects)
            }
            // Closed, or never begun here (a CCR-T that overtook its CCR-I).
            (_, _) => Outcome::refused(ResultCode::UNKNOWN_SESSION_ID.0),
        }
    }

    fn initial(
        &mut self,
        now: Now,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        if self.due.len() >= self.settings.max_sessions {
            return Outcome::refused(ResultCode::TOO_BUSY.0);
        }
        let account = identities(request)
            .iter()
            .find_map(|identity| self.identities.get(identity))
            .and_then(|name| self.accounts.get(name));
        let Some(account) = account else {
            return Outcome::refused(ResultCode::USER_UNKNOWN.0);
        };
        if account.blocked {
            return Outcome::refused(ResultCode::END_USER_SERVICE_DENIED.0);
        }
        let mut facts = Facts::default();
        learn(&mut facts, request);
        let Some(tariff) = self.tariffs.find(&facts.to, account.currency) else {
            return Outcome::refused(ResultCode::RATING_FAILED.0);
        };
        facts.invite_unix_ms = facts.invite_unix_ms.or(Some(now.unix_ms));
        let asked = Asked::of(request);
        let mut session = Session {
            id: request.session_id.as_str().into(),
            account: account.name.clone(),
            tariff: tariff.clone(),
            origin_host: request.origin_host.as_str().into(),
            origin_realm: request.origin_realm.as_str().into(),
            rating_group: asked.rating_group,
            multiple_services: asked.multiple_services,
            of_money: None,
            used_seconds: 0,
            granted_seconds: 0,
            charged_micro: 0,
            held_micro: 0,
            began_unix_ms: now.unix_ms,
            due_unix_ms: now.unix_ms,
            last: Answered {
                number: request.cc_request_number,
                request_type: request.cc_request_type.number(),
                outcome: Outcome::refused(0),
            },
            facts,
            closed_unix_ms: None,
            late: None,
        };
        let outcome = self.grant(now, &mut session, asked.wanted.flatten());
        if outcome.result_code != ResultCode::SUCCESS.0 {
            return outcome;
        }
        // The grant begins to count when the call is answered.
        session.due_unix_ms += i64::from(self.settings.setup_seconds) * 1000;
        session.last.outcome = outcome.clone();
        self.put(None, session, effects);
        outcome
    }

    /// CCR-Update and CCR-Terminate.
    fn report(
        &mut self,
        now: Now,
        mut session: Session,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) -> Outcome {
        let before = session.clone();
        let asked = Asked::of(request);
        learn(&mut session.facts, request);
        session.facts.octets_from_caller =
            (session.facts.octets_from_caller).saturating_add(asked.octets_from_caller);
        session.facts.octets_to_caller =
            (session.facts.octets_to_caller).saturating_add(asked.octets_to_caller);
        self.debit(now, &mut session, asked.used_seconds, request, effects);
        let is_update = request.cc_request_type == CcRequestType::UpdateRequest;
        let outcome = if !is_update {
            let reported = request.event_timestamp.map(|time| time.unix_ms());
            session.facts.end_unix_ms = Some(end_time(now.unix_ms, reported));
            self.closing(now, &mut session, effects);
            self.outcome(&session, ResultCode::SUCCESS)
        } else if self
            .accounts
            .get(&session.account)
            .is_none_or(|account| account.blocked)
        {
            self.outcome(&session, ResultCode::END_USER_SERVICE_DENIED)
        } else {
            self.grant(now, &mut session, asked.wanted.flatten())
        };
        session.last = Answered {
            number: request.cc_request_number,
            request_type: request.cc_request_type.number(),
            outcome: outcome.clone(),
        };
        self.put(Some(&before), session, effects);
        outcome
    }

    /// Debits what was used and releases the hold.
    fn debit(
        &mut self,
        now: Now,
        session: &mut Session,
        reported_seconds: u64,
        request: &CreditControlRequest,
        effects: &mut Vec<Effect>,
    ) {
        let used = self.believed(now, session, reported_seconds);
        if used < reported_seconds {
            self.counters.excessive_reports += 1;
            tracing::warn!(
                session = %session.id, client = %session.origin_host, reported_seconds, charged_seconds = used,
                "a client reported more than it was granted or than time has passed; charged the lesser"
            );
        }
        self.set_held(&session.account, session.held_micro, 0);
        session.held_micro = 0;
        session.granted_seconds = 0;
        session.used_seconds += used;
        let answered = session.used_seconds > 0 || session.facts.answer_unix_ms.is_some();
        if answered {
            let price = session.tariff.price_micro(session.used_seconds);
            let amount = price.saturating_sub(session.charged_micro);
            session.charged_micro = price;
            let key = session.entry_key(request.cc_request_number);
            self.transfer(now, &session.account, amount, key, effects);
        }
    }

    /// Seconds that are charged of those reported: never more than was granted, nor than time has passed. A post-paid
    /// client may have gone on without us, and is held to the clock alone.
    fn believed(&self, now: Now, session: &Session, reported: u64) -> u64 {
        let elapsed = u64::try_from(now.unix_ms.saturating_sub(session.began_unix_ms)).unwrap_or(0);
        let by_clock =
            (elapsed / 1000 + CLOCK_TOLERANCE_SECONDS).saturating_sub(session.used_seconds);
        let postpaid = self
            .accounts
            .get(&session.account)
            .is_some_and(|account| account.payment == Payment::Postpaid);
        if postpaid && self.settings.postpaid_continues {
            reported.min(by_clock)
        } else {
            reported
                .min(session.granted_seconds)
                .min(by_clock.max(session.granted_seconds.min(1)))
        }
    }

    /// Holds what the next grant may cost. The account must be able to pay for at least a second.
    fn grant(&mut self, now: Now, session: &mut Session, wanted: Option<u32>) -> Outcome {
        let Some(account) = self.accounts.get(&session.account) else {
            return self.outcome(session, ResultCode::USER_UNKNOWN);
        };
        let tariff = &session.tariff;
        let affordable = tariff
            .affordable_seconds(
                session
                    .charged_micro
                    .saturating_add(account.available_micro()),
            )
            .saturating_sub(session.used_seconds);
        if affordable == 0 {
            session.due_unix_ms = now.unix_ms + i64::from(self.settings.grace_seconds) * 1000;
            // RFC 8506 8.34: no Final-Unit-Indication beside this result.
            return self.outcome(session, ResultCode::CREDIT_LIMIT_REACHED);
        }
        let quantum = u64::from(self.settings.quantum_seconds);
        let most = wanted
            .filter(|seconds| *seconds > 0)
            .map_or(quantum, |seconds| quantum.min(u64::from(seconds)));
        let final_unit = affordable <= most;
        let granted = affordable.min(most);
        let held = tariff
            .price_micro(session.used_seconds + granted)
            .saturating_sub(session.charged_micro);
        self.set_held(&session.account, session.held_micro, held);
        session.held_micro = held;
        session.granted_seconds = granted;
        let seconds = u32::try_from(granted).unwrap_or(u32::MAX);
        let grace = i64::from(self.settings.grace_seconds);
        session.due_unix_ms = now.unix_ms + (i64::from(seconds) + grace) * 1000;
        Outcome {
            granted_seconds: Some(seconds),
            final_unit,
            validity_seconds: Some(seconds),
            ..self.outcome(session, ResultCode::SUCCESS)
        }
    }

    fn outcome(&self, session: &Session, result_code: ResultCode) -> Outcome {
        let account = self.accounts.get(&session.account);
        let postpaid = account.is_some_and(|account| account.payment == Payment::Postpaid);
        Outcome {
            result_code: result_code.0,
            granted_seconds: None,
            granted_sum: None,
            final_unit: false,
            validity_seconds: None,
            cost: account.map(|account| {
                (
                    session.charged_micro,
                    Self::currency_number(account.currency),
                )
            }),
            continue_without_us: postpaid && self.settings.postpaid_continues,
            rating_group: session.rating_group,
            multiple_services: session.multiple_services,
            enough_credit: None,
        }
    }
}

/// The answer given before to the same request (RFC 8506 6.5, RFC 6733 3: the pair of Session-Id and
/// CC-Request-Number names it).
fn repeated(session: &Session, request: &CreditControlRequest) -> Option<Outcome> {
    let last = &session.last;
    (last.number == request.cc_request_number
        && last.request_type == request.cc_request_type.number())
    .then(|| last.outcome.clone())
}

/// When the service ended: the client's Event-Timestamp has whole seconds alone, so it counts only where it tells of
/// an older event than the request's own arrival.
fn end_time(now_unix_ms: i64, reported: Option<i64>) -> i64 {
    match reported {
        Some(reported) if reported < now_unix_ms - 2000 => reported,
        _ => now_unix_ms,
    }
}
