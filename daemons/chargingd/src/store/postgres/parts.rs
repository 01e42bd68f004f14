//! A database that is divided: a schema for each part, and one for what all of them share.
//!
//! `charging_parts.subscriber` says whose part an identity is of. The tables of identities keep it by themselves, in the
//! transaction that changes them, so no identity is of two parts.

use std::collections::HashMap;

use thiserror::Error;
use tokio_postgres::Client;

use super::schema::{FIRST, WRITER, change};
use super::{Postgres, Server, explain, within};
use crate::part::Division;
use crate::store::backend::Cause;

/// The second half of the key of a part's advisory lock is this and its number.
const PART_WRITER: i32 = 1000;

/// What all parts share. `part` is counted from 1.
const SHARED: &str = r#"
CREATE SCHEMA IF NOT EXISTS charging_parts;
CREATE TABLE IF NOT EXISTS charging_parts.division (
    "only" BIGINT PRIMARY KEY CHECK ("only" = 0),
    parts  BIGINT NOT NULL
);
"#;

/// Where identities are. A conflict waits for the other part's transaction, and the next statement sees what it did.
const SUBSCRIBERS: &str = r#"
CREATE TABLE IF NOT EXISTS charging_parts.subscriber (
    identity TEXT COLLATE "C" PRIMARY KEY,
    part     BIGINT NOT NULL
);
CREATE OR REPLACE FUNCTION charging_parts.keep() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    own BIGINT := TG_ARGV[0];
    holder BIGINT;
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM charging_parts.subscriber WHERE identity = OLD.identity AND part = own;
        RETURN OLD;
    END IF;
    INSERT INTO charging_parts.subscriber VALUES (NEW.identity, own) ON CONFLICT (identity) DO NOTHING;
    SELECT part INTO holder FROM charging_parts.subscriber WHERE identity = NEW.identity;
    IF holder IS DISTINCT FROM own THEN
        RAISE unique_violation USING MESSAGE = format('identity %s is of part %s', NEW.identity, holder);
    END IF;
    RETURN NEW;
END
$$;
"#;

/// The database is divided into another number of parts than the configuration says.
#[derive(Debug, Error)]
#[error(
    "store.parts is {configured}, and the database is divided into {stored}: the number is fixed when a database is \
     first used; write store.parts = {stored}, or take another database"
)]
pub(in crate::store) struct OtherDivision {
    configured: u32,
    stored: i64,
}

/// The second half of the key of the advisory lock that the writing instance of the part holds.
pub(super) fn lock(division: Division) -> i32 {
    match division.is_divided() {
        true => i32::try_from(division.part()).map_or(PART_WRITER, |part| PART_WRITER + part),
        false => WRITER,
    }
}

fn schema(part: u32) -> String {
    format!("charging_part_{part}")
}

/// Whatever names no schema is the part's from here on.
pub(super) async fn enter(client: &Client, division: Division) -> Result<(), Cause> {
    if division.is_divided() {
        let sql = format!("SET search_path TO {}", schema(division.part()));
        client.batch_execute(&sql).await.map_err(explain)?;
    }
    Ok(())
}

/// Into how many parts the database is divided, if that is settled.
async fn stored(client: &Client) -> Result<Option<i64>, Cause> {
    let sql = "SELECT to_regclass('charging_parts.division') IS NOT NULL,
                      to_regclass('public.writer') IS NOT NULL
                      OR to_regclass(quote_ident(current_user) || '.writer') IS NOT NULL";
    let row = client.query_one(sql, &[]).await.map_err(explain)?;
    if row.get(0) {
        let sql = "SELECT parts FROM charging_parts.division";
        let row = client.query_opt(sql, &[]).await.map_err(explain)?;
        return Ok(row.map(|row| row.get(0)));
    }
    Ok(row.get::<_, bool>(1).then_some(1))
}

/// Makes the schemas of all parts, if the database is new.
///
/// # Errors
/// [`OtherDivision`], or what the server says.
pub(super) async fn prepare(client: &Client, division: Division) -> Result<(), Cause> {
    let configured = division.parts();
    let mut found = stored(client).await?;
    if found.is_none() && division.is_divided() {
        let settle = format!(
            "INSERT INTO charging_parts.division VALUES (0, {configured}) ON CONFLICT DO NOTHING"
        );
        change(client, SHARED, &settle).await?;
        found = stored(client).await?;
    }
    match found {
        Some(stored) if stored != i64::from(configured) => {
            Err(OtherDivision { configured, stored }.into())
        }
        Some(_) if division.is_divided() => {
            let sql = "SELECT to_regclass('charging_parts.subscriber') IS NULL";
            if client.query_one(sql, &[]).await.map_err(explain)?.get(0) {
                let parts: String = (1..=configured).map(tables).collect();
                change(client, &format!("{SUBSCRIBERS}{parts}"), "").await?;
                enter(client, division).await?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What a part needs before it has an active instance.
fn tables(part: u32) -> String {
    let schema = schema(part);
    format!("CREATE SCHEMA IF NOT EXISTS {schema}; SET LOCAL search_path TO {schema}; {FIRST}")
}

/// Has the part's identities kept in `charging_parts.subscriber`. For the instance that writes, when its tables stand.
pub(super) async fn watch_identities(client: &Client, division: Division) -> Result<(), Cause> {
    if !division.is_divided() {
        return Ok(());
    }
    let sql = "SELECT count(*) FROM pg_trigger
               WHERE tgname = 'charging_parts' AND tgrelid = to_regclass('identity')";
    let found: i64 = client.query_one(sql, &[]).await.map_err(explain)?.get(0);
    if found > 0 {
        return Ok(());
    }
    let sql = format!(
        "CREATE TRIGGER charging_parts AFTER INSERT OR UPDATE OR DELETE ON identity
         FOR EACH ROW EXECUTE FUNCTION charging_parts.keep('{}')",
        division.part()
    );
    change(client, &sql, "").await
}

/// What is asked about all parts, on a connection of its own.
pub(crate) struct Directory {
    postgres: Postgres,
    division: Division,
}

impl Directory {
    /// Connects when it is asked.
    ///
    /// # Errors
    /// No runtime, or no random number.
    pub(crate) fn of(server: &Server) -> Result<Self, Cause> {
        Ok(Self {
            postgres: Postgres::new(server)?,
            division: server.division,
        })
    }

    /// Origin-Host of the instance that last became active, for each part in order.
    ///
    /// # Errors
    /// The server is away, or no instance of this part has ever been active.
    pub(crate) fn active(&mut self) -> Result<Vec<Option<String>>, Cause> {
        let parts = self.division.parts();
        let each: Vec<String> = (1..=parts)
            .map(|part| {
                let schema = schema(part);
                format!("SELECT {part}::BIGINT, origin_host FROM {schema}.writer WHERE closed = 0")
            })
            .collect();
        let sql = each.join(" UNION ALL ");
        let mut active = vec![None; parts as usize];
        self.postgres.run(async |session, server| {
            let rows = within(server.takeover, async {
                let statement = session.statement(&sql).await.map_err(explain)?;
                session.client.query(&statement, &[]).await.map_err(explain)
            });
            for row in rows.await? {
                let index = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
                if let Some(place) = active.get_mut(index) {
                    *place = Some(row.get(1));
                }
            }
            Ok(())
        })?;
        Ok(active)
    }

    /// The parts of those of these identities that belong to an account.
    ///
    /// # Errors
    /// The server is away.
    pub(crate) fn parts_of(&mut self, identities: &[&str]) -> Result<HashMap<String, u32>, Cause> {
        let sql = "SELECT identity, part FROM charging_parts.subscriber WHERE identity = ANY($1)";
        self.postgres.run(async |session, server| {
            let rows = within(server.takeover, async {
                let statement = session.statement(sql).await.map_err(explain)?;
                let rows = session.client.query(&statement, &[&identities]).await;
                rows.map_err(explain)
            });
            let rows = rows.await?;
            let part = |number: i64| u32::try_from(number).map_err(Cause::from);
            rows.iter()
                .map(|row| Ok((row.get(0), part(row.get(1))?)))
                .collect()
        })
    }
}
