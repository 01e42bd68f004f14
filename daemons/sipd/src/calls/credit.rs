//! The credit-control client of one call (RFC 8506 7, session-based charging).
//!
//! One request is outstanding at a time: a CCR-Terminate waits for the answer
//! to the request before it, so that no server sees an end before the start.
//! A request nobody answered is repeated as it was, under its own number: the
//! server's duplicate detection makes that safe, a new one with the same used
//! units would be charged twice.
//!
//! Seconds are counted from the answer of the call in whole, started seconds;
//! `until` is the second up to which the sum of all grants reaches.

use super::EndCause;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Diameter result codes the client acts upon.
pub mod result_code {
    /// DIAMETER_TOO_BUSY
    pub const TOO_BUSY: u32 = 3004;
    /// DIAMETER_UNABLE_TO_DELIVER
    pub const UNABLE_TO_DELIVER: u32 = 3002;
    /// DIAMETER_CREDIT_LIMIT_REACHED
    pub const CREDIT_LIMIT_REACHED: u32 = 4012;
    /// DIAMETER_UNKNOWN_SESSION_ID
    pub const UNKNOWN_SESSION_ID: u32 = 5002;
}

/// CC-Request-Type of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreditOrderKind {
    /// INITIAL_REQUEST
    Initial,
    /// UPDATE_REQUEST
    Update,
    /// TERMINATION_REQUEST
    Terminate,
}

/// What ended, for the last report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// Why.
    pub cause: EndCause,
    /// When, milliseconds since 1970.
    pub end_unix_ms: i64,
}

/// One CCR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditOrder {
    /// CC-Request-Type.
    pub kind: CreditOrderKind,
    /// CC-Request-Number.
    pub number: u32,
    /// Seconds used since the last report.
    pub used_seconds: u32,
    /// Octets from the caller since the last report.
    pub octets_from_caller: u64,
    /// Octets to the caller since the last report.
    pub octets_to_caller: u64,
    /// Answer time, milliseconds since 1970.
    pub answer_unix_ms: Option<i64>,
    /// Only in a CCR-Terminate.
    pub ending: Option<Ending>,
    /// It may have been sent before: the T flag.
    pub repeated: bool,
}

/// Credit-Control-Failure-Handling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureHandling {
    /// TERMINATE, RETRY_AND_TERMINATE: the call ends with its grant.
    Terminate,
    /// CONTINUE: the call goes on uncontrolled.
    Continue,
}

/// What a CCA said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditAnswer {
    /// Result-Code, the stricter of the command's and the service's.
    pub result_code: u32,
    /// CC-Time granted, in seconds.
    pub granted_seconds: Option<u32>,
    /// CC-Total-Octets granted.
    pub granted_octets: Option<u64>,
    /// Final-Unit-Indication was there.
    pub final_unit: bool,
    /// Validity-Time in seconds.
    pub validity_seconds: Option<u32>,
    /// Credit-Control-Failure-Handling, if it said so.
    pub failure_handling: Option<FailureHandling>,
}

/// What an answer, or the lack of one, means to the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreditStep {
    /// A grant; the limiter's timeout moves.
    Granted,
    /// CCR-Initial was refused with this result code.
    Refused(u32),
    /// CCR-Update was refused: no more credit, or the account is blocked.
    Exhausted(EndCause),
    /// CCR-Initial got no answer.
    Unavailable,
    /// CCR-Update got no answer yet, and the failure handling lets the call go on.
    Uncontrolled,
    /// Nothing to do.
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Session {
    New,
    Open,
    Closed,
}

/// The state of a call's credit-control session.
#[derive(Debug, Clone)]
pub struct Credit {
    session: Session,
    next_number: u32,
    outstanding: Option<CreditOrder>,
    /// Set when `outstanding` is not under way and has to be sent again.
    retry_at: Option<Instant>,
    termination: Option<CreditOrder>,
    answered_at: Option<Instant>,
    answer_unix_ms: Option<i64>,
    reported_seconds: u32,
    reported_octets: (u64, u64),
    grant_seconds: u32,
    until: u32,
    final_unit: bool,
    uncontrolled: bool,
    /// The call is over: nothing new is asked for.
    ending: bool,
    reauthorise: bool,
    octet_quota: Option<u64>,
    validity: Option<Instant>,
    failure_handling: FailureHandling,
}

impl Credit {
    /// A session nobody knows of yet.
    pub fn new() -> Self {
        Self {
            session: Session::New,
            next_number: 0,
            outstanding: None,
            retry_at: None,
            termination: None,
            answered_at: None,
            answer_unix_ms: None,
            reported_seconds: 0,
            reported_octets: (0, 0),
            grant_seconds: 0,
            until: 0,
            final_unit: false,
            uncontrolled: false,
            ending: false,
            reauthorise: false,
            octet_quota: None,
            validity: None,
            failure_handling: FailureHandling::Terminate,
        }
    }

    /// The CCR-Initial.
    pub fn initial(&mut self) -> CreditOrder {
        self.order(CreditOrderKind::Initial, 0, (0, 0))
    }

    /// The call was answered: grants count from here.
    pub fn answered(&mut self, now: Instant, unix_ms: i64) {
        self.answered_at = Some(now);
        self.answer_unix_ms = Some(unix_ms);
    }

    /// Whether the server has a session it must be told the end of.
    pub fn is_open(&self) -> bool {
        self.session == Session::Open
    }

    /// Whether nothing is owed to the server.
    pub fn is_settled(&self) -> bool {
        self.outstanding.is_none() && self.termination.is_none() && self.session != Session::Open
    }

    /// Whether a request is under way or to be repeated.
    pub fn is_waiting(&self) -> bool {
        self.outstanding.is_some()
    }

    /// Seconds granted in all, from the answer.
    pub fn until(&self) -> u32 {
        self.until
    }

    /// Whether the grant at hand is the last.
    pub fn is_final(&self) -> bool {
        self.final_unit
    }

    /// Octets the limiter may let pass, in all.
    pub fn octet_quota(&self) -> Option<u64> {
        self.octet_quota
    }

    /// When the sum of all grants is used up; `None` before the answer.
    pub fn expiry(&self) -> Option<Instant> {
        if self.uncontrolled {
            return None;
        }
        Some(self.answered_at? + Duration::from_secs(u64::from(self.until)))
    }

    /// Whether the call goes on although the server does not answer.
    pub fn is_uncontrolled(&self) -> bool {
        self.uncontrolled
    }

    /// When something has to be sent: a repetition, or a CCR-Update.
    pub fn next_deadline(&self, update_at_percent: u32) -> Option<Instant> {
        match &self.outstanding {
            Some(_) => self.retry_at,
            None if self.session == Session::Open && !self.ending => {
                earliest(self.update_due(update_at_percent), self.validity)
            }
            None => None,
        }
    }

    /// Sends what is due: a repetition, or a CCR-Update.
    pub fn tick(&mut self, now: Instant, update_at_percent: u32) -> Option<CreditOrder> {
        if let Some(order) = &mut self.outstanding {
            if self.retry_at.is_none_or(|at| at > now) {
                return None;
            }
            self.retry_at = None;
            order.repeated = true;
            return Some(order.clone());
        }
        let due = self.next_deadline(update_at_percent)?;
        (due <= now).then(|| self.update(now))
    }

    /// The charging system wants to be asked now.
    pub fn reauthorise(&mut self, now: Instant) -> Option<CreditOrder> {
        if self.session != Session::Open || self.ending {
            return None;
        }
        if self.outstanding.is_some() {
            self.reauthorise = true;
            return None;
        }
        Some(self.update(now))
    }

    /// The call is over, the last report is not due yet: no more is asked for.
    pub fn stop(&mut self) {
        self.ending = true;
    }

    /// The call is over. Returns the CCR-Terminate, or `None` when it waits
    /// for an answer first or the server has no session.
    pub fn terminate(
        &mut self,
        now: Instant,
        ended_at: Instant,
        ending: Ending,
        octets: (u64, u64),
    ) -> Option<CreditOrder> {
        if self.session == Session::Closed || self.termination.is_some() {
            return None;
        }
        self.ending = true;
        let used_total = self.used_seconds(ended_at.min(now));
        self.termination = Some(CreditOrder {
            kind: CreditOrderKind::Terminate,
            number: 0,
            used_seconds: used_total,
            octets_from_caller: octets.0,
            octets_to_caller: octets.1,
            answer_unix_ms: self.answer_unix_ms,
            ending: Some(ending),
            repeated: false,
        });
        self.release_termination()
    }

    /// Seconds started from the answer to `at`, never more than were granted.
    pub fn used_seconds(&self, at: Instant) -> u32 {
        let Some(answered_at) = self.answered_at else {
            return 0;
        };
        let elapsed = at.saturating_duration_since(answered_at).as_millis();
        let started = u32::try_from(elapsed.div_ceil(1000)).unwrap_or(u32::MAX);
        if self.uncontrolled {
            started
        } else {
            started.min(self.until)
        }
    }

    /// An answer came. The order that may go out because of it is the second value.
    pub fn handle_answer(
        &mut self,
        now: Instant,
        answer: &CreditAnswer,
        default_grant_seconds: u32,
        retry: Duration,
    ) -> (CreditStep, Option<CreditOrder>) {
        if is_transient(answer.result_code) {
            // A server that answers "busy" to a CCR-Initial opened no session.
            return self.handle_failure(now, false, retry);
        }
        let Some(order) = self.outstanding.take() else {
            return (CreditStep::Nothing, None);
        };
        self.retry_at = None;
        self.uncontrolled = false;
        let success = (2000..3000).contains(&answer.result_code);
        match order.kind {
            CreditOrderKind::Initial if success => {
                self.session = Session::Open;
                self.grant(now, answer, default_grant_seconds);
                self.after(CreditStep::Granted)
            }
            CreditOrderKind::Initial => {
                self.session = Session::Closed;
                self.termination = None;
                (CreditStep::Refused(answer.result_code), None)
            }
            CreditOrderKind::Update => {
                self.reported_seconds = self.reported_seconds.saturating_add(order.used_seconds);
                self.reported_octets.0 = self
                    .reported_octets
                    .0
                    .saturating_add(order.octets_from_caller);
                self.reported_octets.1 = self
                    .reported_octets
                    .1
                    .saturating_add(order.octets_to_caller);
                if success {
                    self.grant(now, answer, default_grant_seconds);
                    if self.reauthorise && !self.ending {
                        self.reauthorise = false;
                        let order = self.update(now);
                        return (CreditStep::Granted, Some(order));
                    }
                    return self.after(CreditStep::Granted);
                }
                self.until = self.reported_seconds;
                self.final_unit = true;
                self.validity = None;
                if answer.result_code == result_code::UNKNOWN_SESSION_ID {
                    self.session = Session::Closed;
                    self.termination = None;
                }
                let cause = match answer.result_code {
                    result_code::CREDIT_LIMIT_REACHED => EndCause::CreditExhausted,
                    result_code::UNKNOWN_SESSION_ID => EndCause::SupervisionExpired,
                    _ => EndCause::OperatorBlock,
                };
                self.after(CreditStep::Exhausted(cause))
            }
            CreditOrderKind::Terminate => {
                self.session = Session::Closed;
                (CreditStep::Nothing, None)
            }
        }
    }

    /// No answer came. `sent`: the server may have acted upon the request.
    pub fn handle_failure(
        &mut self,
        now: Instant,
        sent: bool,
        retry: Duration,
    ) -> (CreditStep, Option<CreditOrder>) {
        let Some(kind) = self.outstanding.as_ref().map(|order| order.kind) else {
            return (CreditStep::Nothing, None);
        };
        if kind == CreditOrderKind::Initial {
            self.outstanding = None;
            // The server may hold credit for a request whose answer was lost;
            // one that was never sent holds none.
            self.session = if sent { Session::Open } else { Session::Closed };
            if !sent {
                self.termination = None;
            }
            let order = self.release_termination();
            return (CreditStep::Unavailable, order);
        }
        self.retry_at = Some(now + retry);
        if kind == CreditOrderKind::Update
            && self.failure_handling == FailureHandling::Continue
            && !self.final_unit
            && !self.ending
        {
            self.uncontrolled = true;
            return (CreditStep::Uncontrolled, None);
        }
        (CreditStep::Nothing, None)
    }

    /// What a restart needs.
    pub fn snapshot(&self) -> CreditSnapshot {
        CreditSnapshot {
            open: self.session == Session::Open || self.outstanding.is_some(),
            next_number: self.next_number,
            outstanding: self.outstanding.clone(),
            termination: self.termination.clone(),
            answer_unix_ms: self.answer_unix_ms,
            reported_seconds: self.reported_seconds,
            reported_octets: self.reported_octets,
            grant_seconds: self.grant_seconds,
            until: self.until,
            final_unit: self.final_unit,
            uncontrolled: self.uncontrolled,
            octet_quota: self.octet_quota,
            failure_handling: self.failure_handling,
        }
    }

    /// Continues from a snapshot: what was under way is repeated at once.
    pub fn restore(snapshot: CreditSnapshot, now: Instant, now_unix_ms: i64) -> Self {
        let answered_at = snapshot.answer_unix_ms.map(|answer_unix_ms| {
            let elapsed = u64::try_from(now_unix_ms.saturating_sub(answer_unix_ms)).unwrap_or(0);
            now.checked_sub(Duration::from_millis(elapsed))
                .unwrap_or(now)
        });
        Self {
            session: if snapshot.open {
                Session::Open
            } else {
                Session::Closed
            },
            next_number: snapshot.next_number,
            retry_at: snapshot.outstanding.is_some().then_some(now),
            outstanding: snapshot.outstanding,
            termination: snapshot.termination,
            answered_at,
            answer_unix_ms: snapshot.answer_unix_ms,
            reported_seconds: snapshot.reported_seconds,
            reported_octets: snapshot.reported_octets,
            grant_seconds: snapshot.grant_seconds,
            until: snapshot.until,
            final_unit: snapshot.final_unit,
            uncontrolled: snapshot.uncontrolled,
            ending: false,
            reauthorise: false,
            octet_quota: snapshot.octet_quota,
            validity: None,
            failure_handling: snapshot.failure_handling,
        }
    }

    /// Whether the CCR-Terminate was made already.
    pub fn has_termination(&self) -> bool {
        self.termination.is_some()
            || self
                .outstanding
                .as_ref()
                .is_some_and(|order| order.kind == CreditOrderKind::Terminate)
    }

    /// After a restart of an unanswered call the CCR-Initial is not repeated:
    /// its INVITE is gone.
    pub fn abandon_initial(&mut self) {
        if self
            .outstanding
            .as_ref()
            .is_some_and(|order| order.kind == CreditOrderKind::Initial)
        {
            self.outstanding = None;
            self.retry_at = None;
        }
    }

    fn update_due(&self, update_at_percent: u32) -> Option<Instant> {
        if self.final_unit {
            return None;
        }
        let answered_at = self.answered_at?;
        let percent = u64::from(update_at_percent.clamp(1, 100));
        let offset_ms = u64::from(self.until.saturating_sub(self.grant_seconds)) * 1000
            + u64::from(self.grant_seconds) * 10 * percent;
        Some(answered_at + Duration::from_millis(offset_ms))
    }

    fn update(&mut self, now: Instant) -> CreditOrder {
        self.validity = None;
        let used = self.used_seconds(now).saturating_sub(self.reported_seconds);
        self.order(CreditOrderKind::Update, used, (0, 0))
    }

    fn order(&mut self, kind: CreditOrderKind, used: u32, octets: (u64, u64)) -> CreditOrder {
        let order = CreditOrder {
            kind,
            number: self.next_number,
            used_seconds: used,
            octets_from_caller: octets.0,
            octets_to_caller: octets.1,
            answer_unix_ms: self.answer_unix_ms,
            ending: None,
            repeated: false,
        };
        self.next_number = self.next_number.saturating_add(1);
        self.retry_at = None;
        self.outstanding = Some(order.clone());
        order
    }

    fn grant(&mut self, now: Instant, answer: &CreditAnswer, default_grant_seconds: u32) {
        self.grant_seconds = answer.granted_seconds.unwrap_or(default_grant_seconds);
        self.until = self.reported_seconds.saturating_add(self.grant_seconds);
        self.final_unit = answer.final_unit;
        if let Some(handling) = answer.failure_handling {
            self.failure_handling = handling;
        }
        if let Some(octets) = answer.granted_octets {
            let reported = self
                .reported_octets
                .0
                .saturating_add(self.reported_octets.1);
            self.octet_quota = Some(reported.saturating_add(octets));
        }
        // Validity-Time of a final unit ends nothing earlier than the unit itself.
        self.validity = answer
            .validity_seconds
            .filter(|seconds| *seconds > 0 && !answer.final_unit)
            .map(|seconds| now + Duration::from_secs(u64::from(seconds)));
    }

    fn after(&mut self, step: CreditStep) -> (CreditStep, Option<CreditOrder>) {
        let order = self.release_termination();
        (step, order)
    }

    fn release_termination(&mut self) -> Option<CreditOrder> {
        if self.outstanding.is_some() {
            return None;
        }
        let mut order = self.termination.take()?;
        order.number = self.next_number;
        order.used_seconds = order.used_seconds.saturating_sub(self.reported_seconds);
        order.octets_from_caller = order
            .octets_from_caller
            .saturating_sub(self.reported_octets.0);
        order.octets_to_caller = order
            .octets_to_caller
            .saturating_sub(self.reported_octets.1);
        self.next_number = self.next_number.saturating_add(1);
        self.retry_at = None;
        self.outstanding = Some(order.clone());
        Some(order)
    }
}

impl Default for Credit {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Credit`] as it is kept for a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditSnapshot {
    open: bool,
    next_number: u32,
    outstanding: Option<CreditOrder>,
    termination: Option<CreditOrder>,
    answer_unix_ms: Option<i64>,
    reported_seconds: u32,
    reported_octets: (u64, u64),
    grant_seconds: u32,
    until: u32,
    final_unit: bool,
    uncontrolled: bool,
    octet_quota: Option<u64>,
    failure_handling: FailureHandling,
}

/// The server may answer otherwise in a moment (RFC 6733 7.1.3).
pub fn is_transient(code: u32) -> bool {
    matches!(code, result_code::TOO_BUSY | result_code::UNABLE_TO_DELIVER)
}

/// The earlier of two deadlines that may be absent.
pub fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
