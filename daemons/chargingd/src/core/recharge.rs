//! Service accounts are recharged from their main account: when they are low, by the calendar, on request.
//!
//! What a recharge could not have because the main account was short it gets as soon as there is money, the account with
//! the lowest priority number first.

use jiff::tz::TimeZone;
use tollwire_runtime::clock::Now;

use super::Core;
use super::purse::{Keys, Posting};
use crate::account::Account;
use crate::effect::{Effect, Mutation};
use crate::ledger::{Commodity, expired, issued, revenue};
use crate::notify::Kind;
use crate::service_account::{Recharge, RechargeAmount, ServiceAccount};

/// Dates of calendar recharges that are remembered.
const REMEMBERED: usize = 32;

/// The zone of a customer; UTC if its name is not known any more.
pub(super) fn zone(account: &Account) -> TimeZone {
    TimeZone::get(&account.profile.time_zone).unwrap_or(TimeZone::UTC)
}

impl Core {
    /// Recharges a purse that has less than `need` available, or a balance at its minimum, if its rule says so.
    pub(super) fn fill(&mut self, now: Now, purse: &str, need: i64, effects: &mut Vec<Effect>) {
        let Some(account) = self.service_accounts.get(purse) else {
            return;
        };
        let Some(rule) = &account.terms.recharge else {
            return;
        };
        // What is held may come back: it counts as spent only where it is missing.
        let low = |minimum: i64| account.balance <= minimum || account.available() < need;
        if account.closed || !rule.at_minimum.is_some_and(low) {
            return;
        }
        let rule = rule.clone();
        self.recharge_by_rule(now, purse, &rule, effects);
    }

    /// Whether a purse would be recharged if it had too little.
    pub(super) fn can_fill(&self, purse: &str) -> bool {
        let account = self.service_accounts.get(purse);
        let Some((account, rule)) =
            account.and_then(|account| Some((account, account.terms.recharge.as_ref()?)))
        else {
            return false;
        };
        let Some(main) = self.accounts.get(&account.account) else {
            return false;
        };
        let least = match (rule.part, rule.amount) {
            (true, _) => 1,
            (false, RechargeAmount::Fixed(amount)) => amount,
            (false, RechargeAmount::UpTo(top)) => top.saturating_sub(account.available()),
        };
        let cost = match account.terms.price {
            Some(price) => price.of(least),
            None => Some(least),
        };
        rule.at_minimum.is_some()
            && !account.closed
            && !main.blocked
            && cost.is_some_and(|cost| cost <= main.available_micro())
    }

    /// One recharge as the rule has it; whether there was one.
    fn recharge_by_rule(
        &mut self,
        now: Now,
        purse: &str,
        rule: &Recharge,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(account) = self.service_accounts.get(purse) else {
            return false;
        };
        let wanted = match rule.amount {
            RechargeAmount::Fixed(amount) => amount,
            RechargeAmount::UpTo(top) => top.saturating_sub(account.available()),
        };
        if wanted <= 0 {
            return false;
        }
        let number = account.recharges + 1;
        let key = format!("recharge {purse} {number}");
        let done = self.recharge(now, purse, wanted, rule.part, key, effects);
        if done.is_none() {
            self.want(now, purse, wanted, effects);
        }
        done.is_some()
    }

    /// Buys up to `wanted` from the main account: what was bought, `None` if that is nothing.
    pub(super) fn recharge(
        &mut self,
        now: Now,
        purse: &str,
        wanted: i64,
        part: bool,
        key: String,
        effects: &mut Vec<Effect>,
    ) -> Option<i64> {
        let account = self.service_accounts.get(purse)?;
        let main = self.accounts.get(&account.account)?;
        if main.blocked || account.closed {
            return None;
        }
        let (unit, price) = (account.terms.unit, account.terms.price);
        let (available, name) = (main.available_micro(), main.name.clone());
        let cost_of = |amount: i64| price.map_or(Some(amount), |price| price.of(amount));
        let whole = cost_of(wanted).filter(|cost| *cost <= available);
        let bought = match whole {
            Some(_) => wanted,
            None if part => price
                .map_or(available, |price| price.units_for(available))
                .min(wanted),
            None => 0,
        };
        let cost = cost_of(bought)?;
        if bought <= 0 || cost > available {
            return None;
        }
        let money = Commodity::Money(main.currency);
        let mut about = account.terms.about.clone();
        if about.service.is_empty() {
            about.service = account.own_name().into();
        }
        let mut keys = Keys::of(now, key);
        let (source, taker) = match unit.currency() {
            Some(_) => (name.clone(), None),
            None => (issued(unit), Some(revenue(money))),
        };
        let moved = Posting {
            debit: &source,
            credit: purse,
            amount: bought,
            commodity: unit,
            about: Default::default(),
        };
        self.post(moved, &mut keys, effects);
        if let Some(taker) = taker {
            let paid = Posting {
                debit: &name,
                credit: &taker,
                amount: cost,
                commodity: money,
                about,
            };
            self.post(paid, &mut keys, effects);
        }
        self.change_service_account(purse, effects, |account| {
            account.recharges += 1;
            account.wanting = false;
        });
        self.tell(now, purse, Kind::Recharged, bought, effects);
        Some(bought)
    }

    /// A recharge could not be paid: it is made up for when there is money.
    fn want(&mut self, now: Now, purse: &str, wanted: i64, effects: &mut Vec<Effect>) {
        let known = self
            .service_accounts
            .get(purse)
            .is_none_or(|account| account.wanting);
        if !known {
            self.change_service_account(purse, effects, |account| account.wanting = true);
            self.tell(now, purse, Kind::RechargeFailed, wanted, effects);
        }
    }

    /// The main account has money again: who waits for it is served by priority.
    pub(super) fn serve_wanting(&mut self, now: Now, main: &str, effects: &mut Vec<Effect>) {
        for purse in self.purses.get(main).cloned().unwrap_or_default() {
            let Some(account) = self.service_accounts.get(&purse) else {
                continue;
            };
            if account.wanting
                && !account.closed
                && let Some(rule) = account.terms.recharge.clone()
            {
                self.recharge_by_rule(now, &purse, &rule, effects);
            }
        }
    }

    /// The calendar's recharges that are due, and what has expired.
    pub(super) fn calendar(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // Those of one moment in the order of their priority.
        while let Some((due, _, purse)) = self.recharges.first().cloned()
            && due <= now.unix_ms
        {
            self.calendar_recharge(now, &purse, effects);
        }
        while let Some((due, purse)) = self.expiries.first().cloned()
            && due <= now.unix_ms
        {
            self.expire(now, &purse, effects);
        }
    }

    fn calendar_recharge(&mut self, now: Now, purse: &str, effects: &mut Vec<Effect>) {
        let due = self.service_accounts.get(purse).and_then(|account| {
            let rule = account.terms.recharge.clone()?;
            let calendar = rule.calendar?;
            let zone = zone(self.accounts.get(&account.account)?);
            // However long we were away, and wherever the clock has been: the last due date, if it was not yet served.
            let last = calendar.last(&zone, now.unix_ms)?;
            let next = calendar.next(&zone, now.unix_ms)?;
            let served = account.recharged.contains(&last.date);
            Some((rule, last, next, served))
        });
        let Some((rule, last, next, served)) = due else {
            // No calendar any more.
            return self.schedule(purse, None, effects);
        };
        self.schedule(purse, Some(next.unix_ms), effects);
        if served
            || self
                .service_accounts
                .get(purse)
                .is_none_or(|account| account.closed)
        {
            return;
        }
        if rule.forfeit {
            self.forfeit(
                now,
                purse,
                &format!("forfeit {purse} {}", last.date),
                effects,
            );
        }
        self.change_service_account(purse, effects, |account| {
            account.recharged.push(last.date.clone());
            let surplus = account.recharged.len().saturating_sub(REMEMBERED);
            account.recharged.drain(..surplus);
        });
        self.recharge_by_rule(now, purse, &rule, effects);
    }

    /// Sets when the calendar recharges a purse next.
    pub(super) fn schedule(
        &mut self,
        purse: &str,
        next_unix_ms: Option<i64>,
        effects: &mut Vec<Effect>,
    ) {
        self.change_service_account(purse, effects, |account| {
            account.recharge_unix_ms = next_unix_ms;
        });
    }

    /// When the calendar of a new or changed rule comes next.
    pub(super) fn schedule_after(&mut self, purse: &str, unix_ms: i64, effects: &mut Vec<Effect>) {
        let next = self.service_accounts.get(purse).and_then(|account| {
            let calendar = account.terms.recharge.as_ref()?.calendar?;
            let zone = zone(self.accounts.get(&account.account)?);
            calendar.next(&zone, unix_ms)
        });
        self.schedule(purse, next.map(|due| due.unix_ms), effects);
    }

    /// The clock was set back: a calendar's next time that lies more than one of its periods ahead is found anew.
    pub(super) fn clock_set_back(&mut self, now: Now, effects: &mut Vec<Effect>) {
        let purses: Vec<Box<str>> = self
            .recharges
            .iter()
            .map(|(_, _, purse)| purse.clone())
            .collect();
        for purse in purses {
            self.schedule_after(&purse, now.unix_ms, effects);
        }
    }

    /// What is left and not held goes.
    pub(super) fn forfeit(
        &mut self,
        now: Now,
        purse: &str,
        key: &str,
        effects: &mut Vec<Effect>,
    ) -> i64 {
        let (Some(commodity), left) = (self.commodity(purse), self.unheld(purse)) else {
            return 0;
        };
        let taker = expired(commodity);
        let posting = Posting {
            debit: purse,
            credit: &taker,
            amount: left,
            commodity,
            about: Default::default(),
        };
        self.post(posting, &mut Keys::of(now, key.to_owned()), effects);
        left
    }

    /// What a purse has above zero that no session holds.
    fn unheld(&self, purse: &str) -> i64 {
        match self.service_accounts.get(purse) {
            Some(account) => account.balance.saturating_sub(account.held).max(0),
            None => self.accounts.get(purse).map_or(0, |account| {
                account
                    .balance_micro
                    .saturating_sub(account.held_micro)
                    .max(0)
            }),
        }
    }

    fn expire(&mut self, now: Now, purse: &str, effects: &mut Vec<Effect>) {
        let at = match self.service_accounts.get(purse) {
            Some(account) => account.expires_unix_ms,
            None => (self.accounts.get(purse)).and_then(|account| account.profile.expires_unix_ms),
        };
        let key = format!("expiry {purse} {}", at.unwrap_or_default());
        let gone = self.forfeit(now, purse, &key, effects);
        self.set_expiry(purse, None, effects);
        if gone > 0 {
            self.tell(now, purse, Kind::Expired, gone, effects);
        }
    }

    /// Sets when what is left of a purse expires.
    pub(super) fn set_expiry(
        &mut self,
        purse: &str,
        unix_ms: Option<i64>,
        effects: &mut Vec<Effect>,
    ) {
        if self.service_accounts.contains_key(purse) {
            self.change_service_account(purse, effects, |account| {
                account.expires_unix_ms = unix_ms;
            });
        } else if let Some(account) = self.accounts.get_mut(purse) {
            if let Some(before) = account.profile.expires_unix_ms {
                self.expiries.remove(&(before, purse.into()));
            }
            if let Some(at) = unix_ms {
                self.expiries.insert((at, purse.into()));
            }
            account.profile.expires_unix_ms = unix_ms;
            effects.push(Effect::Store(Mutation::Account(account.clone())));
        }
    }

    /// Changes a service account, its place in the queues, and has it stored.
    pub(super) fn change_service_account(
        &mut self,
        purse: &str,
        effects: &mut Vec<Effect>,
        change: impl FnOnce(&mut ServiceAccount),
    ) {
        let Some(mut account) = self.service_accounts.remove(purse) else {
            return;
        };
        self.unqueue(&account);
        change(&mut account);
        self.queue(&account);
        effects.push(Effect::Store(Mutation::ServiceAccount(Box::new(
            account.clone(),
        ))));
        self.service_accounts.insert(purse.into(), account);
    }

    pub(super) fn queue(&mut self, account: &ServiceAccount) {
        if account.closed {
            return;
        }
        if let Some(at) = account.recharge_unix_ms {
            self.recharges
                .insert((at, account.terms.priority, account.name.clone()));
        }
        if let Some(at) = account.expires_unix_ms {
            self.expiries.insert((at, account.name.clone()));
        }
    }

    fn unqueue(&mut self, account: &ServiceAccount) {
        if let Some(at) = account.recharge_unix_ms {
            self.recharges
                .remove(&(at, account.terms.priority, account.name.clone()));
        }
        if let Some(at) = account.expires_unix_ms {
            self.expiries.remove(&(at, account.name.clone()));
        }
    }
}
