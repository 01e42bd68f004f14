//! Writing a group of changes in one transaction.

use std::collections::HashMap;

use rusqlite::{Connection, Transaction, params};
use serde::Serialize;
use tollwire_cdr::Payment;

use crate::effect::Mutation;

/// Writes changes, and forgets the records up to `written`, which are in the files.
pub(super) fn group<'a>(
    connection: &mut Connection,
    mutations: impl Iterator<Item = &'a Mutation>,
    written: Option<u64>,
) -> rusqlite::Result<()> {
    let mutations: Vec<&Mutation> = mutations.collect();
    // An account or session that changes several times in one transaction is written once, as it is at last,
    // and where it first changed: identities refer to accounts.
    let mut last: HashMap<Row<'_>, &Mutation> = HashMap::new();
    for mutation in &mutations {
        if let Some(row) = row(mutation) {
            last.insert(row, mutation);
        }
    }
    let transaction = connection.transaction()?;
    for mutation in &mutations {
        match row(mutation) {
            Some(row) => {
                if let Some(mutation) = last.remove(&row) {
                    one(&transaction, mutation)?;
                }
            }
            None => one(&transaction, mutation)?,
        }
    }
    if let Some(sequence_number) = written {
        transaction
            .prepare_cached("DELETE FROM outbox WHERE sequence_number <= ?1")?
            .execute([number(sequence_number)])?;
    }
    transaction.commit()
}

/// The row that a change writes whole.
#[derive(PartialEq, Eq, Hash)]
enum Row<'a> {
    Account(&'a str),
    Session(&'a str),
    ServiceAccount(&'a str),
}

fn row(mutation: &Mutation) -> Option<Row<'_>> {
    match mutation {
        Mutation::Account(account) => Some(Row::Account(&account.name)),
        Mutation::Session(session) => Some(Row::Session(&session.id)),
        Mutation::ServiceAccount(account) => Some(Row::ServiceAccount(&account.name)),
        _ => None,
    }
}

fn one(transaction: &Transaction<'_>, mutation: &Mutation) -> rusqlite::Result<()> {
    match mutation {
        Mutation::Account(account) => {
            let payment = match account.payment {
                Payment::Prepaid => "prepaid",
                Payment::Postpaid => "postpaid",
            };
            transaction
                .prepare_cached(
                    "INSERT INTO account (name, payment, currency, balance_micro, credit_limit_micro, blocked, profile)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (name) DO UPDATE
                     SET balance_micro = ?4, credit_limit_micro = ?5, blocked = ?6, profile = ?7",
                )?
                .execute(params![
                    account.name,
                    payment,
                    account.currency.code(),
                    account.balance_micro,
                    account.credit_limit_micro,
                    account.blocked,
                    json(&account.profile)?
                ])?;
        }
        Mutation::ServiceAccount(account) => {
            transaction
                .prepare_cached(
                    "INSERT INTO service_account (name, account, unit, balance, value) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (name) DO UPDATE SET balance = ?4, value = ?5",
                )?
                .execute(params![
                    account.name,
                    account.account,
                    account.terms.unit.name(),
                    account.balance,
                    json(account)?
                ])?;
        }
        Mutation::Identity(identity, Some(account)) => {
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO identity (identity, account) VALUES (?1, ?2)",
                )?
                .execute(params![identity, account])?;
        }
        Mutation::Identity(identity, None) => {
            transaction
                .prepare_cached("DELETE FROM identity WHERE identity = ?1")?
                .execute([identity])?;
        }
        Mutation::Entry(entry) => {
            // A second entry under one key is a fault of the core: the constraint stops the whole group.
            transaction
                .prepare_cached(
                    "INSERT INTO entry (key, debit, credit, amount, commodity, unix_ms, service, provider,
                                        tax_basis_points, commission_basis_points)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    entry.key,
                    entry.debit,
                    entry.credit,
                    entry.amount,
                    entry.commodity.name(),
                    entry.unix_ms,
                    entry.about.service,
                    entry.about.provider,
                    entry.about.tax_basis_points,
                    entry.about.commission_basis_points
                ])?;
        }
        Mutation::Session(session) => {
            transaction
                .prepare_cached(
                    "INSERT INTO session (id, closed_unix_ms, value) VALUES (?1, ?2, ?3)
                     ON CONFLICT (id) DO UPDATE SET closed_unix_ms = ?2, value = ?3",
                )?
                .execute(params![session.id, session.closed_unix_ms, json(session)?])?;
        }
        Mutation::ForgetSessions(unix_ms) => {
            transaction
                .prepare_cached("DELETE FROM session WHERE closed_unix_ms <= ?1")?
                .execute([unix_ms])?;
        }
        Mutation::Record(record) => {
            transaction
                .prepare_cached("INSERT INTO outbox (sequence_number, value) VALUES (?1, ?2)")?
                .execute(params![number(record.sequence_number), json(record)?])?;
            transaction
                .prepare_cached(
                    "INSERT OR REPLACE INTO last_record (only, sequence_number) VALUES (0, ?1)",
                )?
                .execute([number(record.sequence_number)])?;
        }
    }
    Ok(())
}

fn json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn number(sequence_number: u64) -> i64 {
    i64::try_from(sequence_number).unwrap_or(i64::MAX)
}
