//! One tariff: prices in exact integers, and their inverse.

use std::sync::Arc;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Period};
use super::definition::Definition;
use super::rate::Rate;
use super::{Measure, Stint, Used};

/// The longest service that is granted, seconds: ten years.
const MOST_SECONDS: u64 = 315_360_000;
/// The most octets or events of one service that are granted.
const MOST_UNITS: u64 = 1 << 62;
/// Moments that are told apart, Unix milliseconds: the years 1900 to 9000. What is beyond has the clock of their ends.
const MOMENTS: (i64, i64) = (-2_208_988_800_000, 221_845_392_000_000);
/// The seconds that a price per minute is for.
const MINUTE: i128 = 60;

/// The prices of a service, without the rules for whom they are: all that a session must keep of its tariff.
///
/// In JSON it is a [`Definition`] without these rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Definition", try_from = "Definition")]
pub struct Tariff {
    /// As in records.
    pub name: Box<str>,
    /// What records and invoices call the service; empty is `name`: ask [`Tariff::service`].
    pub(super) service: Box<str>,
    /// The service provider who gets the money less commission; empty is the operator.
    pub provider: Box<str>,
    /// What the operator keeps of a provider's money, hundredths of a percent.
    pub commission_basis_points: u16,
    /// ISO 4217.
    pub currency: Currency,
    pub(super) tax_basis_points: u16,
    pub(super) setup_fee_micro: i64,
    pub(super) minimum_micro: i64,
    pub(super) parts: Parts,
    pub(super) calendar: Option<Arc<Calendar>>,
}

/// What is counted, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parts {
    /// Seconds.
    Time(Part),
    /// Octets.
    Volume(Part, Megabyte),
    /// Events.
    Events(Part),
    /// Seconds, and octets above a rate.
    Combined(Box<Combined>),
}

/// Time up to a bit rate, and octets above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Combined {
    pub(super) time: Part,
    pub(super) volume: Part,
    pub(super) megabyte: Megabyte,
    /// The rate that the price of time includes.
    pub(super) bits_per_second: u64,
}

/// How many octets a price per megabyte is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Megabyte {
    /// 10^6.
    Decimal,
    /// 2^20.
    Binary,
}

impl Megabyte {
    pub(super) fn octets(self) -> i64 {
        match self {
            Self::Decimal => 1_000_000,
            Self::Binary => 1_048_576,
        }
    }

    pub(super) fn kilobytes(self) -> i64 {
        match self {
            Self::Decimal => 1_000,
            Self::Binary => 1_024,
        }
    }
}

/// One thing that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// Micro-units for a minute, a megabyte or an event.
    pub(super) rate: Rate,
    /// The first units, which cost nothing.
    pub(super) free: u64,
    /// The least that is charged, units.
    pub(super) first_increment: u64,
    /// What is charged from then on is a multiple of this.
    pub(super) next_increment: u64,
}

impl Part {
    /// `units` brought up to the increments; 0 stays 0.
    fn charged(&self, units: u64) -> u64 {
        if units == 0 || (self.first_increment == 1 && self.next_increment == 1) {
            return units;
        }
        units
            .saturating_sub(self.first_increment)
            .checked_next_multiple_of(self.next_increment)
            .map_or(u64::MAX, |beyond| {
                beyond.saturating_add(self.first_increment)
            })
    }

    /// The most units up to `reached` that are whole increments.
    fn whole(&self, reached: u64) -> u64 {
        match reached.checked_sub(self.first_increment) {
            None => 0,
            Some(beyond) => {
                self.first_increment + beyond / self.next_increment * self.next_increment
            }
        }
    }

    /// What the units from `from` to before `to` cost at `rate`.
    fn sum(&self, rate: &Rate, from: u64, to: u64) -> i128 {
        rate.sum(from.max(self.free), to)
    }

    /// How far `budget` lasts.
    fn reach(&self, rate: &Rate, from: u64, to: u64, budget: &mut i128) -> u64 {
        match to <= self.free {
            true => to,
            false => rate.reach(from.max(self.free), to, budget),
        }
    }
}

/// Units at one rate: the work of a price is a list of these.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stretch<'t> {
    /// Its first unit.
    pub(super) from: u64,
    /// The unit behind its last.
    pub(super) to: u64,
    /// When its first unit is used, Unix milliseconds.
    pub(super) at_unix_ms: i64,
    /// Its prices.
    pub(super) rate: &'t Rate,
    /// The period of the calendar.
    pub(super) period: Option<u8>,
}

impl Tariff {
    /// A tariff of seconds that cost nothing, for what somebody else prices.
    pub fn free(name: &str, currency: Currency) -> Self {
        Self {
            name: name.into(),
            service: "".into(),
            provider: "".into(),
            commission_basis_points: 0,
            currency,
            tax_basis_points: 0,
            setup_fee_micro: 0,
            minimum_micro: 0,
            parts: Parts::Time(Part {
                rate: Rate {
                    price: 0,
                    steps: Box::default(),
                },
                free: 0,
                first_increment: 1,
                next_increment: 1,
            }),
            calendar: None,
        }
    }

    /// What records and invoices call the service.
    pub fn service(&self) -> &str {
        match &*self.service {
            "" => &self.name,
            service => service,
        }
    }

    /// What a grant of it counts.
    pub fn measure(&self) -> Measure {
        match self.parts {
            Parts::Time(_) => Measure::Time,
            Parts::Volume(..) => Measure::Volume,
            Parts::Events(_) => Measure::Events,
            Parts::Combined(_) => Measure::Combined,
        }
    }

    /// The tax that is contained in the prices, hundredths of a percent of the price without it.
    pub fn tax_basis_points(&self) -> u16 {
        self.tax_basis_points
    }

    /// Charged once, micro-units.
    pub fn setup_fee_micro(&self) -> i64 {
        self.setup_fee_micro
    }

    /// The least that a service costs, its set-up fee included, micro-units.
    pub fn minimum_micro(&self) -> i64 {
        self.minimum_micro
    }

    /// The IANA name of the time zone of its calendar.
    pub fn time_zone(&self) -> Option<&str> {
        self.calendar
            .as_deref()
            .map(|calendar| &*calendar.zone_name)
    }

    /// The cumulative price of `used`, whose first unit is used at `from_unix_ms`: micro-units, rounded up once, set-up
    /// fee and minimum included. Never less for more used.
    ///
    /// A second costs what the wall clock at its begin says. Octets and events have no times of their own: they cost what
    /// the clock says at `from_unix_ms`, and those of later hours go into a [`Stint`] of their own.
    /// What exceeds an `i64` is `i64::MAX`, which no account has.
    pub fn price_micro(&self, from_unix_ms: i64, used: Used) -> i64 {
        self.price_of_stints(&[Stint { from_unix_ms, used }])
    }

    /// The most further units of the measure (seconds; octets; events) that can be used before the cumulative price
    /// exceeds `amount_micro`; 0 if it does already.
    ///
    /// Not more than ten years or 2^62 octets or events altogether.
    pub fn affordable(&self, from_unix_ms: i64, used: Used, amount_micro: i64) -> u64 {
        self.affordable_in_stints(&[Stint { from_unix_ms, used }], amount_micro)
    }

    /// [`Tariff::price_micro`] of a service that was used in several stints.
    ///
    /// Steps, increments and free units count through all of them. Between stints a price may go down by what an increment
    /// that was begun in one costs less in the next.
    pub fn price_of_stints(&self, stints: &[Stint]) -> i64 {
        self.without_minimum(stints).max(self.minimum_micro)
    }

    pub(super) fn without_minimum(&self, stints: &[Stint]) -> i64 {
        let (amount, divisor) = self.amount(stints);
        let exact = match i64::try_from(amount) {
            // As i128 it takes four times as long.
            Ok(amount) => i128::from(amount / divisor + i64::from(amount % divisor != 0)),
            Err(_) => {
                let divisor = i128::from(divisor);
                amount / divisor + i128::from(amount % divisor != 0)
            }
        };
        let price = exact + i128::from(self.setup_fee_micro);
        i64::try_from(price).unwrap_or(i64::MAX)
    }

    /// [`Tariff::affordable`] in the last of several stints.
    pub fn affordable_in_stints(&self, stints: &[Stint], amount_micro: i64) -> u64 {
        if amount_micro < self.minimum_micro || amount_micro < self.setup_fee_micro {
            return 0;
        }
        let (used, most): (fn(&Used) -> u64, u64) = match self.measure() {
            Measure::Time | Measure::Combined => (|used| used.seconds, MOST_SECONDS),
            Measure::Volume => (|used| used.octets, MOST_UNITS),
            Measure::Events => (|used| used.events, MOST_UNITS),
        };
        let so_far = total(stints, used);
        let budget = i128::from(amount_micro) - i128::from(self.setup_fee_micro);
        let mut budget = budget * i128::from(self.divisor());
        let part = match &self.parts {
            Parts::Time(part) | Parts::Volume(part, _) | Parts::Events(part) => part,
            Parts::Combined(combined) => {
                budget -= self.octets_amount(combined, stints) * MINUTE;
                if budget < 0 {
                    return 0;
                }
                budget /= i128::from(combined.megabyte.octets());
                &combined.time
            }
        };
        let mut reached = 0;
        let end = most.max(so_far);
        self.stretches(stints, end, |stretch| {
            reached = part.reach(stretch.rate, stretch.from, stretch.to, &mut budget);
            budget >= 0
        });
        part.whole(reached.min(end)).saturating_sub(so_far)
    }

    /// What of `used` is charged, brought up to the increments; what the tariff does not count is 0.
    pub fn charged(&self, used: Used) -> Used {
        let mut charged = Used::default();
        match &self.parts {
            Parts::Time(part) => charged.seconds = part.charged(used.seconds),
            Parts::Volume(part, _) => charged.octets = part.charged(used.octets),
            Parts::Events(part) => charged.events = part.charged(used.events),
            Parts::Combined(combined) => {
                charged.seconds = combined.time.charged(used.seconds);
                charged.octets = combined.volume.charged(used.octets);
            }
        }
        charged
    }

    /// The octets that are charged of a report of `seconds` and `octets`. Combined: those above the included rate;
    /// volume: all; otherwise none.
    pub fn chargeable_octets(&self, seconds: u64, octets: u64) -> u64 {
        match &self.parts {
            Parts::Volume(..) => octets,
            Parts::Combined(combined) => {
                let included = u128::from(combined.bits_per_second) * u128::from(seconds) / 8;
                octets.saturating_sub(u64::try_from(included).unwrap_or(u64::MAX))
            }
            Parts::Time(_) | Parts::Events(_) => 0,
        }
    }

    /// The bit rate that the price of time includes, if octets above it are charged.
    pub fn included_bits_per_second(&self) -> Option<u64> {
        match &self.parts {
            Parts::Combined(combined) => Some(combined.bits_per_second),
            _ => None,
        }
    }

    /// The next moment behind `at_unix_ms` at which the price of a unit changes by the calendar; none if it never does.
    /// For Tariff-Time-Change (RFC 8506 8.20), whole seconds.
    pub fn next_change_unix_ms(&self, at_unix_ms: i64) -> Option<i64> {
        let second = clamped(at_unix_ms).div_euclid(1000);
        let differ = |one: Option<&Period>, other: Option<&Period>| {
            let ((one, one_more), (other, other_more)) = (self.rates(one), self.rates(other));
            let more = one_more.zip(other_more);
            !one.is_like(other) || more.is_some_and(|(one, other)| !one.is_like(other))
        };
        self.calendar
            .as_deref()?
            .next_change(second, differ)
            .map(|second| second.saturating_mul(1000))
    }

    /// The rates of what is counted in a period.
    fn rates<'t>(&'t self, period: Option<&'t Period>) -> (&'t Rate, Option<&'t Rate>) {
        let pick = |own: Option<&'t Rate>, part: &'t Part| own.unwrap_or(&part.rate);
        let time = period.and_then(|period| period.time.as_ref());
        let volume = period.and_then(|period| period.volume.as_ref());
        let events = period.and_then(|period| period.events.as_ref());
        match &self.parts {
            Parts::Time(part) => (pick(time, part), None),
            Parts::Volume(part, _) => (pick(volume, part), None),
            Parts::Events(part) => (pick(events, part), None),
            Parts::Combined(combined) => (
                pick(time, &combined.time),
                Some(pick(volume, &combined.volume)),
            ),
        }
    }

    /// What [`Tariff::amount`] is to be divided by.
    pub(super) fn divisor(&self) -> i64 {
        match &self.parts {
            Parts::Time(_) => 60,
            Parts::Volume(_, megabyte) => megabyte.octets(),
            Parts::Events(_) => 1,
            Parts::Combined(combined) => 60 * combined.megabyte.octets(),
        }
    }

    /// The price of what is used, without the set-up fee, and what it is to be divided by.
    fn amount(&self, stints: &[Stint]) -> (i128, i64) {
        let (part, used): (_, fn(&Used) -> u64) = match &self.parts {
            Parts::Time(part) => (part, |used| used.seconds),
            Parts::Volume(part, _) => (part, |used| used.octets),
            Parts::Events(part) => (part, |used| used.events),
            Parts::Combined(combined) => (&combined.time, |used| used.seconds),
        };
        let end = part.charged(total(stints, used));
        let divisor = self.divisor();
        // Most tariffs have no calendar, and a grant asks for several prices.
        let amount = match self.calendar {
            None => part.sum(&part.rate, 0, end),
            Some(_) => {
                let mut amount = 0;
                self.stretches(stints, end, |stretch| {
                    amount += part.sum(stretch.rate, stretch.from, stretch.to);
                    true
                });
                amount
            }
        };
        // Not above 2^40 x 2^64 (a minute's price, seconds) x 2^20 (a megabyte) + 2^60 x 2^64 x 60: within an i128.
        match &self.parts {
            Parts::Combined(combined) => (
                amount * i128::from(combined.megabyte.octets())
                    + self.octets_amount(combined, stints) * MINUTE,
                divisor,
            ),
            _ => (amount, divisor),
        }
    }

    /// The price of the octets of a combined tariff, to be divided by those of a megabyte.
    fn octets_amount(&self, combined: &Combined, stints: &[Stint]) -> i128 {
        let part = &combined.volume;
        let end = part.charged(total(stints, |used| used.octets));
        if end <= part.free {
            return 0;
        }
        let mut amount = 0;
        self.octet_stretches(combined, stints, end, |stretch| {
            amount += part.sum(stretch.rate, stretch.from, stretch.to);
            true
        });
        amount
    }

    /// The stretches of the measure's units up to `end`, which are more than the stints have if increments or further units
    /// are asked about: these come in the last stint. Ends when `visit` says so.
    pub(super) fn stretches<'t>(
        &'t self,
        stints: &[Stint],
        end: u64,
        visit: impl FnMut(Stretch<'t>) -> bool,
    ) {
        match self.measure() {
            Measure::Time | Measure::Combined => self.seconds(stints, end, visit),
            Measure::Volume => self.untimed(
                stints,
                end,
                |used| used.octets,
                |tariff, period| tariff.rates(period).0,
                visit,
            ),
            Measure::Events => self.untimed(
                stints,
                end,
                |used| used.events,
                |tariff, period| tariff.rates(period).0,
                visit,
            ),
        }
    }

    /// The stretches of a combined tariff's octets.
    pub(super) fn octet_stretches<'t>(
        &'t self,
        combined: &'t Combined,
        stints: &[Stint],
        end: u64,
        visit: impl FnMut(Stretch<'t>) -> bool,
    ) {
        self.untimed(
            stints,
            end,
            |used| used.octets,
            |tariff, period| tariff.rates(period).1.unwrap_or(&combined.volume.rate),
            visit,
        );
    }

    /// Seconds, each by the clock at its begin.
    fn seconds<'t>(
        &'t self,
        stints: &[Stint],
        end: u64,
        mut visit: impl FnMut(Stretch<'t>) -> bool,
    ) {
        for_each(
            stints,
            end,
            |used| used.seconds,
            |from_unix_ms, begin, end| {
                let Some(calendar) = self.calendar.as_deref() else {
                    return visit(Stretch {
                        from: begin,
                        to: end,
                        at_unix_ms: from_unix_ms,
                        rate: self.rates(None).0,
                        period: None,
                    });
                };
                let mut from = begin;
                for slot in calendar.slots(from_unix_ms.div_euclid(1000)) {
                    // Seconds that begin before the slot's end are at its price to their own end. Behind what is granted at all
                    // the clock is not looked at any more.
                    let until = slot.until.saturating_mul(1000).saturating_sub(from_unix_ms);
                    let seconds =
                        u64::try_from(until.saturating_add(999).div_euclid(1000)).unwrap_or(0);
                    let to = match begin.saturating_add(seconds) {
                        to if to > MOST_SECONDS => end,
                        to => to.min(end),
                    };
                    if from < to {
                        let offset = i64::try_from(from - begin).unwrap_or(i64::MAX);
                        let stretch = Stretch {
                            from,
                            to,
                            at_unix_ms: from_unix_ms.saturating_add(offset.saturating_mul(1000)),
                            rate: self.rates(calendar.period(slot)).0,
                            period: slot.period,
                        };
                        if !visit(stretch) {
                            return false;
                        }
                        from = to;
                    }
                    if to >= end {
                        break;
                    }
                }
                true
            },
        );
    }

    /// What has no times of its own: by the clock at the begin of its stint.
    fn untimed<'t>(
        &'t self,
        stints: &[Stint],
        end: u64,
        used: fn(&Used) -> u64,
        rate: impl Fn(&'t Self, Option<&'t Period>) -> &'t Rate,
        mut visit: impl FnMut(Stretch<'t>) -> bool,
    ) {
        for_each(stints, end, used, |from_unix_ms, from, to| {
            let calendar = self.calendar.as_deref();
            let slot =
                calendar.and_then(|calendar| calendar.slots(from_unix_ms.div_euclid(1000)).next());
            let period = calendar
                .zip(slot)
                .and_then(|(calendar, slot)| calendar.period(slot));
            visit(Stretch {
                from,
                to,
                at_unix_ms: from_unix_ms,
                rate: rate(self, period),
                period: slot.and_then(|slot| slot.period),
            })
        });
    }
}

fn clamped(moment_unix_ms: i64) -> i64 {
    moment_unix_ms.clamp(MOMENTS.0, MOMENTS.1)
}

/// Units of all stints.
fn total(stints: &[Stint], used: fn(&Used) -> u64) -> u64 {
    stints
        .iter()
        .fold(0, |sum, stint| sum.saturating_add(used(&stint.used)))
}

/// Begin and units of each stint; the last has all up to `end`. Ends when `visit` says so.
fn for_each(
    stints: &[Stint],
    end: u64,
    used: fn(&Used) -> u64,
    mut visit: impl FnMut(i64, u64, u64) -> bool,
) {
    let mut from: u64 = 0;
    for (index, stint) in stints.iter().enumerate() {
        let to = match index + 1 == stints.len() {
            true => end,
            false => from.saturating_add(used(&stint.used)).min(end),
        };
        if from < to && !visit(clamped(stint.from_unix_ms), from, to) {
            return;
        }
        from = to;
    }
}
