//! What follows from money moving: thresholds, recharges of low accounts, restrictions that are lifted.
//!
//! Runs once after each event, over the purses that it touched.

use tollwire_runtime::clock::Now;

use super::Core;
use crate::effect::{Effect, Mutation};
use crate::ledger::Commodity;
use crate::notify::{Kind, Notification};

/// Rounds of recharges after one event: each recharge touches two purses.
const ROUNDS: usize = 8;

impl Core {
    /// Looks at every purse that was touched.
    pub(super) fn look_after(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for _ in 0..ROUNDS {
            if self.touched.is_empty() {
                return;
            }
            for purse in std::mem::take(&mut self.touched) {
                self.look_at(now, &purse, effects);
            }
        }
        // What is left is looked at when it moves again.
        self.touched.clear();
    }

    fn look_at(&mut self, now: Now, purse: &str, effects: &mut Vec<Effect>) {
        if self.service_accounts.contains_key(purse) {
            self.fill(now, purse, 0, effects);
        } else {
            self.serve_wanting(now, purse, effects);
        }
        self.thresholds(now, purse, effects);
        let main = purse.split('/').next().unwrap_or_default();
        if self.short.contains(main) {
            self.lift(now, main, effects);
        }
    }

    /// Tells of every threshold that was reached from above, once.
    fn thresholds(&mut self, now: Now, purse: &str, effects: &mut Vec<Effect>) {
        let (level, thresholds, before) = match self.service_accounts.get(purse) {
            Some(account) => (account.balance, &account.terms.thresholds, &account.crossed),
            None => match self.accounts.get(purse) {
                Some(account) => (
                    account
                        .balance_micro
                        .saturating_add(account.credit_limit_micro),
                    &account.profile.thresholds,
                    &account.profile.crossed,
                ),
                None => return,
            },
        };
        if thresholds.is_empty() && before.is_empty() {
            return;
        }
        let crossed: Vec<i64> = thresholds
            .iter()
            .copied()
            .filter(|threshold| level <= *threshold)
            .collect();
        if crossed == *before {
            return;
        }
        let news: Vec<i64> = crossed
            .iter()
            .copied()
            .filter(|threshold| !before.contains(threshold))
            .collect();
        match self.service_accounts.contains_key(purse) {
            true => self.change_service_account(purse, effects, |account| {
                account.crossed = crossed;
            }),
            false => {
                if let Some(account) = self.accounts.get_mut(purse) {
                    account.profile.crossed = crossed;
                    effects.push(Effect::Store(Mutation::Account(account.clone())));
                }
            }
        }
        // Several at once are one piece of news: the lowest says most.
        if let Some(lowest) = news.into_iter().min() {
            self.tell(now, purse, Kind::ThresholdCrossed, lowest, effects);
        }
    }

    /// Has the customer told, in the transaction of what happened.
    pub(super) fn tell(
        &mut self,
        now: Now,
        purse: &str,
        kind: Kind,
        amount: i64,
        effects: &mut Vec<Effect>,
    ) {
        let main = purse.split('/').next().unwrap_or_default();
        let Some(account) = self.accounts.get(main) else {
            return;
        };
        if account.profile.contacts.is_empty() {
            return;
        }
        let (balance, unit) = match self.service_accounts.get(purse) {
            Some(own) => (own.balance, own.terms.unit),
            None => (account.balance_micro, Commodity::Money(account.currency)),
        };
        self.last_notification += 1;
        let notification = Notification {
            id: self.last_notification,
            unix_ms: now.unix_ms,
            account: account.name.clone(),
            language: account.profile.language.clone(),
            subject: purse.into(),
            kind,
            balance,
            unit: unit.name().into(),
            amount,
            contacts: account.profile.contacts.clone(),
        };
        effects.push(Effect::Store(Mutation::Notification(Box::new(
            notification,
        ))));
    }

    /// Asks the clients of sessions that were told of their last units to come back, if there is more for them now
    /// (RFC 8506 5.6.2, figure 6).
    fn lift(&mut self, now: Now, main: &str, effects: &mut Vec<Effect>) {
        let ids: Vec<Box<str>> = self
            .by_account
            .get(main)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        let mut any_short = false;
        for id in ids {
            let Some(session) = self.sessions.get(&id) else {
                continue;
            };
            let waiting = |service: &&crate::session::Service| service.short.is_some();
            any_short |= session.services.iter().any(|service| waiting(&service));
            let Some(service) =
                session.services.iter().filter(waiting).find(|service| {
                    !service.asked_back && self.could_have_more(now, main, service)
                })
            else {
                continue;
            };
            let (pool, rating_group, service_identifiers) = match service.pool {
                Some(pool) => (Some(pool), None, Vec::new()),
                None => (
                    None,
                    service.rating_group,
                    service.service_identifiers.clone(),
                ),
            };
            let before = session.clone();
            let mut session = before.clone();
            for service in &mut session.services {
                service.asked_back |= match pool {
                    Some(_) => service.pool == pool,
                    None => service.is(rating_group, &service_identifiers),
                };
            }
            effects.push(Effect::ReAuthorize {
                session_id: session.id.clone(),
                origin_host: session.origin_host.clone(),
                origin_realm: session.origin_realm.clone(),
                pool,
                rating_group,
                service_identifiers,
            });
            self.put(Some(&before), session, effects);
        }
        if !any_short {
            self.short.remove(main);
        }
    }
}
