//! One transaction as one flight: all its statements leave together, and one round trip brings all answers.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type as SqlType, to_sql_checked};
use tokio_postgres::{Client, Error, Statement};

use super::explain;
use crate::store::backend::{Unwritten, Value};
use crate::store::batch::{Rows, Table, Type};

/// One statement of a flight.
pub(crate) struct Step<'a> {
    /// The statement.
    pub(crate) statement: Statement,
    /// Its parameters.
    pub(crate) parameters: Vec<Parameter<'a>>,
}

/// One parameter.
#[derive(Debug)]
pub(crate) enum Parameter<'a> {
    One(&'a Value<'a>),
    Number(i64),
    Texts(Vec<Option<Cow<'a, str>>>),
    Numbers(Vec<Option<i64>>),
    Octets(Vec<Option<&'a [u8]>>),
}

/// The rows of one statement, whatever their number: a column each as one array.
pub(crate) fn insert(table: &Table) -> String {
    let arrays: Vec<&str> = (table.columns.iter())
        .map(|(_, kind)| match kind {
            Type::Text => "text[]",
            Type::Integer => "bigint[]",
            Type::Octets => "bytea[]",
        })
        .collect();
    let arrays: Vec<String> = (1..)
        .zip(arrays)
        .map(|(number, kind)| format!("${number}::{kind}"))
        .collect();
    format!(
        "INSERT INTO {} ({}) SELECT * FROM unnest({}){}",
        table.name,
        table.column_list(),
        arrays.join(", "),
        table.on_conflict()
    )
}

/// The parameters of [`insert`].
pub(crate) fn columns<'a>(of: &'a Rows<'a>) -> Vec<Parameter<'a>> {
    let column = |(index, (_, kind)): (usize, &(&str, Type))| {
        let values = of.rows.iter().map(move |row| row.get(index));
        match kind {
            Type::Text => Parameter::Texts(
                values
                    .map(|value| match value {
                        Some(Value::Text(text)) => Some(storable(text)),
                        _ => None,
                    })
                    .collect(),
            ),
            Type::Octets => Parameter::Octets(
                values
                    .map(|value| match value {
                        Some(Value::Octets(octets)) => Some(&**octets),
                        _ => None,
                    })
                    .collect(),
            ),
            Type::Integer => Parameter::Numbers(
                values
                    .map(|value| match value {
                        Some(Value::Integer(number)) => Some(*number),
                        _ => None,
                    })
                    .collect(),
            ),
        }
    };
    of.table.columns.iter().enumerate().map(column).collect()
}

/// PostgreSQL's text has no NUL. What may hold one is refused before it gets here; a group must not fail for it.
fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &SqlType,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql(kind, out),
            Self::Text(text) => storable(text).as_ref().to_sql(kind, out),
            Self::Octets(octets) => (&**octets).to_sql(kind, out),
        }
    }

    fn accepts(kind: &SqlType) -> bool {
        <i64 as ToSql>::accepts(kind)
            || <&str as ToSql>::accepts(kind)
            || <&[u8] as ToSql>::accepts(kind)
    }

    to_sql_checked!();
}

impl ToSql for Parameter<'_> {
    fn to_sql(
        &self,
        kind: &SqlType,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::One(value) => value.to_sql(kind, out),
            Self::Number(number) => number.to_sql(kind, out),
            Self::Texts(texts) => texts.to_sql(kind, out),
            Self::Numbers(numbers) => numbers.to_sql(kind, out),
            Self::Octets(octets) => octets.to_sql(kind, out),
        }
    }

    fn accepts(_: &SqlType) -> bool {
        // Its statement was made for it.
        true
    }

    to_sql_checked!();
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;

/// Runs the steps as one transaction.
///
/// # Errors
/// See [`Unwritten`].
pub(super) async fn transaction(client: &Client, steps: &[Step<'_>]) -> Result<(), Unwritten> {
    flight(client, Some("BEGIN"), steps).await
}

/// Runs the steps as the end of the transaction that is open.
///
/// # Errors
/// See [`Unwritten`].
pub(crate) async fn finish(client: &Client, steps: &[Step<'_>]) -> Result<(), Unwritten> {
    flight(client, None, steps).await
}

async fn flight(
    client: &Client,
    begin: Option<&'static str>,
    steps: &[Step<'_>],
) -> Result<(), Unwritten> {
    let mut sent: Vec<Sent<'_>> = Vec::with_capacity(steps.len() + 2);
    if let Some(begin) = begin {
        sent.push(Box::pin(client.batch_execute(begin)));
    }
    for step in steps {
        sent.push(Box::pin(async move {
            let parameters: Vec<&(dyn ToSql + Sync)> = (step.parameters.iter())
                .map(|parameter| parameter as &(dyn ToSql + Sync))
                .collect();
            client.execute(&step.statement, &parameters).await.map(drop)
        }));
    }
    sent.push(Box::pin(client.batch_execute("COMMIT")));
    let mut results = together(sent).await;
    let commit = results.pop().unwrap_or(Ok(()));
    let refused = results
        .into_iter()
        .find_map(|result| result.err().filter(|error| error.as_db_error().is_some()));
    match (refused, commit) {
        // The transaction had failed when COMMIT came, which then only ended it.
        (Some(error), _) => Err(Unwritten::Refused(explain(error))),
        (None, Ok(())) => Ok(()),
        (None, Err(error)) if is_final(&error) => Err(Unwritten::Refused(explain(error))),
        (None, Err(error)) => Err(Unwritten::Unknown(explain(error))),
    }
}

/// Whether the server has said that it did not commit, rather than that it goes away.
fn is_final(error: &Error) -> bool {
    error.code().is_some_and(|code| {
        // Connection exception, operator intervention, system error, internal error.
        !["08", "57", "58", "XX"].contains(&code.code().get(..2).unwrap_or_default())
    })
}

/// Polls all of them until all are done, always in their order: what each sends at its first poll leaves in this order.
pub(crate) async fn together<T>(mut all: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut done: Vec<Option<T>> = all.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (future, result) in all.iter_mut().zip(&mut done) {
            if result.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *result = Some(value),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    done.into_iter().flatten().collect()
}
