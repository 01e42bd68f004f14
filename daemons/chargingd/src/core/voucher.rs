//! Vouchers: issued in batches, redeemed once, made void.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tollwire_runtime::clock::Now;

use super::Core;
use super::operator::MAX_REFERENCE;
use super::purse::{Keys, Posting};
use crate::effect::{AccountView, Effect, Mutation, Refusal};
use crate::ledger::{About, Commodity, cash};
use crate::service_account::LARGEST;
use crate::voucher::{Batch, BatchView, Code, Hash, Redeemed, Voucher};

/// Vouchers of all batches together, used ones included: about a hundred octets each.
const MOST: usize = 5_000_000;
/// Wrong codes in a row, after which an account waits.
const ATTEMPTS: u32 = 5;
/// How long it waits then; each further wrong code doubles it.
const WAIT_MS: i64 = 15 * 60 * 1000;
/// The longest wait.
const LONGEST_WAIT_MS: i64 = 24 * 60 * 60 * 1000;

/// Every voucher, and who guesses.
#[derive(Debug, Default)]
pub(super) struct Vouchers {
    batches: BTreeMap<Arc<str>, (Batch, u64)>,
    vouchers: HashMap<Hash, (Arc<str>, Option<Box<Redeemed>>)>,
    /// Vouchers redeemed, by batch.
    redeemed: HashMap<Arc<str>, u64>,
    attempts: HashMap<Box<str>, Attempts>,
}

/// Wrong codes of one account since the last right one. A restart forgets them.
#[derive(Debug, Default, Clone, Copy)]
struct Attempts {
    wrong: u32,
    until_unix_ms: i64,
}

impl Vouchers {
    /// What the store remembers.
    pub(super) fn new(batches: Vec<Batch>, vouchers: Vec<Voucher>) -> Self {
        let mut book = Self::default();
        for batch in batches {
            book.batches.insert((&*batch.name).into(), (batch, 0));
        }
        for voucher in vouchers {
            book.take(voucher);
        }
        book
    }

    fn take(&mut self, voucher: Voucher) {
        let name: Arc<str> = match self.batches.get_key_value(&*voucher.batch) {
            Some((name, _)) => Arc::clone(name),
            None => return,
        };
        if let Some((_, count)) = self.batches.get_mut(&name) {
            *count += 1;
        }
        if voucher.redeemed.is_some() {
            *self.redeemed.entry(Arc::clone(&name)).or_default() += 1;
        }
        let redeemed = voucher.redeemed.map(Box::new);
        self.vouchers.insert(voucher.hash, (name, redeemed));
    }

    fn view(&self, name: &str) -> Option<BatchView> {
        let (batch, count) = self.batches.get(name)?;
        Some(BatchView {
            batch: batch.clone(),
            count: *count,
            redeemed: self.redeemed.get(name).copied().unwrap_or_default(),
        })
    }

    /// A wrong code: the next one waits, if there were too many.
    fn wrong(&mut self, now: Now, account: &str) {
        let attempts = self.attempts.entry(account.into()).or_default();
        attempts.wrong = attempts.wrong.saturating_add(1);
        if let Some(beyond) = attempts.wrong.checked_sub(ATTEMPTS) {
            let wait = WAIT_MS << beyond.min(10);
            attempts.until_unix_ms = now.unix_ms.saturating_add(wait.min(LONGEST_WAIT_MS));
        }
    }

    fn wait_ms(&self, now: Now, account: &str) -> i64 {
        self.attempts
            .get(account)
            .map_or(0, |attempts| attempts.until_unix_ms - now.unix_ms)
            // A clock that was set back does not make anybody wait for years.
            .min(LONGEST_WAIT_MS)
    }
}

impl Core {
    /// The batches of vouchers, by name.
    pub fn voucher_batches(&self) -> Vec<BatchView> {
        let names = self.vouchers.batches.keys();
        names.filter_map(|name| self.vouchers.view(name)).collect()
    }

    pub(super) fn issue_vouchers(
        &mut self,
        now: Now,
        batch: Batch,
        hashes: Vec<Hash>,
        effects: &mut Vec<Effect>,
    ) -> Result<BatchView, Refusal> {
        let name: Arc<str> = (&*batch.name).into();
        if let Some(fault) = batch.fault(hashes.len(), now.unix_ms) {
            return Err(Refusal::Invalid(fault));
        }
        if self.vouchers.batches.contains_key(&name) {
            return Err(Refusal::Conflict(format!("batch {name} is issued already")));
        }
        if self.vouchers.vouchers.len() + hashes.len() > MOST {
            return Err(Refusal::Conflict(format!(
                "there are {MOST} vouchers at the most"
            )));
        }
        let mut unique = std::collections::HashSet::with_capacity(hashes.len());
        let known = |hash: &Hash| self.vouchers.vouchers.contains_key(hash);
        if !hashes
            .iter()
            .all(|hash| unique.insert(*hash) && !known(hash))
        {
            return Err(Refusal::Conflict(
                "a code is in two vouchers: make others".into(),
            ));
        }
        effects.push(Effect::Store(Mutation::VoucherBatch(Box::new(
            batch.clone(),
        ))));
        self.vouchers.batches.insert(Arc::clone(&name), (batch, 0));
        for hash in hashes {
            let voucher = Voucher {
                hash,
                batch: (&*name).into(),
                redeemed: None,
            };
            effects.push(Effect::Store(Mutation::Voucher(Box::new(voucher.clone()))));
            self.vouchers.take(voucher);
        }
        self.batch_view(&name)
    }

    pub(super) fn void_vouchers(
        &mut self,
        now: Now,
        name: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<BatchView, Refusal> {
        if let Some((batch, _)) = self.vouchers.batches.get_mut(name)
            && batch.voided_unix_ms.is_none()
        {
            batch.voided_unix_ms = Some(now.unix_ms);
            effects.push(Effect::Store(Mutation::VoucherBatch(Box::new(
                batch.clone(),
            ))));
        }
        self.batch_view(name)
    }

    fn batch_view(&self, name: &str) -> Result<BatchView, Refusal> {
        let view = self.vouchers.view(name);
        view.ok_or_else(|| Refusal::NotFound(format!("no batch {name} of vouchers")))
    }

    /// The money of a voucher goes to an account, once for ever.
    pub(super) fn redeem_voucher(
        &mut self,
        now: Now,
        account: &str,
        code: &Code,
        reference: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        let view = self.view(account)?;
        if reference.is_empty() || reference.len() > MAX_REFERENCE {
            return Err(Refusal::Invalid(format!(
                "a redemption needs a reference of 1 to {MAX_REFERENCE} octets"
            )));
        }
        let wait_ms = self.vouchers.wait_ms(now, account);
        if wait_ms > 0 {
            return Err(Refusal::TooOften {
                seconds: wait_ms.unsigned_abs().div_ceil(1000),
            });
        }
        let hash = code.hash();
        let Some((batch, redeemed)) = self.vouchers.vouchers.get(&hash) else {
            self.vouchers.wrong(now, account);
            return Err(Refusal::NotFound("no voucher has this code".into()));
        };
        if let Some(redeemed) = redeemed {
            if &*redeemed.account == account && &*redeemed.reference == reference {
                return Ok(view);
            }
            self.vouchers.wrong(now, account);
            return Err(Refusal::Conflict("the voucher was redeemed before".into()));
        }
        let name = Arc::clone(batch);
        let Some((batch, _)) = self.vouchers.batches.get(&name) else {
            return Err(Refusal::NotFound("no voucher has this code".into()));
        };
        let (amount, currency) = (batch.amount_micro, batch.currency);
        let fault = if batch.voided_unix_ms.is_some() {
            Some("the voucher is void".into())
        } else if batch.expires_unix_ms <= now.unix_ms {
            Some("the voucher has expired".into())
        } else if currency != view.account.currency {
            Some(format!(
                "the voucher is of {}, and nothing is converted",
                currency.code()
            ))
        } else if view.account.balance_micro.saturating_add(amount) > LARGEST {
            Some("the balance would be too large".into())
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err(Refusal::Conflict(fault));
        }
        let redeemed = Redeemed {
            account: account.into(),
            reference: reference.into(),
            unix_ms: now.unix_ms,
        };
        effects.push(Effect::Store(Mutation::Voucher(Box::new(Voucher {
            hash,
            batch: (&*name).into(),
            redeemed: Some(redeemed.clone()),
        }))));
        *self.vouchers.redeemed.entry(Arc::clone(&name)).or_default() += 1;
        self.vouchers
            .vouchers
            .insert(hash, (name, Some(Box::new(redeemed))));
        self.vouchers.attempts.remove(account);
        let commodity = Commodity::Money(currency);
        let posting = Posting {
            debit: &cash(commodity),
            credit: account,
            amount,
            commodity,
            about: About::default(),
        };
        self.post(
            posting,
            &mut Keys::of(now, format!("voucher {hash}")),
            effects,
        );
        // What waits for it is served before the answer tells the balance.
        self.look_after(now, effects);
        self.view(account)
    }
}

#[cfg(test)]
mod tests;
