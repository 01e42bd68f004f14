//! The audit log as rows.

use super::backend::{Cause, Queries, Value};
use super::batch::Repeated;
use super::batch::Table;
use super::batch::Type::{Integer, Text};
use crate::audit::Entry;

pub(super) static AUDIT: Table = Table {
    name: "audit",
    columns: &[
        ("unix_ms", Integer),
        ("who", Text),
        ("operation", Text),
        ("account", Text),
        ("detail", Text),
        ("outcome", Text),
    ],
    repeated: Repeated::Refused,
};

pub(super) fn row(entry: &Entry) -> Vec<Value<'_>> {
    vec![
        entry.unix_ms.into(),
        (&*entry.who).into(),
        (&*entry.operation).into(),
        (&*entry.account).into(),
        (&*entry.detail).into(),
        (&*entry.outcome).into(),
    ]
}

/// Which lines of the audit log are wanted; empty is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this account.
    pub account: String,
    /// By this one.
    pub who: String,
    /// Not after this line.
    pub until_unix_ms: Option<i64>,
    /// So many, the newest.
    pub limit: u32,
}

/// Lines of the audit log, oldest first.
///
/// # Errors
/// The database's.
pub fn audit(store: &mut dyn Queries, query: &AuditQuery) -> Result<Vec<Entry>, Cause> {
    let mut entries = Vec::new();
    let mut parameters: Vec<Value<'_>> = Vec::new();
    let mut conditions = vec!["TRUE".to_owned()];
    let mut wanted = |condition: &str, value: Value<'static>| {
        parameters.push(value);
        conditions.push(format!("{condition} ${}", parameters.len()));
    };
    if !query.account.is_empty() {
        wanted("account =", query.account.clone().into());
    }
    if !query.who.is_empty() {
        wanted("who =", query.who.clone().into());
    }
    if let Some(until) = query.until_unix_ms {
        wanted("unix_ms <=", until.into());
    }
    parameters.push(i64::from(query.limit).into());
    let sql = format!(
        "SELECT unix_ms, who, operation, account, detail, outcome FROM audit
         WHERE {} ORDER BY id DESC LIMIT ${}",
        conditions.join(" AND "),
        parameters.len()
    );
    store.query(&sql, &parameters, &mut |row| {
        entries.push(Entry {
            unix_ms: row.integer(0)?,
            who: row.text(1)?.into(),
            operation: row.text(2)?.into(),
            account: row.text(3)?.into(),
            detail: row.text(4)?.into(),
            outcome: row.text(5)?.into(),
        });
        Ok(())
    })?;
    entries.reverse();
    Ok(entries)
}
