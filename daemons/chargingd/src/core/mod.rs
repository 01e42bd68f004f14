//! The core: accounts and sessions in memory, events in, effects out.
//!
//! ```text
//! CCR-Initial   -> hold            -> Answer(grant)
//! CCR-Update    -> debit, hold     -> Answer(grant)
//! CCR-Terminate -> debit, release  -> Record, Answer(cost)
//! CCR-Event     -> debit or refund -> Answer(cost)
//! Tick (Tcc)    -> release         -> Record (none for a session of money)
//! Block         -> Abort each session
//! ```
//!
//! Invariant: for each account, `balance - held >= -credit_limit`, and `held` is the sum of its sessions' holds.

mod credit;
mod event;
mod late;
mod money;
mod operator;
mod request;
mod supervision;

use std::collections::{BTreeSet, HashMap, HashSet};

use iso_currency::Currency;
use tollwire_runtime::clock::Now;

use crate::account::Account;
use crate::effect::{Effect, Mutation};
use crate::event::Event;
use crate::ledger::{About, Commodity, Entry, cash, revenue};
use crate::service_account::ServiceAccount;
use crate::session::Session;
use crate::tariff::TariffTable;

/// What the operator decides about grants. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The most that one grant gives.
    pub quantum_seconds: u32,
    /// How long a call may ring before its grant begins to count.
    pub setup_seconds: u32,
    /// How long after the end of a grant its report may come (part of Tcc, RFC 8506 13).
    pub grace_seconds: u32,
    /// How long a closed session is remembered, for repeated requests.
    pub remember_seconds: u32,
    /// How long money stays held for a message whose client falls silent.
    pub message_hold_seconds: u32,
    /// The most that one event may pay back, micro-units; zero is no refunds.
    pub max_refund_micro: i64,
    /// Sessions at once.
    pub max_sessions: usize,
    /// Whether a post-paid call goes on when we cannot be asked (Credit-Control-Failure-Handling CONTINUE).
    pub postpaid_continues: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            quantum_seconds: 60,
            setup_seconds: 300,
            grace_seconds: 60,
            remember_seconds: 3600,
            message_hold_seconds: 3600,
            max_refund_micro: 0,
            max_sessions: 1_000_000,
            postpaid_continues: false,
        }
    }
}

/// What the store remembers, to begin with.
#[derive(Debug, Default)]
pub struct State {
    /// Accounts.
    pub accounts: Vec<Account>,
    /// Service accounts.
    pub service_accounts: Vec<ServiceAccount>,
    /// Identities and their accounts.
    pub identities: Vec<(Box<str>, Box<str>)>,
    /// Sessions, closed ones that are remembered included.
    pub sessions: Vec<Session>,
    /// Keys of the operator's ledger entries, so that a payment happens once.
    pub references: Vec<String>,
    /// Sequence number of the last record made.
    pub last_record: u64,
    /// Number of the last notification made.
    pub last_notification: u64,
}

/// Counters for the metrics page.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counters {
    /// CCRs.
    pub requests: u64,
    /// CCRs that were answered from memory of an earlier answer.
    pub repeated: u64,
    /// CCRs refused.
    pub refused: u64,
    /// Reports of more than was granted, which were cut to the grant.
    pub excessive_reports: u64,
    /// Sessions closed because their client fell silent.
    pub supervision_expired: u64,
    /// Reports of sessions that supervision had closed, debited after all.
    pub late_reports: u64,
    /// Records made.
    pub records: u64,
}

/// All accounts and sessions.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    tariffs: TariffTable,
    accounts: HashMap<Box<str>, Account>,
    identities: HashMap<Box<str>, Box<str>>,
    sessions: HashMap<Box<str>, Session>,
    /// Open sessions by the time their report is due.
    due: BTreeSet<(i64, Box<str>)>,
    /// Open sessions by account.
    by_account: HashMap<Box<str>, HashSet<Box<str>>>,
    /// Closed sessions by the time they were closed.
    closed: BTreeSet<(i64, Box<str>)>,
    references: HashSet<String>,
    last_record: u64,
    last_notification: u64,
    counters: Counters,
}

impl Core {
    /// A core that knows what the store remembers.
    pub fn new(settings: Settings, tariffs: TariffTable, state: State) -> Self {
        let mut core = Self {
            settings,
            tariffs,
            accounts: HashMap::new(),
            identities: state.identities.into_iter().collect(),
            sessions: HashMap::new(),
            due: BTreeSet::new(),
            by_account: HashMap::new(),
            closed: BTreeSet::new(),
            references: state.references.into_iter().collect(),
            last_record: state.last_record,
            last_notification: state.last_notification,
            counters: Counters::default(),
        };
        for mut account in state.accounts {
            account.held_micro = 0;
            core.accounts.insert(account.name.clone(), account);
        }
        for session in state.sessions {
            if session.closed_unix_ms.is_none()
                && let Some(account) = core.accounts.get_mut(&session.account)
            {
                account.held_micro = account.held_micro.saturating_add(session.held_micro);
            }
            core.index(&session);
            core.sessions.insert(session.id.clone(), session);
        }
        core
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::CreditControl { token, request } => {
                self.counters.requests += 1;
                let outcome = self.credit_control(now, &request, effects);
                if outcome.result_code != tollwire_diameter::ResultCode::SUCCESS.0 {
                    self.counters.refused += 1;
                }
                effects.push(Effect::Answer { token, outcome });
            }
            Event::Operator { token, operation } => {
                let result = self.operate(now, operation, effects);
                effects.push(Effect::Reply { token, result });
            }
            Event::Tariffs(tariffs) => self.tariffs = tariffs,
            Event::Tick => self.tick(now, effects),
        }
    }

    /// When [`Event::Tick`] is due, milliseconds since 1970.
    pub fn next_deadline_unix_ms(&self) -> Option<i64> {
        let forget = self.closed.first().map(|(closed, _)| {
            closed.saturating_add(i64::from(self.settings.remember_seconds) * 1000)
        });
        let due = self.due.first().map(|(due, _)| *due);
        [forget, due].into_iter().flatten().min()
    }

    /// Other settings, for grants from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The tariffs in force.
    pub fn tariffs(&self) -> &TariffTable {
        &self.tariffs
    }

    /// Every account.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    /// The account called `name`.
    pub fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.get(name)
    }

    /// The sessions that run.
    pub fn open_sessions(&self) -> impl Iterator<Item = &Session> {
        self.due.iter().filter_map(|(_, id)| self.sessions.get(id))
    }

    /// The session called `id`, open or closed and remembered.
    pub fn session(&self, id: &str) -> Option<&Session> {
        self.sessions.get(id)
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Moves money between an account and one of the system's, in memory and in the ledger. `amount_micro` above
    /// zero is spent by the account, below zero is paid in.
    fn transfer(
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
        if amount_micro == 0 {
            return;
        }
        account.balance_micro = account.balance_micro.saturating_sub(amount_micro);
        let commodity = Commodity::Money(account.currency);
        let (debit, credit) = if amount_micro > 0 {
            (account.name.clone(), revenue(commodity))
        } else {
            (cash(commodity), account.name.clone())
        };
        effects.push(Effect::Store(Mutation::Entry(Entry {
            key,
            debit,
            credit,
            amount: amount_micro.saturating_abs(),
            commodity,
            unix_ms: now.unix_ms,
            about: About::default(),
        })));
        effects.push(Effect::Store(Mutation::Account(account.clone())));
    }

    fn set_held(&mut self, account: &str, before: i64, after: i64) {
        if let Some(account) = self.accounts.get_mut(account) {
            account.held_micro = account
                .held_micro
                .saturating_sub(before)
                .saturating_add(after);
        }
    }

    fn index(&mut self, session: &Session) {
        match session.closed_unix_ms {
            Some(closed) => {
                self.closed.insert((closed, session.id.clone()));
            }
            None => {
                self.due.insert((session.due_unix_ms, session.id.clone()));
                self.by_account
                    .entry(session.account.clone())
                    .or_default()
                    .insert(session.id.clone());
            }
        }
    }

    fn unindex(&mut self, session: &Session) {
        match session.closed_unix_ms {
            Some(closed) => {
                self.closed.remove(&(closed, session.id.clone()));
            }
            None => {
                self.due.remove(&(session.due_unix_ms, session.id.clone()));
                if let Some(sessions) = self.by_account.get_mut(&session.account) {
                    sessions.remove(&session.id);
                    if sessions.is_empty() {
                        self.by_account.remove(&session.account);
                    }
                }
            }
        }
    }

    /// Puts a changed session back, and has it stored.
    fn put(&mut self, before: Option<&Session>, session: Session, effects: &mut Vec<Effect>) {
        if let Some(before) = before {
            self.unindex(before);
        }
        self.index(&session);
        effects.push(Effect::Store(Mutation::Session(Box::new(session.clone()))));
        self.sessions.insert(session.id.clone(), session);
    }

    fn currency_number(currency: Currency) -> u32 {
        u32::from(currency.numeric())
    }
}

#[cfg(test)]
mod tests;
