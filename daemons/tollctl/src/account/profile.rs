//! `tollctl account profile` and `tollctl account expire`.

use chargingd::event::Operation;
use chargingd::notify::Contact;
use clap::{Args, Subcommand};

use super::name;
use crate::{money, time};

#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// Sets what is named; the rest stays.
    Set(Set),
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args([
    "time_zone", "contacts", "no_contacts", "language", "address", "thresholds", "no_thresholds",
])))]
pub(crate) struct Set {
    /// The account.
    #[arg(value_parser = name)]
    name: String,
    /// When calendar recharges and invoices are due: Europe/Berlin.
    #[arg(long)]
    time_zone: Option<String>,
    /// Where the customer is told: sms:+NUMBER, sip:USER@HOST, https://HOST/PATH or mailto:USER@HOST; may be repeated, and
    /// stands for all contacts.
    #[arg(long = "contact", value_name = "URI")]
    contacts: Vec<Contact>,
    /// He is told nowhere.
    #[arg(long, conflicts_with = "contacts")]
    no_contacts: bool,
    /// Language of notifications and invoices: de.
    #[arg(long)]
    language: Option<String>,
    /// Name and address, as on invoices; lines.
    #[arg(long)]
    address: Option<String>,
    /// What is left of the main account, at which he is told; may be repeated, and stands for all.
    #[arg(long = "threshold", value_name = "AMOUNT", value_parser = money::parse)]
    thresholds: Vec<i64>,
    /// He is told at none.
    #[arg(long, conflicts_with = "thresholds")]
    no_thresholds: bool,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("when").required(true).args(["at", "never"])))]
pub(crate) struct Expire {
    /// The account.
    #[arg(value_parser = name)]
    name: String,
    /// A service account of it, instead of the main account.
    #[arg(long, value_parser = name)]
    service: Option<String>,
    /// When: 2026-12-31T23:00:00Z, or in local time 2026-12-31.
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    at: Option<i64>,
    /// It does not.
    #[arg(long)]
    never: bool,
}

/// The list that was given, an empty one if that was said, or nothing.
fn list<T>(given: Vec<T>, none: bool) -> Option<Vec<T>> {
    (none || !given.is_empty()).then_some(given)
}

impl From<Profile> for Operation {
    fn from(Profile::Set(set): Profile) -> Self {
        Self::SetProfile {
            account: set.name.into(),
            time_zone: set.time_zone.map(Into::into),
            contacts: list(set.contacts, set.no_contacts),
            language: set.language.map(Into::into),
            address: set.address.map(Into::into),
            thresholds: list(set.thresholds, set.no_thresholds),
        }
    }
}

impl From<Expire> for Operation {
    fn from(expire: Expire) -> Self {
        Self::SetExpiry {
            account: expire.name.into(),
            service_account: expire.service.map(Into::into),
            expires_unix_ms: expire.at,
        }
    }
}
