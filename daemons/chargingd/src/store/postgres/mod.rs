//! The store on a PostgreSQL server, which several instances share.
//!
//! One of them writes: the one whose connection holds an advisory lock. A lost connection is a lost lock, and another
//! takes over. Should a connection outlive its lock, behind a pooler perhaps, its transactions still fail: each of
//! them counts on its own row of `writer`, which whoever takes over has closed.
//!
//! A transaction is one round trip, whatever is in it.

pub(crate) mod flight;
mod parts;
pub(crate) mod schema;
mod server;

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error, Statement};
use tollwire_runtime::clock::Now;

use super::backend::{Backend, Cause, Queries, Row, Standing, Unwritten, Value};
use super::batch::Batch;
use super::schema::MIGRATIONS;
use flight::{Parameter, Step};
use schema::LOCKS;

pub(crate) use parts::Directory;
pub use server::{Server, Url};

pub(super) use parts::OtherDivision;

/// Rows of `writer` that are kept, the newest.
const HISTORY: i64 = 1000;

/// Rows read at a time.
const PAGE: i32 = 10_000;

/// Fails, and the transaction with it, unless this instance still is the one that writes.
const FENCE: &str =
    "WITH mine AS (UPDATE writer SET batch = $2 WHERE epoch = $1 AND closed = 0 RETURNING epoch)
     SELECT 1 / count(*) FROM mine";

/// A connection to the server, made again when it is lost.
pub(crate) struct Postgres {
    server: Server,
    runtime: Runtime,
    /// Names this process among all instances and their restarts.
    instance: String,
    session: Option<Session>,
    /// The transaction that may be committed or not.
    doubt: Option<Doubt>,
}

pub(crate) struct Session {
    pub(crate) client: Client,
    statements: HashMap<String, Statement>,
    /// Whether the tables stand.
    pub(crate) prepared: bool,
    /// Whether the lock is held: by the connection, or by the open transaction.
    pub(crate) locked: bool,
    /// The row of `writer`, and transactions counted in it.
    epoch: Option<(i64, i64)>,
}

#[derive(Clone, Copy)]
struct Doubt {
    epoch: i64,
    batch: i64,
}

impl Postgres {
    /// Of `server`; connects when it is needed.
    pub(crate) fn new(server: &Server) -> Result<Self, Cause> {
        Ok(Self {
            server: server.clone(),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            instance: format!("{:016x}", getrandom::u64()?),
            session: None,
            doubt: None,
        })
    }

    /// A connection for questions alone.
    pub(crate) fn read_only(server: &Server) -> Result<Self, Cause> {
        let mut postgres = Self::new(server)?;
        let sql = "SET default_transaction_read_only = on";
        postgres.run(async |session, _| Ok(session.client.batch_execute(sql).await?))?;
        Ok(postgres)
    }

    /// Connects if there is no connection, and runs `work` on it. A connection that fails is given up.
    pub(crate) fn run<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Session, &Server) -> Result<T, Cause>,
    ) -> Result<T, Cause> {
        let Self {
            server,
            runtime,
            session,
            ..
        } = self;
        let done = runtime.block_on(async {
            if session.as_ref().is_none_or(|it| it.client.is_closed()) {
                *session = Some(Session::open(server).await?);
            }
            match session {
                Some(session) => work(session, server).await,
                None => Err("no connection".into()),
            }
        });
        if done.is_err() {
            self.hang_up();
        }
        done
    }

    fn hang_up(&mut self) {
        // Its task on the runtime closes the socket when it is polled next.
        if self.session.take().is_some() {
            self.runtime.block_on(tokio::task::yield_now());
        }
    }
}

/// `work`, if it is done in time.
pub(crate) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, Cause>>,
) -> Result<T, Cause> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(format!("no answer in {} s", time.as_secs()).into()))
}

impl Session {
    async fn open(server: &Server) -> Result<Self, Cause> {
        within(server.takeover, async {
            let client = server.connect().await?;
            parts::enter(&client, server.division).await?;
            Ok(Self {
                client,
                statements: HashMap::new(),
                prepared: false,
                locked: false,
                epoch: None,
            })
        })
        .await
    }

    pub(crate) async fn statement(&mut self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn lock(&mut self, server: &Server) -> Result<bool, Error> {
        if !self.locked {
            let writer = parts::lock(server.division);
            let statement = (self.statement("SELECT pg_try_advisory_lock($1, $2)")).await?;
            let row = (self.client.query_one(&statement, &[&LOCKS, &writer])).await?;
            self.locked = row.get(0);
        }
        Ok(self.locked)
    }

    /// The instance that writes, and its Origin-Host.
    async fn active(&mut self) -> Result<Option<(String, String)>, Error> {
        let sql = "SELECT instance, origin_host FROM writer WHERE closed = 0";
        let statement = self.statement(sql).await?;
        let row = self.client.query_opt(&statement, &[]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1))))
    }

    /// Ends the connections on which `instance` wrote before: a server may hold on to one that is lost, and to its lock.
    async fn end_former(&self, instance: &str) -> Result<(), Error> {
        let sql = "SELECT pg_terminate_backend(activity.pid)
             FROM writer JOIN pg_stat_activity AS activity
               ON activity.pid = writer.backend AND activity.pid <> pg_backend_pid()
              AND extract(epoch FROM activity.backend_start)::text = writer.backend_start
             WHERE writer.instance = $1";
        self.client.query(sql, &[&instance]).await.map(drop)
    }

    /// From here on nobody else's transactions succeed.
    async fn open_epoch(&mut self, origin_host: &str, instance: &str) -> Result<(), Error> {
        let now = Now::read().unix_ms;
        let transaction = self.client.transaction().await?;
        // Waits for a transaction that is being committed under it.
        transaction
            .execute("UPDATE writer SET closed = 1 WHERE closed = 0", &[])
            .await?;
        let row = transaction
            .query_one(
                "INSERT INTO writer (epoch, origin_host, instance, backend, backend_start, batch, closed, unix_ms)
                 SELECT coalesce((SELECT max(epoch) FROM writer), 0) + 1, $1, $2, pid,
                        extract(epoch FROM backend_start)::text, 0, 0, $3
                 FROM pg_stat_activity WHERE pid = pg_backend_pid()
                 RETURNING epoch",
                &[&origin_host, &instance, &now],
            )
            .await?;
        let epoch: i64 = row.get(0);
        transaction
            .execute(
                "DELETE FROM writer WHERE epoch <= $1",
                &[&(epoch - HISTORY)],
            )
            .await?;
        transaction.commit().await?;
        self.epoch = Some((epoch, 0));
        Ok(())
    }

    async fn begin(&mut self, server: &Server, instance: &str) -> Result<Standing, Cause> {
        if !self.prepared {
            schema::prepare(&self.client, server.division).await?;
            self.prepared = true;
        }
        if !self.lock(server).await.map_err(explain)? {
            return match self.active().await.map_err(explain)? {
                Some((writer, _)) if writer == instance => {
                    self.end_former(instance).await.map_err(explain)?;
                    Err("a former connection of this instance still holds its place".into())
                }
                // One that is called as this one is what this one was before it was started again.
                other => Ok(Standing::Standby(
                    other
                        .map(|(_, origin_host)| origin_host)
                        .filter(|it| !it.eq_ignore_ascii_case(&server.origin_host)),
                )),
            };
        }
        schema::migrate(&self.client, MIGRATIONS).await?;
        parts::watch_identities(&self.client, server.division).await?;
        self.open_epoch(&server.origin_host, instance)
            .await
            .map_err(explain)?;
        Ok(Standing::Active)
    }

    async fn write(&mut self, batch: &Batch<'_>) -> Result<(), Unwritten> {
        let Some((epoch, count)) = self.epoch else {
            return Err(Unwritten::Refused(
                "this instance is not the one that writes".into(),
            ));
        };
        let mut steps = vec![Step {
            statement: self.statement(FENCE).await.map_err(explain)?,
            parameters: vec![Parameter::Number(epoch), Parameter::Number(count)],
        }];
        for of in &batch.tables {
            steps.push(Step {
                statement: (self.statement(&flight::insert(of.table)).await).map_err(explain)?,
                parameters: flight::columns(of),
            });
        }
        for removal in &batch.removals {
            steps.push(Step {
                statement: self.statement(removal.sql).await.map_err(explain)?,
                parameters: removal.parameters.iter().map(Parameter::One).collect(),
            });
        }
        flight::transaction(&self.client, &steps).await
    }
}

impl Queries for Postgres {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        self.run(async |session, _| {
            let parameters: Vec<&(dyn ToSql + Sync)> = (parameters.iter())
                .map(|value| value as &(dyn ToSql + Sync))
                .collect();
            let transaction = session.client.transaction().await.map_err(explain)?;
            let statement = transaction.prepare(sql).await.map_err(explain)?;
            let portal = (transaction.bind(&statement, &parameters).await).map_err(explain)?;
            loop {
                let rows = transaction.query_portal(&portal, PAGE).await;
                let rows = rows.map_err(explain)?;
                for row in &rows {
                    each(Row(&values(row).map_err(explain)?))?;
                }
                if rows.is_empty() {
                    break;
                }
            }
            transaction.commit().await.map_err(explain)
        })
    }
}

pub(crate) fn values(row: &tokio_postgres::Row) -> Result<Vec<Value<'_>>, Error> {
    let mut values = Vec::with_capacity(row.len());
    for (index, column) in row.columns().iter().enumerate() {
        values.push(match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index)?.into(),
            Type::BYTEA => {
                let octets: Option<&[u8]> = row.try_get(index)?;
                octets.map_or(Value::Null, Value::from)
            }
            _ => {
                let text: Option<&str> = row.try_get(index)?;
                text.map_or(Value::Null, Value::from)
            }
        });
    }
    Ok(values)
}

impl Backend for Postgres {
    fn begin(&mut self) -> Result<Standing, Cause> {
        let instance = self.instance.clone();
        self.run(async |session, server| {
            within(server.takeover * 2, session.begin(server, &instance)).await
        })
    }

    fn write(&mut self, batch: &Batch<'_>) -> Result<(), Unwritten> {
        let lost = || Unwritten::Refused("the connection to the database is lost".into());
        let session = self.session.as_mut().ok_or_else(lost)?;
        let Some((epoch, count)) = &mut session.epoch else {
            return Err(lost());
        };
        *count += 1;
        let doubt = Doubt {
            epoch: *epoch,
            batch: *count,
        };
        let time = self.server.takeover;
        let written = self.runtime.block_on(async {
            let late = |_| {
                Err(Unwritten::Unknown(
                    format!("no answer in {} s", time.as_secs()).into(),
                ))
            };
            tokio::time::timeout(time, session.write(batch))
                .await
                .unwrap_or_else(late)
        });
        if let Err(error) = &written {
            if let Unwritten::Unknown(_) = error {
                self.doubt = Some(doubt);
            }
            self.hang_up();
        }
        written
    }

    fn settle(&mut self) -> Result<bool, Cause> {
        let Some(Doubt { epoch, batch }) = self.doubt else {
            return Ok(false);
        };
        let instance = self.instance.clone();
        let stored = self.run(async |session, server| {
            within(server.takeover * 2, async {
                session.end_former(&instance).await.map_err(explain)?;
                // Waits for the transaction, if it still runs; afterwards it cannot be committed any more.
                let sql = "UPDATE writer SET closed = 1 WHERE epoch = $1 RETURNING batch";
                let row = session.client.query_opt(sql, &[&epoch]).await;
                let row = row.map_err(explain)?;
                Ok(row.is_some_and(|row| row.get::<_, i64>(0) >= batch))
            })
            .await
        })?;
        self.doubt = None;
        Ok(stored)
    }

    fn check(&mut self) -> Result<(), Cause> {
        let Some(Some((epoch, _))) = self.session.as_ref().map(|session| session.epoch) else {
            return Err("the connection to the database is lost".into());
        };
        self.run(async |session, server| {
            within(server.takeover, async {
                if session.client.is_closed() || session.epoch.is_none() {
                    return Err("the connection to the database is lost".into());
                }
                let sql = "SELECT epoch FROM writer WHERE epoch = $1 AND closed = 0";
                let statement = session.statement(sql).await.map_err(explain)?;
                let row = session.client.query_opt(&statement, &[&epoch]).await;
                match row.map_err(explain)? {
                    Some(_) => Ok(()),
                    None => Err("another instance has taken over".into()),
                }
            })
            .await
        })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// What a server said.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
pub(crate) struct Complaint {
    /// SQLSTATE.
    pub(crate) code: String,
    said: String,
}

/// What the server or the connection says, in full; a server's own words as a [`Complaint`].
pub(crate) fn explain(error: Error) -> Cause {
    let Some(said) = error.as_db_error() else {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        return format!("{error}{}", cause.unwrap_or_default()).into();
    };
    let code = said.code().code();
    if code == "22012" {
        return "another instance has taken over".into();
    }
    let detail = said.detail().map(|detail| format!(": {detail}"));
    let detail = detail.unwrap_or_default();
    Complaint {
        code: code.to_owned(),
        said: format!("{} {code}: {}{detail}", said.severity(), said.message()),
    }
    .into()
}
