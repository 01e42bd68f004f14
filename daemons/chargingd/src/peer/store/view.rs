//! What operators see.

use std::net::IpAddr;

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use tollwire_peer::{Cause, Data, Reason};

use super::{Error, json, session_of};
use crate::peer::measure::{Per, to_data};
use crate::peer::session::{Flags, Message, Session, State};

/// Lists are cut after so many rows.
const LONGEST_LIST: u32 = 10_000;

/// A session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionView {
    /// Its name.
    pub accounting_session_id: Box<str>,
    /// `issuing`, `granted`, `open`, `failing` or `closed`.
    pub state: &'static str,
    /// The name of the user's certificate.
    pub user: Box<str>,
    /// Where he asked from.
    pub ip: IpAddr,
    /// The port that he sends from, through a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub udp_port: Option<u16>,
    /// The service's name.
    pub service: Box<str>,
    /// The name of its provider's certificate.
    pub provider: Box<str>,
    /// When it was asked for.
    pub began_unix_ms: i64,
    /// When its lifetime is over, seconds since 1970.
    pub not_after: i64,
    /// When the provider was last heard of.
    pub heard_unix_ms: i64,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_unix_ms: Option<i64>,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Why nothing came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<tollwire_peer::Refusal>,
    /// The last message that was dealt with.
    pub sequence: i64,
    /// As last reported.
    pub used: Data,
    /// Charged.
    pub charged: Data,
    /// What may be used in all.
    pub granted: Data,
    /// No more will be granted.
    pub last: bool,
    /// What it has cost, micro-units.
    pub cost_micro: i64,
    /// ISO 4217; empty if nothing was held.
    pub currency: &'static str,
    /// What passed its gate, octets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passed_octets: Option<u64>,
    /// What should be looked at.
    pub flags: Flags,
    /// Why the provider was told to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Reason>,
    /// Whether it has still to be told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub revocation_owed: bool,
    /// Its messages; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<MessageView>>,
}

/// An accounting message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageView {
    /// e1
    pub id: Box<str>,
    /// e3
    pub sequence: i64,
    /// Why the session ended, of a final one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// e5
    pub data: Per<Option<i64>>,
    /// When it came.
    pub taken_unix_ms: i64,
    /// `acknowledged`, `refused` or `pending`.
    pub state: &'static str,
}

impl From<Session> for SessionView {
    fn from(session: Session) -> Self {
        let groups = session.terms.rating_groups;
        let mut reported = Data::default();
        for (measure, _) in groups.all() {
            let total = session.reported.of(measure);
            reported.set(measure, u64::try_from(total).ok());
        }
        let currency = u16::try_from(session.currency).ok();
        let currency = currency.and_then(iso_currency::Currency::from_numeric);
        Self {
            state: session.state.name(),
            began_unix_ms: session.began_ms,
            not_after: session.not_after,
            heard_unix_ms: session.heard_ms,
            ended_unix_ms: session.ended_ms,
            used: reported,
            charged: to_data(&groups, &session.charged),
            granted: to_data(&groups, &session.granted),
            currency: currency.map_or("", |currency| currency.code()),
            passed_octets: session.terms.gate.as_ref().map(|_| session.counted.total()),
            revoked: session.revocation.map(|revocation| revocation.reason),
            revocation_owed: session.owes_revocation(),
            messages: None,
            accounting_session_id: session.id,
            user: session.user,
            ip: session.ip,
            udp_port: session.udp_port,
            service: session.terms.service,
            provider: session.terms.provider,
            cause: session.cause,
            failure: session.failure,
            sequence: session.sequence,
            last: session.last,
            cost_micro: session.cost_micro,
            flags: session.flags,
        }
    }
}

/// The newest sessions, the newest first, in a state if one is given.
///
/// # Errors
/// The database's.
pub fn list(
    connection: &Connection,
    state: Option<State>,
    limit: u32,
) -> Result<Vec<SessionView>, Error> {
    let condition = match state {
        Some(_) => "state = ?1",
        None => "?1 IS NULL",
    };
    let sql =
        format!("SELECT body FROM sessions WHERE {condition} ORDER BY began_ms DESC, id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![state.map(State::name), limit.min(LONGEST_LIST)],
        |row| session_of(row, 0),
    )?;
    rows.map(|row| row.map(SessionView::from)).collect()
}

/// The session of this name, with its messages.
///
/// # Errors
/// The database's.
pub fn find(connection: &Connection, id: &str) -> Result<Option<SessionView>, Error> {
    let sql = "SELECT body FROM sessions WHERE id = ?1";
    let session = connection
        .prepare_cached(sql)?
        .query_row([id], |row| session_of(row, 0))
        .optional()?;
    let Some(session) = session else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(
        "SELECT body, taken_ms, answer IS NOT NULL, refusal IS NOT NULL FROM messages WHERE session = ?1 \
         ORDER BY sequence DESC LIMIT ?2",
    )?;
    let messages = statement.query_map(params![id, LONGEST_LIST], |row| {
        let message: Message = json(0, row.get_ref(0)?.as_str()?)?;
        let state = match (row.get(2)?, row.get(3)?) {
            (true, _) => "acknowledged",
            (false, true) => "refused",
            (false, false) => "pending",
        };
        Ok(MessageView {
            id: message.id,
            sequence: message.sequence,
            cause: message.cause,
            data: message.data,
            taken_unix_ms: row.get(1)?,
            state,
        })
    })?;
    let mut view = SessionView::from(session);
    view.messages = Some(messages.collect::<Result<_, _>>()?);
    Ok(Some(view))
}
