//! Reading the store: at start, and for the operator.

use std::path::Path;

use iso_currency::Currency;
use rusqlite::{Connection, Row, types::Type};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollwire_cdr::{ChargeRecord, Payment};

use super::schema;
use crate::account::Account;
use crate::core::State;
use crate::ledger::{About, Commodity, Entry};
use crate::service_account::ServiceAccount;

/// Everything the core begins with.
pub(super) fn state(connection: &Connection) -> rusqlite::Result<State> {
    Ok(State {
        accounts: all(
            connection,
            "SELECT name, payment, currency, balance_micro, credit_limit_micro, blocked, profile FROM account",
            account,
        )?,
        service_accounts: all(connection, "SELECT value FROM service_account", |row| {
            json::<ServiceAccount>(row, 0)
        })?,
        identities: all(
            connection,
            "SELECT identity, account FROM identity",
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?,
        sessions: all(connection, "SELECT value FROM session", |row| json(row, 0))?,
        references: all(
            connection,
            "SELECT key FROM entry WHERE key GLOB 'top-up *'",
            |row| row.get(0),
        )?,
        last_record: last_record(connection)?,
    })
}

/// Records that may not be in the files yet.
pub(super) fn outbox(connection: &Connection) -> rusqlite::Result<Vec<ChargeRecord>> {
    all(
        connection,
        "SELECT value FROM outbox ORDER BY sequence_number",
        |row| json(row, 0),
    )
}

/// One account's stored balance beside the sum of its entries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// The account.
    pub name: String,
    /// What it holds.
    pub commodity: Commodity,
    /// What the account says.
    pub stored: i64,
    /// What the ledger says.
    pub ledger: i64,
}

/// Whether the books agree with themselves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrialBalance {
    /// Every balance equals its entries. (That all balances add up to zero holds by construction: an
    /// entry gives what it takes.)
    pub balanced: bool,
    /// Each customer's account and service account; micro-units of money, or units.
    pub accounts: Vec<Balance>,
}

/// Adds the ledger up.
pub fn trial_balance(path: &Path) -> rusqlite::Result<TrialBalance> {
    let connection = schema::open_read_only(path)?;
    let accounts: Vec<Balance> = all(
        &connection,
        "SELECT name, unit, balance,
                coalesce((SELECT sum(amount) FROM entry WHERE credit = name), 0)
              - coalesce((SELECT sum(amount) FROM entry WHERE debit = name), 0)
         FROM (SELECT name, currency AS unit, balance_micro AS balance FROM account
               UNION ALL SELECT name, unit, balance FROM service_account) ORDER BY name",
        |row| {
            Ok(Balance {
                name: row.get(0)?,
                commodity: commodity(row, 1)?,
                stored: row.get(2)?,
                ledger: row.get(3)?,
            })
        },
    )?;
    Ok(TrialBalance {
        balanced: accounts
            .iter()
            .all(|account| account.stored == account.ledger),
        accounts,
    })
}

/// The last `limit` entries of `account`, oldest first.
pub fn ledger(path: &Path, account: &str, limit: u32) -> rusqlite::Result<Vec<Entry>> {
    let connection = schema::open_read_only(path)?;
    let mut statement = connection.prepare(
        "SELECT key, debit, credit, amount, commodity, unix_ms, service, provider, tax_basis_points,
                commission_basis_points FROM entry
         WHERE debit = ?1 OR credit = ?1 ORDER BY id DESC LIMIT ?2",
    )?;
    let mut entries = statement
        .query_map(rusqlite::params![account, limit], |row| {
            Ok(Entry {
                key: row.get(0)?,
                debit: row.get(1)?,
                credit: row.get(2)?,
                amount: row.get(3)?,
                commodity: commodity(row, 4)?,
                unix_ms: row.get(5)?,
                about: About {
                    service: row.get(6)?,
                    provider: row.get(7)?,
                    tax_basis_points: row.get(8)?,
                    commission_basis_points: row.get(9)?,
                },
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    entries.reverse();
    Ok(entries)
}

fn last_record(connection: &Connection) -> rusqlite::Result<u64> {
    let found = all(
        connection,
        "SELECT sequence_number FROM last_record",
        |row| row.get::<_, i64>(0),
    )?;
    Ok(found.first().map_or(0, |number| number.unsigned_abs()))
}

fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let payment: String = row.get(1)?;
    Ok(Account {
        name: row.get(0)?,
        payment: if payment == "postpaid" {
            Payment::Postpaid
        } else {
            Payment::Prepaid
        },
        currency: currency(row, 2)?,
        balance_micro: row.get(3)?,
        credit_limit_micro: row.get(4)?,
        blocked: row.get(5)?,
        held_micro: 0,
        profile: json(row, 6)?,
    })
}

fn commodity(row: &Row<'_>, column: usize) -> rusqlite::Result<Commodity> {
    let name: String = row.get(column)?;
    name.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn currency(row: &Row<'_>, column: usize) -> rusqlite::Result<Currency> {
    let code: String = row.get(column)?;
    Currency::from_code(&code).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(
            column,
            Type::Text,
            format!("no currency {code}").into(),
        )
    })
}

fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn all<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}
