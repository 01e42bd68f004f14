//! Reading which contacts are still to be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backend::{Cause, Queries, Row};
use crate::notify::{Channel, Contact, Notification, Task, Waiting};

/// The contacts of `channel` that are due at `until_unix_ms`, `limit` at the most and the earliest first; and when the
/// first of the others will be.
///
/// # Errors
/// The database's.
pub fn due(
    store: &mut dyn Queries,
    channel: Channel,
    until_unix_ms: i64,
    limit: usize,
) -> Result<(Vec<Task>, Option<i64>), Cause> {
    let mut tasks = Vec::new();
    store.query(
        "SELECT key, attempts, next_unix_ms, error, value FROM notification
         WHERE channel = $1 AND next_unix_ms <= $2 ORDER BY next_unix_ms, key LIMIT $3",
        &[
            channel.as_str().into(),
            until_unix_ms.into(),
            count(limit).into(),
        ],
        &mut |row| {
            tasks.push(waiting(row)?.task);
            Ok(())
        },
    )?;
    let mut next = None;
    store.query(
        "SELECT next_unix_ms FROM notification WHERE channel = $1 AND next_unix_ms > $2
         ORDER BY next_unix_ms LIMIT 1",
        &[channel.as_str().into(), until_unix_ms.into()],
        &mut |row| {
            next = Some(row.integer(0)?);
            Ok(())
        },
    )?;
    Ok((tasks, next))
}

/// The first `limit` contacts that are to be told, the next one first.
///
/// # Errors
/// The database's.
pub fn all_waiting(store: &mut dyn Queries, limit: usize) -> Result<Vec<Waiting>, Cause> {
    let mut all = Vec::new();
    store.query(
        "SELECT key, attempts, next_unix_ms, error, value FROM notification
         ORDER BY next_unix_ms, key LIMIT $1",
        &[count(limit).into()],
        &mut |row| {
            all.push(waiting(row)?);
            Ok(())
        },
    )?;
    Ok(all)
}

/// How many contacts each channel has still to tell, by its name.
///
/// # Errors
/// The database's.
pub fn waiting_by_channel(store: &mut dyn Queries) -> Result<BTreeMap<String, i64>, Cause> {
    let mut counts = BTreeMap::new();
    store.query(
        "SELECT channel, count(*) FROM notification GROUP BY channel",
        &[],
        &mut |row| {
            counts.insert(row.text(0)?.to_owned(), row.integer(1)?);
            Ok(())
        },
    )?;
    Ok(counts)
}

fn waiting(row: Row<'_>) -> Result<Waiting, Cause> {
    let key = row.text(0)?;
    let (_, contact) = key
        .split_once(' ')
        .ok_or_else(|| format!("no key: {key:?}"))?;
    let notification: Notification = serde_json::from_str(row.text(4)?)?;
    Ok(Waiting {
        task: Task {
            notification: Arc::new(notification),
            contact: contact.parse::<Contact>()?,
            attempts: row.integer(1)?.try_into()?,
        },
        next_unix_ms: row.integer(2)?,
        error: row.text(3)?.to_owned(),
    })
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
