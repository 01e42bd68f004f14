//! Orders in the database.

use std::str::FromStr;

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use tollwire_web::database::rusqlite;

use crate::order::coverage::Coverage;
use crate::order::{Bought, Delivery, Issued, Order, State, Version};

/// The tables, by version.
pub const MIGRATIONS: &[&str] = &["
CREATE TABLE orders (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    token TEXT NOT NULL UNIQUE,
    good TEXT NOT NULL,
    bought TEXT NOT NULL,
    source TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    state TEXT NOT NULL,
    paid_reference TEXT,
    paid_ms INTEGER,
    size INTEGER,
    tag TEXT,
    coverage TEXT NOT NULL DEFAULT '',
    sent INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    until_ms INTEGER,
    whole_ms INTEGER
) STRICT;
CREATE INDEX orders_of_source ON orders (source) WHERE state IN ('open', 'invoiced');
CREATE INDEX orders_unpaid ON orders (expires_ms) WHERE state IN ('open', 'invoiced');
CREATE INDEX orders_over ON orders (changed_ms) WHERE state IN ('delivered', 'expired');
CREATE TABLE invoices (
    reference TEXT PRIMARY KEY,
    number INTEGER NOT NULL REFERENCES orders ON DELETE CASCADE,
    server TEXT NOT NULL,
    key TEXT NOT NULL,
    url TEXT NOT NULL,
    attributes TEXT NOT NULL,
    jws TEXT NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX invoices_of_order ON invoices (number);
"];

/// Rows that are removed or ended in one transaction: others wait for it.
const AT_ONCE: i64 = 1_000;

/// Why an order could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("there is no such order")]
    Unknown,
    /// This source has as many unpaid orders as it may have, or all have.
    #[error("there are as many unpaid orders as there may be")]
    TooMany,
    /// The reference of an invoice is that of another order.
    #[error("an invoice's reference was used before")]
    Taken,
    /// Its invoice cannot be signed.
    #[error("the invoice cannot be signed: {0}")]
    Unsigned(String),
    /// SQLite's.
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// A row that this program has not written.
    #[error("order {number} cannot be read: {what}")]
    Broken {
        /// The order's number.
        number: i64,
        /// What of it.
        what: &'static str,
    },
}

/// A new order.
#[derive(Debug, Clone)]
pub struct New {
    /// See [`Order::token`].
    pub token: String,
    /// See [`Order::bought`].
    pub bought: Bought,
    /// See [`Order::source`].
    pub source: String,
    /// See [`Order::created_ms`].
    pub created_ms: i64,
    /// See [`Order::expires_ms`].
    pub expires_ms: i64,
}

/// How many unpaid orders there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Of one source.
    pub of_source: u32,
    /// In all.
    pub in_all: u32,
}

/// Stores a new order, and gives its number.
///
/// # Errors
/// There are too many, or it cannot be stored.
pub fn insert(connection: &Connection, new: &New, bounds: Bounds) -> Result<i64, StoreError> {
    // An order that nobody ended yet is over all the same.
    let open = |condition: &str, most: u32, source: Option<&str>| -> Result<bool, StoreError> {
        let query = format!(
            "SELECT COUNT(*) FROM (SELECT 1 FROM orders WHERE state IN ('open', 'invoiced') AND expires_ms > ?1 {condition} LIMIT ?2)"
        );
        let mut statement = connection.prepare_cached(&query)?;
        let count: i64 = match source {
            Some(source) => {
                statement.query_row(params![new.created_ms, most, source], |row| row.get(0))?
            }
            None => statement.query_row(params![new.created_ms, most], |row| row.get(0))?,
        };
        Ok(count >= i64::from(most))
    };
    if open("AND source = ?3", bounds.of_source, Some(&new.source))?
        || open("", bounds.in_all, None)?
    {
        return Err(StoreError::TooMany);
    }
    let bought = serde_json::to_string(&new.bought).map_err(|_| StoreError::Broken {
        number: 0,
        what: "what was bought",
    })?;
    connection
        .prepare_cached(
            "INSERT INTO orders (token, good, bought, source, created_ms, expires_ms, changed_ms, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?5, 'open')",
        )?
        .execute(params![
            new.token,
            new.bought.id,
            bought,
            new.source,
            new.created_ms,
            new.expires_ms
        ])?;
    Ok(connection.last_insert_rowid())
}

const COLUMNS: &str = "number, token, bought, source, created_ms, expires_ms, state, paid_reference, paid_ms, size, tag, \
                       coverage, sent, attempts, until_ms, whole_ms";

/// The order that a token is the capability of.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn by_token(connection: &Connection, token: &str) -> Result<Order, StoreError> {
    one(connection, "token = ?1", token)
}

/// The order that an invoice is of.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn by_reference(connection: &Connection, reference: &str) -> Result<Order, StoreError> {
    let condition = "number = (SELECT number FROM invoices WHERE reference = ?1)";
    one(connection, condition, reference)
}

fn one(connection: &Connection, condition: &str, value: &str) -> Result<Order, StoreError> {
    let query = format!("SELECT {COLUMNS} FROM orders WHERE {condition}");
    let mut statement = connection.prepare_cached(&query)?;
    let mut order = statement
        .query_row([value], |row| Ok(read(row)))
        .optional()?
        .ok_or(StoreError::Unknown)??;
    let mut statement = connection.prepare_cached(
        "SELECT reference, server, key, url, attributes, jws, expires_ms FROM invoices WHERE number = ?1 ORDER BY rowid",
    )?;
    let invoices = statement.query_map([order.number], |row| {
        Ok(Issued {
            reference: row.get(0)?,
            server: row.get(1)?,
            key: row.get(2)?,
            registration: (row.get(3)?, row.get(4)?),
            jws: row.get(5)?,
            expires_ms: row.get(6)?,
        })
    })?;
    order.invoices = invoices.collect::<Result<_, _>>()?;
    Ok(order)
}

fn read(row: &Row<'_>) -> Result<Order, StoreError> {
    let number = row.get(0)?;
    let broken = |what| StoreError::Broken { number, what };
    let bought: String = row.get(2)?;
    let state: String = row.get(6)?;
    let coverage: String = row.get(11)?;
    let octets = |column| -> Result<u64, StoreError> {
        let stored: i64 = row.get(column)?;
        u64::try_from(stored).map_err(|_| broken("a count"))
    };
    let tag: Option<String> = row.get(10)?;
    let version = match tag {
        Some(tag) => Some(Version {
            size: octets(9)?,
            tag,
        }),
        None => None,
    };
    let paid: (Option<String>, Option<i64>) = (row.get(7)?, row.get(8)?);
    Ok(Order {
        number,
        token: row.get(1)?,
        bought: serde_json::from_str(&bought).map_err(|_| broken("what was bought"))?,
        source: row.get(3)?,
        created_ms: row.get(4)?,
        expires_ms: row.get(5)?,
        state: State::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or(broken("its state"))?,
        invoices: Vec::new(),
        paid: paid.0.zip(paid.1),
        delivery: Delivery {
            version,
            coverage: Coverage::from_str(&coverage).map_err(|_| broken("its coverage"))?,
            sent: octets(12)?,
            attempts: row.get(13)?,
            until_ms: row.get(14)?,
            whole_ms: row.get(15)?,
        },
    })
}

/// Stores what became of an order that was `before`.
///
/// # Errors
/// It cannot be stored.
pub fn save(
    connection: &Connection,
    now_ms: i64,
    before: &Order,
    order: &Order,
) -> Result<(), StoreError> {
    if before == order {
        return Ok(());
    }
    let stored = |octets: u64| i64::try_from(octets).unwrap_or(i64::MAX);
    let delivery = &order.delivery;
    let version = delivery.version.as_ref();
    connection
        .prepare_cached(
            "UPDATE orders SET expires_ms = ?2, changed_ms = ?3, state = ?4, paid_reference = ?5, paid_ms = ?6, size = ?7,
             tag = ?8, coverage = ?9, sent = ?10, attempts = ?11, until_ms = ?12, whole_ms = ?13 WHERE number = ?1",
        )?
        .execute(params![
            order.number,
            order.expires_ms,
            now_ms,
            order.state.name(),
            order.paid.as_ref().map(|(reference, _)| reference),
            order.paid.as_ref().map(|(_, at)| at),
            version.map(|version| stored(version.size)),
            version.map(|version| &version.tag),
            delivery.coverage.to_string(),
            stored(delivery.sent),
            delivery.attempts,
            delivery.until_ms,
            delivery.whole_ms,
        ])?;
    for invoice in &order.invoices {
        if before.invoice(&invoice.reference) == Some(invoice) {
            continue;
        }
        let stored = connection
            .prepare_cached(
                "INSERT INTO invoices (reference, number, server, key, url, attributes, jws, expires_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (reference) DO UPDATE SET jws = excluded.jws WHERE number = excluded.number",
            )?
            .execute(params![
                invoice.reference,
                order.number,
                invoice.server,
                invoice.key,
                invoice.registration.0,
                invoice.registration.1,
                invoice.jws,
                invoice.expires_ms
            ])?;
        if stored == 0 {
            return Err(StoreError::Taken);
        }
    }
    Ok(())
}

/// Ends orders whose time is over, and removes those that ended before `forget_ms`. Gives how many ended, and whether
/// there is more to do.
///
/// # Errors
/// The database's.
pub fn tidy(
    connection: &Connection,
    now_ms: i64,
    forget_ms: i64,
) -> Result<(usize, bool), StoreError> {
    let ended = connection
        .prepare_cached(
            "UPDATE orders SET state = 'expired', changed_ms = ?1 WHERE number IN
             (SELECT number FROM orders WHERE state IN ('open', 'invoiced') AND expires_ms <= ?1 LIMIT ?2)",
        )?
        .execute([now_ms, AT_ONCE])?;
    let gone = connection
        .prepare_cached(
            "DELETE FROM orders WHERE number IN
             (SELECT number FROM orders WHERE state IN ('delivered', 'expired') AND changed_ms < ?1 LIMIT ?2)",
        )?
        .execute([forget_ms, AT_ONCE])?;
    let full = |count: usize| i64::try_from(count).unwrap_or(i64::MAX) >= AT_ONCE;
    Ok((ended, full(ended) || full(gone)))
}

/// An order in the operator's list. Neither its token nor where it came from: they are the customer's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number.
    pub number: i64,
    /// The id of the good.
    pub good: String,
    /// How far it has come.
    pub state: String,
    /// Its price in micro-units.
    pub amount_micro: i64,
    /// ISO 4217.
    pub currency: String,
    /// Milliseconds since 1970.
    pub created_unix_ms: i64,
    /// Milliseconds since 1970.
    pub paid_unix_ms: Option<i64>,
    /// Octets that went out.
    pub sent_octets: i64,
    /// The reference of the invoice that was paid.
    pub paid_reference: Option<String>,
    /// Thumbprint of the billing server that acknowledged it.
    pub paid_by: Option<String>,
}

/// Orders with numbers below `before`, the newest first; of one state, if given.
///
/// # Errors
/// The database's.
pub fn list(
    connection: &Connection,
    before: i64,
    state: Option<&str>,
    limit: u32,
) -> Result<Vec<Line>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT o.number, o.good, o.state, json_extract(o.bought, '$.amount_micro'), json_extract(o.bought, '$.currency'),
         o.created_ms, o.paid_ms, o.sent, o.paid_reference, i.server
         FROM orders o LEFT JOIN invoices i ON i.reference = o.paid_reference
         WHERE o.number < ?1 AND (?2 IS NULL OR o.state = ?2) ORDER BY o.number DESC LIMIT ?3",
    )?;
    let lines = statement.query_map(params![before, state, limit], |row| {
        Ok(Line {
            number: row.get(0)?,
            good: row.get(1)?,
            state: row.get(2)?,
            amount_micro: row.get(3)?,
            currency: row.get(4)?,
            created_unix_ms: row.get(5)?,
            paid_unix_ms: row.get(6)?,
            sent_octets: row.get(7)?,
            paid_reference: row.get(8)?,
            paid_by: row.get(9)?,
        })
    })?;
    Ok(lines.collect::<Result<_, _>>()?)
}
