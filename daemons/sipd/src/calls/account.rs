//! The accounting session of a call (RFC 6733 9, 3GPP Rf): what it says, until the spool has it.

use super::{Call, CallEffect, EndCause, Phase, Settings};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tollwire_runtime::clock::Now;

/// Records of one call that the spool may owe before interim ones are left out: they say nothing that the next does
/// not say again.
const MAX_OWED: usize = 4;

/// Which record of the session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReportKind {
    /// The call was answered.
    Start,
    /// It goes on.
    Interim,
    /// It is over.
    Stop,
    /// It never began.
    Event,
}

impl ReportKind {
    /// The name in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Interim => "interim",
            Self::Stop => "stop",
            Self::Event => "event",
        }
    }
}

/// What a record says, beside who takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Which it is.
    pub kind: ReportKind,
    /// Accounting-Record-Number.
    pub number: u32,
    /// When it happened, milliseconds since 1970.
    pub at_unix_ms: i64,
    /// When the call was answered.
    pub answer_unix_ms: Option<i64>,
    /// Octets from the caller, as far as the limiter told.
    pub octets_from_caller: u64,
    /// Octets to the caller.
    pub octets_to_caller: u64,
    /// Why it ended.
    pub cause: Option<EndCause>,
}

/// The session's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Account {
    next_number: u32,
    /// The last record was made.
    finished: bool,
    /// Records that are not known to be on disk.
    owed: Vec<Report>,
    /// When the next interim record is due, if they are made by time.
    #[serde(skip)]
    interim_at: Option<Instant>,
}

impl Account {
    /// Whether all records are on disk.
    pub(super) fn is_settled(&self) -> bool {
        self.owed.is_empty()
    }

    /// Records that are not known to be on disk.
    pub(super) fn owed(&self) -> &[Report] {
        &self.owed
    }
}

impl Call {
    /// Makes a record, if any are wanted.
    pub(super) fn account(
        &mut self,
        settings: &Settings,
        now: Now,
        at: Now,
        kind: ReportKind,
        effects: &mut Vec<CallEffect>,
    ) {
        if !settings.accounting || self.account.finished {
            return;
        }
        self.account.interim_at = None;
        if matches!(kind, ReportKind::Start | ReportKind::Interim) {
            let interval = settings.interim.map(|interval| self.shifted(interval));
            self.account.interim_at = interval.map(|interval| now.instant + interval);
        }
        if kind == ReportKind::Interim && self.account.owed.len() >= MAX_OWED {
            return;
        }
        let usage = self.media.usage();
        let report = Report {
            kind,
            number: self.account.next_number,
            at_unix_ms: at.unix_ms,
            answer_unix_ms: self.answered.map(|answered| answered.unix_ms),
            octets_from_caller: usage.from_caller,
            octets_to_caller: usage.to_caller,
            cause: self.end_cause(),
        };
        self.account.next_number = self.account.next_number.saturating_add(1);
        self.account.finished = matches!(kind, ReportKind::Stop | ReportKind::Event);
        self.account.owed.push(report);
        self.journal(effects);
        effects.push(CallEffect::Account(report));
    }

    /// The last record: of a call that was answered, or of one that never began.
    pub(super) fn account_end(
        &mut self,
        settings: &Settings,
        now: Now,
        ended: Now,
        effects: &mut Vec<CallEffect>,
    ) {
        let kind = match self.answered {
            Some(_) => ReportKind::Stop,
            None => ReportKind::Event,
        };
        self.account(settings, now, ended, kind, effects);
    }

    /// The charging system granted more.
    pub(super) fn account_renewal(
        &mut self,
        settings: &Settings,
        now: Now,
        effects: &mut Vec<CallEffect>,
    ) {
        // RFC 6733 9.8.2: who asks for an interval gets the records then, and no others.
        if settings.interim.is_none() || self.account.interim_at.is_none() {
            self.account(settings, now, now, ReportKind::Interim, effects);
        }
    }

    /// When an interim record is due by time.
    pub(super) fn interim_due(&self) -> Option<Instant> {
        self.account
            .interim_at
            .filter(|_| self.phase == Phase::Established)
    }

    /// A record is on disk.
    pub(super) fn accounted(&mut self, now: Now, number: u32, effects: &mut Vec<CallEffect>) {
        self.account.owed.retain(|report| report.number != number);
        if self.phase == Phase::Ending {
            self.close_if_settled(now, effects);
        }
        if self.phase != Phase::Closed {
            self.journal(effects);
        }
    }

    /// Takes the session up again after a restart.
    pub(super) fn restore_account(
        &mut self,
        settings: &Settings,
        now: Now,
        account: Account,
        effects: &mut Vec<CallEffect>,
    ) {
        if !settings.accounting {
            return;
        }
        self.account = account;
        for report in &self.account.owed {
            effects.push(CallEffect::Account(*report));
        }
        if self.account.next_number > 0
            && !self.account.finished
            && let Some(interval) = settings.interim
        {
            self.account.interim_at = Some(now.instant + self.shifted(interval));
        }
    }

    /// RFC 6733 9.8.2: a tenth more or less, another for each call, so that records do not come in storms.
    fn shifted(&self, interval: Duration) -> Duration {
        let percent = 90 + u32::try_from(self.number.0 % 21).unwrap_or(10);
        (interval * percent / 100).max(Duration::from_secs(1))
    }
}
