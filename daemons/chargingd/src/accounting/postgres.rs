//! The storage on a PostgreSQL server, where several instances keep records at once.
//!
//! A group of records is one transaction of two flights: the first takes a lock and reads what is known, the second
//! writes and commits. So the groups of all instances are judged one after another, each with what those before it have
//! kept. The unique key of a record stands behind that.

use std::borrow::Cow;
use std::collections::HashMap;
use std::pin::Pin;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::read::{self, ELEMENTS, Found, RANGES};
use super::rows::{self, sub_session};
use super::schema::MIGRATIONS;
use super::{Backend, BackendError, Change, Element, Key, Known, Look};
use crate::store::postgres::flight::{self, Parameter, Step};
use crate::store::postgres::schema::{self, ACCOUNTING, LOCKS};
use crate::store::postgres::{Complaint, Session, explain, values, within};
use crate::store::{Cause, Queries, Row, Server, Unwritten, Value, postgres};

/// A database that several instances share.
pub(crate) struct Postgres {
    line: postgres::Postgres,
    /// The newest change of an element that is known here.
    seen: i64,
}

impl Postgres {
    /// Of `server`; connects when it is needed.
    pub(crate) fn new(server: &Server) -> Result<Self, Cause> {
        Ok(Self {
            line: postgres::Postgres::new(server)?,
            seen: -1,
        })
    }
}

/// Keys and digests as arrays, in their order; what is kept under each.
const KNOWN: &str = "SELECT kept.records, kept.same, started, stopped, session.records, first_number, last_number,
        first_unix_ms, last_unix_ms
 FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bytea[]) WITH ORDINALITY
        AS asked (session_id, element, record_type, number, sub_session, digest, place)
 CROSS JOIN LATERAL
      (SELECT count(*) AS records, count(*) FILTER (WHERE record.digest = asked.digest) AS same FROM record
       WHERE record.session_id = asked.session_id AND record.element = asked.element
         AND record.record_type = asked.record_type AND record.number = asked.number
         AND record.sub_session = asked.sub_session) AS kept
 LEFT JOIN session ON session.session_id = asked.session_id AND session.element = asked.element
 ORDER BY place";

const TOUCH: &str = "UPDATE element SET changed = $1 WHERE name = ANY($2)";

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Vec<tokio_postgres::Row>, Error>> + 'a>>;

fn ask<'a>(
    client: &'a Client,
    statement: &'a Statement,
    parameters: &'a [&'a (dyn ToSql + Sync)],
) -> Asked<'a> {
    Box::pin(client.query(statement, parameters))
}

/// Has the tables made, and no transaction open.
async fn ready(session: &mut Session, server: &Server) -> Result<(), Cause> {
    if session.locked {
        session.locked = false;
        let ended = session.client.batch_execute("ROLLBACK").await;
        ended.map_err(explain)?;
    }
    if !session.prepared {
        if let Some(schema) = &server.schema {
            schema::make(&session.client, schema).await?;
        }
        schema::prepare_shared(&session.client).await?;
        schema::migrate(&session.client, MIGRATIONS).await?;
        session.prepared = true;
    }
    Ok(())
}

/// What is known of `names`, and the elements that others have changed after `seen`. The transaction stays open.
async fn look(
    session: &mut Session,
    names: &[(&Key, &[u8; 16])],
    seen: i64,
) -> Result<(Vec<Known>, Found), Cause> {
    let lock = "SELECT pg_advisory_xact_lock($1, $2)";
    let lock = session.statement(lock).await.map_err(explain)?;
    let elements = session.statement(ELEMENTS).await.map_err(explain)?;
    let ranges = session.statement(RANGES).await.map_err(explain)?;
    let known = session.statement(KNOWN).await.map_err(explain)?;
    let session_ids: Vec<&str> = names.iter().map(|(key, _)| &*key.session_id).collect();
    let of: Vec<&str> = names.iter().map(|(key, _)| &*key.element).collect();
    let types: Vec<i64> = (names.iter())
        .map(|(key, _)| key.record_type.number().into())
        .collect();
    let numbers: Vec<i64> = names.iter().map(|(key, _)| key.number.into()).collect();
    let subs: Vec<String> = names.iter().map(|(key, _)| sub_session(key)).collect();
    let digests: Vec<&[u8]> = names.iter().map(|(_, digest)| digest.as_slice()).collect();
    session.locked = true;
    let client = &session.client;
    let begin = async { client.batch_execute("BEGIN").await.map(|()| Vec::new()) };
    let lock_keys: [&(dyn ToSql + Sync); 2] = [&LOCKS, &ACCOUNTING];
    let since: [&(dyn ToSql + Sync); 1] = [&seen];
    let asked: [&(dyn ToSql + Sync); 6] = [&session_ids, &of, &types, &numbers, &subs, &digests];
    // Each statement sees what was committed before it began, and those behind the lock all of it.
    let all: Vec<Asked<'_>> = vec![
        Box::pin(begin),
        ask(client, &lock, &lock_keys),
        ask(client, &elements, &since),
        ask(client, &ranges, &since),
        ask(client, &known, &asked),
    ];
    let answers: Result<Vec<_>, Error> = flight::together(all).await.into_iter().collect();
    let answers = answers.map_err(explain)?;
    let mut found = Found::default();
    let mut known = Vec::with_capacity(names.len());
    if let [_, _, elements, ranges, names] = &*answers {
        for row in elements {
            found.element(Row(&values(row).map_err(explain)?))?;
        }
        for row in ranges {
            found.range(Row(&values(row).map_err(explain)?))?;
        }
        for row in names {
            known.push(known_of(Row(&values(row).map_err(explain)?))?);
        }
    }
    Ok((known, found))
}

fn known_of(row: Row<'_>) -> Result<Known, Cause> {
    Ok(Known {
        records: row.integer(0)?.try_into()?,
        same: row.integer(1)? > 0,
        session: match row.optional_integer(2)? {
            Some(_) => Some(read::session(row, 2)?),
            None => None,
        },
    })
}

async fn commit(session: &mut Session, changes: &[Change], number: i64) -> Result<(), Cause> {
    if !session.locked {
        return Err("the connection to the database is lost".into());
    }
    let batch = rows::batch(changes);
    let mut steps = Vec::new();
    for of in &batch.tables {
        let statement = session.statement(&flight::insert(of.table)).await;
        steps.push(Step {
            statement: statement.map_err(explain)?,
            parameters: flight::columns(of),
        });
    }
    for removal in &batch.removals {
        steps.push(Step {
            statement: session.statement(removal.sql).await.map_err(explain)?,
            parameters: removal.parameters.iter().map(Parameter::One).collect(),
        });
    }
    let touched = rows::elements(changes);
    if !touched.is_empty() {
        let touched = touched.into_iter().map(|name| Some(Cow::Borrowed(name)));
        steps.push(Step {
            statement: session.statement(TOUCH).await.map_err(explain)?,
            parameters: vec![
                Parameter::Number(number),
                Parameter::Texts(touched.collect()),
            ],
        });
    }
    let finished = flight::finish(&session.client, &steps).await;
    // Should it have been committed without our knowing, the element sends its records again, and they are known.
    finished.map_err(|error| match error {
        Unwritten::Refused(cause) | Unwritten::Unknown(cause) => cause,
    })?;
    session.locked = false;
    Ok(())
}

impl Queries for Postgres {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        self.line.query(sql, parameters, each)
    }
}

impl Backend for Postgres {
    fn elements(&mut self) -> Result<HashMap<Box<str>, Element>, BackendError> {
        self.line.run(async |session, server| {
            within(server.takeover * 2, ready(session, server)).await
        })?;
        let (elements, newest) = read::elements(&mut self.line)?;
        self.seen = newest;
        Ok(elements)
    }

    fn look(&mut self, names: &[(&Key, &[u8; 16])]) -> Result<Look, BackendError> {
        let seen = self.seen;
        let (known, found) = self.line.run(async |session, server| {
            // Others may hold the lock for as long.
            within(server.takeover * 2, async {
                ready(session, server).await?;
                look(session, names, seen).await
            })
            .await
        })?;
        let (elements, newest) = found.whole();
        self.seen = seen.max(newest);
        if known.len() != names.len() {
            return Err(BackendError::Failed("the database left a name out".into()));
        }
        Ok(Look { known, elements })
    }

    fn commit(&mut self, changes: &[Change]) -> Result<(), BackendError> {
        let number = self.seen.saturating_add(1).max(1);
        self.line.run(async |session, server| {
            within(server.takeover, commit(session, changes, number)).await
        })?;
        if !rows::elements(changes).is_empty() {
            self.seen = number;
        }
        Ok(())
    }

    fn forget(&mut self, before_unix_ms: i64, count: u32) -> Result<bool, BackendError> {
        let most = i64::from(count);
        let gone = self.line.run(async |session, server| {
            within(server.takeover * 2, async {
                ready(session, server).await?;
                let transaction = session.client.transaction().await.map_err(explain)?;
                let lock = "SELECT pg_advisory_xact_lock($1, $2)";
                let locked = transaction.execute(lock, &[&LOCKS, &ACCOUNTING]).await;
                locked.map_err(explain)?;
                let sql = "DELETE FROM record WHERE id IN
                     (SELECT id FROM record WHERE received_unix_ms < $1 LIMIT $2)";
                let records = transaction.execute(sql, &[&before_unix_ms, &most]).await;
                let records = records.map_err(explain)?;
                let sql = "DELETE FROM session WHERE (session_id, element) IN
                     (SELECT session_id, element FROM session WHERE last_unix_ms < $1 LIMIT $2)";
                let sessions = transaction.execute(sql, &[&before_unix_ms, &most]).await;
                let sessions = sessions.map_err(explain)?;
                transaction.commit().await.map_err(explain)?;
                Ok(records.max(sessions))
            })
            .await
        })?;
        Ok(gone >= u64::from(count))
    }

    fn is_shared(&self) -> bool {
        true
    }
}

/// SQLSTATE for a disk without space.
const DISK_FULL: &str = "53100";

impl From<Cause> for BackendError {
    fn from(cause: Cause) -> Self {
        let is_full = |cause: &Complaint| cause.code == DISK_FULL;
        if cause.downcast_ref().is_some_and(is_full) {
            return Self::Full(cause.to_string());
        }
        match cause.downcast::<rusqlite::Error>() {
            Ok(error) => (*error).into(),
            Err(cause) => Self::Failed(cause.to_string()),
        }
    }
}
