//! A tariff as it is written.

use iso_currency::Currency;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::calendar::{Period, date_of};
use super::checks::{DAYS, Holidays};
use super::rate::Rate;
use super::tariff::{Megabyte, Part, Parts, Tariff};

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

impl PeriodDefinition {
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
