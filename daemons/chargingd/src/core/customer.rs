//! What customers, and operators for them, set: profiles, service accounts, recharges on request.

use jiff::tz::TimeZone;
use tollwire_runtime::clock::Now;

use super::Core;
use super::operator::MAX_REFERENCE;
use super::purse::{Keys, Posting};
use crate::account::Profile;
use crate::effect::{AccountView, Effect, Mutation, Refusal};
use crate::event::Operation;
use crate::service_account::{LARGEST, RechargeAmount, ServiceAccount, Terms, ledger_name};

/// Service accounts of one customer, and contacts and thresholds of a profile.
const MOST: usize = 32;
/// Octets of an address.
const LONGEST: usize = 1024;

impl Core {
    pub(super) fn customer(
        &mut self,
        now: Now,
        operation: Operation,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        match operation {
            Operation::SetProfile {
                account,
                time_zone,
                contacts,
                language,
                address,
                thresholds,
            } => {
                let mut profile = self.view(&account)?.account.profile;
                let zone_changed = time_zone.is_some();
                profile.time_zone = time_zone.unwrap_or(profile.time_zone);
                profile.contacts = contacts.unwrap_or(profile.contacts);
                profile.language = language.unwrap_or(profile.language);
                profile.address = address.unwrap_or(profile.address);
                profile.thresholds = thresholds.unwrap_or(profile.thresholds);
                check_profile(&profile)?;
                if let Some(found) = self.accounts.get_mut(&account) {
                    found.profile = profile;
                    effects.push(Effect::Store(Mutation::Account(found.clone())));
                }
                self.touch(&account);
                if zone_changed {
                    for purse in self.purses.get(&account).cloned().unwrap_or_default() {
                        self.schedule_after(&purse, now.unix_ms, effects);
                    }
                }
                self.view(&account)
            }
            Operation::SetExpiry {
                account,
                service_account,
                expires_unix_ms,
            } => {
                self.view(&account)?;
                let purse = match service_account {
                    Some(name) => self.own(&account, &name)?,
                    None => account.clone(),
                };
                if expires_unix_ms.is_some_and(|at| at <= now.unix_ms) {
                    return Err(Refusal::Invalid("an expiry lies in the future".into()));
                }
                self.set_expiry(&purse, expires_unix_ms, effects);
                self.view(&account)
            }
            Operation::SetServiceAccount {
                account,
                service_account,
                terms,
            } => self.set_service_account(now, &account, &service_account, *terms, effects),
            Operation::SetServiceRules {
                account,
                service_account,
                thresholds,
                recharge,
            } => {
                let of = (&*account, &*service_account);
                self.set_own_rules(now, of, thresholds, recharge, effects)
            }
            Operation::CloseServiceAccount {
                account,
                service_account,
            } => self.close_service_account(now, &account, &service_account, effects),
            Operation::Recharge {
                account,
                service_account,
                amount,
                part,
                reference,
            } => {
                let purse = self.own(&account, &service_account)?;
                self.recharge_on_request(now, &purse, (amount, part), &reference, effects)?;
                self.view(&account)
            }
            _ => Err(Refusal::Invalid("no operation of a customer".into())),
        }
    }

    /// The ledger's name of a service account that there is.
    fn own(&self, account: &str, name: &str) -> Result<Box<str>, Refusal> {
        let purse = ledger_name(account, name);
        match self.service_accounts.contains_key(&purse) {
            true => Ok(purse),
            false => Err(Refusal::NotFound(format!("no service account {purse}"))),
        }
    }

    fn set_service_account(
        &mut self,
        now: Now,
        account: &str,
        name: &str,
        terms: Terms,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        let view = self.view(account)?;
        if let Some(fault) = terms.fault(name, view.account.currency) {
            return Err(Refusal::Invalid(fault));
        }
        let purse = ledger_name(account, name);
        match self.service_accounts.get(&purse) {
            Some(known)
                if known.terms.unit != terms.unit && (known.balance != 0 || known.held != 0) =>
            {
                return Err(Refusal::Conflict(format!(
                    "service account {purse} holds {}: its unit can change when it is empty",
                    known.terms.unit
                )));
            }
            Some(_) => {
                self.change_service_account(&purse, effects, |known| {
                    known.terms = terms;
                    known.closed = false;
                });
                self.sort_purses(account);
            }
            None if view.service_accounts.len() >= MOST => {
                return Err(Refusal::Invalid(format!(
                    "an account has {MOST} service accounts at the most"
                )));
            }
            None => {
                let new = ServiceAccount {
                    name: purse.clone(),
                    account: account.into(),
                    terms,
                    balance: 0,
                    crossed: Vec::new(),
                    wanting: false,
                    recharge_unix_ms: None,
                    recharged: Vec::new(),
                    expires_unix_ms: None,
                    closed: false,
                    recharges: 0,
                    held: 0,
                };
                effects.push(Effect::Store(Mutation::ServiceAccount(Box::new(
                    new.clone(),
                ))));
                self.adopt(new);
            }
        }
        self.schedule_after(&purse, now.unix_ms, effects);
        // A minimum is met from the beginning.
        self.touch(&purse);
        self.look_after(now, effects);
        self.view(account)
    }

    fn close_service_account(
        &mut self,
        now: Now,
        account: &str,
        name: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        let purse = self.own(account, name)?;
        let Some(known) = self.service_accounts.get(&purse) else {
            return self.view(account);
        };
        if known.held > 0 {
            return Err(Refusal::Conflict(format!(
                "sessions hold a part of {purse}: block the account or wait for their end"
            )));
        }
        let (unit, balance, number) = (known.terms.unit, known.balance, known.recharges + 1);
        let key = format!("close {purse} {number}");
        if unit.currency().is_some() {
            let back = Posting {
                debit: &purse,
                credit: account,
                amount: balance,
                commodity: unit,
                about: Default::default(),
            };
            self.post(back, &mut Keys::of(now, key), effects);
        } else {
            self.forfeit(now, &purse, &key, effects);
        }
        self.change_service_account(&purse, effects, |known| {
            known.closed = true;
            known.wanting = false;
            known.recharges += 1;
        });
        self.look_after(now, effects);
        self.view(account)
    }

    fn recharge_on_request(
        &mut self,
        now: Now,
        purse: &str,
        (amount, part): (Option<i64>, bool),
        reference: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refusal> {
        if reference.is_empty() || reference.len() > MAX_REFERENCE {
            return Err(Refusal::Invalid(format!(
                "a recharge needs a reference of 1 to {MAX_REFERENCE} octets"
            )));
        }
        let Some(known) = self.service_accounts.get(purse) else {
            return Ok(());
        };
        let by_rule = known.terms.recharge.as_ref().map(|rule| match rule.amount {
            RechargeAmount::Fixed(amount) => amount,
            RechargeAmount::UpTo(top) => top.saturating_sub(known.available()).max(0),
        });
        let Some(wanted) = amount.or(by_rule) else {
            return Err(Refusal::Invalid(format!(
                "{purse} has no rule that says how much: name an amount"
            )));
        };
        let key = format!("recharge-on-request {purse} {reference}");
        if self.references.contains(&key) {
            return Ok(());
        }
        if !(0..=LARGEST).contains(&wanted) || known.balance.saturating_add(wanted) > LARGEST {
            return Err(Refusal::Invalid("the balance would be too large".into()));
        }
        if wanted == 0 {
            return Ok(());
        }
        self.recharge(now, purse, wanted, part, key.clone(), effects)
            .ok_or_else(|| {
                Refusal::Conflict(format!(
                    "the main account cannot pay for {wanted} of {purse}"
                ))
            })?;
        self.references.insert(key);
        self.look_after(now, effects);
        Ok(())
    }
}

fn check_profile(profile: &Profile) -> Result<(), Refusal> {
    if TimeZone::get(&profile.time_zone).is_err() {
        return Err(Refusal::Invalid(format!(
            "{:?} is no time zone: one like Europe/Berlin",
            profile.time_zone
        )));
    }
    if profile.contacts.len() > MOST || profile.thresholds.len() > MOST {
        return Err(Refusal::Invalid(format!(
            "a profile has {MOST} contacts and thresholds at the most"
        )));
    }
    if profile.language.len() > 35 || profile.address.len() > LONGEST {
        return Err(Refusal::Invalid(
            "a language has 35 octets at the most, an address 1024".into(),
        ));
    }
    Ok(())
}
