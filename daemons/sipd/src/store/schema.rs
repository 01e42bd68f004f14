//! The tables, and reading them at start.

use rusqlite::Connection;

use super::StoreError;
use crate::auth::{Secrets, Subscriber, Subscribers};
use crate::registrar::Binding;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS subscriber (
    username   TEXT PRIMARY KEY,
    ha1_md5    BLOB NOT NULL CHECK (length(ha1_md5) = 16),
    ha1_sha256 BLOB NOT NULL CHECK (length(ha1_sha256) = 32),
    identity   TEXT NOT NULL,
    enabled    INTEGER NOT NULL CHECK (enabled IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS binding (
    address_of_record  TEXT NOT NULL,
    contact            TEXT NOT NULL,
    expires_at_unix_ms INTEGER NOT NULL,
    value              TEXT NOT NULL,
    PRIMARY KEY (address_of_record, contact)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS binding_end ON binding (expires_at_unix_ms);
";

/// Makes the tables, and sets SQLite to write durably without stopping readers.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(SCHEMA)
}

/// Every subscriber.
pub(super) fn subscribers(connection: &Connection, path: &str) -> Result<Subscribers, StoreError> {
    let unreadable = || StoreError::Row {
        path: path.to_owned(),
        table: "subscriber",
    };
    let mut statement = connection
        .prepare("SELECT username, ha1_md5, ha1_sha256, identity, enabled FROM subscriber")
        .map_err(|_| unreadable())?;
    let rows = statement
        .query_map([], |row| {
            Ok(Subscriber {
                username: row.get(0)?,
                secrets: Secrets {
                    md5: row.get(1)?,
                    sha256: row.get(2)?,
                },
                identity: row.get(3)?,
                enabled: row.get(4)?,
            })
        })
        .map_err(|_| unreadable())?;
    rows.map(|row| row.map(|subscriber| (subscriber.username.clone(), subscriber)))
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable())
}

/// Every binding with its address of record.
pub(super) fn bindings(
    connection: &Connection,
    path: &str,
) -> Result<Vec<(Box<str>, Binding)>, StoreError> {
    let unreadable = || StoreError::Row {
        path: path.to_owned(),
        table: "binding",
    };
    let mut statement = connection
        .prepare("SELECT address_of_record, value FROM binding")
        .map_err(|_| unreadable())?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .map_err(|_| unreadable())?;
    rows.map(|row| {
        let (address_of_record, value) = row.map_err(|_| unreadable())?;
        let binding = serde_json::from_str(&value).map_err(|_| unreadable())?;
        Ok((address_of_record, binding))
    })
    .collect()
}
