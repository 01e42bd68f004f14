//! Prices out of what is written, and what is wrong with it.

use std::sync::Arc;

use jiff::civil::Date;

use super::calendar::{Calendar, Period, day_number};
use super::definition::{Definition, PeriodDefinition, StepDefinition};
use super::rate::{Rate, Step};
use super::tariff::{Combined, Megabyte, Part, Parts, Tariff};

/// The highest price, set-up fee and minimum, micro-units: a million units.
const HIGHEST: i64 = 1_000_000_000_000;
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

/// Names of days, in the order of their bits.
pub(super) const DAYS: [&str; 8] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"];

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
