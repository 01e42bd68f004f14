//! Questions about closed periods, and about the entries that the next one is made of.
//!
//! Rows of `invoice` and `settlement` count when their period has its row: see [`crate::invoice::close`].

use super::backend::{Cause, Queries, Row, Value};
use crate::invoice::rows::{PeriodRow, month_number};
use crate::invoice::{Month, Side};

/// Invoices that count.
const CLOSED: &str =
    "invoice AS i JOIN period AS p ON p.month = i.month AND i.ordinal <= p.invoices";

/// A post-paid customer, and where his last invoice ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The account.
    pub account: String,
    /// ISO 4217 code.
    pub currency: String,
    /// JSON of [`crate::account::Profile`].
    pub profile: String,
    /// His last invoice.
    pub last: Option<Last>,
}

/// Where an invoice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// It covers what is dated before, milliseconds since 1970,
    pub until_unix_ms: i64,
    /// and has no larger id.
    pub through: i64,
    /// What was owed then, micro-units.
    pub closing_micro: i64,
}

/// One entry of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The customer.
    pub account: String,
    /// The entry's id.
    pub id: i64,
    /// The entry.
    pub item: crate::invoice::Item,
}

/// Which entries are looked at: `from <= id <= through`, none of them dated before `since_unix_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Smallest id.
    pub from: i64,
    /// Largest id.
    pub through: i64,
    /// The earliest date among them, milliseconds since 1970: it lets an index find an account's entries.
    pub since_unix_ms: i64,
}

/// Sums of a provider's service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSum {
    /// The provider.
    pub provider: String,
    /// What it is paid in.
    pub commodity: String,
    /// The service.
    pub service: String,
    /// Hundredths of a percent.
    pub tax_basis_points: u16,
    /// Hundredths of a percent.
    pub commission_basis_points: u16,
    /// Entries.
    pub count: u64,
    /// What they come to, micro-units.
    pub gross_micro: i64,
}

/// Closed periods, the latest first.
///
/// # Errors
/// The database's.
pub fn periods(store: &mut dyn Queries, limit: u32) -> Result<Vec<PeriodRow>, Cause> {
    let mut found = Vec::new();
    store.query(
        "SELECT month, through, open_from, settled_until_unix_ms, first_number, invoices, settlements, closed_unix_ms
         FROM period ORDER BY month DESC LIMIT $1",
        &[i64::from(limit).into()],
        &mut |row| {
            found.push(period(row)?);
            Ok(())
        },
    )?;
    Ok(found)
}

/// The period of this month, if it is closed.
///
/// # Errors
/// The database's.
pub fn closed(store: &mut dyn Queries, month: Month) -> Result<Option<PeriodRow>, Cause> {
    let mut found = None;
    store.query(
        "SELECT month, through, open_from, settled_until_unix_ms, first_number, invoices, settlements, closed_unix_ms
         FROM period WHERE month = $1",
        &[month_number(month).into()],
        &mut |row| {
            found = Some(period(row)?);
            Ok(())
        },
    )?;
    Ok(found)
}

fn period(row: Row<'_>) -> Result<PeriodRow, Cause> {
    Ok(PeriodRow {
        month: row.integer(0)?,
        through: row.integer(1)?,
        open_from: row.integer(2)?,
        settled_until_unix_ms: row.integer(3)?,
        first_number: row.integer(4)?,
        invoices: row.integer(5)?,
        settlements: row.integer(6)?,
        closed_unix_ms: row.integer(7)?,
    })
}

/// The entries from id `from` on that are there now.
///
/// # Errors
/// The database's.
pub fn range(store: &mut dyn Queries, from: i64) -> Result<Range, Cause> {
    let mut through = from - 1;
    store.query("SELECT coalesce(max(id), 0) FROM entry", &[], &mut |row| {
        through = through.max(row.integer(0)?);
        Ok(())
    })?;
    let mut since_unix_ms = 0;
    store.query(
        "SELECT coalesce(min(unix_ms), 0) FROM entry WHERE id >= $1 AND id <= $2",
        &[from.into(), through.into()],
        &mut |row| {
            since_unix_ms = row.integer(0)?;
            Ok(())
        },
    )?;
    Ok(Range {
        from,
        through,
        since_unix_ms,
    })
}

/// The smallest id in the range that is dated at or after `unix_ms`; the one after the range if there is none.
///
/// # Errors
/// The database's.
pub fn first_after(store: &mut dyn Queries, range: Range, unix_ms: i64) -> Result<i64, Cause> {
    let mut first = range.through + 1;
    store.query(
        "SELECT coalesce(min(id), $1) FROM entry WHERE id >= $2 AND id <= $3 AND unix_ms >= $4",
        &[
            first.into(),
            range.from.into(),
            range.through.into(),
            unix_ms.into(),
        ],
        &mut |row| {
            first = row.integer(0)?;
            Ok(())
        },
    )?;
    Ok(first)
}

const CUSTOMERS: &str = "SELECT c.name, c.currency, c.profile, coalesce(l.id, 0), coalesce(l.until_unix_ms, 0),
            coalesce(l.through, 0), coalesce(l.closing_micro, 0)
     FROM (SELECT a.name, a.currency, a.profile,
                  (SELECT i.id FROM FROM_CLOSED WHERE i.account = a.name ORDER BY i.id DESC LIMIT 1) AS last
           FROM account AS a WHERE a.payment = 'postpaid' AND WHICH ORDER BY a.name LIMIT $2) AS c
     LEFT JOIN invoice AS l ON l.id = c.last ORDER BY c.name";

/// Post-paid customers after this one in the order of their names, `limit` at the most.
///
/// # Errors
/// The database's.
pub fn customers(store: &mut dyn Queries, after: &str, limit: u32) -> Result<Vec<Customer>, Cause> {
    ask_customers(store, "a.name > $1", after, limit)
}

/// This post-paid customer.
///
/// # Errors
/// The database's.
pub fn customer(store: &mut dyn Queries, account: &str) -> Result<Option<Customer>, Cause> {
    Ok(ask_customers(store, "a.name = $1", account, 1)?.pop())
}

fn ask_customers(
    store: &mut dyn Queries,
    which: &str,
    name: &str,
    limit: u32,
) -> Result<Vec<Customer>, Cause> {
    let mut found = Vec::new();
    let sql = CUSTOMERS
        .replace("FROM_CLOSED", CLOSED)
        .replace("WHICH", which);
    store.query(&sql, &[name.into(), i64::from(limit).into()], &mut |row| {
        found.push(Customer {
            account: row.text(0)?.to_owned(),
            currency: row.text(1)?.to_owned(),
            profile: row.text(2)?.to_owned(),
            last: match row.integer(3)? {
                0 => None,
                _ => Some(Last {
                    until_unix_ms: row.integer(4)?,
                    through: row.integer(5)?,
                    closing_micro: row.integer(6)?,
                }),
            },
        });
        Ok(())
    })?;
    Ok(found)
}

/// The ledger's accounts of the customers from `$1` to `$2`: their own and those of their services.
const PURSES: &str = "(SELECT a.name AS purse, a.name AS account, a.currency AS currency FROM account AS a
       WHERE a.payment = 'postpaid' AND a.name >= $1 AND a.name <= $2
       UNION ALL SELECT s.name, s.account, a.currency FROM service_account AS s JOIN account AS a ON a.name = s.account
       WHERE a.payment = 'postpaid' AND s.account >= $1 AND s.account <= $2)";

/// Calls `each` with the entries of the customers from `first` to `last`, by customer and id. What moves between
/// accounts of one customer is left out.
///
/// # Errors
/// The database's, or that of `each`.
pub fn entries(
    store: &mut dyn Queries,
    first: &str,
    last: &str,
    range: Range,
    each: &mut dyn FnMut(Found) -> Result<(), Cause>,
) -> Result<(), Cause> {
    // In SQLite CROSS JOIN is done in this order, and the plus keeps it to the index on accounts and times.
    let side = |own: &str, other: &str, amount: &str| {
        format!(
            "SELECT o.account, e.id, e.key, {amount}, e.{other}, e.unix_ms, e.service, e.provider, e.tax_basis_points
             FROM {PURSES} AS o CROSS JOIN entry AS e WHERE e.{own} = o.purse AND e.unix_ms >= $3
             AND +e.id >= $4 AND +e.id <= $5 AND e.commodity = o.currency"
        )
    };
    let sql = format!(
        "{} UNION ALL {} ORDER BY 1, 2",
        side("debit", "credit", "e.amount"),
        side("credit", "debit", "0 - e.amount")
    );
    store.query(
        &sql,
        &[
            first.into(),
            last.into(),
            range.since_unix_ms.into(),
            range.from.into(),
            range.through.into(),
        ],
        &mut |row| {
            let (account, other) = (row.text(0)?, row.text(4)?);
            if other.split('/').next() == Some(account) {
                return Ok(());
            }
            each(Found {
                account: account.to_owned(),
                id: row.integer(1)?,
                item: crate::invoice::Item {
                    side: Side::of(other),
                    owed_micro: row.integer(3)?,
                    unix_ms: row.integer(5)?,
                    key: row.text(2)?.into(),
                    about: crate::ledger::About {
                        service: row.text(6)?.into(),
                        provider: row.text(7)?.into(),
                        tax_basis_points: row.integer(8)?.try_into()?,
                        commission_basis_points: 0,
                    },
                },
            })
        },
    )
}

/// What the customer owes by entries before id `before`, micro-units.
///
/// # Errors
/// The database's.
pub fn owed_before(store: &mut dyn Queries, account: &str, before: i64) -> Result<i64, Cause> {
    let mut owed = 0;
    let side = |own: &str, amount: &str| {
        format!(
            "SELECT {amount} AS amount FROM {PURSES} AS o CROSS JOIN entry AS e
             WHERE e.{own} = o.purse AND +e.id < $3 AND e.commodity = o.currency"
        )
    };
    let sql = format!(
        "SELECT CAST(coalesce(sum(amount), 0) AS BIGINT) FROM ({} UNION ALL {}) AS moved",
        side("debit", "e.amount"),
        side("credit", "0 - e.amount")
    );
    store.query(
        &sql,
        &[account.into(), account.into(), before.into()],
        &mut |row| {
            owed = row.integer(0)?;
            Ok(())
        },
    )?;
    Ok(owed)
}

/// What was paid for the services of others in the range, dated before `until_unix_ms`; not what is dated before
/// `settled_unix_ms` and has an id up to `settled`.
///
/// # Errors
/// The database's, or a sum beyond 64 bits.
pub fn provider_sums(
    store: &mut dyn Queries,
    range: Range,
    until_unix_ms: i64,
    (settled, settled_unix_ms): (i64, i64),
) -> Result<Vec<ProviderSum>, Cause> {
    let mut sums = Vec::new();
    store.query(
        "SELECT provider, commodity, service, tax_basis_points, commission_basis_points, count(*),
                CAST(sum(CASE WHEN substr(credit, 1, 9) = '@revenue:' THEN amount ELSE 0 - amount END) AS BIGINT)
         FROM entry WHERE id >= $1 AND id <= $2 AND unix_ms < $3 AND (id > $4 OR unix_ms >= $5) AND provider <> ''
         AND (substr(credit, 1, 9) = '@revenue:' OR substr(debit, 1, 9) = '@revenue:')
         GROUP BY provider, commodity, service, tax_basis_points, commission_basis_points
         ORDER BY provider, commodity",
        &[
            range.from.into(),
            range.through.into(),
            until_unix_ms.into(),
            settled.into(),
            settled_unix_ms.into(),
        ],
        &mut |row| {
            sums.push(ProviderSum {
                provider: row.text(0)?.to_owned(),
                commodity: row.text(1)?.to_owned(),
                service: row.text(2)?.to_owned(),
                tax_basis_points: row.integer(3)?.try_into()?,
                commission_basis_points: row.integer(4)?.try_into()?,
                count: row.integer(5)?.unsigned_abs(),
                gross_micro: row.integer(6)?,
            });
            Ok(())
        },
    )?;
    Ok(sums)
}

/// What the provider's last settlement has carried forward, micro-units.
///
/// # Errors
/// The database's.
pub fn carried(store: &mut dyn Queries, provider: &str, currency: &str) -> Result<i64, Cause> {
    let mut carried = 0;
    store.query(
        "SELECT s.carried_micro FROM settlement AS s JOIN period AS p ON p.month = s.month AND s.ordinal <= p.settlements
         WHERE s.provider = $1 AND s.currency = $2 ORDER BY s.id DESC LIMIT 1",
        &[provider.into(), currency.into()],
        &mut |row| {
            carried = row.integer(0)?;
            Ok(())
        },
    )?;
    Ok(carried)
}

/// How many of the first `invoices` rows of the month have a number that an invoice of another closed month has.
///
/// # Errors
/// The database's.
pub fn taken_numbers(store: &mut dyn Queries, month: Month, invoices: i64) -> Result<i64, Cause> {
    let mut taken = 0;
    store.query(
        &format!(
            "SELECT count(*) FROM invoice AS n CROSS JOIN {CLOSED}
             WHERE n.month = $1 AND n.ordinal <= $2 AND i.number = n.number AND i.month <> n.month"
        ),
        &[month_number(month).into(), invoices.into()],
        &mut |row| {
            taken = row.integer(0)?;
            Ok(())
        },
    )?;
    Ok(taken)
}

/// Stored invoices as JSON, the newest first: of one account, of one month, or all.
///
/// # Errors
/// The database's.
pub fn invoices(
    store: &mut dyn Queries,
    account: Option<&str>,
    month: Option<Month>,
    (skip, limit): (u32, u32),
) -> Result<Vec<String>, Cause> {
    let mut parameters: Vec<Value<'_>> = Vec::new();
    let mut which = String::new();
    if let Some(account) = account {
        parameters.push(account.into());
        which = format!("WHERE i.account = ${}", parameters.len());
    }
    if let Some(month) = month {
        parameters.push(month_number(month).into());
        let word = if which.is_empty() { "WHERE" } else { " AND" };
        which = format!("{which}{word} i.month = ${}", parameters.len());
    }
    parameters.push(i64::from(limit).into());
    parameters.push(i64::from(skip).into());
    let sql = format!(
        "SELECT i.value FROM {CLOSED} {which} ORDER BY i.id DESC LIMIT ${} OFFSET ${}",
        parameters.len() - 1,
        parameters.len()
    );
    texts(store, &sql, &parameters)
}

/// The stored invoice of this number, as JSON.
///
/// # Errors
/// The database's.
pub fn invoice(store: &mut dyn Queries, number: &str) -> Result<Option<String>, Cause> {
    let sql = format!("SELECT i.value FROM {CLOSED} WHERE i.number = $1");
    Ok(texts(store, &sql, &[number.into()])?.pop())
}

/// The stored settlements of a month as JSON, by provider and currency.
///
/// # Errors
/// The database's.
pub fn settlements(store: &mut dyn Queries, month: Month) -> Result<Vec<String>, Cause> {
    texts(
        store,
        "SELECT s.value FROM settlement AS s JOIN period AS p ON p.month = s.month AND s.ordinal <= p.settlements
         WHERE s.month = $1 ORDER BY s.id",
        &[month_number(month).into()],
    )
}

fn texts(
    store: &mut dyn Queries,
    sql: &str,
    parameters: &[Value<'_>],
) -> Result<Vec<String>, Cause> {
    let mut found = Vec::new();
    store.query(sql, parameters, &mut |row| {
        found.push(row.text(0)?.to_owned());
        Ok(())
    })?;
    Ok(found)
}
