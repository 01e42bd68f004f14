//! `[accounting_storage]`

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tollwire_diameter::accounting::AccountingRealtimeRequired;
use tollwire_runtime::config::Invalid;

use super::postgres::Postgres;
use super::schema::MIGRATIONS;
use super::{Backend, Limits, Told};
use crate::database::Keys;
use crate::store::sqlite::Sqlite;
use crate::store::{Cause, Place, Url};

/// The database file, where none is named.
pub const PATH: &str = "/var/lib/tollwire/chargingd/accounting.db";

/// The schema that holds the tables on a server: beside those of the store, should they share a database.
pub const SCHEMA: &str = "accounting";

/// Whether and how records of elements are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether they are.
    pub enabled: bool,
    /// The database file; with neither this nor `url`, [`PATH`].
    pub path: Option<PathBuf>,
    /// The database of a PostgreSQL server.
    pub url: Option<Url>,
    /// The file with its password.
    pub password_file: Option<PathBuf>,
    /// The authorities that sign the server's certificate.
    pub tls_ca_file: Option<PathBuf>,
    /// Days that a record is kept; 0 is for ever.
    pub keep_days: u32,
    /// Elements that are known at once.
    pub max_elements: usize,
    /// Gaps in the sequence numbers of one element that are kept track of.
    pub max_gaps: usize,
    /// Acct-Interim-Interval that elements are told, seconds; 0 tells nothing.
    pub interim_interval_seconds: u32,
    /// Accounting-Realtime-Required that they are told.
    pub realtime_required: Option<RealtimeRequired>,
}

/// Accounting-Realtime-Required (RFC 6733 9.8.7) as the file has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RealtimeRequired {
    /// DELIVER_AND_GRANT.
    DeliverAndGrant,
    /// GRANT_AND_STORE.
    GrantAndStore,
    /// GRANT_AND_LOSE.
    GrantAndLose,
}

impl Default for Config {
    fn default() -> Self {
        let Limits { elements, ranges } = Limits::default();
        Self {
            enabled: false,
            path: None,
            url: None,
            password_file: None,
            tls_ca_file: None,
            keep_days: 0,
            max_elements: elements,
            max_gaps: ranges,
            interim_interval_seconds: 0,
            realtime_required: None,
        }
    }
}

impl Config {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key that does not do.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.max_elements == 0 || self.max_gaps == 0 {
            let key = "accounting_storage";
            return Err(Invalid::new(
                key,
                "`max_elements` and `max_gaps` are at least 1",
            ));
        }
        self.keys().validate()
    }

    pub(crate) fn keys(&self) -> Keys<'_> {
        Keys {
            section: "accounting_storage",
            path: self.path.as_ref(),
            url: self.url.as_ref(),
            password_file: self.password_file.as_ref(),
            tls_ca_file: self.tls_ca_file.as_ref(),
        }
    }

    /// What elements are told.
    pub fn told(&self) -> Told {
        Told {
            interim_seconds: self.interim_interval_seconds,
            realtime: self.realtime_required.map(|required| match required {
                RealtimeRequired::DeliverAndGrant => AccountingRealtimeRequired::DeliverAndGrant,
                RealtimeRequired::GrantAndStore => AccountingRealtimeRequired::GrantAndStore,
                RealtimeRequired::GrantAndLose => AccountingRealtimeRequired::GrantAndLose,
            }),
        }
    }

    /// What memory may hold.
    pub fn limits(&self) -> Limits {
        Limits {
            elements: self.max_elements,
            ranges: self.max_gaps,
        }
    }

    /// How long records are kept.
    pub fn keep(&self) -> Option<Duration> {
        (self.keep_days > 0).then(|| Duration::from_secs(u64::from(self.keep_days) * 86_400))
    }
}

/// The database at `place`, for the storage's thread. A server may come later.
///
/// # Errors
/// It cannot be used.
pub fn open(place: &Place) -> Result<Box<dyn Backend>, Cause> {
    match place {
        Place::File(path) => Ok(Box::new(Sqlite::open(path, MIGRATIONS)?)),
        Place::Server(server) => Ok(Box::new(Postgres::new(server)?)),
    }
}
