//! Reading the store: at start, and for the operator.

use iso_currency::Currency;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tollwire_cdr::{ChargeRecord, Payment};

use super::backend::{Cause, Queries, Row, Value};
use super::batch::NOTIFICATIONS;
use super::voucher;
use crate::account::Account;
use crate::core::State;
use crate::ledger::{About, Commodity, Entry};
use crate::service_account::ServiceAccount;

/// Everything the core begins with.
pub(super) fn state(store: &mut dyn Queries) -> Result<State, Cause> {
    Ok(State {
        accounts: all(
            store,
            "SELECT name, payment, currency, balance_micro, credit_limit_micro, blocked, profile FROM account",
            account,
        )?,
        service_accounts: all(store, "SELECT value FROM service_account", |row| {
            json::<ServiceAccount>(row, 0)
        })?,
        identities: all(store, "SELECT identity, account FROM identity", |row| {
            Ok((row.text(0)?.into(), row.text(1)?.into()))
        })?,
        sessions: all(store, "SELECT value FROM session", |row| json(row, 0))?,
        voucher_batches: all(store, voucher::BATCHES, voucher::read_batch)?,
        vouchers: all(store, voucher::VOUCHERS, voucher::read)?,
        // Those that begin with "top-up " and the like: '!' follows the space.
        references: all(
            store,
            "SELECT key FROM entry WHERE key >= 'top-up ' AND key < 'top-up!'
             UNION ALL SELECT key FROM entry
             WHERE key >= 'recharge-on-request ' AND key < 'recharge-on-request!'",
            |row| Ok(row.text(0)?.to_owned()),
        )?,
        last_record: last_record(store)?,
        last_notification: counter(store, NOTIFICATIONS)?,
    })
}

/// Records that may not be in the files yet.
pub(super) fn outbox(store: &mut dyn Queries) -> Result<Vec<ChargeRecord>, Cause> {
    all(
        store,
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
///
/// # Errors
/// The database's.
pub fn trial_balance(store: &mut dyn Queries) -> Result<TrialBalance, Cause> {
    let accounts: Vec<Balance> = all(
        store,
        "SELECT name, unit, balance,
                CAST(coalesce((SELECT sum(amount) FROM entry WHERE credit = name), 0)
                   - coalesce((SELECT sum(amount) FROM entry WHERE debit = name), 0) AS BIGINT)
         FROM (SELECT name, currency AS unit, balance_micro AS balance FROM account
               UNION ALL SELECT name, unit, balance FROM service_account) AS holder ORDER BY name",
        |row| {
            Ok(Balance {
                name: row.text(0)?.to_owned(),
                commodity: row.text(1)?.parse()?,
                stored: row.integer(2)?,
                ledger: row.integer(3)?,
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
///
/// # Errors
/// The database's.
pub fn ledger(store: &mut dyn Queries, account: &str, limit: u32) -> Result<Vec<Entry>, Cause> {
    let mut entries = Vec::new();
    store.query(
        "SELECT key, debit, credit, amount, commodity, unix_ms, service, provider, tax_basis_points,
                commission_basis_points FROM entry
         WHERE debit = $1 OR credit = $1 ORDER BY id DESC LIMIT $2",
        &[account.into(), Value::Integer(limit.into())],
        &mut |row| {
            entries.push(Entry {
                key: row.text(0)?.to_owned(),
                debit: row.text(1)?.into(),
                credit: row.text(2)?.into(),
                amount: row.integer(3)?,
                commodity: row.text(4)?.parse()?,
                unix_ms: row.integer(5)?,
                about: About {
                    service: row.text(6)?.into(),
                    provider: row.text(7)?.into(),
                    tax_basis_points: row.integer(8)?.try_into()?,
                    commission_basis_points: row.integer(9)?.try_into()?,
                },
            });
            Ok(())
        },
    )?;
    entries.reverse();
    Ok(entries)
}

fn last_record(store: &mut dyn Queries) -> Result<u64, Cause> {
    let found = all(store, "SELECT sequence_number FROM last_record", |row| {
        Ok(row.integer(0)?.unsigned_abs())
    })?;
    Ok(found.first().copied().unwrap_or(0))
}

fn counter(store: &mut dyn Queries, name: &str) -> Result<u64, Cause> {
    let mut found = 0;
    store.query(
        "SELECT value FROM counter WHERE name = $1",
        &[name.into()],
        &mut |row| {
            found = row.integer(0)?.unsigned_abs();
            Ok(())
        },
    )?;
    Ok(found)
}

fn account(row: Row<'_>) -> Result<Account, Cause> {
    let currency = row.text(2)?;
    Ok(Account {
        name: row.text(0)?.into(),
        payment: match row.text(1)? {
            "postpaid" => Payment::Postpaid,
            _ => Payment::Prepaid,
        },
        currency: Currency::from_code(currency).ok_or_else(|| format!("no currency {currency}"))?,
        balance_micro: row.integer(3)?,
        credit_limit_micro: row.integer(4)?,
        blocked: row.integer(5)? != 0,
        held_micro: 0,
        profile: json(row, 6)?,
    })
}

fn json<T: DeserializeOwned>(row: Row<'_>, column: usize) -> Result<T, Cause> {
    Ok(serde_json::from_str(row.text(column)?)?)
}

fn all<T>(
    store: &mut dyn Queries,
    sql: &str,
    read: impl Fn(Row<'_>) -> Result<T, Cause>,
) -> Result<Vec<T>, Cause> {
    let mut found = Vec::new();
    store.query(sql, &[], &mut |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}
