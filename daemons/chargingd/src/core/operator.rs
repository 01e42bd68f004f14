//! What operators do.

use tollwire_runtime::clock::Now;

use super::Core;
use super::purse::{Keys, Posting};
use crate::account::{Account, Profile, canonical_identity, is_name};
use crate::effect::{AccountView, Effect, Mutation, Refusal, Reply};
use crate::event::Operation;
use crate::ledger::{About, Commodity, cash};
use crate::notify::{Kind, Notification};
use crate::service_account::LARGEST as LARGEST_MICRO;
use crate::voucher::Batch;

/// Octets of a reference and of an identity.
pub(super) const MAX_REFERENCE: usize = 200;

impl Core {
    pub(super) fn operate(
        &mut self,
        now: Now,
        operation: Operation,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, Refusal> {
        let batch = match operation {
            Operation::IssueVouchers {
                batch,
                amount_micro,
                currency,
                expires_unix_ms,
                hashes,
            } => {
                let batch = Batch {
                    name: batch,
                    amount_micro,
                    currency,
                    expires_unix_ms,
                    issued_unix_ms: now.unix_ms,
                    voided_unix_ms: None,
                };
                self.issue_vouchers(now, batch, hashes, effects)?
            }
            Operation::VoidVouchers { batch } => self.void_vouchers(now, &batch, effects)?,
            of_account => {
                let view = self.operate_account(now, of_account, effects)?;
                return Ok(Reply::Account(Box::new(view)));
            }
        };
        Ok(Reply::Batch(Box::new(batch)))
    }

    fn operate_account(
        &mut self,
        now: Now,
        operation: Operation,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        match operation {
            Operation::IssueVouchers { .. } | Operation::VoidVouchers { .. } => {
                Err(Refusal::Invalid("no operation of an account".into()))
            }
            Operation::RedeemVoucher {
                account,
                code,
                reference,
            } => self.redeem_voucher(now, &account, &code, &reference, effects),
            Operation::CreateAccount {
                name,
                payment,
                currency,
                credit_limit_micro,
                identities,
            } => {
                if !is_name(&name) {
                    return Err(Refusal::Invalid(format!(
                        "{name:?} is no account name: 1 to 64 letters, digits, \"-\", \"_\" and \".\""
                    )));
                }
                check_amount(credit_limit_micro)?;
                if self.accounts.contains_key(&name) {
                    return Err(Refusal::Conflict(format!("account {name} exists already")));
                }
                for identity in &identities {
                    self.check_free(&canonical_identity(identity))?;
                }
                let account = Account {
                    name: name.clone(),
                    payment,
                    currency,
                    balance_micro: 0,
                    credit_limit_micro,
                    blocked: false,
                    held_micro: 0,
                    profile: Profile::default(),
                };
                effects.push(Effect::Store(Mutation::Account(account.clone())));
                self.accounts.insert(name.clone(), account);
                for identity in &identities {
                    self.bind(canonical_identity(identity), &name, effects);
                }
                self.view(&name)
            }
            Operation::TopUp {
                account,
                amount_micro,
                reference,
            } => self.top_up(now, &account, amount_micro, &reference, effects),
            Operation::SetProfile { .. }
            | Operation::SetExpiry { .. }
            | Operation::SetServiceAccount { .. }
            | Operation::SetServiceRules { .. }
            | Operation::CloseServiceAccount { .. }
            | Operation::Recharge { .. } => self.customer(now, operation, effects),
            Operation::SetCreditLimit {
                account,
                credit_limit_micro,
            } => {
                check_amount(credit_limit_micro)?;
                self.change(&account, effects, |account| {
                    account.credit_limit_micro = credit_limit_micro;
                })
            }
            Operation::Block { account } => {
                let view = self.change(&account, effects, |account| account.blocked = true)?;
                self.abort_all(&account, effects);
                Ok(view)
            }
            Operation::Unblock { account } => {
                self.change(&account, effects, |account| account.blocked = false)
            }
            Operation::AddIdentity { account, identity } => {
                self.view(&account)?;
                let identity = canonical_identity(&identity);
                if self.identities.get(&identity) != Some(&account) {
                    self.check_free(&identity)?;
                    self.bind(identity, &account, effects);
                }
                self.view(&account)
            }
            Operation::RemoveIdentity { identity } => {
                let identity = canonical_identity(&identity);
                let Some(account) = self.forget_identity(&identity) else {
                    return Err(Refusal::NotFound(format!(
                        "{identity} belongs to no account"
                    )));
                };
                effects.push(Effect::Store(Mutation::Identity(identity, None)));
                self.view(&account)
            }
            Operation::TestNotification { account, contact } => {
                let view = self.view(&account)?;
                let contacts = match contact {
                    Some(contact) => vec![contact],
                    None => view.account.profile.contacts.clone(),
                };
                if contacts.is_empty() {
                    return Err(Refusal::Invalid(format!(
                        "account {account} has no contacts"
                    )));
                }
                self.last_notification += 1;
                effects.push(Effect::Store(Mutation::Notification(Box::new(
                    Notification {
                        id: self.last_notification,
                        unix_ms: now.unix_ms,
                        subject: account.clone(),
                        account,
                        kind: Kind::Test,
                        balance: view.account.balance_micro,
                        unit: view.account.currency.code().into(),
                        amount: 0,
                        language: view.account.profile.language.clone(),
                        contacts,
                    },
                ))));
                Ok(view)
            }
        }
    }

    /// The account as operators see it.
    pub fn view(&self, name: &str) -> Result<AccountView, Refusal> {
        let account = self
            .accounts
            .get(name)
            .ok_or_else(|| Refusal::NotFound(format!("no account {name}")))?;
        let identities = self.identities_of.get(name).into_iter().flatten();
        let identities = identities.cloned().collect();
        Ok(AccountView {
            available_micro: account.available_micro(),
            identities,
            sessions: self
                .by_account
                .get(name)
                .map_or(0, std::collections::BTreeSet::len),
            service_accounts: self.service_accounts(name).cloned().collect(),
            account: account.clone(),
        })
    }

    fn top_up(
        &mut self,
        now: Now,
        account: &str,
        amount_micro: i64,
        reference: &str,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        let view = self.view(account)?;
        if amount_micro <= 0 {
            return Err(Refusal::Invalid("the amount must be above zero".into()));
        }
        check_amount(amount_micro)?;
        if reference.is_empty() || reference.len() > MAX_REFERENCE {
            return Err(Refusal::Invalid(format!(
                "a payment needs a reference of 1 to {MAX_REFERENCE} octets"
            )));
        }
        if view.account.balance_micro.saturating_add(amount_micro) > LARGEST_MICRO {
            return Err(Refusal::Invalid("the balance would be too large".into()));
        }
        let key = format!("top-up {account} {reference}");
        if self.references.insert(key.clone()) {
            let commodity = Commodity::Money(view.account.currency);
            let posting = Posting {
                debit: &cash(commodity),
                credit: account,
                amount: amount_micro,
                commodity,
                about: About::default(),
            };
            self.post(posting, &mut Keys::of(now, key), effects);
            // What waits for it is served before the answer tells the balance.
            self.look_after(now, effects);
        }
        self.view(account)
    }

    fn change(
        &mut self,
        name: &str,
        effects: &mut Vec<Effect>,
        change: impl FnOnce(&mut Account),
    ) -> Result<AccountView, Refusal> {
        if let Some(account) = self.accounts.get_mut(name) {
            change(account);
            effects.push(Effect::Store(Mutation::Account(account.clone())));
        }
        self.view(name)
    }

    fn check_free(&self, identity: &str) -> Result<(), Refusal> {
        if identity.is_empty() || identity.len() > MAX_REFERENCE {
            return Err(Refusal::Invalid("an identity has 1 to 200 octets".into()));
        }
        match self.identities.get(identity) {
            Some(owner) => Err(Refusal::Conflict(format!(
                "{identity} is charged to account {owner} already"
            ))),
            None => Ok(()),
        }
    }

    fn bind(&mut self, identity: Box<str>, account: &str, effects: &mut Vec<Effect>) {
        effects.push(Effect::Store(Mutation::Identity(
            identity.clone(),
            Some(account.into()),
        )));
        self.know(identity, account.into());
    }

    fn forget_identity(&mut self, identity: &str) -> Option<Box<str>> {
        let account = self.identities.remove(identity)?;
        if let Some(known) = self.identities_of.get_mut(&account) {
            known.remove(identity);
            if known.is_empty() {
                self.identities_of.remove(&account);
            }
        }
        Some(account)
    }

    fn abort_all(&self, account: &str, effects: &mut Vec<Effect>) {
        let sessions = self.by_account.get(account).into_iter().flatten();
        effects.extend(
            sessions
                .filter_map(|id| self.sessions.get(id))
                .map(|session| Effect::Abort {
                    session_id: session.id.clone(),
                    origin_host: session.origin_host.clone(),
                    origin_realm: session.origin_realm.clone(),
                }),
        );
    }
}

fn check_amount(amount_micro: i64) -> Result<(), Refusal> {
    if (0..=LARGEST_MICRO).contains(&amount_micro) {
        Ok(())
    } else {
        Err(Refusal::Invalid(format!(
            "an amount is 0 to {LARGEST_MICRO} micro-units"
        )))
    }
}
