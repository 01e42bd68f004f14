//! Purses: main and service accounts, what sessions hold of them, and what moves between them.
//!
//! Which purses pay for a service is decided by its class: its service accounts in the order of their priority, units
//! before money, then the main account if the rule is to fall back on it. What has no service account is paid by the
//! main account.

use tollwire_diameter::ResultCode;
use tollwire_runtime::clock::Now;

use super::Core;
use crate::class::WhenShort;
use crate::effect::{Effect, Mutation};
use crate::ledger::{About, Commodity, Entry, revenue, used};
use crate::rating::Measure;
use crate::service_account::ServiceAccount;
use crate::session::Share;

/// When and under which names the entries of one request are made: the first has its key, further ones `/2`, `/3`.
pub(super) struct Keys {
    pub(super) now: Now,
    base: String,
    count: u32,
}

impl Keys {
    pub(super) fn of(now: Now, base: String) -> Self {
        Self {
            now,
            base,
            count: 0,
        }
    }

    fn next(&mut self) -> String {
        self.count += 1;
        match self.count {
            1 => self.base.clone(),
            count => format!("{}/{count}", self.base),
        }
    }
}

/// One transfer.
pub(super) struct Posting<'a> {
    pub(super) debit: &'a str,
    pub(super) credit: &'a str,
    pub(super) amount: i64,
    pub(super) commodity: Commodity,
    pub(super) about: About,
}

/// Who pays for a service.
pub(super) struct Payers {
    /// Open service accounts of its class, in the order of their priority.
    pub(super) purses: Vec<Box<str>>,
    /// Whether the main account pays for what they do not.
    pub(super) main: bool,
    /// What happens when nothing is left.
    pub(super) when_short: WhenShort,
}

fn covers(commodity: Commodity, measure: Option<Measure>) -> bool {
    match measure {
        Some(Measure::Time | Measure::Combined) => commodity == Commodity::Seconds,
        Some(Measure::Volume) => commodity == Commodity::Octets,
        Some(Measure::Events) | None => {
            matches!(commodity, Commodity::Events | Commodity::Messages)
        }
    }
}

impl Core {
    /// What a new hold may take of a purse.
    pub(super) fn available(&self, purse: &str) -> i64 {
        match self.service_accounts.get(purse) {
            Some(account) => account.available(),
            None => self
                .accounts
                .get(purse)
                .map_or(0, |account| account.available_micro()),
        }
    }

    /// Who pays `account`'s service of a class; an error is the result code of a class that nobody pays for any more.
    pub(super) fn payers(
        &self,
        account: &str,
        rating_group: Option<u32>,
        service_identifiers: &[u32],
    ) -> Result<Payers, ResultCode> {
        let names = self.purses.get(account).into_iter().flatten();
        let of_class: Vec<&ServiceAccount> = names
            .filter_map(|name| self.service_accounts.get(name))
            .filter(|purse| purse.pays_for(rating_group, service_identifiers))
            .collect();
        let class = self.classes.find(rating_group, service_identifiers);
        let Some(last) = of_class.last() else {
            return Ok(Payers {
                purses: Vec::new(),
                main: true,
                when_short: class
                    .and_then(|class| class.when_main_short.clone())
                    .unwrap_or(WhenShort::Terminate),
            });
        };
        if of_class.iter().all(|purse| purse.closed) {
            return Err(ResultCode::END_USER_SERVICE_DENIED);
        }
        let short = (last.terms.when_short.clone())
            .or_else(|| class.and_then(|class| class.when_short.clone()))
            .unwrap_or(WhenShort::Terminate);
        let main = short == WhenShort::MainAccount;
        let when_short = match main {
            false => short,
            true => (last.terms.when_main_short.clone())
                .or_else(|| class.and_then(|class| class.when_main_short.clone()))
                .unwrap_or(WhenShort::Terminate),
        };
        let open = of_class.iter().filter(|purse| !purse.closed);
        Ok(Payers {
            purses: open.map(|purse| purse.name.clone()).collect(),
            main,
            when_short,
        })
    }

    /// A purse gives what was used.
    pub(super) fn spend(
        &mut self,
        purse: &str,
        amount: i64,
        about: About,
        keys: &mut Keys,
        effects: &mut Vec<Effect>,
    ) {
        let Some(commodity) = self.commodity(purse) else {
            return;
        };
        let taker = match commodity {
            Commodity::Money(_) => revenue(commodity),
            _ => used(commodity),
        };
        let posting = Posting {
            debit: purse,
            credit: &taker,
            amount,
            commodity,
            about,
        };
        self.post(posting, keys, effects);
    }

    /// Moves an amount, in memory and in the ledger.
    pub(super) fn post(
        &mut self,
        posting: Posting<'_>,
        keys: &mut Keys,
        effects: &mut Vec<Effect>,
    ) {
        if posting.amount <= 0 {
            return;
        }
        self.add(posting.debit, -posting.amount, effects);
        self.add(posting.credit, posting.amount, effects);
        effects.push(Effect::Store(Mutation::Entry(Entry {
            key: keys.next(),
            debit: posting.debit.into(),
            credit: posting.credit.into(),
            amount: posting.amount,
            commodity: posting.commodity,
            unix_ms: keys.now.unix_ms,
            about: posting.about,
        })));
    }

    fn add(&mut self, purse: &str, amount: i64, effects: &mut Vec<Effect>) {
        let found = if let Some(account) = self.accounts.get_mut(purse) {
            account.balance_micro = account.balance_micro.saturating_add(amount);
            effects.push(Effect::Store(Mutation::Account(account.clone())));
            true
        } else if let Some(account) = self.service_accounts.get_mut(purse) {
            account.balance = account.balance.saturating_add(amount);
            effects.push(Effect::Store(Mutation::ServiceAccount(Box::new(
                account.clone(),
            ))));
            true
        } else {
            false
        };
        if found {
            self.touch(purse);
        }
    }

    /// The purse is looked at again when the event has been dealt with.
    pub(super) fn touch(&mut self, purse: &str) {
        if !self.touched.contains(purse) {
            self.touched.insert(purse.into());
        }
    }

    /// What a purse holds.
    pub(super) fn commodity(&self, purse: &str) -> Option<Commodity> {
        match self.service_accounts.get(purse) {
            Some(account) => Some(account.terms.unit),
            None => self
                .accounts
                .get(purse)
                .map(|account| Commodity::Money(account.currency)),
        }
    }

    /// Gives holds back.
    pub(super) fn release(&mut self, shares: &[Share]) {
        for share in shares {
            self.change_hold(&share.purse, -share.amount);
            self.touch(&share.purse);
        }
    }

    /// Takes holds again, as far as the purses still have them.
    pub(super) fn take_again(&mut self, shares: &[Share]) -> Vec<Share> {
        let mut taken = Vec::new();
        for share in shares {
            let amount = share.amount.min(self.available(&share.purse));
            self.take_hold(&share.purse, amount, share.units, &mut taken);
        }
        taken
    }

    pub(super) fn change_hold(&mut self, purse: &str, amount: i64) {
        if let Some(account) = self.accounts.get_mut(purse) {
            account.held_micro = account.held_micro.saturating_add(amount);
        } else if let Some(account) = self.service_accounts.get_mut(purse) {
            account.held = account.held.saturating_add(amount);
        }
    }

    pub(super) fn take_hold(
        &mut self,
        purse: &str,
        amount: i64,
        units: bool,
        shares: &mut Vec<Share>,
    ) {
        if amount > 0 {
            self.change_hold(purse, amount);
            shares.push(Share {
                purse: purse.into(),
                amount,
                units,
            });
        }
    }

    /// Holds up to `want` units of purses in their order, recharged where their rules allow it: how many.
    pub(super) fn hold_units(
        &mut self,
        now: Now,
        purses: &[Box<str>],
        want: u64,
        shares: &mut Vec<Share>,
        effects: &mut Vec<Effect>,
    ) -> u64 {
        let mut left = want;
        for purse in purses {
            self.fill(now, purse, amount(left), effects);
            let take = self.available(purse).min(amount(left));
            self.take_hold(purse, take, true, shares);
            left -= take.unsigned_abs();
        }
        want - left
    }

    pub(super) fn hold_money(&mut self, purses: &[Box<str>], cost: i64, shares: &mut Vec<Share>) {
        let mut left = cost;
        for purse in purses {
            let take = self.available(purse).min(left);
            self.take_hold(purse, take, false, shares);
            left -= take.max(0);
        }
    }

    pub(super) fn has_access(
        &mut self,
        now: Now,
        payers: &Payers,
        effects: &mut Vec<Effect>,
    ) -> bool {
        payers.purses.iter().any(|purse| {
            self.commodity(purse) == Some(Commodity::Access) && {
                self.fill(now, purse, 1, effects);
                self.available(purse) > 0
            }
        })
    }

    pub(super) fn of_units(&self, payers: &Payers, measure: Option<Measure>) -> Vec<Box<str>> {
        let fit = |purse: &str| {
            self.commodity(purse)
                .is_some_and(|commodity| covers(commodity, measure))
        };
        let purses = payers.purses.iter();
        purses.filter(|purse| fit(purse)).cloned().collect()
    }

    pub(super) fn of_money(&self, account: &str, payers: &Payers) -> Vec<Box<str>> {
        let is_money = |purse: &str| {
            self.commodity(purse)
                .is_some_and(|commodity| commodity.currency().is_some())
        };
        let own = payers
            .purses
            .iter()
            .filter(|purse| is_money(purse))
            .cloned();
        own.chain(payers.main.then(|| account.into())).collect()
    }

    pub(super) fn pool(&self, purses: &[Box<str>]) -> i64 {
        purses
            .iter()
            .fold(0i64, |sum, purse| sum.saturating_add(self.available(purse)))
    }

    /// Recharges service accounts until together they have `cost`, where their rules allow it.
    pub(super) fn fill_all(
        &mut self,
        now: Now,
        purses: &[Box<str>],
        cost: i64,
        effects: &mut Vec<Effect>,
    ) {
        let mut left = cost;
        for purse in purses {
            self.fill(now, purse, left, effects);
            left = left.saturating_sub(self.available(purse));
            if left <= 0 {
                break;
            }
        }
    }
}

/// Units as an amount in the ledger.
pub(super) fn amount(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
