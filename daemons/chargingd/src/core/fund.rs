//! Reservations and reports: what a grant holds, and what its use takes.

use tollwire_runtime::clock::Now;

use super::Core;
use super::purse::{Keys, Payers, amount};
use crate::effect::Effect;
use crate::ledger::Commodity;
use crate::rating::{Measure, Stint, Tariff, Used};
use crate::session::{Price, Service, Share, plus, units_of};

/// What may be debited when a report costs more than was held for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beyond {
    /// Nothing.
    Nothing,
    /// What the purses have.
    Available,
    /// All of it: the client was allowed to go on without us, and the customer owes it.
    Owed,
}

/// What could be held for a grant.
#[derive(Default)]
pub(super) struct Reserved {
    /// Units that are paid for.
    pub(super) units: u64,
    /// Units that cost nothing, because access was bought.
    pub(super) free: u64,
    /// What is held.
    pub(super) shares: Vec<Share>,
    /// Whether there would be more.
    pub(super) more: bool,
}

/// What `units` of a measure are.
pub(super) fn used_of(measure: Measure, units: u64) -> Used {
    let mut used = Used::default();
    match measure {
        Measure::Time | Measure::Combined => used.seconds = units,
        Measure::Volume => used.octets = units,
        Measure::Events => used.events = units,
    }
    used
}

impl Core {
    /// Holds what up to `want` units of a service may cost. `bases` are the stints that they may
    /// be added to; the dearest counts.
    pub(super) fn reserve(
        &mut self,
        now: Now,
        account: &str,
        service: &Service,
        payers: &Payers,
        (want, bases): (u64, &[Vec<Stint>]),
        effects: &mut Vec<Effect>,
    ) -> Reserved {
        let Price::Tariff(tariff) = &service.price else {
            return Reserved::default();
        };
        let mut reserved = Reserved::default();
        if self.has_access(now, payers, effects) {
            reserved.free = want;
            reserved.more = true;
            return reserved;
        }
        let of_units = self.of_units(payers, Some(tariff.measure()));
        reserved.units = self.hold_units(now, &of_units, want, &mut reserved.shares, effects);
        let left = want - reserved.units;
        let of_money = self.of_money(account, payers);
        let price = |units: u64| {
            let more = used_of(tariff.measure(), units);
            bases
                .iter()
                .map(|base| tariff.price_of_stints(&with(base, more)))
                .max()
                .unwrap_or(i64::MAX)
                .saturating_sub(service.priced_micro)
                .max(0)
        };
        if left > 0 {
            self.fill_all(now, &of_money, price(left), effects);
        }
        let pool = self.pool(&of_money);
        let affordable = most(tariff, bases, service, pool);
        let priced = affordable.min(left);
        if priced > 0 {
            let cost = price(priced);
            self.hold_money(&of_money, cost, &mut reserved.shares);
            reserved.units += priced;
        }
        let units_left = of_units.iter().any(|purse| self.available(purse) > 0);
        let can_fill = |purse: &str| self.can_fill(purse);
        reserved.more =
            units_left || affordable > left || payers.purses.iter().any(|purse| can_fill(purse));
        reserved
    }

    /// Holds a sum that is for `units`, or nothing: units first, money for the rest of them.
    pub(super) fn reserve_sum(
        &mut self,
        now: Now,
        account: &str,
        payers: &Payers,
        (units, amount_micro): (u64, i64),
        effects: &mut Vec<Effect>,
    ) -> Option<Reserved> {
        let mut reserved = Reserved {
            units,
            more: true,
            ..Reserved::default()
        };
        // What is not counted in units is paid in money alone.
        if units > 0 && self.has_access(now, payers, effects) {
            reserved.free = units;
            return Some(reserved);
        }
        let of_units = self.of_units(payers, None);
        let left = units - self.hold_units(now, &of_units, units, &mut reserved.shares, effects);
        let rest = part_of(amount_micro, left, units);
        let of_money = self.of_money(account, payers);
        self.fill_all(now, &of_money, rest, effects);
        if self.pool(&of_money) < rest {
            self.release(&reserved.shares);
            return None;
        }
        self.hold_money(&of_money, rest, &mut reserved.shares);
        Some(reserved)
    }

    /// Whether `account` could be granted more of a service now.
    pub(super) fn could_have_more(&self, now: Now, account: &str, service: &Service) -> bool {
        let Ok(payers) = self.payers(account, service.rating_group, &service.service_identifiers)
        else {
            return false;
        };
        let Price::Tariff(tariff) = &service.price else {
            return false;
        };
        let access = |purse: &str| {
            self.commodity(purse) == Some(Commodity::Access) && self.available(purse) > 0
        };
        let units = self.of_units(&payers, Some(tariff.measure()));
        let pool = self.pool(&self.of_money(account, &payers));
        // What a pool holds its services have already.
        let (held, granted) = match service.pool {
            Some(_) => (pool, 0),
            None => (pool.saturating_add(service.held_micro()), service.granted),
        };
        payers.purses.iter().any(|purse| access(purse))
            || units.iter().any(|purse| self.available(purse) > 0)
            || pool > 0
                && most(tariff, &[service.stints_from(now.unix_ms)], service, held) > granted
    }

    /// Units that `account` could pay for beyond what a service has used.
    pub fn remaining(&self, now: Now, account: &str, service: &Service) -> u64 {
        let (Ok(payers), Price::Tariff(tariff)) = (
            self.payers(account, service.rating_group, &service.service_identifiers),
            &service.price,
        ) else {
            return 0;
        };
        let of_units = self.of_units(&payers, Some(tariff.measure()));
        let units = of_units
            .iter()
            .fold(0i64, |sum, purse| sum.saturating_add(self.available(purse)));
        let held_units = service.shares.iter().filter(|share| share.units);
        let held_units: i64 = held_units.map(|share| share.amount).sum();
        let pool = self.pool(&self.of_money(account, &payers));
        let pool = pool.saturating_add(service.held_micro());
        units
            .saturating_add(held_units)
            .unsigned_abs()
            .saturating_add(most(
                tariff,
                &[service.stints_from(now.unix_ms)],
                service,
                pool,
            ))
    }

    /// Debits a report, in its parts before and behind a tariff change, and releases the rest of what was held.
    pub(super) fn consume(
        &mut self,
        account: &str,
        service: &mut Service,
        (before, after): (Used, Used),
        (answer_unix_ms, beyond): (Option<i64>, Beyond),
        keys: &mut Keys,
        effects: &mut Vec<Effect>,
    ) {
        let Price::Tariff(tariff) = service.price.clone() else {
            return;
        };
        let measure = tariff.measure();
        let report = plus(before, after);
        let shares = std::mem::take(&mut service.shares);
        self.release(&shares);
        let units = units_of(measure, report);
        let about = service.price.about();
        let paid_for = service.granted.saturating_sub(service.free);
        let free = units.saturating_sub(paid_for).min(service.free);
        let mut left = units - free;
        let had_units = service.free > 0 || shares.iter().any(|share| share.units);
        for share in shares.iter().filter(|share| share.units) {
            let taken = share.amount.min(amount(left));
            left -= taken.unsigned_abs();
            self.spend(&share.purse, taken, about.clone(), keys, effects);
        }
        let octets = match measure {
            Measure::Combined if free < units || units == 0 => {
                tariff.chargeable_octets(report.seconds, report.octets)
            }
            _ => 0,
        };
        let mut priced = used_of(measure, left);
        priced.octets = priced.octets.saturating_add(octets);
        if priced != Used::default() {
            let reported = keys
                .now
                .unix_ms
                .saturating_sub(amount(report.seconds).saturating_mul(1000));
            // With the answer, or where the units ended.
            let from = match measure {
                Measure::Volume | Measure::Events => service.granted_unix_ms,
                _ if !service.is_used() && !had_units => answer_unix_ms.unwrap_or(reported),
                _ => reported,
            };
            // What was used behind a tariff change was used last, and so is what units did not cover.
            let later = units_of(measure, after).min(left);
            let has_room = service.stints.len() + 1 < MOST_STINTS;
            let change = service.change_unix_ms.filter(|_| later > 0 && has_room);
            match change {
                None => add_stint(service, &tariff, from, priced),
                Some(change) => {
                    if later < left {
                        add_stint(service, &tariff, from, used_of(measure, left - later));
                    }
                    service.stints.push(Stint {
                        from_unix_ms: change,
                        used: used_of(measure, later),
                    });
                }
            }
        }
        service.used = plus(service.used, report);
        service.granted = 0;
        service.free = 0;
        let unused = !service.is_used();
        if service.stints.is_empty() && (had_units || answer_unix_ms.is_none() || !unused) {
            return;
        }
        let stints = service.stints_from(keys.now.unix_ms);
        let price = tariff.price_of_stints(&stints).max(service.priced_micro);
        let mut owed = price - service.priced_micro;
        service.priced_micro = price;
        let mut paid = 0;
        for share in shares.iter().filter(|share| !share.units) {
            let taken = share.amount.min(owed - paid);
            self.spend(&share.purse, taken, about.clone(), keys, effects);
            paid += taken;
        }
        if paid < owed {
            paid += self.beyond(account, service, (beyond, owed - paid), keys, effects);
        }
        service.charged_micro = service.charged_micro.saturating_add(paid);
        owed -= paid;
        if owed > 0 {
            self.counters.uncollected_micro = self
                .counters
                .uncollected_micro
                .saturating_add(owed.unsigned_abs());
            tracing::warn!(
                account,
                owed_micro = owed,
                "a report costs more than the account has"
            );
        }
    }

    /// Debits what a report costs beyond what was held for it.
    fn beyond(
        &mut self,
        account: &str,
        service: &Service,
        (beyond, owed): (Beyond, i64),
        keys: &mut Keys,
        effects: &mut Vec<Effect>,
    ) -> i64 {
        let about = service.price.about();
        if beyond == Beyond::Nothing {
            return 0;
        }
        let payers = self.payers(account, service.rating_group, &service.service_identifiers);
        let mut paid = 0;
        if let Ok(payers) = &payers {
            for purse in self.of_money(account, payers) {
                let taken = self.available(&purse).min(owed - paid);
                self.spend(&purse, taken, about.clone(), keys, effects);
                paid += taken;
            }
        }
        if beyond == Beyond::Owed && paid < owed {
            self.spend(account, owed - paid, about, keys, effects);
            paid = owed;
        }
        paid
    }
}

/// The most further units that a service can be granted for what it has cost and `pool`, whichever stint they are used in.
pub(super) fn most(tariff: &Tariff, bases: &[Vec<Stint>], service: &Service, pool: i64) -> u64 {
    let money = service.priced_micro.saturating_add(pool);
    bases
        .iter()
        .map(|base| tariff.affordable_in_stints(base, money))
        .min()
        .unwrap_or(0)
}

/// Stints with `more` used in the last one.
fn with(base: &[Stint], more: Used) -> Vec<Stint> {
    let mut stints = base.to_vec();
    if let Some(last) = stints.last_mut() {
        last.used = plus(last.used, more);
    }
    stints
}

/// A pause of more than this is one, and not two clocks.
const PAUSE_MS: i64 = 60_000;
/// Stints of one service that are kept apart.
pub(super) const MOST_STINTS: usize = 64;

/// Adds what was used from `from_unix_ms` on: to the last stint, or to one of its own if its price may be another.
fn add_stint(service: &mut Service, tariff: &Tariff, from_unix_ms: i64, used: Used) {
    let has_room = service.stints.len() < MOST_STINTS;
    if let Some(last) = service.stints.last_mut() {
        let end = last
            .from_unix_ms
            .saturating_add(amount(last.used.seconds).saturating_mul(1000));
        let paused = matches!(tariff.measure(), Measure::Time | Measure::Combined)
            && from_unix_ms.saturating_sub(end) > PAUSE_MS
            && tariff.next_change_unix_ms(last.from_unix_ms).is_some();
        if !(paused && has_room) {
            last.used = plus(last.used, used);
            return;
        }
    }
    service.stints.push(Stint { from_unix_ms, used });
}

/// The price of `left` units of `units` that cost `amount_micro` together, rounded up.
fn part_of(amount_micro: i64, left: u64, units: u64) -> i64 {
    if left >= units {
        return amount_micro;
    }
    let (amount, units) = (i128::from(amount_micro), i128::from(units.max(1)));
    let part = (amount * i128::from(left) + units - 1) / units;
    i64::try_from(part).unwrap_or(i64::MAX)
}
