//! A tariff as it is written, and what is wrong with it.

use std::sync::Arc;

use iso_currency::Currency;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Period, date_of, day_number};
use super::rate::{Rate, Step};
use super::tariff::{Combined, Megabyte, Part, Parts, Tariff};

/// The highest price, set-up fee and minimum, micro-units: a million units.
pub(super) const HIGHEST: i64 = 1_000_000_000_000;
/// Steps of one price, at most.
const MOST_STEPS: usize = 16;
/// Periods of one tariff, at most.
const MOST_PERIODS: usize = 64;
/// Holidays, at most.
const MOST_HOLIDAYS: usize = 512;
/// Octets of an increment, of what is free and of where a step begins, at most: 2^50.
const MOST_OCTETS: u64 = 1 << 50;
/// The same for seconds and events.
const MOST_OTHERS: u64 = u32::MAX as u64;
/// The included rate, at most: a terabit per second.
const MOST_BITS: u64 = 1_000_000_000_000;

/// A `[[tariff]]`: `conf/tariffs.toml` explains each key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Definition {
    /// As in records.
    pub name: Box<str>,
    /// What records and invoices call the service.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub service: Box<str>,
    /// The service provider who gets the money; empty is the operator.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub provider: Box<str>,
    /// What the operator keeps of it, hundredths of a percent.
    #[serde(skip_serializing_if = "is_default")]
    pub commission_basis_points: u16,

    /// Digits that the called number begins with; `None` is every number and every name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefixes: Option<Vec<Box<str>>>,
    /// The Rating-Groups that it is for; empty is those without a tariff of their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rating_groups: Vec<u32>,
    /// The Service-Identifiers that it is for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_identifiers: Vec<u32>,
    /// The groups of callers that it is for; empty is everybody.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calling_groups: Vec<Box<str>>,
    /// From when on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// ISO 4217.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,

    /// Tax contained in the prices, hundredths of a percent.
    #[serde(skip_serializing_if = "is_default")]
    pub tax_basis_points: u16,
    /// Charged once, micro-units.
    #[serde(skip_serializing_if = "is_default")]
    pub setup_fee_micro: i64,
    /// The least that a service costs, micro-units.
    #[serde(skip_serializing_if = "is_default")]
    pub minimum_micro: i64,
    /// Micro-units for 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_minute_micro: Option<i64>,
    /// Micro-units for a kilobyte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_kilobyte_micro: Option<i64>,
    /// Micro-units for a megabyte, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_megabyte_micro: Option<i64>,
    /// Octets of a kilobyte: 1000 or 1024; a megabyte has as many kilobytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub octets_per_kilobyte: Option<u64>,
    /// Micro-units for an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_event_micro: Option<i64>,
    /// The bit rate up to which time alone is paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub included_bits_per_second: Option<u64>,
    /// Other prices from some unit on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepDefinition>,
    /// The first seconds, which cost nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub free_seconds: u64,
    /// The first octets, which cost nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub free_octets: u64,
    /// The first events, which cost nothing.
    #[serde(skip_serializing_if = "is_default")]
    pub free_events: u64,
    /// The least that is charged, seconds: 60 in "60/1".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_increment_seconds: Option<u64>,
    /// What is charged from then on is a multiple of this, seconds: 1 in "60/1".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_increment_seconds: Option<u64>,
    /// The same for octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_increment_octets: Option<u64>,
    /// The same for octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_increment_octets: Option<u64>,

    /// IANA name of the zone whose clock the periods are of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<Box<str>>,
    /// Days that are holidays for the periods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holidays: Option<Vec<Date>>,
    /// Other prices at some hours.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub periods: Vec<PeriodDefinition>,
}

/// Other prices from some unit of a service on: of one of the three kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StepDefinition {
    /// The second that it begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_seconds: Option<u64>,
    /// Micro-units for 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_minute_micro: Option<i64>,
    /// The octet that it begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_octets: Option<u64>,
    /// Micro-units for a kilobyte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_kilobyte_micro: Option<i64>,
    /// Micro-units for a megabyte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_megabyte_micro: Option<i64>,
    /// The event that it begins with, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_events: Option<u64>,
    /// Micro-units for an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_event_micro: Option<i64>,
}

/// Other prices at some hours of some days.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeriodDefinition {
    /// `mon` to `sun`, `holiday`, ranges like `mon-fri`; empty is every day.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<Box<str>>,
    /// `HH:MM`; 00:00 if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<str>>,
    /// `HH:MM`; 24:00 if it is absent. Before `from`: of the next day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Box<str>>,
    /// Micro-units for 60 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_minute_micro: Option<i64>,
    /// Micro-units for a kilobyte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_kilobyte_micro: Option<i64>,
    /// Micro-units for a megabyte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_megabyte_micro: Option<i64>,
    /// Micro-units for an event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_per_event_micro: Option<i64>,
    /// Steps of its own; those of the tariff do not count in it for what it has a price for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepDefinition>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Names of days, in the order of their bits.
const DAYS: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];

/// The prices that stand together in a tariff or a period.
struct Prices<'d> {
    minute: Option<i64>,
    kilobyte: Option<i64>,
    megabyte: Option<i64>,
    event: Option<i64>,
    steps: &'d [StepDefinition],
}

/// The rates of one tariff or period.
struct Rates {
    time: Option<Rate>,
    volume: Option<Rate>,
    events: Option<Rate>,
}

fn price(key: &str, micro: i64) -> Result<i64, String> {
    match (0..=HIGHEST).contains(&micro) {
        true => Ok(micro),
        false => Err(format!("{key} is 0 to {HIGHEST} micro-units")),
    }
}

/// The price for a megabyte of what is written for a kilobyte or a megabyte.
fn volume(
    kilobyte: Option<i64>,
    megabyte: Option<i64>,
    unit: Megabyte,
) -> Result<Option<i64>, String> {
    match (kilobyte, megabyte) {
        (Some(_), Some(_)) => {
            Err("price_per_kilobyte_micro or price_per_megabyte_micro, not both".into())
        }
        (Some(micro), None) => {
            let micro = price("price_per_kilobyte_micro", micro)?;
            Ok(Some(micro * unit.kilobytes()))
        }
        // A price for a megabyte that came from one for a kilobyte is as high as that.
        (None, Some(micro)) => match (0..=HIGHEST * unit.kilobytes()).contains(&micro) {
            true => Ok(Some(micro)),
            false => Err("price_per_megabyte_micro is too high or below 0".into()),
        },
        (None, None) => Ok(None),
    }
}

impl Prices<'_> {
    fn rates(&self, unit: Megabyte) -> Result<Rates, String> {
        let (mut time, mut octets, mut events) = (Vec::new(), Vec::new(), Vec::new());
        for step in self.steps {
            let megabyte = volume(
                step.price_per_kilobyte_micro,
                step.price_per_megabyte_micro,
                unit,
            )?;
            let kinds = [
                (step.from_seconds, step.price_per_minute_micro),
                (step.from_octets, megabyte),
                (step.from_events, step.price_per_event_micro),
            ];
            match kinds {
                [(Some(from), Some(micro)), (None, None), (None, None)] => {
                    time.push((from, price("the price of a step", micro)?));
                }
                [(None, None), (Some(from), Some(micro)), (None, None)] => {
                    octets.push((from, micro));
                }
                [(None, None), (None, None), (Some(from), Some(micro))] => {
                    events.push((from, price("the price of a step", micro)?));
                }
                _ => {
                    return Err("a step has from_seconds and price_per_minute_micro, from_octets and \
                                price_per_kilobyte_micro or price_per_megabyte_micro, or from_events and \
                                price_per_event_micro"
                        .into());
                }
            }
        }
        let of_minute = self
            .minute
            .map(|micro| price("price_per_minute_micro", micro));
        let of_event = self
            .event
            .map(|micro| price("price_per_event_micro", micro));
        let of_megabyte = volume(self.kilobyte, self.megabyte, unit)?;
        Ok(Rates {
            time: rate(of_minute.transpose()?, &time, MOST_OTHERS, "minute")?,
            volume: rate(of_megabyte, &octets, MOST_OCTETS, "kilobyte or megabyte")?,
            events: rate(of_event.transpose()?, &events, MOST_OTHERS, "event")?,
        })
    }
}

fn rate(
    price: Option<i64>,
    steps: &[(u64, i64)],
    most: u64,
    unit: &str,
) -> Result<Option<Rate>, String> {
    let Some(price) = price else {
        return match steps.is_empty() {
            true => Ok(None),
            false => Err(format!(
                "steps with a price per {unit}, but no such price for what is before them"
            )),
        };
    };
    let begins = std::iter::once(0).chain(steps.iter().map(|(from, _)| *from));
    if steps.len() > MOST_STEPS {
        Err(format!("there are more than {MOST_STEPS} steps"))
    } else if !begins.is_sorted_by(|one, next| one < next) {
        Err("each step begins later than the one before it, and none with the service".into())
    } else if steps.iter().any(|(from, _)| *from > most) {
        Err(format!("a step begins at {most} at the latest"))
    } else {
        let steps = steps
            .iter()
            .map(|(from, price)| Step {
                from: *from,
                price: *price,
            })
            .collect();
        Ok(Some(Rate { price, steps }))
    }
}

fn part(
    rate: Rate,
    free: u64,
    first: Option<u64>,
    next: Option<u64>,
    most: u64,
) -> Result<Part, String> {
    let part = Part {
        rate,
        free,
        first_increment: first.unwrap_or(1),
        next_increment: next.unwrap_or(1),
    };
    if part.first_increment == 0 || part.next_increment == 0 {
        Err("an increment is at least 1".into())
    } else if part.free.max(part.first_increment).max(part.next_increment) > most {
        Err(format!("increments and free units are at most {most}"))
    } else {
        Ok(part)
    }
}

/// The minute of a day that `HH:MM` names.
fn minute(text: &str) -> Result<u16, String> {
    let wrong = || format!("{text:?} is not a time of day like \"08:00\", at most \"24:00\"");
    let two = |text: &str| {
        (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())
            .flatten()
    };
    let (hours, minutes) = text
        .split_once(':')
        .and_then(|(hours, minutes)| two(hours).zip(two(minutes)))
        .ok_or_else(wrong)?;
    match minutes < 60 && hours * 60 + minutes <= 1440 {
        true => Ok(hours * 60 + minutes),
        false => Err(wrong()),
    }
}

/// The bits of days.
fn days(names: &[Box<str>]) -> Result<u8, String> {
    let day = |name: &str| {
        DAYS.iter().position(|day| *day == name).ok_or_else(|| {
            format!("{name:?} is not a day: \"mon\" to \"sun\", \"mon-fri\" or \"holiday\"")
        })
    };
    if names.is_empty() {
        return Ok(u8::MAX);
    }
    let mut bits = 0;
    for name in names {
        match name.split_once('-') {
            None => bits |= 1 << day(name)?,
            Some((first, last)) => {
                let (mut at, last) = (day(first)?, day(last)?);
                if at > 6 || last > 6 {
                    return Err(format!("{name:?} is not a range of days like \"mon-fri\""));
                }
                bits |= 1 << last;
                while at != last {
                    bits |= 1 << at;
                    at = (at + 1) % 7;
                }
            }
        }
    }
    Ok(bits)
}

impl PeriodDefinition {
    fn period(&self, unit: Megabyte) -> Result<Period, String> {
        let rates = Prices {
            minute: self.price_per_minute_micro,
            kilobyte: self.price_per_kilobyte_micro,
            megabyte: self.price_per_megabyte_micro,
            event: self.price_per_event_micro,
            steps: &self.steps,
        }
        .rates(unit)?;
        if rates.time.is_none() && rates.volume.is_none() && rates.events.is_none() {
            return Err("a period without a price".into());
        }
        let from = self.from.as_deref().map_or(Ok(0), minute)?;
        let to = self.to.as_deref().map_or(Ok(1440), minute)?;
        if from == to || from == 1440 {
            return Err(
                "a period ends at another time than it begins, and begins before 24:00; \
                        from \"00:00\" to \"24:00\" is the whole day"
                    .into(),
            );
        }
        Ok(Period {
            days: days(&self.days)?,
            from,
            to,
            time: rates.time,
            volume: rates.volume,
            events: rates.events,
        })
    }

    fn of(period: &Period) -> Self {
        let mut definition = Self::default();
        if period.days != u8::MAX {
            definition.days = (0..8)
                .filter(|bit| period.days & (1 << bit) != 0)
                .filter_map(|bit| DAYS.get(bit))
                .map(|day| (*day).into())
                .collect();
        }
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60).into();
        definition.from = (period.from > 0).then(|| clock(period.from));
        definition.to = (period.to < 1440).then(|| clock(period.to));
        if let Some(rate) = &period.time {
            definition.price_per_minute_micro = Some(rate.price);
            definition.steps.extend(time_steps(rate));
        }
        if let Some(rate) = &period.volume {
            definition.price_per_megabyte_micro = Some(rate.price);
            definition.steps.extend(volume_steps(rate));
        }
        if let Some(rate) = &period.events {
            definition.price_per_event_micro = Some(rate.price);
            definition.steps.extend(event_steps(rate));
        }
        definition
    }
}

fn time_steps(rate: &Rate) -> impl Iterator<Item = StepDefinition> {
    rate.steps.iter().map(|step| StepDefinition {
        from_seconds: Some(step.from),
        price_per_minute_micro: Some(step.price),
        ..StepDefinition::default()
    })
}

fn volume_steps(rate: &Rate) -> impl Iterator<Item = StepDefinition> {
    rate.steps.iter().map(|step| StepDefinition {
        from_octets: Some(step.from),
        price_per_megabyte_micro: Some(step.price),
        ..StepDefinition::default()
    })
}

fn event_steps(rate: &Rate) -> impl Iterator<Item = StepDefinition> {
    rate.steps.iter().map(|step| StepDefinition {
        from_events: Some(step.from),
        price_per_event_micro: Some(step.price),
        ..StepDefinition::default()
    })
}

impl Definition {
    /// The prices, or what is wrong with them.
    pub(super) fn tariff(&self, holidays: &mut Holidays) -> Result<Tariff, String> {
        let currency = self
            .currency
            .ok_or("it has no currency: an ISO 4217 code, like \"EUR\"")?;
        let unit = match self.octets_per_kilobyte {
            None | Some(1000) => Megabyte::Decimal,
            Some(1024) => Megabyte::Binary,
            Some(_) => return Err("octets_per_kilobyte is 1000 or 1024".into()),
        };
        for (key, basis_points) in [
            ("tax_basis_points", self.tax_basis_points),
            ("commission_basis_points", self.commission_basis_points),
        ] {
            if basis_points > 10_000 {
                return Err(format!("{key} is 0 to 10000 hundredths of a percent"));
            }
        }
        let parts = self.parts(unit)?;
        let calendar = self.calendar(&parts, unit, holidays)?;
        Ok(Tariff {
            name: self.name.clone(),
            service: self.service.clone(),
            provider: self.provider.clone(),
            commission_basis_points: self.commission_basis_points,
            currency,
            tax_basis_points: self.tax_basis_points,
            setup_fee_micro: price("setup_fee_micro", self.setup_fee_micro)?,
            minimum_micro: price("minimum_micro", self.minimum_micro)?,
            parts,
            calendar: calendar.map(Arc::new),
        })
    }

    fn parts(&self, unit: Megabyte) -> Result<Parts, String> {
        let rates = Prices {
            minute: self.price_per_minute_micro,
            kilobyte: self.price_per_kilobyte_micro,
            megabyte: self.price_per_megabyte_micro,
            event: self.price_per_event_micro,
            steps: &self.steps,
        }
        .rates(unit)?;
        let of_time = rates.time.map(|rate| {
            part(
                rate,
                self.free_seconds,
                self.first_increment_seconds,
                self.next_increment_seconds,
                MOST_OTHERS,
            )
        });
        let of_volume = rates.volume.map(|rate| {
            part(
                rate,
                self.free_octets,
                self.first_increment_octets,
                self.next_increment_octets,
                MOST_OCTETS,
            )
        });
        let of_events = rates
            .events
            .map(|rate| part(rate, self.free_events, None, None, MOST_OTHERS));
        let measured = (
            of_time.transpose()?,
            of_volume.transpose()?,
            of_events.transpose()?,
            self.included_bits_per_second,
        );
        let parts = match measured {
            (Some(time), None, None, None) => Parts::Time(time),
            (None, Some(volume), None, None) => Parts::Volume(volume, unit),
            (None, None, Some(events), None) => Parts::Events(events),
            (Some(time), Some(volume), None, Some(bits_per_second)) => {
                if bits_per_second > MOST_BITS {
                    return Err(format!("included_bits_per_second is at most {MOST_BITS}"));
                }
                Parts::Combined(Box::new(Combined {
                    time,
                    volume,
                    megabyte: unit,
                    bits_per_second,
                }))
            }
            (Some(_), Some(_), None, None) => {
                return Err("prices for time and for volume together need included_bits_per_second, the rate up to which \
                            time alone is paid"
                    .into());
            }
            (None, None, None, _) => {
                return Err(
                    "it has no price: price_per_minute_micro, price_per_kilobyte_micro, \
                            price_per_megabyte_micro or price_per_event_micro"
                        .into(),
                );
            }
            (_, _, Some(_), _) => {
                return Err("a price per event stands alone".into());
            }
            (_, _, None, Some(_)) => {
                return Err("included_bits_per_second needs a price per minute and one per kilobyte or megabyte".into());
            }
        };
        self.only_what_counts(&parts)?;
        Ok(parts)
    }

    /// Finds keys that say something of units that are not counted.
    fn only_what_counts(&self, parts: &Parts) -> Result<(), String> {
        let time = matches!(parts, Parts::Time(_) | Parts::Combined(_));
        let volume = matches!(parts, Parts::Volume(..) | Parts::Combined(_));
        let events = matches!(parts, Parts::Events(_));
        let of_time = [
            ("free_seconds", self.free_seconds > 0),
            (
                "first_increment_seconds",
                self.first_increment_seconds.is_some(),
            ),
            (
                "next_increment_seconds",
                self.next_increment_seconds.is_some(),
            ),
        ];
        let of_volume = [
            ("free_octets", self.free_octets > 0),
            (
                "first_increment_octets",
                self.first_increment_octets.is_some(),
            ),
            (
                "next_increment_octets",
                self.next_increment_octets.is_some(),
            ),
            ("octets_per_kilobyte", self.octets_per_kilobyte.is_some()),
        ];
        let of_events = [("free_events", self.free_events > 0)];
        let without = |counts: bool, keys: &[(&'static str, bool)]| {
            let key = keys.iter().find(|(_, is_there)| *is_there && !counts);
            key.map(|(key, _)| *key)
        };
        let key = without(time, &of_time)
            .or_else(|| without(volume, &of_volume))
            .or_else(|| without(events, &of_events));
        match key {
            Some(key) => Err(format!("{key}, but no price for what it counts")),
            None => Ok(()),
        }
    }

    fn calendar(
        &self,
        parts: &Parts,
        unit: Megabyte,
        holidays: &mut Holidays,
    ) -> Result<Option<Calendar>, String> {
        let days = self.holidays.as_deref().unwrap_or_default();
        if self.periods.is_empty() {
            return Ok(None);
        }
        if self.periods.len() > MOST_PERIODS {
            return Err(format!("there are more than {MOST_PERIODS} periods"));
        }
        if days.len() > MOST_HOLIDAYS {
            return Err(format!("there are more than {MOST_HOLIDAYS} holidays"));
        }
        let zone = self
            .time_zone
            .as_deref()
            .ok_or("periods need a time_zone, like \"Europe/Berlin\"")?;
        let mut periods = Vec::new();
        for (index, definition) in self.periods.iter().enumerate() {
            let period = definition
                .period(unit)
                .map_err(|fault| format!("period {}: {fault}", index + 1))?;
            let (time, volume, events) = match parts {
                Parts::Time(_) => (true, false, false),
                Parts::Volume(..) => (false, true, false),
                Parts::Events(_) => (false, false, true),
                Parts::Combined(_) => (true, true, false),
            };
            if (period.time.is_some() && !time)
                || (period.volume.is_some() && !volume)
                || (period.events.is_some() && !events)
            {
                return Err(format!(
                    "period {}: a price for what the tariff itself has no price for",
                    index + 1
                ));
            }
            periods.push(period);
        }
        Calendar::new(zone, holidays.shared(days), periods.into()).map(Some)
    }

    /// What the prices of `tariff` are written as, with no rules for whom they are.
    pub(super) fn of(tariff: &Tariff) -> Self {
        let mut definition = Self {
            name: tariff.name.clone(),
            service: tariff.service.clone(),
            provider: tariff.provider.clone(),
            commission_basis_points: tariff.commission_basis_points,
            currency: Some(tariff.currency),
            tax_basis_points: tariff.tax_basis_points,
            setup_fee_micro: tariff.setup_fee_micro,
            minimum_micro: tariff.minimum_micro,
            ..Self::default()
        };
        match &tariff.parts {
            Parts::Time(part) => definition.put_time(part),
            Parts::Volume(part, unit) => definition.put_volume(part, *unit),
            Parts::Events(part) => {
                definition.price_per_event_micro = Some(part.rate.price);
                definition.free_events = part.free;
                definition.steps.extend(event_steps(&part.rate));
            }
            Parts::Combined(combined) => {
                definition.put_time(&combined.time);
                definition.put_volume(&combined.volume, combined.megabyte);
                definition.included_bits_per_second = Some(combined.bits_per_second);
            }
        }
        if let Some(calendar) = tariff.calendar.as_deref() {
            definition.time_zone = Some(calendar.zone_name.clone());
            let days = calendar.holidays.iter().map(|day| date_of(*day));
            definition.holidays = (!calendar.holidays.is_empty()).then(|| days.collect());
            definition.periods = calendar.periods.iter().map(PeriodDefinition::of).collect();
        }
        definition
    }

    fn put_time(&mut self, part: &Part) {
        self.price_per_minute_micro = Some(part.rate.price);
        self.steps.extend(time_steps(&part.rate));
        self.free_seconds = part.free;
        self.first_increment_seconds = Some(part.first_increment);
        self.next_increment_seconds = Some(part.next_increment);
    }

    fn put_volume(&mut self, part: &Part, unit: Megabyte) {
        self.price_per_megabyte_micro = Some(part.rate.price);
        self.steps.extend(volume_steps(&part.rate));
        self.free_octets = part.free;
        self.first_increment_octets = Some(part.first_increment);
        self.next_increment_octets = Some(part.next_increment);
        self.octets_per_kilobyte = (unit == Megabyte::Binary).then_some(1024);
    }
}

/// Lists of holidays that many tariffs share.
#[derive(Debug, Default)]
pub(super) struct Holidays {
    last: Option<(Vec<Date>, Arc<[i32]>)>,
}

impl Holidays {
    fn shared(&mut self, dates: &[Date]) -> Arc<[i32]> {
        if let Some((last, days)) = &self.last
            && last == dates
        {
            return Arc::clone(days);
        }
        let mut days: Vec<i32> = dates.iter().map(|date| day_number(*date)).collect();
        days.sort_unstable();
        days.dedup();
        let days: Arc<[i32]> = days.into();
        self.last = Some((dates.to_vec(), Arc::clone(&days)));
        days
    }
}

impl TryFrom<Definition> for Tariff {
    type Error = String;

    fn try_from(definition: Definition) -> Result<Self, String> {
        definition
            .tariff(&mut Holidays::default())
            .map_err(|fault| format!("tariff {:?}: {fault}", definition.name))
    }
}

impl From<Tariff> for Definition {
    fn from(tariff: Tariff) -> Self {
        Self::of(&tariff)
    }
}
