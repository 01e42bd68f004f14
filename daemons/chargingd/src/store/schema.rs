//! The tables.

use rusqlite::Connection;

/// `entry` is only ever added to. Amounts are micro-units. `value` is JSON.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS account (
    name               TEXT PRIMARY KEY,
    payment            TEXT NOT NULL,
    currency           TEXT NOT NULL,
    balance_micro      INTEGER NOT NULL,
    credit_limit_micro INTEGER NOT NULL CHECK (credit_limit_micro >= 0),
    blocked            INTEGER NOT NULL CHECK (blocked IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS identity (
    identity TEXT PRIMARY KEY,
    account  TEXT NOT NULL REFERENCES account (name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entry (
    id           INTEGER PRIMARY KEY,
    key          TEXT NOT NULL UNIQUE,
    debit        TEXT NOT NULL,
    credit       TEXT NOT NULL CHECK (credit <> debit),
    amount_micro INTEGER NOT NULL CHECK (amount_micro > 0),
    currency     TEXT NOT NULL,
    unix_ms      INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (
    id             TEXT PRIMARY KEY,
    closed_unix_ms INTEGER,
    value          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    sequence_number INTEGER PRIMARY KEY,
    value           TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS last_record (
    only            INTEGER PRIMARY KEY CHECK (only = 0),
    sequence_number INTEGER NOT NULL
) STRICT;
";

/// Opens the database, makes what is missing, and sets it to lose nothing that was committed.
pub(super) fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    connection.execute_batch(SCHEMA)?;
    Ok(connection)
}

/// Opens the database for questions alone.
pub(super) fn open_read_only(path: &std::path::Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
}
