//! The storage in SQLite.

use std::collections::HashMap;
use std::path::Path;

use bytes::Bytes;
use rusqlite::types::ToSql;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};
use tollwire_diameter::Message;

use super::backend::collapse;
use super::view::record_type_name;
use super::{
    Backend, BackendError, Change, Element, Key, Known, Query, Ranges, RecordDetail, RecordView,
    Session, SessionView, Stored, describe,
};

/// `sub_session` is empty for none, so that it can be part of a name. 64-bit numbers are kept in their two's complement.
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS record (
    id               INTEGER PRIMARY KEY,
    element          TEXT NOT NULL,
    session_id       TEXT NOT NULL,
    record_type      INTEGER NOT NULL,
    number           INTEGER NOT NULL,
    sub_session      TEXT NOT NULL,
    variant          INTEGER NOT NULL,
    realm            TEXT NOT NULL,
    sequence_number  INTEGER,
    service_context  TEXT,
    user_name        TEXT,
    event_unix_ms    INTEGER,
    received_unix_ms INTEGER NOT NULL,
    reuses_number    INTEGER NOT NULL CHECK (reuses_number IN (0, 1)),
    digest           BLOB NOT NULL,
    message          BLOB NOT NULL,
    UNIQUE (session_id, element, record_type, number, sub_session, variant)
) STRICT;
CREATE INDEX IF NOT EXISTS record_received ON record (received_unix_ms);
CREATE INDEX IF NOT EXISTS record_sequence ON record (element, sequence_number);
CREATE INDEX IF NOT EXISTS record_reused ON record (id) WHERE reuses_number = 1;
CREATE TABLE IF NOT EXISTS session (
    element       TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    started       INTEGER NOT NULL CHECK (started IN (0, 1)),
    stopped       INTEGER NOT NULL CHECK (stopped IN (0, 1)),
    records       INTEGER NOT NULL,
    first_number  INTEGER NOT NULL,
    last_number   INTEGER NOT NULL,
    first_unix_ms INTEGER NOT NULL,
    last_unix_ms  INTEGER NOT NULL,
    PRIMARY KEY (session_id, element)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_last ON session (last_unix_ms);
CREATE TABLE IF NOT EXISTS element (
    name         TEXT PRIMARY KEY,
    realm        TEXT NOT NULL,
    records      INTEGER NOT NULL,
    last_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS range (
    element TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (element, first)
) STRICT, WITHOUT ROWID;
";

/// An SQLite database.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens the database, makes what is missing, and sets it to lose nothing that was committed.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(path: &Path) -> Result<Self, BackendError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.set_prepared_statement_cache_capacity(32);
        connection.execute_batch(SCHEMA)?;
        Ok(Self { connection })
    }

    /// Opens the database for questions alone.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open_read_only(path: &Path) -> Result<Self, BackendError> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        Ok(Self {
            connection: Connection::open_with_flags(path, flags)?,
        })
    }
}

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
        let mut ranges: HashMap<String, Vec<(u64, u64)>> = HashMap::new();
        let mut statement = self
            .connection
            .prepare("SELECT element, first, last FROM range")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let range = (unsigned(row.get(1)?), unsigned(row.get(2)?));
            ranges.entry(row.get(0)?).or_default().push(range);
        }
        let mut elements = HashMap::new();
        let mut statement = self
            .connection
            .prepare("SELECT name, realm, records, last_unix_ms FROM element")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let element = Element {
                realm: row.get::<_, String>(1)?.into(),
                records: unsigned(row.get(2)?),
                last_unix_ms: row.get(3)?,
                ranges: Ranges::of(ranges.remove(&name).unwrap_or_default()),
            };
            elements.insert(name.into(), element);
        }
        Ok(elements)
    }

    fn known(&mut self, key: &Key, digest: &[u8; 16]) -> Result<Known, BackendError> {
        let (records, same) = self
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
        let session = self
            .connection
            .prepare_cached(
                "SELECT started, stopped, records, first_number, last_number, first_unix_ms, last_unix_ms
                 FROM session WHERE session_id = ?1 AND element = ?2",
            )?
            .query_row(params![key.session_id, key.element], |row| session(row, 0))
            .optional()?;
        Ok(Known {
            records,
            same,
            session,
        })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let transaction = self.connection.transaction()?;
        for change in collapse(changes) {
            one(&transaction, change)?;
        }
        transaction.commit()?;
        Ok(())
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

    fn records(&mut self, query: &Query) -> Result<Vec<RecordView>, BackendError> {
        let mut conditions = Conditions::default();
        conditions.element_and_session("element", query);
        conditions.and("sequence_number =", query.sequence_number.map(signed));
        conditions.and("received_unix_ms >=", query.from_unix_ms);
        conditions.and("received_unix_ms <", query.until_unix_ms);
        if query.faulty {
            conditions.text.push_str(" AND reuses_number = 1");
        }
        let text = format!(
            "SELECT {RECORD} FROM record WHERE 1 = 1{} ORDER BY id DESC LIMIT {}",
            conditions.text,
            query.count()
        );
        let mut statement = self.connection.prepare(&text)?;
        let rows = statement.query_map(&*conditions.parameters(), record)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn record(&mut self, id: i64) -> Result<Option<RecordDetail>, BackendError> {
        let text = format!("SELECT {RECORD}, message FROM record WHERE id = ?1");
        let found = self
            .connection
            .prepare(&text)?
            .query_row([id], |row| Ok((record(row)?, row.get::<_, Vec<u8>>(14)?)))
            .optional()?;
        Ok(found.map(|(record, message)| detail(record, message)))
    }

    fn sessions(&mut self, query: &Query) -> Result<Vec<SessionView>, BackendError> {
        let mut conditions = Conditions::default();
        conditions.element_and_session("element", query);
        conditions.and("last_unix_ms >=", query.from_unix_ms);
        conditions.and("last_unix_ms <", query.until_unix_ms);
        if query.faulty {
            conditions
                .text
                .push_str(" AND (started = 0 OR last_number - first_number + 1 > records)");
        }
        let text = format!(
            "SELECT element, session_id, started, stopped, records, first_number, last_number, first_unix_ms, last_unix_ms
             FROM session WHERE 1 = 1{} ORDER BY last_unix_ms DESC LIMIT {}",
            conditions.text,
            query.count()
        );
        let mut statement = self.connection.prepare(&text)?;
        let rows = statement.query_map(&*conditions.parameters(), |row| {
            let state = session(row, 2)?;
            Ok(SessionView::of(row.get(0)?, row.get(1)?, &state))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// What a question asks for, and its values.
#[derive(Default)]
struct Conditions {
    text: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    fn and<T: ToSql + 'static>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.values.push(Box::new(value));
            self.text
                .push_str(&format!(" AND {condition} ?{}", self.values.len()));
        }
    }

    fn element_and_session(&mut self, column: &str, query: &Query) {
        let element = query.element.as_deref().map(str::to_ascii_lowercase);
        self.and(&format!("{column} ="), element);
        self.and("session_id =", query.session_id.clone());
    }

    fn parameters(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|value| &**value).collect()
    }
}

const RECORD: &str =
    "id, element, session_id, record_type, number, sub_session, variant, realm, sequence_number,
service_context, user_name, event_unix_ms, received_unix_ms, reuses_number";

fn record(row: &Row<'_>) -> rusqlite::Result<RecordView> {
    Ok(RecordView {
        id: row.get(0)?,
        element: row.get(1)?,
        session_id: row.get(2)?,
        record_type: record_type_name(row.get(3)?).into(),
        number: row.get(4)?,
        sub_session_id: row.get::<_, String>(5)?.parse().ok(),
        variant: row.get(6)?,
        realm: row.get(7)?,
        sequence_number: row.get::<_, Option<i64>>(8)?.map(unsigned),
        service_context: row.get(9)?,
        user_name: row.get(10)?,
        event_unix_ms: row.get(11)?,
        received_unix_ms: row.get(12)?,
        reuses_number: row.get(13)?,
    })
}

/// `record` with what its `message` says.
pub(super) fn detail(record: RecordView, message: Vec<u8>) -> RecordDetail {
    let hex = describe::hex(&message);
    let decoded = Message::decode(Bytes::from(message)).ok();
    let carried = decoded.as_ref().and_then(describe::carried);
    RecordDetail {
        record,
        message: hex,
        avps: decoded.as_ref().map(describe::avps).unwrap_or_default(),
        carried,
    }
}

fn session(row: &Row<'_>, at: usize) -> rusqlite::Result<Session> {
    Ok(Session {
        started: row.get(at)?,
        stopped: row.get(at + 1)?,
        records: row.get(at + 2)?,
        first_number: row.get(at + 3)?,
        last_number: row.get(at + 4)?,
        first_unix_ms: row.get(at + 5)?,
        last_unix_ms: row.get(at + 6)?,
    })
}

fn one(transaction: &Connection, change: &Change) -> rusqlite::Result<()> {
    match change {
        Change::Record(stored) => {
            let Stored {
                arrival,
                received_unix_ms,
                variant,
                reuses_number,
            } = &**stored;
            let key = &arrival.key;
            transaction
                .prepare_cached(
                    "INSERT INTO record (element, session_id, record_type, number, sub_session, variant, realm,
                     sequence_number, service_context, user_name, event_unix_ms, received_unix_ms, reuses_number, digest,
                     message)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
                )?
                .execute(params![
                    key.element,
                    key.session_id,
                    key.record_type.number(),
                    key.number,
                    sub_session(key),
                    variant,
                    arrival.realm,
                    arrival.sequence_number.map(signed),
                    arrival.service_context,
                    arrival.user_name,
                    arrival.event_unix_ms,
                    received_unix_ms,
                    reuses_number,
                    arrival.digest,
                    arrival.message
                ])?;
        }
        Change::Session {
            element,
            session_id,
            session,
        } => {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    element,
                    session_id,
                    session.started,
                    session.stopped,
                    session.records,
                    session.first_number,
                    session.last_number,
                    session.first_unix_ms,
                    session.last_unix_ms
                ])?;
        }
        Change::Element {
            name,
            realm,
            records,
            last_unix_ms,
        } => {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO element VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![name, realm, signed(*records), last_unix_ms])?;
        }
        Change::Range {
            element,
            first,
            last,
        } => {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO range VALUES (?1, ?2, ?3)")?
                .execute(params![element, signed(*first), signed(*last)])?;
        }
        Change::RangeGone { element, first } => {
            transaction
                .prepare_cached("DELETE FROM range WHERE element = ?1 AND first = ?2")?
                .execute(params![element, signed(*first)])?;
        }
    }
    Ok(())
}

fn sub_session(key: &Key) -> String {
    key.sub_session_id
        .map(|id| id.to_string())
        .unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such_and_keeps_all_or_nothing() {
        let mut sqlite = Sqlite::open(Path::new(":memory:")).unwrap();
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
