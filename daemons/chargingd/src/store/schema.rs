//! The tables, and how older ones are brought up to date.

use rusqlite::{Connection, TransactionBehavior};

/// Each brings the tables from one version to the next; `user_version` counts them. Written once, never changed.
/// `entry` is only ever added to. `value` and `profile` are JSON.
const MIGRATIONS: &[&str] = &[ACCOUNTS, SERVICE_ACCOUNTS];

/// Amounts are micro-units.
const ACCOUNTS: &str = "
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

/// Entries move units too, and say what they pay for.
const SERVICE_ACCOUNTS: &str = "
ALTER TABLE account ADD COLUMN profile TEXT NOT NULL DEFAULT '{}';
ALTER TABLE entry RENAME COLUMN amount_micro TO amount;
ALTER TABLE entry RENAME COLUMN currency TO commodity;
ALTER TABLE entry ADD COLUMN service TEXT NOT NULL DEFAULT '';
ALTER TABLE entry ADD COLUMN provider TEXT NOT NULL DEFAULT '';
ALTER TABLE entry ADD COLUMN tax_basis_points INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN commission_basis_points INTEGER NOT NULL DEFAULT 0;
CREATE INDEX entry_debit ON entry (debit, unix_ms);
CREATE INDEX entry_credit ON entry (credit, unix_ms);
CREATE TABLE service_account (
    name    TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name),
    unit    TEXT NOT NULL,
    balance INTEGER NOT NULL,
    value   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
";

/// Opens the database, makes what is missing, and sets it to lose nothing that was committed.
pub(super) fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    migrate(&mut connection)?;
    Ok(connection)
}

/// Brings the tables up to date, each step wholly or not at all.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = (1u32..).zip(MIGRATIONS);
    if steps.clone().all(|(number, _)| number < version) {
        // A newer chargingd has changed the tables: reading them by guess would be worse than not starting.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH),
            Some(format!(
                "the database is of version {version}, and this program knows {}: use a newer one",
                MIGRATIONS.len()
            )),
        ));
    }
    for (number, step) in steps.filter(|(number, _)| *number > version) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(version = number, "the database was brought up to date");
    }
    Ok(())
}

/// Opens the database for questions alone.
pub(super) fn open_read_only(path: &std::path::Path) -> rusqlite::Result<Connection> {
    Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What version 0.1 left behind: the first tables, without a number.
    #[test]
    fn an_old_database_keeps_its_money_and_a_newer_one_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(ACCOUNTS).unwrap();
        connection
            .execute_batch(
                "INSERT INTO account VALUES ('alice', 'prepaid', 'EUR', 7, 0, 0);
                 INSERT INTO entry VALUES (1, 'k', '@cash:EUR', 'alice', 7, 'EUR', 0);",
            )
            .unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let (amount, commodity, profile): (i64, String, String) = connection
            .query_row(
                "SELECT amount, commodity, profile FROM entry JOIN account ON name = credit",
                [],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!((amount, &*commodity, &*profile), (7, "EUR", "{}"));
        connection
            .pragma_update(None, "user_version", 1000)
            .unwrap();
        assert!(
            migrate(&mut connection)
                .unwrap_err()
                .to_string()
                .contains("newer")
        );
    }
}
