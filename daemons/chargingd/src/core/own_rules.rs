//! What a customer may set of a service account by himself: when he is told, and, as far as the operator's classes
//! allow it, when it is recharged.

use tollwire_runtime::clock::Now;

use super::Core;
use crate::effect::{AccountView, Effect, Refusal};
use crate::service_account::{Recharge, RechargeAmount, Terms, ledger_name};

impl Core {
    /// Sets `thresholds` and the rule `recharge`, each unless it is absent.
    ///
    /// # Errors
    /// There is no such service account, it is closed, or the classes it pays for do not allow it.
    pub(super) fn set_own_rules(
        &mut self,
        now: Now,
        (account, name): (&str, &str),
        thresholds: Option<Vec<i64>>,
        recharge: Option<Option<Recharge>>,
        effects: &mut Vec<Effect>,
    ) -> Result<AccountView, Refusal> {
        let currency = self.view(account)?.account.currency;
        let purse = ledger_name(account, name);
        let Some(known) = self.service_accounts.get(&purse) else {
            return Err(Refusal::NotFound(format!("no service account {purse}")));
        };
        if known.closed {
            return Err(Refusal::Conflict(format!(
                "service account {purse} is closed"
            )));
        }
        let mut terms = known.terms.clone();
        if let Some(thresholds) = thresholds {
            terms.thresholds = thresholds;
        }
        if let Some(recharge) = recharge {
            self.allow_recharge(&purse, &terms, recharge.as_ref())?;
            terms.recharge = recharge;
        }
        if let Some(fault) = terms.fault(name, currency) {
            return Err(Refusal::Invalid(fault));
        }
        self.change_service_account(&purse, effects, |known| known.terms = terms);
        self.schedule_after(&purse, now.unix_ms, effects);
        self.touch(&purse);
        self.look_after(now, effects);
        self.view(account)
    }

    /// All classes that the service account pays for have to allow it.
    fn allow_recharge(
        &self,
        purse: &str,
        terms: &Terms,
        recharge: Option<&Recharge>,
    ) -> Result<(), Refusal> {
        let groups = terms.rating_groups.iter().map(|group| (Some(*group), None));
        let identifiers = terms
            .service_identifiers
            .iter()
            .map(|one| (None, Some(*one)));
        let most = groups
            .chain(identifiers)
            .map(|(group, identifier)| {
                let class = self.classes.find(group, identifier.as_slice())?;
                class.customer_recharge_micro
            })
            .min()
            .flatten();
        let Some(most) = most else {
            return Err(Refusal::Invalid(format!(
                "the rule by which {purse} is recharged is the operator's"
            )));
        };
        let Some(recharge) = recharge else {
            return Ok(());
        };
        let (RechargeAmount::Fixed(amount) | RechargeAmount::UpTo(amount)) = recharge.amount;
        let cost = match terms.price {
            Some(price) => price.of(amount),
            None => Some(amount),
        };
        if cost.is_none_or(|cost| cost > most) {
            return Err(Refusal::Invalid(format!(
                "a recharge of {purse} may cost {most} micro-units at the most"
            )));
        }
        // Otherwise one recharge would bring about the next, until the main account is empty.
        if recharge.at_minimum.is_some_and(|minimum| minimum >= amount) {
            return Err(Refusal::Invalid(
                "a recharge brings more than the minimum at which it happens".into(),
            ));
        }
        Ok(())
    }
}
