//! Tables, and what is asked of them. Each function is run in one transaction.

mod customers;
mod passkeys;
mod schema;

pub use customers::{Customer, CustomerView, Kind};
pub use passkeys::PasskeyView;
pub use schema::MIGRATIONS;

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Row, params};
use serde::Serialize;

use crate::effect::Change;
use crate::event::Begun;
use crate::payment::{Onward, Order, Payer, Payment, PaymentId, State, Subscription};

/// Why something is not stored, or cannot be read.
pub type Error = rusqlite::Error;

/// Lists are cut after so many rows.
pub const LONGEST_LIST: u32 = 10_000;
/// Payments that wait for onward servers, at the most.
const MOST_FORWARDED: u32 = 100_000;
/// How long what was handed on is waited for: an invoice is good for a week, and its acknowledgement another. Milliseconds.
const FORWARDED_MS: i64 = 15 * 86_400_000;

const COLUMNS: &str = "id, token, invoice, shop_key, provider, fee_micro, login, account, number, rating_group, \
     state, attempt, cause, created_ms, paid_ms, changed_ms, acknowledgement, onward";

/// A column whose text does not read.
fn unreadable(column: usize, error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

fn json<T: serde::de::DeserializeOwned>(column: usize, text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

fn written<T: Serialize>(value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

fn payment(row: &Row<'_>) -> Result<Payment, Error> {
    let text = |column: usize| row.get::<_, Box<str>>(column);
    let state = text(10)?;
    let state = State::from_name(&state)
        .ok_or_else(|| unreadable(10, std::io::Error::other("no state of a payment")))?;
    let subscription = match row.get::<_, Option<Box<str>>>(7)? {
        Some(account) => Subscription::Account(account),
        None => Subscription::Number(text(8)?),
    };
    let onward = (row.get::<_, Option<String>>(17)?)
        .map(|onward| json::<Onward>(17, &onward).map(Box::new))
        .transpose()?;
    Ok(Payment {
        order: Order {
            id: PaymentId::stored(&text(0)?),
            token: text(1)?,
            invoice: Arc::new(json(2, &text(2)?)?),
            shop_key: text(3)?,
            provider: text(4)?,
            fee_micro: row.get(5)?,
            payer: Payer {
                login: text(6)?,
                subscription,
                rating_group: row.get(9)?,
            },
            onward,
        },
        state,
        attempt: row.get(11)?,
        cause: row.get(12)?,
        created_ms: row.get(13)?,
        paid_ms: row.get(14)?,
        changed_ms: row.get(15)?,
        acknowledgement: row.get::<_, Option<Arc<str>>>(16)?,
    })
}

fn one(
    connection: &Connection,
    condition: &str,
    parameters: impl Params,
) -> Result<Option<Payment>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM payments WHERE {condition}");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(parameters, payment).optional()
}

/// Stores an order, if nothing of it is there but a refusal.
///
/// # Errors
/// The database's.
pub fn begin(connection: &Connection, order: &Order, at_ms: i64) -> Result<Begun, Error> {
    let invoice = &order.invoice;
    let known = one(connection, "id = ?1", [order.id.as_str()])?;
    let again = match known {
        Some(known) if known.state == State::Refused && known.order.onward.is_none() => known,
        Some(known) => return Ok(Begun::Known(Box::new(known))),
        None => {
            let same = one(
                connection,
                "shop_key = ?1 AND reference = ?2",
                params![order.shop_key, invoice.reference],
            )?;
            match same {
                // Nobody paid that one: the shop may have made it anew.
                Some(same) if same.state == State::Refused && same.order.onward.is_none() => {
                    delete(connection, &same.order.id)?;
                }
                Some(same) => return Ok(Begun::Reference(Box::new(same))),
                None => {}
            }
            if order.onward.is_some() && is_full(connection)? {
                return Ok(Begun::Full);
            }
            insert(connection, order, at_ms)?;
            let stored = one(connection, "id = ?1", [order.id.as_str()])?;
            let stored = stored.ok_or(Error::QueryReturnedNoRows)?;
            return Ok(Begun::Stored(Box::new(stored)));
        }
    };
    let (account, number) = parts(&order.payer.subscription);
    connection
        .prepare_cached(
            "UPDATE payments SET state = 'charging', cause = 0, attempt = ?2, changed_ms = ?3, login = ?4, account = ?5, \
             number = ?6, rating_group = ?7, provider = ?8, fee_micro = ?9 WHERE id = ?1",
        )?
        .execute(params![
            order.id.as_str(),
            again.attempt.saturating_add(1),
            at_ms,
            order.payer.login,
            account,
            number,
            order.payer.rating_group,
            order.provider,
            order.fee_micro,
        ])?;
    let stored = one(connection, "id = ?1", [order.id.as_str()])?;
    let stored = stored.ok_or(Error::QueryReturnedNoRows)?;
    Ok(Begun::Stored(Box::new(stored)))
}

/// Whether as many wait for onward servers as may.
fn is_full(connection: &Connection) -> Result<bool, Error> {
    let sql = "SELECT count(*) FROM (SELECT 1 FROM payments WHERE state = 'forwarded' LIMIT ?1)";
    let waiting: u32 = connection
        .prepare_cached(sql)?
        .query_row([MOST_FORWARDED], |row| row.get(0))?;
    Ok(waiting >= MOST_FORWARDED)
}

fn parts(subscription: &Subscription) -> (Option<&str>, Option<&str>) {
    match subscription {
        Subscription::Account(account) => (Some(account), None),
        Subscription::Number(number) => (None, Some(number)),
    }
}

fn insert(connection: &Connection, order: &Order, at_ms: i64) -> Result<(), Error> {
    let (account, number) = parts(&order.payer.subscription);
    let state = match order.onward {
        Some(_) => State::Forwarded,
        None => State::Charging,
    };
    let invoice = &order.invoice;
    connection
        .prepare_cached(
            "INSERT INTO payments (id, token, invoice, shop_key, reference, provider, fee_micro, amount_micro, currency, \
             login, account, number, rating_group, state, attempt, cause, created_ms, changed_ms, onward, onward_reference) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, 0, 0, ?15, ?15, ?16, ?17)",
        )?
        .execute(params![
            order.id.as_str(),
            order.token,
            written(&*order.invoice)?,
            order.shop_key,
            invoice.reference,
            order.provider,
            order.fee_micro,
            invoice.amount_micro,
            invoice.currency.code(),
            order.payer.login,
            account,
            number,
            order.payer.rating_group,
            state.name(),
            at_ms,
            order.onward.as_deref().map(written).transpose()?,
            order.onward.as_deref().map(|onward| onward.reference.as_str()),
        ])?;
    Ok(())
}

fn delete(connection: &Connection, id: &PaymentId) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM payments WHERE id = ?1")?
        .execute([id.as_str()])?;
    Ok(())
}

/// Stores a change.
///
/// # Errors
/// The database's; also if the payment is not there.
pub fn change(
    connection: &Connection,
    id: &PaymentId,
    change: &Change,
    at_ms: i64,
) -> Result<(), Error> {
    let changed = match change {
        Change::Collected { until, attempt } => connection
            .prepare_cached(
                "UPDATE payments SET state = 'charging', cause = 0, attempt = ?3, changed_ms = ?2, \
                 onward = json_set(onward, '$.acknowledged_until', ?4) WHERE id = ?1",
            )?
            .execute(params![id.as_str(), at_ms, attempt, until])?,
        Change::Paid {
            at_ms: paid_ms,
            acknowledgement,
        } => connection
            .prepare_cached(
                "UPDATE payments SET state = 'paid', cause = 0, paid_ms = ?3, acknowledgement = ?4, changed_ms = ?2 \
                 WHERE id = ?1",
            )?
            .execute(params![id.as_str(), at_ms, paid_ms, acknowledgement])?,
        Change::To { state, cause } => connection
            .prepare_cached(
                "UPDATE payments SET state = ?3, cause = ?4, changed_ms = ?2 WHERE id = ?1",
            )?
            .execute(params![id.as_str(), at_ms, state.name(), cause])?,
    };
    match changed {
        1 => Ok(()),
        _ => Err(Error::QueryReturnedNoRows),
    }
}

/// Every payment that this server has still something to do for, the oldest first.
///
/// # Errors
/// The database's.
pub fn open(connection: &Connection) -> Result<Vec<Payment>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM payments WHERE state IN ('charging', 'paid', 'refunding') ORDER BY created_ms"
    );
    let mut statement = connection.prepare(&sql)?;
    statement.query_map([], payment)?.collect()
}

/// The payment whose receipt has this token.
///
/// # Errors
/// The database's.
pub fn of_token(connection: &Connection, token: &str) -> Result<Option<Payment>, Error> {
    one(connection, "token = ?1", [token])
}

/// The payment that was handed on under this reference.
///
/// # Errors
/// The database's.
pub fn of_onward(connection: &Connection, reference: &str) -> Result<Option<Payment>, Error> {
    one(connection, "onward_reference = ?1", [reference])
}

/// The payment of this name.
///
/// # Errors
/// The database's.
pub fn of_id(connection: &Connection, id: &str) -> Result<Option<Payment>, Error> {
    one(connection, "id = ?1", [id])
}

/// What an operator sees of a payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    /// Its name.
    pub id: Box<str>,
    /// How far it is.
    pub state: &'static str,
    /// Why it is refused or refunded; 0 for none.
    pub cause: u32,
    /// Who pays, as he is called here.
    pub login: Box<str>,
    /// Name of the provider's settlement account.
    pub provider: Box<str>,
    /// What is bought.
    pub title: String,
    /// The invoice's reference.
    pub reference: String,
    /// Micro-units.
    pub amount_micro: i64,
    /// Of that for us.
    pub fee_micro: i64,
    /// ISO 4217.
    pub currency: &'static str,
    /// When it began.
    pub created_unix_ms: i64,
    /// When it was debited.
    pub paid_unix_ms: Option<i64>,
    /// When it last changed.
    pub changed_unix_ms: i64,
    /// The billing server it was handed on to.
    pub onward: Option<String>,
}

impl From<Payment> for PaymentView {
    fn from(payment: Payment) -> Self {
        let order = payment.order;
        Self {
            id: order.id.as_str().into(),
            state: payment.state.name(),
            cause: payment.cause,
            login: order.payer.login,
            provider: order.provider,
            title: order.invoice.title.clone(),
            reference: order.invoice.reference.clone(),
            amount_micro: order.invoice.amount_micro,
            fee_micro: order.fee_micro,
            currency: order.invoice.currency.code(),
            created_unix_ms: payment.created_ms,
            paid_unix_ms: payment.paid_ms,
            changed_unix_ms: payment.changed_ms,
            onward: order.onward.map(|onward| onward.url),
        }
    }
}

/// The newest payments, the newest first, in a state if one is given.
///
/// # Errors
/// The database's.
pub fn list(
    connection: &Connection,
    state: Option<State>,
    limit: u32,
) -> Result<Vec<PaymentView>, Error> {
    let condition = match state {
        Some(_) => "state = ?1",
        None => "?1 IS NULL",
    };
    let sql = format!(
        "SELECT {COLUMNS} FROM payments WHERE {condition} ORDER BY created_ms DESC, id LIMIT ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(
        params![state.map(State::name), limit.min(LONGEST_LIST)],
        payment,
    )?;
    rows.map(|row| row.map(PaymentView::from)).collect()
}

/// Forgets payments that were over before then. Their invoices have expired: none of them is taken again. What was handed on
/// and never came back goes sooner, when it can no longer be acknowledged.
///
/// # Errors
/// The database's.
pub fn forget(connection: &Connection, now_ms: i64, before_ms: i64) -> Result<usize, Error> {
    let lost = connection
        .prepare_cached(
            "DELETE FROM payments WHERE id IN (SELECT id FROM payments WHERE created_ms < ?1 AND state = 'forwarded' \
             LIMIT 10000)",
        )?
        .execute([now_ms.saturating_sub(FORWARDED_MS)])?;
    let old = connection
        .prepare_cached(
            "DELETE FROM payments WHERE id IN (SELECT id FROM payments WHERE changed_ms < ?1 \
             AND state IN ('refused', 'acknowledged', 'refunded') LIMIT 10000)",
        )?
        .execute([before_ms])?;
    Ok(lost + old)
}

#[cfg(test)]
mod tests;
