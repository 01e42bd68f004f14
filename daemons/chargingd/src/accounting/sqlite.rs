//! The storage in SQLite.

use std::collections::HashMap;

use rusqlite::{ErrorCode, OptionalExtension, params};

use super::rows::{self, sub_session};
use super::{Backend, BackendError, Change, Element, Key, Known, Look, Session, read};
use crate::store::sqlite::{Sqlite, transaction};

impl From<rusqlite::Error> for BackendError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // A write that found no space for SQLite's own files is told as one that could not be made.
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::Full(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl Backend for Sqlite {
    fn elements(&mut self) -> Result<HashMap<Box<str>, Element>, BackendError> {
        Ok(read::elements(self)?.0)
    }

    fn look(&mut self, names: &[(&Key, &[u8; 16])]) -> Result<Look, BackendError> {
        let known: Result<Vec<Known>, rusqlite::Error> = (names.iter())
            .map(|(key, digest)| known(self, key, digest))
            .collect();
        Ok(Look {
            known: known?,
            ..Look::default()
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        if changes.is_empty() {
            return Ok(());
        }
        Ok(transaction(&mut self.connection, &rows::batch(changes))?)
    }

    fn forget(&mut self, before_unix_ms: i64, count: u32) -> Result<bool, BackendError> {
        let transaction = self.connection.transaction()?;
        let records = transaction.execute(
            "DELETE FROM record WHERE id IN (SELECT id FROM record WHERE received_unix_ms < ?1 LIMIT ?2)",
            params![before_unix_ms, count],
        )?;
        let sessions = transaction.execute(
            "DELETE FROM session WHERE (session_id, element) IN
             (SELECT session_id, element FROM session WHERE last_unix_ms < ?1 LIMIT ?2)",
            params![before_unix_ms, count],
        )?;
        transaction.commit()?;
        let most = usize::try_from(count).unwrap_or(usize::MAX);
        Ok(records >= most || sessions >= most)
    }

    fn is_shared(&self) -> bool {
        false
    }
}

fn known(sqlite: &Sqlite, key: &Key, digest: &[u8; 16]) -> rusqlite::Result<Known> {
    let (records, same) = sqlite
        .connection
        .prepare_cached(
            "SELECT COUNT(*), COALESCE(MAX(digest = ?6), 0) FROM record
             WHERE session_id = ?1 AND element = ?2 AND record_type = ?3 AND number = ?4 AND sub_session = ?5",
        )?
        .query_row(
            params![
                key.session_id,
                key.element,
                key.record_type.number(),
                key.number,
                sub_session(key),
                digest
            ],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
    let session = sqlite
        .connection
        .prepare_cached(
            "SELECT started, stopped, records, first_number, last_number, first_unix_ms, last_unix_ms
             FROM session WHERE session_id = ?1 AND element = ?2",
        )?
        .query_row(params![key.session_id, key.element], |row| {
            Ok(Session {
                started: row.get(0)?,
                stopped: row.get(1)?,
                records: row.get(2)?,
                first_number: row.get(3)?,
                last_number: row.get(4)?,
                first_unix_ms: row.get(5)?,
                last_unix_ms: row.get(6)?,
            })
        })
        .optional()?;
    Ok(Known {
        records,
        same,
        session,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::schema::MIGRATIONS;
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_and_keeps_all_or_nothing() {
        let mut sqlite = Sqlite::open(Path::new(":memory:"), MIGRATIONS).unwrap();
        sqlite
            .connection
            .pragma_update(None, "max_page_count", 40)
            .unwrap();
        let element = |number: u32| Change::Element {
            name: format!("element-{number}.example").into(),
            realm: "x".repeat(1000).into(),
            records: 1,
            last_unix_ms: 0,
        };
        let mut kept = 0;
        let error = loop {
            assert!(kept < 1000, "the limit was not met");
            match sqlite.commit(&[element(kept), element(kept + 1)]) {
                Ok(()) => kept += 2,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, BackendError::Full(_)), "{error}");
        assert_eq!(sqlite.elements().unwrap().len(), kept as usize);
    }
}
