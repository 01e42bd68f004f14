//! Sessions, their messages and the nonces of their requests, in the database.

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollwire_peer::{AccountingMessage, Cause, Data, Measure, UserCredential};
use tollwire_web::database::rusqlite;

use crate::core::{SessionId, Settled, State, Stored, Terms, Totals};

/// The tables, by version.
pub const MIGRATIONS: &[&str] = &["
CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    credential TEXT NOT NULL,
    acknowledgement TEXT NOT NULL,
    manager TEXT NOT NULL,
    is_udp INTEGER NOT NULL,
    state TEXT NOT NULL,
    cause TEXT,
    address TEXT NOT NULL,
    time_ms INTEGER NOT NULL DEFAULT 0,
    octets INTEGER NOT NULL DEFAULT 0,
    requests INTEGER NOT NULL DEFAULT 0,
    granted TEXT NOT NULL,
    last INTEGER NOT NULL DEFAULT 0,
    sequence INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    forget_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_live ON sessions (id) WHERE state <> 'done';
CREATE INDEX sessions_done ON sessions (forget_ms) WHERE state = 'done';
CREATE INDEX sessions_newest ON sessions (created_ms);
CREATE TABLE messages (
    session TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    claims TEXT NOT NULL,
    token TEXT NOT NULL,
    signed_ms INTEGER NOT NULL,
    PRIMARY KEY (session, sequence)
) STRICT, WITHOUT ROWID;
CREATE TABLE nonces (
    session TEXT NOT NULL,
    nonce TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (session, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_old ON nonces (until_ms);
"];

/// Rows that are removed in one transaction: others wait for it.
const AT_ONCE: i64 = 1_000;
/// Sessions that are over and kept, at the most: more are forgotten when their lifetime is over.
const MOST_KEPT: i64 = 100_000;
/// Lists are cut after so many rows.
pub const LONGEST_LIST: u32 = 10_000;

/// Why something is not stored, or cannot be read.
pub type Error = rusqlite::Error;

fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn broken(column: usize, what: &'static str) -> Error {
    unreadable(column, std::io::Error::other(what))
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| unreadable(column, error))
}

fn written(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

/// As SQLite has it; totals that are larger are told as this one.
fn stored(total: u64) -> i64 {
    i64::try_from(total).unwrap_or(i64::MAX)
}

fn total(row: &Row<'_>, column: usize) -> Result<u64, Error> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|error| unreadable(column, error))
}

/// A credential that is to be stored.
#[derive(Debug, Clone)]
pub struct New {
    /// What it says.
    pub credential: UserCredential,
    /// SHA-256 of it as it came.
    pub digest: String,
    /// The manager's name.
    pub manager: String,
    /// Its service passes datagrams on.
    pub is_udp: bool,
    /// The answer.
    pub acknowledgement: String,
    /// Milliseconds since 1970.
    pub created_ms: i64,
    /// When it may be forgotten, once it is over: no credential of it can come any more.
    pub forget_ms: i64,
}

/// What became of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Accepted {
    /// It is stored.
    Stored,
    /// The same came before, and was answered so.
    Before(String),
    /// Another has this session.
    Other,
}

/// What is known of a session: the digest of its credential, the answer to that, and whether it is over and told.
///
/// # Errors
/// The database's.
pub fn known(connection: &Connection, id: &str) -> Result<Option<(String, String, bool)>, Error> {
    connection
        .prepare_cached(
            "SELECT digest, acknowledgement, state = 'done' FROM sessions WHERE id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
}

/// The manager of a session, also of one that is over.
///
/// # Errors
/// The database's.
pub fn manager(connection: &Connection, id: &str) -> Result<Option<String>, Error> {
    connection
        .prepare_cached("SELECT manager FROM sessions WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()
}

/// Stores a credential.
///
/// # Errors
/// The database's.
pub fn accept(connection: &Connection, new: &New) -> Result<Accepted, Error> {
    let credential = &new.credential;
    let id = credential.accounting_session_id.as_str();
    if let Some((digest, acknowledgement, _)) = known(connection, id)? {
        return Ok(match digest == new.digest {
            true => Accepted::Before(acknowledgement),
            false => Accepted::Other,
        });
    }
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, digest, credential, acknowledgement, manager, is_udp, state, address, granted, created_ms,
             forget_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'granted', ?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            id,
            new.digest,
            written(credential)?,
            new.acknowledgement,
            new.manager,
            new.is_udp,
            credential.user_address.ip.to_canonical().to_string(),
            written(&credential.policies.granted)?,
            new.created_ms,
            new.forget_ms,
        ])?;
    Ok(Accepted::Stored)
}

/// A session as a credential makes it.
pub fn begun(new: &New) -> Stored {
    let credential = &new.credential;
    let address = credential.user_address.ip.to_canonical();
    Stored {
        id: credential.accounting_session_id.as_str().into(),
        state: State::Granted,
        address,
        used: Totals::default(),
        granted: credential.policies.granted,
        last: false,
        sequence: 0,
        reported: Totals::default(),
        outbox: Vec::new(),
        terms: terms(credential, &new.manager, new.is_udp),
    }
}

fn terms(credential: &UserCredential, manager: &str, is_udp: bool) -> Terms {
    Terms {
        manager: manager.to_owned(),
        policies: credential.policies.clone(),
        address: credential.user_address.ip.to_canonical(),
        udp_port: credential.user_address.udp_port,
        is_udp,
    }
}

/// All sessions that are not over and told, each with its key as it came.
///
/// # Errors
/// The database's.
pub fn live(connection: &Connection) -> Result<Vec<(Stored, String)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, credential, manager, is_udp, state, cause, address, time_ms, octets, requests, granted, last, sequence
         FROM sessions WHERE state <> 'done'",
    )?;
    let rows = statement.query_map([], |row| {
        let credential: UserCredential = json(row, 1)?;
        let id: String = row.get(0)?;
        let manager: String = row.get(2)?;
        let state: String = row.get(4)?;
        let cause: Option<String> = row.get(5)?;
        let address: String = row.get(6)?;
        let address: IpAddr = address.parse().map_err(|error| unreadable(6, error))?;
        let used = Totals {
            time_ms: total(row, 7)?,
            octets: total(row, 8)?,
            requests: total(row, 9)?,
        };
        let stored = Stored {
            id: id.as_str().into(),
            terms: terms(&credential, &manager, row.get(3)?),
            state: match (state.as_str(), cause) {
                ("granted", _) => State::Granted,
                ("open", _) => State::Open,
                ("ended", Some(cause)) => {
                    State::Ended(cause_of(&cause).ok_or(broken(5, "no cause"))?)
                }
                _ => return Err(broken(4, "no state of a session")),
            },
            address,
            used,
            granted: json::<Data>(row, 10)?,
            last: row.get(11)?,
            sequence: total(row, 12)?,
            reported: used,
            outbox: Vec::new(),
        };
        Ok((stored, credential.session_key))
    })?;
    let mut all = rows.collect::<Result<Vec<_>, _>>()?;
    let mut messages = connection.prepare_cached(
        "SELECT sequence, json_extract(claims, '$.kind') = 'final' FROM messages WHERE session = ?1 ORDER BY sequence",
    )?;
    for (session, _) in &mut all {
        let outbox = messages.query_map([&*session.id], |row| Ok((total(row, 0)?, row.get(1)?)))?;
        session.outbox = outbox.collect::<Result<_, Error>>()?;
    }
    Ok(all)
}

fn cause_of(name: &str) -> Option<Cause> {
    serde_json::from_value(serde_json::Value::from(name)).ok()
}

/// A request that is let through.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Its session.
    pub id: SessionId,
    /// Its nonce.
    pub nonce: String,
    /// Until when that is remembered.
    pub until_ms: i64,
    /// It is one of the requests that are counted.
    pub counts: bool,
    /// It opens the session, if that is not open.
    pub opens: bool,
    /// Datagrams come from here now.
    pub address: Option<IpAddr>,
}

/// Stores that a request is let through. `false`: its nonce was used.
///
/// # Errors
/// The database's.
pub fn admit(connection: &Connection, admission: &Admission) -> Result<bool, Error> {
    let id = &*admission.id;
    let new = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO nonces (session, nonce, until_ms) VALUES (?1, ?2, ?3)",
        )?
        .execute(params![id, admission.nonce, admission.until_ms])?;
    if new == 0 {
        return Ok(false);
    }
    if admission.opens {
        connection
            .prepare_cached(
                "UPDATE sessions SET requests = requests + ?2, state = iif(state = 'granted', 'open', state),
                 address = coalesce(?3, address) WHERE id = ?1",
            )?
            .execute(params![
                id,
                admission.counts,
                admission.address.map(|address| address.to_string())
            ])?;
    }
    Ok(true)
}

/// Stores totals.
///
/// # Errors
/// The database's.
pub fn checkpoint(connection: &Connection, id: &str, totals: Totals) -> Result<(), Error> {
    connection
        .prepare_cached(
            "UPDATE sessions SET time_ms = max(time_ms, ?2), octets = max(octets, ?3) WHERE id = ?1",
        )?
        .execute(params![id, stored(totals.time_ms), stored(totals.octets)])?;
    Ok(())
}

/// A message as it is stored.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it says.
    pub claims: AccountingMessage,
    /// It, signed.
    pub token: String,
    /// When, milliseconds since 1970.
    pub signed_ms: i64,
}

/// Stores a message, what it tells, and the session's end, if it is the final one; those up to `replaces` go.
///
/// # Errors
/// The database's.
pub fn message(
    connection: &Connection,
    message: &Message,
    totals: Totals,
    replaces: Option<u64>,
) -> Result<(), Error> {
    let claims = &message.claims;
    let (id, sequence) = (
        claims.accounting_session_id.as_str(),
        stored(claims.sequence),
    );
    checkpoint(connection, id, totals)?;
    if let Some(replaces) = replaces {
        connection
            .prepare_cached("DELETE FROM messages WHERE session = ?1 AND sequence <= ?2")?
            .execute(params![id, stored(replaces)])?;
    }
    connection
        .prepare_cached(
            "INSERT INTO messages (session, sequence, claims, token, signed_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            id,
            sequence,
            written(claims)?,
            message.token,
            message.signed_ms
        ])?;
    connection
        .prepare_cached("UPDATE sessions SET sequence = ?2 WHERE id = ?1")?
        .execute(params![id, sequence])?;
    if let Some(cause) = claims.cause {
        connection
            .prepare_cached("UPDATE sessions SET state = 'ended', cause = ?2 WHERE id = ?1")?
            .execute(params![id, cause.name()])?;
    }
    Ok(())
}

/// A message that is to be sent.
///
/// # Errors
/// The database's; also that it is not there.
pub fn outgoing(connection: &Connection, id: &str, sequence: u64) -> Result<Message, Error> {
    connection
        .prepare_cached(
            "SELECT claims, token, signed_ms FROM messages WHERE session = ?1 AND sequence = ?2",
        )?
        .query_row(params![id, stored(sequence)], |row| {
            Ok(Message {
                claims: json(row, 0)?,
                token: row.get(1)?,
                signed_ms: row.get(2)?,
            })
        })
}

/// Stores a message that was signed again.
///
/// # Errors
/// The database's.
pub fn signed_again(connection: &Connection, message: &Message) -> Result<(), Error> {
    let claims = &message.claims;
    connection
        .prepare_cached(
            "UPDATE messages SET claims = ?3, token = ?4, signed_ms = ?5 WHERE session = ?1 AND sequence = ?2",
        )?
        .execute(params![
            claims.accounting_session_id.as_str(),
            stored(claims.sequence),
            written(claims)?,
            message.token,
            message.signed_ms
        ])?;
    Ok(())
}

/// Stores what the answer to a message changes.
///
/// # Errors
/// The database's.
pub fn settle(
    connection: &Connection,
    id: &str,
    sequence: u64,
    settled: &Settled,
    is_done: bool,
) -> Result<(), Error> {
    if let Settled::Acknowledged { granted, last, .. } = settled {
        connection
            .prepare_cached("UPDATE sessions SET granted = ?2, last = ?3 WHERE id = ?1")?
            .execute(params![id, written(granted)?, last])?;
    }
    if is_done {
        connection
            .prepare_cached("DELETE FROM messages WHERE session = ?1")?
            .execute([id])?;
        connection
            .prepare_cached(
                "UPDATE sessions SET state = 'done', cause = coalesce(cause, 'revoked') WHERE id = ?1",
            )?
            .execute([id])?;
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM messages WHERE session = ?1 AND sequence = ?2")?
        .execute(params![id, stored(sequence)])?;
    Ok(())
}

/// Forgets nonces that cannot come again, and sessions that are over for longer than `keep_ms` or are too many to keep. How many
/// nonces are left, and whether there is more to do.
///
/// # Errors
/// The database's.
pub fn tidy(connection: &Connection, now_ms: i64, keep_ms: i64) -> Result<(u64, bool), Error> {
    let nonces = connection
        .prepare_cached(
            "DELETE FROM nonces WHERE (session, nonce) IN
             (SELECT session, nonce FROM nonces WHERE until_ms < ?1 LIMIT ?2)",
        )?
        .execute([now_ms, AT_ONCE])?;
    let sessions = connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE state = 'done' AND forget_ms < ?1 LIMIT ?2)",
        )?
        .execute([now_ms, AT_ONCE])?;
    let kept: i64 = connection
        .prepare_cached("SELECT count(*) FROM sessions WHERE state = 'done'")?
        .query_row([], |row| row.get(0))?;
    // Not before their lifetime is over: until then a credential is known again by its session.
    let surplus = connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN
             (SELECT id FROM sessions WHERE state = 'done' AND forget_ms < ?1 ORDER BY forget_ms LIMIT ?2)",
        )?
        .execute([
            now_ms.saturating_add(keep_ms),
            kept.saturating_sub(MOST_KEPT).clamp(0, AT_ONCE),
        ])?;
    let left = connection
        .prepare_cached("SELECT count(*) FROM nonces")?
        .query_row([], |row| total(row, 0))?;
    let full = |count: usize| i64::try_from(count).unwrap_or(i64::MAX) >= AT_ONCE;
    Ok((left, full(nonces) || full(sessions) || full(surplus)))
}

/// A session in the operator's list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its identifier.
    pub accounting_session_id: String,
    /// The service's name.
    pub service: String,
    /// The manager's.
    pub manager: String,
    /// `granted`, `open`, `ended` (and not yet acknowledged) or `done`.
    pub state: String,
    /// Why it ended.
    pub cause: Option<String>,
    /// Where it is used from.
    pub address: String,
    /// What it has used of what is collected.
    pub used: Data,
    /// Up to where it may.
    pub granted: Data,
    /// No more will be granted.
    pub last: bool,
    /// Accounting messages made.
    pub messages: u64,
    /// Of these not acknowledged.
    pub unacknowledged: u64,
    /// Milliseconds since 1970.
    pub created_unix_ms: i64,
    /// The end of its lifetime, seconds since 1970.
    pub not_after: i64,
    #[serde(skip)]
    pub(crate) collect: Vec<Measure>,
}

/// Sessions as they are stored, the newest first; those in memory may have used more.
///
/// # Errors
/// The database's.
pub fn list(connection: &Connection, limit: u32) -> Result<Vec<Line>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT id, credential, manager, state, cause, address, time_ms, octets, requests, granted, last, sequence,
         (SELECT count(*) FROM messages WHERE session = id), created_ms
         FROM sessions ORDER BY created_ms DESC, id LIMIT ?1",
    )?;
    let lines = statement.query_map([limit], |row| {
        let credential: UserCredential = json(row, 1)?;
        let used = Totals {
            time_ms: total(row, 6)?,
            octets: total(row, 7)?,
            requests: total(row, 8)?,
        };
        Ok(Line {
            accounting_session_id: row.get(0)?,
            service: credential.policies.service,
            manager: row.get(2)?,
            state: row.get(3)?,
            cause: row.get(4)?,
            address: row.get(5)?,
            used: used.data(&credential.policies.collect),
            granted: json(row, 9)?,
            last: row.get(10)?,
            messages: total(row, 11)?,
            unacknowledged: total(row, 12)?,
            created_unix_ms: row.get(13)?,
            not_after: credential.policies.not_after,
            collect: credential.policies.collect,
        })
    })?;
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(connection: &Connection) -> i64 {
        let count = connection.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0));
        count.unwrap()
    }

    #[test]
    fn what_is_old_is_forgotten_and_nothing_that_is_needed() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        let session = |id: &str, state: &str, forget_ms: i64| {
            let sql = "INSERT INTO sessions (id, digest, credential, acknowledgement, manager, is_udp, state, address, granted,
                       created_ms, forget_ms) VALUES (?1, '', '{}', '', '', 0, ?2, '', '{}', 0, ?3)";
            connection
                .execute(sql, params![id, state, forget_ms])
                .unwrap();
        };
        session("old", "done", 99);
        session("new", "done", 101);
        session("untold", "ended", 99);
        let nonce = |nonce: &str, until_ms: i64| {
            let sql = "INSERT INTO nonces VALUES ('new', ?1, ?2)";
            connection.execute(sql, params![nonce, until_ms]).unwrap();
        };
        nonce("a", 99);
        nonce("b", 101);
        assert_eq!(tidy(&connection, 100, 50).unwrap(), (1, false));
        assert_eq!(sessions(&connection), 2);
        // Too many: those whose lifetime is over go first, the rest stays whatever it is.
        let many = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
                    INSERT INTO sessions SELECT 'x' || i, '', '{}', '', '', 0, 'done', NULL, '', 0, 0, 0, '{}', 0, 0, 0,
                    iif(i <= 1500, 140, 160) FROM n";
        connection.execute(many, [MOST_KEPT + 2_000]).unwrap();
        assert_eq!(tidy(&connection, 100, 50).unwrap(), (1, true));
        assert_eq!(tidy(&connection, 100, 50).unwrap(), (1, false));
        assert_eq!(sessions(&connection), 1 + MOST_KEPT + 500);
    }
}
