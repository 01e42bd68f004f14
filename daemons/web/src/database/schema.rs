//! Opening the file, and bringing older ones up to date.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

/// Held by the one process that uses the file.
pub(super) type Lock = Flock<File>;

/// How long to wait for another connection: only a checkpoint or a backup by hand is one.
const PATIENCE: Duration = Duration::from_secs(5);
const STATEMENTS: usize = 64;

/// Opens the database, makes what is missing, and sets it to lose nothing that was committed.
pub(super) fn open(path: &Path, migrations: &[&str]) -> Result<(Connection, Lock), String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let lock = lock(path)?;
    // SQLite gives what it puts beside the file the file's own mode.
    let made = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(path);
    drop(made.map_err(|error| named(&error))?);
    let open = || {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        migrate(&mut connection, migrations)?;
        Ok(connection)
    };
    let connection = open().map_err(|error: rusqlite::Error| named(&error))?;
    Ok((connection, lock))
}

/// Opens it for questions alone.
pub(super) fn open_to_read(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A file of its own beside the database: closing any descriptor of the database's would give up SQLite's locks.
fn lock(path: &Path) -> Result<Lock, String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let name = PathBuf::from(name);
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o640)
        .open(&name)
        .map_err(|error| format!("{}: {error}", name.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, error)| format!("{}: another process uses it: {error}", path.display()))
}

/// Brings the tables up to date, each step wholly or not at all.
fn migrate(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let version: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version as usize > migrations.len() {
        // A newer program has changed the tables: reading them by guess would be worse than not starting.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH),
            Some(format!(
                "the database is of version {version}, and this program knows {}: use a newer one",
                migrations.len()
            )),
        ));
    }
    for (number, step) in (1u32..).zip(migrations).skip(version as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
        tracing::info!(version = number, "the database was brought up to date");
    }
    Ok(())
}
