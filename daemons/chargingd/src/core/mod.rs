//! The core: accounts and sessions in memory, events in, effects out.
//!
//! ```text
//! CCR-Initial   -> hold            -> Answer(grant)
//! CCR-Update    -> debit, hold     -> Answer(grant)
//! CCR-Terminate -> debit, release  -> Record, Answer(cost)
//! CCR-Event     -> debit or refund -> Answer(cost)
//! Tick (Tcc)    -> release         -> Record (none for a session of money)
//! Tick (calendar, expiry) -> recharge or forfeit
//! TopUp         -> recharges that wait, by priority -> ReAuthorize what was restricted
//! Block         -> Abort each session
//! ```
//!
//! Invariants: for each account, `balance - held >= -credit_limit`, and `held` is the sum of its sessions' holds; a
//! service account never holds less than zero.

mod credit;
mod customer;
mod event;
mod fund;
mod grant;
mod late;
mod money;
mod operator;
mod own_rules;
mod pool;
mod purse;
mod recharge;
mod request;
mod supervision;
mod voucher;
mod watch;

use std::collections::{BTreeSet, HashMap, HashSet};

use iso_currency::Currency;
use tollwire_runtime::clock::Now;

use crate::account::Account;
use crate::class::Classes;
use crate::effect::{Effect, Mutation};
use crate::event::Event;
use crate::rating::RatingTable;
use crate::service_account::ServiceAccount;
use crate::session::Session;
use crate::voucher::{Batch, Voucher};

/// What the operator decides about grants. Times in seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The most that one grant gives of time.
    pub quantum_seconds: u32,
    /// Of octets.
    pub quantum_octets: u64,
    /// Of events.
    pub quantum_events: u64,
    /// When a client of octets or events has to ask again at the latest.
    pub validity_seconds: u32,
    /// When one that was redirected or restricted has to.
    pub restricted_seconds: u32,
    /// How long a session of several services may rest without holding anything.
    pub idle_seconds: u32,
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
            quantum_octets: 1_000_000,
            quantum_events: 1,
            validity_seconds: 600,
            restricted_seconds: 300,
            idle_seconds: 86_400,
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
    /// Batches of vouchers.
    pub voucher_batches: Vec<Batch>,
    /// Vouchers, redeemed ones included.
    pub vouchers: Vec<Voucher>,
    /// Keys of the operator's ledger entries, so that a payment happens once.
    pub references: Vec<String>,
    /// Sequence number of the last record made.
    pub last_record: u64,
    /// Number of the last notification made.
    pub last_notification: u64,
}

/// The rules that money follows; replaced as a whole.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// What everything costs.
    pub tariffs: RatingTable,
    /// What happens when an account is short.
    pub classes: Classes,
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
    /// What reports cost beyond what the accounts had, micro-units of any currency.
    pub uncollected_micro: u64,
}

/// All accounts and sessions.
#[derive(Debug)]
pub struct Core {
    settings: Settings,
    tariffs: RatingTable,
    classes: Classes,
    accounts: HashMap<Box<str>, Account>,
    service_accounts: HashMap<Box<str>, ServiceAccount>,
    /// Service accounts by main account, in the order of their priority.
    purses: HashMap<Box<str>, Vec<Box<str>>>,
    /// Calendar recharges that are due: time, priority, purse.
    recharges: BTreeSet<(i64, u16, Box<str>)>,
    /// Purses that expire.
    expiries: BTreeSet<(i64, Box<str>)>,
    /// Purses that moved in this event.
    touched: BTreeSet<Box<str>>,
    /// Accounts that have sessions which were told of their last units.
    short: HashSet<Box<str>>,
    identities: HashMap<Box<str>, Box<str>>,
    /// Identities by account.
    identities_of: HashMap<Box<str>, BTreeSet<Box<str>>>,
    sessions: HashMap<Box<str>, Session>,
    /// Open sessions by the time their report is due.
    due: BTreeSet<(i64, Box<str>)>,
    /// Open sessions by account.
    by_account: HashMap<Box<str>, BTreeSet<Box<str>>>,
    /// Closed sessions by the time from which on they may be forgotten.
    closed: BTreeSet<(i64, Box<str>)>,
    references: HashSet<String>,
    vouchers: voucher::Vouchers,
    last_record: u64,
    last_notification: u64,
    /// When the last event came, to see the clock go back.
    last_unix_ms: i64,
    counters: Counters,
}

impl Core {
    /// A core that knows what the store remembers.
    pub fn new(settings: Settings, rules: Rules, state: State) -> Self {
        let mut core = Self {
            settings,
            tariffs: rules.tariffs,
            classes: rules.classes,
            accounts: HashMap::new(),
            service_accounts: HashMap::new(),
            purses: HashMap::new(),
            recharges: BTreeSet::new(),
            expiries: BTreeSet::new(),
            touched: BTreeSet::new(),
            short: HashSet::new(),
            identities: HashMap::new(),
            identities_of: HashMap::new(),
            sessions: HashMap::new(),
            due: BTreeSet::new(),
            by_account: HashMap::new(),
            closed: BTreeSet::new(),
            references: state.references.into_iter().collect(),
            vouchers: voucher::Vouchers::new(state.voucher_batches, state.vouchers),
            last_record: state.last_record,
            last_notification: state.last_notification,
            // The calendar is looked at anew with the first event.
            last_unix_ms: i64::MAX,
            counters: Counters::default(),
        };
        for mut account in state.accounts {
            account.held_micro = 0;
            if let Some(at) = account.profile.expires_unix_ms {
                core.expiries.insert((at, account.name.clone()));
            }
            core.accounts.insert(account.name.clone(), account);
        }
        for mut account in state.service_accounts {
            account.held = 0;
            core.adopt(account);
        }
        for (identity, account) in state.identities {
            core.know(identity, account);
        }
        for session in state.sessions {
            if session.closed_unix_ms.is_none() {
                for service in &session.services {
                    for share in &service.shares {
                        core.change_hold(&share.purse, share.amount);
                    }
                    if service.short.is_some() {
                        core.short.insert(session.account.clone());
                    }
                }
            }
            core.index(&session);
            core.sessions.insert(session.id.clone(), session);
        }
        core
    }

    /// The one door.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        if now.unix_ms < self.last_unix_ms {
            self.clock_set_back(now, effects);
        }
        self.last_unix_ms = now.unix_ms;
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
            Event::Rules(rules) => {
                self.tariffs = rules.tariffs;
                self.classes = rules.classes;
            }
            Event::Tick => self.tick(now, effects),
        }
        self.look_after(now, effects);
    }

    /// When [`Event::Tick`] is due, milliseconds since 1970.
    pub fn next_deadline_unix_ms(&self) -> Option<i64> {
        let forget = self.closed.first().map(|(closed, _)| {
            closed.saturating_add(i64::from(self.settings.remember_seconds) * 1000)
        });
        let due = self.due.first().map(|(due, _)| *due);
        let recharge = self.recharges.first().map(|(due, _, _)| *due);
        let expiry = self.expiries.first().map(|(due, _)| *due);
        [forget, due, recharge, expiry].into_iter().flatten().min()
    }

    /// Other settings, for grants from now on.
    pub fn set_settings(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The tariffs in force.
    pub fn tariffs(&self) -> &RatingTable {
        &self.tariffs
    }

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        Rules {
            tariffs: self.tariffs.clone(),
            classes: self.classes.clone(),
        }
    }

    /// The service accounts of a customer, in the order of their priority.
    pub fn service_accounts(&self, account: &str) -> impl Iterator<Item = &ServiceAccount> {
        let names = self.purses.get(account).into_iter().flatten();
        names.filter_map(|name| self.service_accounts.get(name))
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

    /// Takes a service account in.
    fn adopt(&mut self, account: ServiceAccount) {
        self.queue(&account);
        let main = account.account.clone();
        let known = self.purses.entry(main.clone()).or_default();
        if !known.contains(&account.name) {
            known.push(account.name.clone());
        }
        self.service_accounts.insert(account.name.clone(), account);
        self.sort_purses(&main);
    }

    fn sort_purses(&mut self, main: &str) {
        if let Some(names) = self.purses.get_mut(main) {
            let accounts = &self.service_accounts;
            names.sort_by(|one, other| {
                let priority = |name: &str| {
                    accounts
                        .get(name)
                        .map_or(0, |account| account.terms.priority)
                };
                (priority(one), one).cmp(&(priority(other), other))
            });
        }
    }

    fn know(&mut self, identity: Box<str>, account: Box<str>) {
        let of = self.identities_of.entry(account.clone()).or_default();
        of.insert(identity.clone());
        self.identities.insert(identity, account);
    }

    fn index(&mut self, session: &Session) {
        match session.done_unix_ms() {
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
        match session.done_unix_ms() {
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
