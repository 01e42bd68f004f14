//! Opening the file, and bringing older ones up to date.

use rusqlite::{Connection, TransactionBehavior};

/// Opens the database, makes what is missing, and sets it to lose nothing that was committed.
pub(super) fn open(path: &std::path::Path, steps: &[&str]) -> rusqlite::Result<Connection> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(32);
    migrate(&mut connection, steps)?;
    Ok(connection)
}

/// Brings the tables up to date, each step wholly or not at all.
fn migrate(connection: &mut Connection, all: &[&str]) -> rusqlite::Result<()> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let steps = (1u32..).zip(all);
    if steps.clone().all(|(number, _)| number < version) {
        // A newer chargingd has changed the tables: reading them by guess would be worse than not starting.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH),
            Some(format!(
                "the database is of version {version}, and this program knows {}: use a newer one",
                all.len()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::MIGRATIONS;

    /// What version 0.1 left behind: the first tables, without a number.
    #[test]
    fn an_old_database_keeps_its_money_and_a_newer_one_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection
            .execute_batch(
                "INSERT INTO account VALUES ('alice', 'prepaid', 'EUR', 7, 0, 0);
                 INSERT INTO entry VALUES (1, 'k', '@cash:EUR', 'alice', 7, 'EUR', 0);",
            )
            .unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
        migrate(&mut connection, MIGRATIONS).unwrap();
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
            migrate(&mut connection, MIGRATIONS)
                .unwrap_err()
                .to_string()
                .contains("newer")
        );
    }
}
