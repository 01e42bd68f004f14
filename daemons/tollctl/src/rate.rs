//! `tollctl rate`: what a call would cost, and why.

use std::path::PathBuf;

use chargingd::config::tariff_table;
use chargingd::tariff::{Tariff, TariffTable};
use clap::Args;
use iso_currency::Currency;
use serde_json::json;

use crate::context::{Context, Daemon};
use crate::failure::Failure;
use crate::money;
use crate::table::Table;

#[derive(Debug, Args)]
pub(crate) struct Rate {
    /// The called number, or a SIP or tel URI.
    #[arg(long)]
    to: String,
    /// How long the answered call is: 95s, 12m, 1h5m, or seconds.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    length: u64,
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

pub(crate) async fn run(rate: Rate, context: &mut Context<'_>) -> Result<(), Failure> {
    let table = match &rate.file {
        Some(file) => tariff_table(file).map_err(Failure::Wrong)?,
        None => {
            let answer = context.get(Daemon::Chargingd, "/tariffs").await?;
            let tariffs: Vec<Tariff> = context.read(Daemon::Chargingd, answer)?;
            TariffTable::new(tariffs).map_err(Failure::Wrong)?
        }
    };
    let tariff = table.find(&rate.to, rate.currency).ok_or_else(|| {
        Failure::Wrong(format!(
            "no tariff in {} is for {}: such a call is refused",
            rate.currency.code(),
            rate.to
        ))
    })?;
    let seconds = rate.length;
    let price = tariff.price_micro(seconds);
    if context.json {
        let stretches: Vec<_> = tariff
            .stretches(seconds)
            .iter()
            .map(|stretch| {
                json!({
                    "from_seconds": stretch.from,
                    "to_seconds": stretch.to,
                    "price_per_minute_micro": stretch.price_per_minute_micro,
                    "amount_micro": stretch.amount_micro(),
                })
            })
            .collect();
        return context.print_json(&json!({
            "tariff": tariff.name,
            "currency": tariff.currency.code(),
            "seconds": seconds,
            "charged_seconds": tariff.charged_seconds(seconds),
            "setup_fee_micro": tariff.setup_fee_micro,
            "stretches": stretches,
            "minimum_micro": tariff.minimum_micro,
            "price_micro": price,
        }));
    }
    Ok(explained(tariff, seconds, price).print(context.out)?)
}

/// The price line by line: the last is their sum.
fn explained(tariff: &Tariff, seconds: u64, price: i64) -> Table {
    let mut table = Table::new(&["PART", "OF", ">AMOUNT"]);
    let mut row = |part: &str, of: String, micro: i64| {
        table.row([part.into(), of, money::print(micro)]);
    };
    let mut sum = tariff.setup_fee_micro;
    if tariff.setup_fee_micro != 0 {
        row(
            "set-up fee",
            "the call is answered".into(),
            tariff.setup_fee_micro,
        );
    }
    for stretch in tariff.stretches(seconds) {
        let of = format!(
            "{} s from second {} at {} a minute",
            stretch.to - stretch.from,
            stretch.from,
            money::print(stretch.price_per_minute_micro)
        );
        sum = sum.saturating_add(stretch.amount_micro());
        row("time", of, stretch.amount_micro());
    }
    // Parts of a micro-unit are dropped line by line here, and rounded up once in the price.
    let time = price.max(sum);
    if price > sum {
        let part = match price == tariff.minimum_micro {
            true => "minimum",
            false => "rounding",
        };
        row(part, "up to what is charged".into(), time - sum);
    }
    let charged = tariff.charged_seconds(seconds);
    let of = format!(
        "{} s, charged as {charged} s ({}/{}), in {} by tariff {:?}",
        seconds,
        tariff.first_increment_seconds,
        tariff.next_increment_seconds,
        tariff.currency.code(),
        tariff.name,
    );
    row("price", of, price);
    table
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
