//! `[invoices]` in the configuration.

use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Issuer;
use super::close::Settings;
use super::number::Pattern;

/// The last day of a month that every month has.
const LAST_DAY: u8 = 28;
/// The longest time to pay, days.
const LONGEST: u16 = 365;

/// `[invoices]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// How invoices are numbered.
    pub number: String,
    /// The number of the very first one.
    pub first_number: i64,
    /// Days that customers have to pay.
    pub due_days: u16,
    /// Day of the following month at which a month is closed; 0 is never by itself.
    pub close_day: u8,
    /// The operator's zone.
    pub time_zone: String,
    /// Language of settlements.
    pub language: String,
    /// Name and address; lines.
    pub address: String,
    /// Tax number.
    pub tax_id: String,
    /// Where to pay; lines.
    pub bank: String,
    /// What else has to be said; lines.
    pub terms: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            number: "{year}-{number:06}".into(),
            first_number: 1,
            due_days: 14,
            close_day: 0,
            time_zone: "UTC".into(),
            language: "en".into(),
            address: String::new(),
            tax_id: String::new(),
            bank: String::new(),
            terms: String::new(),
        }
    }
}

impl Config {
    /// What closing needs.
    ///
    /// # Errors
    /// The key within the section, and what is wrong with it.
    pub fn settings(&self) -> Result<Settings, (&'static str, String)> {
        if self.first_number < 1 {
            return Err(("first_number", "1 or more".into()));
        }
        if self.due_days > LONGEST {
            return Err(("due_days", format!("at most {LONGEST}")));
        }
        if self.close_day > LAST_DAY {
            let what = format!("0, or a day that every month has: 1 to {LAST_DAY}");
            return Err(("close_day", what));
        }
        if TimeZone::get(&self.time_zone).is_err() {
            let what = format!(
                "{:?} is no IANA time zone like \"Europe/Berlin\"",
                self.time_zone
            );
            return Err(("time_zone", what));
        }
        Ok(Settings {
            number: Pattern::read(&self.number).map_err(|what| ("number", what))?,
            first_number: self.first_number,
            due_days: self.due_days,
            time_zone: self.time_zone.as_str().into(),
            issuer: Issuer {
                address: self.address.as_str().into(),
                tax_id: self.tax_id.as_str().into(),
                bank: self.bank.as_str().into(),
                terms: self.terms.as_str().into(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named() {
        assert!(Config::default().settings().is_ok());
        let changed = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.settings().unwrap_err().0
        };
        assert_eq!(changed(|config| config.first_number = 0), "first_number");
        assert_eq!(changed(|config| config.due_days = 366), "due_days");
        assert_eq!(changed(|config| config.close_day = 29), "close_day");
        assert_eq!(
            changed(|config| config.time_zone = "Mars".into()),
            "time_zone"
        );
        assert_eq!(changed(|config| config.number = "x".into()), "number");
    }
}
