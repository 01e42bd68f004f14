//! Tables, and what is asked of them. Each function is run in one transaction.

mod schema;
mod view;

pub use schema::MIGRATIONS;
pub use view::{MessageView, SessionView, find, list};

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollwire_peer::Refusal;

use super::core::{MOST_PENDING, Recovered};
use super::effect::{Change, Credentials};
use super::event::{Answer, Begun, Taken};
use super::session::{Message, Session, State};

/// Why something is not stored, or cannot be read.
pub type Error = rusqlite::Error;

/// Rows that are removed in one transaction.
const PORTION: u32 = 10_000;
/// How long what nothing came of is known, milliseconds: anybody with a certificate may ask.
const FAILED_MS: i64 = 3_600_000;
/// Messages of a session that are known, from the last: an older one that comes again moves nothing, and is acknowledged anew.
const MOST_MESSAGES: i64 = 1000;

fn json<T: DeserializeOwned>(column: usize, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| {
        Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn written<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

fn session_of(row: &Row<'_>, column: usize) -> Result<Session, Error> {
    json(column, row.get_ref(column)?.as_str()?)
}

/// Notes a nonce; whether it is new.
fn nonce_is_new(
    connection: &Connection,
    party: &str,
    nonce: &str,
    until_ms: i64,
) -> Result<bool, Error> {
    let sql = "INSERT OR IGNORE INTO nonces (party, nonce, until_ms) VALUES (?1, ?2, ?3)";
    let rows = connection
        .prepare_cached(sql)?
        .execute(params![party, nonce, until_ms])?;
    Ok(rows == 1)
}

/// Stores a request, if nothing of it is there.
///
/// # Errors
/// The database's.
pub fn begin(
    connection: &Connection,
    session: &Session,
    (digest, chain): (&str, &str),
    (nonce, nonce_until_ms): (&str, i64),
) -> Result<Begun, Error> {
    let sql = "SELECT digest, body, service_credential FROM sessions WHERE request_id = ?1";
    let known = connection
        .prepare_cached(sql)?
        .query_row([&session.request_id], |row| {
            let digest: Box<str> = row.get(0)?;
            Ok((
                digest,
                session_of(row, 1)?,
                row.get::<_, Option<Arc<str>>>(2)?,
            ))
        })
        .optional()?;
    if let Some((known, session, credential)) = known {
        return Ok(match *known == *digest {
            true => Begun::Known(Box::new(session), credential),
            false => Begun::Replayed,
        });
    }
    if !nonce_is_new(connection, &session.user, nonce, nonce_until_ms)? {
        return Ok(Begun::Replayed);
    }
    connection
        .prepare_cached(
            "INSERT INTO sessions (id, request_id, digest, nonce, user, service, provider, state, open, began_ms, changed_ms, \
             user_chain, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, ?9, ?9, ?10, ?11)",
        )?
        .execute(params![
            session.id,
            session.request_id,
            digest,
            nonce,
            session.user,
            session.terms.service,
            session.terms.provider,
            session.state.name(),
            session.began_ms,
            chain,
            written(session)?,
        ])?;
    Ok(Begun::Stored)
}

/// Stores a message, if it is new, and with it the session as it then is.
///
/// # Errors
/// The database's.
pub fn take(
    connection: &Connection,
    message: &Message,
    ordered: Option<&Session>,
    at_ms: i64,
) -> Result<Taken, Error> {
    let sql = "SELECT body FROM sessions WHERE id = ?1";
    let session = connection
        .prepare_cached(sql)?
        .query_row([&message.session], |row| session_of(row, 0))
        .optional()?;
    let Some(session) = session else {
        return Ok(Taken::Unknown);
    };
    if session.terms.provider != message.from {
        return Ok(Taken::NotYours);
    }
    let sql = "SELECT digest, answer, refusal FROM messages WHERE session = ?1 AND id = ?2";
    let known = connection
        .prepare_cached(sql)?
        .query_row([&message.session, &message.id], |row| {
            let refusal = row.get_ref(2)?.as_str_or_null()?;
            let refusal = refusal.map(|text| json::<Refusal>(2, text)).transpose()?;
            Ok((
                row.get::<_, Box<str>>(0)?,
                row.get::<_, Option<Arc<str>>>(1)?,
                refusal,
            ))
        })
        .optional()?;
    let (party, nonce, until) = (&message.from, &message.nonce, message.nonce_until_ms);
    if let Some((digest, answer, refusal)) = known {
        if digest != message.digest {
            return Ok(Taken::Replayed);
        }
        // It may have been signed again meanwhile.
        nonce_is_new(connection, party, nonce, until)?;
        return Ok(match (answer, refusal) {
            (Some(answer), _) => Taken::Answered(Answer { said: Ok(answer) }),
            (None, Some(refusal)) => Taken::Answered(Answer { said: Err(refusal) }),
            (None, None) => Taken::Pending(Box::new(session)),
        });
    }
    let sql =
        "SELECT count(*) FROM messages WHERE session = ?1 AND answer IS NULL AND refusal IS NULL";
    let waiting: u32 = connection
        .prepare_cached(sql)?
        .query_row([&message.session], |row| row.get(0))?;
    if waiting as usize >= MOST_PENDING {
        return Ok(Taken::Full);
    }
    if !nonce_is_new(connection, party, nonce, until)? {
        return Ok(Taken::Replayed);
    }
    let rows = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO messages (session, id, sequence, digest, taken_ms, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            message.session,
            message.id,
            message.sequence,
            message.digest,
            at_ms,
            written(message)?,
        ])?;
    if rows == 0 {
        return Ok(Taken::Replayed);
    }
    match ordered {
        Some(ordered) => {
            put(connection, ordered, at_ms)?;
            Ok(Taken::Stored(Box::new(ordered.clone())))
        }
        None => Ok(Taken::Stored(Box::new(session))),
    }
}

fn put(connection: &Connection, session: &Session, at_ms: i64) -> Result<(), Error> {
    let rows = connection
        .prepare_cached(
            "UPDATE sessions SET state = ?2, open = ?3, changed_ms = ?4, body = ?5 WHERE id = ?1",
        )?
        .execute(params![
            session.id,
            session.state.name(),
            !session.is_over(),
            at_ms,
            written(session)?,
        ])?;
    match rows {
        1 => Ok(()),
        _ => Err(Error::QueryReturnedNoRows),
    }
}

/// Stores a change.
///
/// # Errors
/// The database's; also if the session or the message is not there.
pub fn change(connection: &Connection, change: &Change, at_ms: i64) -> Result<(), Error> {
    let session = &change.session;
    put(connection, session, at_ms)?;
    if let Some(Credentials {
        user_credential,
        service_credential,
    }) = &change.credentials
    {
        connection
            .prepare_cached(
                "UPDATE sessions SET user_credential = ?2, service_credential = ?3 WHERE id = ?1",
            )?
            .execute(params![session.id, user_credential, service_credential])?;
    }
    if let Some((message, answer)) = &change.answered {
        let (answer, refusal) = match &answer.said {
            Ok(token) => (Some(token), None),
            Err(refusal) => (None, Some(written(refusal)?)),
        };
        let rows = connection
            .prepare_cached(
                "UPDATE messages SET answer = ?3, refusal = ?4 WHERE session = ?1 AND id = ?2",
            )?
            .execute(params![session.id, message, answer, refusal])?;
        if rows != 1 {
            return Err(Error::QueryReturnedNoRows);
        }
        let oldest = session.sequence.saturating_sub(MOST_MESSAGES);
        connection
            .prepare_cached(
                "DELETE FROM messages WHERE session = ?1 AND sequence <= ?2 AND (answer IS NOT NULL OR refusal IS NOT NULL)",
            )?
            .execute(params![session.id, oldest])?;
    }
    // What failed for now may be asked for again, by the same octets.
    let failure = session.failure.as_ref();
    if session.state == State::Closed && failure.is_some_and(|it| it.error.is_temporary()) {
        connection
            .prepare_cached(
                "DELETE FROM nonces WHERE (party, nonce) IN (SELECT user, nonce FROM sessions WHERE id = ?1 \
                 AND request_id IS NOT NULL)",
            )?
            .execute([&session.id])?;
        connection
            .prepare_cached("UPDATE sessions SET request_id = NULL WHERE id = ?1")?
            .execute([&session.id])?;
    }
    Ok(())
}

/// Every session that there is something to do for, the oldest first, with its messages that are not answered.
///
/// # Errors
/// The database's.
pub fn open(connection: &Connection) -> Result<Vec<Recovered>, Error> {
    let pending = "answer IS NULL AND refusal IS NULL";
    let sql = format!(
        "SELECT body, user_credential, service_credential FROM sessions WHERE open = 1 \
         OR id IN (SELECT session FROM messages WHERE {pending}) ORDER BY began_ms"
    );
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| {
        let credentials = match (row.get(1)?, row.get(2)?) {
            (Some(user_credential), Some(service_credential)) => Some(Credentials {
                user_credential,
                service_credential,
            }),
            _ => None,
        };
        Ok((session_of(row, 0)?, credentials))
    })?;
    let sql =
        format!("SELECT body FROM messages WHERE session = ?1 AND {pending} ORDER BY sequence");
    let mut messages = connection.prepare(&sql)?;
    rows.map(|row| {
        let (session, credentials) = row?;
        let pending = messages.query_map([&session.id], |row| {
            json::<Message>(0, row.get_ref(0)?.as_str()?)
        })?;
        Ok(Recovered {
            pending: pending.collect::<Result<_, Error>>()?,
            session,
            credentials,
        })
    })
    .collect()
}

/// Whose a session that runs is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// accounting_session_id
    pub session: Box<str>,
    /// The user's certificate with those that lead to a root, PEM.
    pub user_chain: String,
    /// The name of the provider's certificate.
    pub provider: Box<str>,
}

/// Of each session that runs.
///
/// # Errors
/// The database's.
pub fn parties(connection: &Connection) -> Result<Vec<Parties>, Error> {
    let sql = "SELECT id, user_chain, provider FROM sessions WHERE open = 1 AND state IN ('issuing', 'granted', 'open')";
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(Parties {
            session: row.get(0)?,
            user_chain: row.get(1)?,
            provider: row.get(2)?,
        })
    })?;
    rows.collect()
}

/// Forgets nonces that are too old to be taken, requests that nothing came of, and sessions that were over before then, with
/// their messages. How many of the latter two.
///
/// # Errors
/// The database's.
pub fn forget(connection: &Connection, now_ms: i64, before_ms: i64) -> Result<usize, Error> {
    connection
        .prepare_cached(
            "DELETE FROM nonces WHERE (party, nonce) IN (SELECT party, nonce FROM nonces WHERE until_ms < ?1 LIMIT ?2)",
        )?
        .execute(params![now_ms, PORTION])?;
    let failed = connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE open = 0 AND changed_ms < ?1 \
             AND (service_credential IS NULL OR request_id IS NULL) LIMIT ?2)",
        )?
        .execute(params![now_ms.saturating_sub(FAILED_MS), PORTION])?;
    let old = connection
        .prepare_cached(
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE open = 0 AND changed_ms < ?1 LIMIT ?2)",
        )?
        .execute(params![before_ms, PORTION])?;
    Ok(failed + old)
}
