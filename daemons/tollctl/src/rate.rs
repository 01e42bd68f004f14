//! `tollctl rate`: what a service would cost, and why.

use std::path::PathBuf;
use std::time::SystemTime;

use chargingd::config::rating_table;
use chargingd::rating::{
    CallingGroups, Definition, Line, Measure, Part, Query, RatingTable, Tariff, Used,
};
use clap::Args;
use iso_currency::Currency;
use jiff::Timestamp;
use serde_json::json;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::table::Table;
use crate::{money, time};

#[derive(Debug, Args)]
pub(crate) struct Rate {
    /// The calling number, or a SIP or tel URI.
    #[arg(long, default_value = "")]
    from: String,
    /// The called number, or a SIP or tel URI.
    #[arg(long, default_value = "")]
    to: String,
    /// When the service begins: 2026-11-20T17:59:00+01:00, or 2026-11-20T17:59 in local time; now if it is not said.
    #[arg(long, value_parser = time::parse)]
    at: Option<i64>,
    /// How long it is used: 95s, 12m, 1h5m, or seconds.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, default_value = "0")]
    length: u64,
    /// How many octets.
    #[arg(long, default_value_t = 0)]
    octets: u64,
    /// How many events: messages, votes, articles.
    #[arg(long, default_value_t = 0)]
    events: u64,
    /// Its class: the Rating-Group.
    #[arg(long, value_name = "RATING-GROUP")]
    class: Option<u32>,
    /// Its Service-Identifier.
    #[arg(long, value_name = "SERVICE-IDENTIFIER")]
    service: Option<u32>,
    /// Currency of the account that pays.
    #[arg(long, default_value = "EUR", value_parser = currency)]
    currency: Currency,
    /// A file of tariffs, in the place of those in force.
    #[arg(long)]
    file: Option<PathBuf>,
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(&text.to_ascii_uppercase())
        .ok_or_else(|| "a currency is an ISO 4217 code, like EUR".into())
}

/// Seconds of `1h5m20s`, of parts of it, or of a plain number.
fn duration(text: &str) -> Result<u64, String> {
    let wrong = || "a duration is written like 95s, 12m, 1h5m or 95".to_owned();
    if let Ok(seconds) = text.parse() {
        return Ok(seconds);
    }
    let mut total: u64 = 0;
    let mut last = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(|character: char| !character.is_ascii_digit())
            .ok_or_else(wrong)?;
        let (digits, behind) = rest.split_at_checked(end).ok_or_else(wrong)?;
        let mut behind = behind.chars();
        let unit = match behind.next() {
            Some('h') => 3_600,
            Some('m') => 60,
            Some('s') => 1,
            _ => return Err(wrong()),
        };
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        // Hours before minutes before seconds, each once.
        if unit >= last {
            return Err(wrong());
        }
        last = unit;
        let part = count.checked_mul(unit).ok_or_else(wrong)?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = behind.as_str();
    }
    match last {
        u64::MAX => Err(wrong()),
        _ => Ok(total),
    }
}

/// The tariffs that chargingd has in force.
async fn in_force(context: &Context<'_>) -> Result<RatingTable, Failure> {
    let answer = context.get(Daemon::Chargingd, "/tariffs").await?;
    let tariffs: Vec<Definition> = context.read(Daemon::Chargingd, answer)?;
    let in_groups = tariffs
        .iter()
        .any(|tariff| !tariff.calling_groups.is_empty());
    let groups = match in_groups {
        true => {
            let answer = context.get(Daemon::Chargingd, "/calling-groups").await?;
            context.read(Daemon::Chargingd, answer)?
        }
        false => CallingGroups::new(),
    };
    RatingTable::new(tariffs, groups).map_err(Failure::Wrong)
}

pub(crate) async fn run(rate: Rate, context: &mut Context<'_>) -> Result<(), Failure> {
    let table = match &rate.file {
        Some(file) => rating_table(file).map_err(Failure::Wrong)?,
        None => in_force(context).await?,
    };
    let at_unix_ms = rate.at.unwrap_or_else(|| {
        Timestamp::try_from(SystemTime::now()).map_or(0, Timestamp::as_millisecond)
    });
    let query = Query {
        called: &rate.to,
        calling: &rate.from,
        rating_group: rate.class,
        service_identifier: rate.service,
        currency: rate.currency,
        at_unix_ms,
    };
    let tariff = table.find(&query).ok_or_else(|| {
        Failure::Wrong(format!(
            "no tariff in {} is for {}: such a service is refused",
            rate.currency.code(),
            asked(&rate)
        ))
    })?;
    let used = Used {
        seconds: rate.length,
        octets: tariff.chargeable_octets(rate.length, rate.octets),
        events: rate.events,
    };
    let price = tariff.price_micro(at_unix_ms, used);
    let lines = tariff.explain(at_unix_ms, used);
    if context.json {
        return context.print_json(&json!({
            "tariff": tariff.name,
            "service": tariff.service(),
            "provider": tariff.provider,
            "currency": tariff.currency.code(),
            "at_unix_ms": at_unix_ms,
            "seconds": rate.length,
            "octets": rate.octets,
            "events": rate.events,
            "charged": tariff.charged(used),
            "lines": lines,
            "next_change_unix_ms": tariff.next_change_unix_ms(at_unix_ms),
            "price_micro": price,
        }));
    }
    let mut table = Table::new(&["PART", "OF", ">AMOUNT"]);
    for line in &lines {
        let (part, of) = told(tariff, line);
        if !matches!(line.part, Part::Tax { .. }) {
            table.row([part.into(), of, money::print(line.amount_micro)]);
        }
    }
    table.row([
        "price".into(),
        whole(tariff, &rate, used),
        money::print(price),
    ]);
    for line in &lines {
        if let Part::Tax { .. } = line.part {
            let (part, of) = told(tariff, line);
            table.row([part.into(), of, money::print(line.amount_micro)]);
        }
    }
    Ok(table.print(context.out)?)
}

/// What a tariff was looked for.
fn asked(rate: &Rate) -> String {
    let called = match &*rate.to {
        "" => "what calls nobody".to_owned(),
        called => called.to_owned(),
    };
    let class = rate.class.map(|group| format!(" of rating group {group}"));
    let service = rate.service.map(|service| format!(" of service {service}"));
    [Some(called), class, service]
        .into_iter()
        .flatten()
        .collect()
}

/// A line's part, and what it is of.
fn told(tariff: &Tariff, line: &Line) -> (&'static str, String) {
    match &line.part {
        Part::SetUp => ("set-up fee", "the begin".into()),
        Part::Time {
            from_seconds,
            to_seconds,
            at_unix_ms,
            price_per_minute_micro,
            period,
        } => {
            let of = format!(
                "{} s from second {from_seconds} at {} a minute",
                to_seconds - from_seconds,
                money::print(*price_per_minute_micro)
            );
            ("time", of + &clock(tariff, *at_unix_ms, *period))
        }
        Part::Volume {
            from_octets,
            to_octets,
            at_unix_ms,
            price_per_megabyte_micro,
            octets_per_megabyte,
            period,
        } => {
            let of = format!(
                "{} octets from octet {from_octets} at {} for {octets_per_megabyte}",
                to_octets - from_octets,
                money::print(*price_per_megabyte_micro)
            );
            ("volume", of + &clock(tariff, *at_unix_ms, *period))
        }
        Part::Events {
            from_events,
            to_events,
            at_unix_ms,
            price_per_event_micro,
            period,
        } => {
            let of = format!(
                "{} from number {} at {} each",
                to_events - from_events,
                from_events + 1,
                money::print(*price_per_event_micro)
            );
            ("events", of + &clock(tariff, *at_unix_ms, *period))
        }
        Part::Rounding => ("rounding", "up to a whole micro-unit".into()),
        Part::Minimum => ("minimum", "up to what is charged at least".into()),
        Part::Tax { basis_points } => {
            ("tax", format!("contained, {} %", hundredths(*basis_points)))
        }
    }
}

/// Where on the tariff's clock a line begins, if it has one.
fn clock(tariff: &Tariff, at_unix_ms: i64, period: Option<u8>) -> String {
    let local = tariff.time_zone().and_then(|zone| {
        let at = Timestamp::from_millisecond(at_unix_ms).ok()?;
        let zoned = at.in_tz(zone).ok()?;
        Some(zoned.strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string())
    });
    match (local, period) {
        (None, _) => String::new(),
        (Some(local), None) => format!(", {local}"),
        (Some(local), Some(period)) => format!(", {local}, period {period}"),
    }
}

/// What is charged altogether.
fn whole(tariff: &Tariff, rate: &Rate, used: Used) -> String {
    let charged = tariff.charged(used);
    let seconds = || format!("{} s, charged as {} s", used.seconds, charged.seconds);
    let octets = || format!("{} octets, charged as {}", rate.octets, charged.octets);
    let units = match tariff.measure() {
        Measure::Time => seconds(),
        Measure::Volume => octets(),
        Measure::Events => format!("{} events", used.events),
        Measure::Combined => format!(
            "{}, and {} octets, {} of them above {} bit/s, charged as {}",
            seconds(),
            rate.octets,
            used.octets,
            tariff.included_bits_per_second().unwrap_or(0),
            charged.octets
        ),
    };
    format!(
        "{units}, in {} by tariff {:?}",
        tariff.currency.code(),
        tariff.name
    )
}

/// Hundredths as a decimal number: 1900 is `19`, 725 is `7.25`.
pub(crate) fn hundredths(basis_points: u16) -> String {
    let (whole, rest) = (basis_points / 100, basis_points % 100);
    match rest {
        0 => whole.to_string(),
        rest => format!("{whole}.{rest:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("95", 95),
            ("95s", 95),
            ("12m", 720),
            ("1h5m", 3_900),
            ("1h0m1s", 3_601),
            ("0s", 0),
        ] {
            assert_eq!(duration(text), Ok(seconds), "{text}");
        }
        for wrong in [
            "",
            "s",
            "5m5m",
            "5s1m",
            "1d",
            "1h5",
            "-1",
            "99999999999999999999s",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
