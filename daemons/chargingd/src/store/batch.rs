//! A group of changes as rows: each row once, as it is at last, in an order that every reference allows.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Serialize;
use tollwire_cdr::Payment;

use super::backend::{Cause, Value};
use super::{audit, voucher};
use crate::account::Profile;
use crate::effect::Mutation;
use crate::invoice::rows::Row as Invoicing;
use crate::notify::Contact;

/// A table that changes are written to.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns of a row.
    pub columns: &'static [(&'static str, Type)],
    /// What becomes of a row whose key is there already.
    pub repeated: Repeated,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Text, or JSON as text.
    Text,
    /// A number.
    Integer,
    /// Octets.
    Octets,
}

/// A row with a key that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeated {
    /// It is a fault of the core, and stops the whole batch.
    Refused,
    /// It is changed. The key is the first column.
    Replaced,
    /// It is changed. The key is the first two columns.
    ReplacedPair,
}

use Type::{Integer, Text};

/// What is known of a customer of whom nothing is known; `{}` is read as that.
static PLAIN: LazyLock<Profile> = LazyLock::new(Profile::default);

static ACCOUNT: Table = Table {
    name: "account",
    columns: &[
        ("name", Text),
        ("payment", Text),
        ("currency", Text),
        ("balance_micro", Integer),
        ("credit_limit_micro", Integer),
        ("blocked", Integer),
        ("profile", Text),
    ],
    repeated: Repeated::Replaced,
};

static SERVICE_ACCOUNT: Table = Table {
    name: "service_account",
    columns: &[
        ("name", Text),
        ("account", Text),
        ("unit", Text),
        ("balance", Integer),
        ("value", Text),
    ],
    repeated: Repeated::Replaced,
};

static IDENTITY: Table = Table {
    name: "identity",
    columns: &[("identity", Text), ("account", Text)],
    repeated: Repeated::Replaced,
};

static ENTRY: Table = Table {
    name: "entry",
    columns: &[
        ("key", Text),
        ("debit", Text),
        ("credit", Text),
        ("amount", Integer),
        ("commodity", Text),
        ("unix_ms", Integer),
        ("service", Text),
        ("provider", Text),
        ("tax_basis_points", Integer),
        ("commission_basis_points", Integer),
    ],
    repeated: Repeated::Refused,
};

static SESSION: Table = Table {
    name: "session",
    columns: &[("id", Text), ("closed_unix_ms", Integer), ("value", Text)],
    repeated: Repeated::Replaced,
};

static OUTBOX: Table = Table {
    name: "outbox",
    columns: &[("sequence_number", Integer), ("value", Text)],
    repeated: Repeated::Refused,
};

static LAST_RECORD: Table = Table {
    name: "last_record",
    columns: &[("only", Integer), ("sequence_number", Integer)],
    repeated: Repeated::Replaced,
};

/// A contact that is to be told.
static NOTIFICATION: Table = Table {
    name: "notification",
    columns: &[
        ("key", Text),
        ("channel", Text),
        ("next_unix_ms", Integer),
        ("attempts", Integer),
        ("error", Text),
        ("value", Text),
    ],
    repeated: Repeated::Replaced,
};

static COUNTER: Table = Table {
    name: "counter",
    columns: &[("name", Text), ("value", Integer)],
    repeated: Repeated::Replaced,
};

/// Names the counter of notifications.
pub(super) const NOTIFICATIONS: &str = "notification";

static INVOICE: Table = Table {
    name: "invoice",
    columns: &[
        ("id", Integer),
        ("month", Integer),
        ("ordinal", Integer),
        ("number", Text),
        ("account", Text),
        ("until_unix_ms", Integer),
        ("through", Integer),
        ("closing_micro", Integer),
        ("value", Text),
    ],
    repeated: Repeated::Replaced,
};

static SETTLEMENT: Table = Table {
    name: "settlement",
    columns: &[
        ("id", Integer),
        ("month", Integer),
        ("ordinal", Integer),
        ("provider", Text),
        ("currency", Text),
        ("carried_micro", Integer),
        ("value", Text),
    ],
    repeated: Repeated::Replaced,
};

static PERIOD: Table = Table {
    name: "period",
    columns: &[
        ("month", Integer),
        ("through", Integer),
        ("open_from", Integer),
        ("settled_until_unix_ms", Integer),
        ("first_number", Integer),
        ("invoices", Integer),
        ("settlements", Integer),
        ("closed_unix_ms", Integer),
    ],
    repeated: Repeated::Refused,
};

/// Every table that changes are written to; those that others refer to come first.
pub(super) static TABLES: [&Table; 15] = [
    &ACCOUNT,
    &SERVICE_ACCOUNT,
    &IDENTITY,
    &ENTRY,
    &SESSION,
    &OUTBOX,
    &LAST_RECORD,
    &NOTIFICATION,
    &COUNTER,
    &INVOICE,
    &SETTLEMENT,
    &PERIOD,
    &voucher::VOUCHER_BATCH,
    &voucher::VOUCHER,
    &audit::AUDIT,
];

impl Table {
    /// What [`Repeated`] means, as the end of an `INSERT` that both SQLite and PostgreSQL understand.
    pub(super) fn on_conflict(&self) -> String {
        let of_key = match self.repeated {
            Repeated::Refused => return String::new(),
            Repeated::Replaced => 1,
            Repeated::ReplacedPair => 2,
        };
        let Some((key, others)) = self.columns.split_at_checked(of_key) else {
            return String::new();
        };
        let key: Vec<String> = (key.iter())
            .map(|(column, _)| format!("\"{column}\""))
            .collect();
        let set: Vec<String> = others
            .iter()
            .map(|(column, _)| format!("\"{column}\" = excluded.\"{column}\""))
            .collect();
        format!(
            " ON CONFLICT ({}) DO UPDATE SET {}",
            key.join(", "),
            set.join(", ")
        )
    }

    /// The names of the columns, for an `INSERT`.
    pub(super) fn column_list(&self) -> String {
        let quoted = |(name, _): &(&str, Type)| format!("\"{name}\"");
        let names: Vec<String> = self.columns.iter().map(quoted).collect();
        names.join(", ")
    }
}

/// Rows of one table.
#[derive(Debug)]
pub struct Rows<'a> {
    /// The table.
    pub table: &'static Table,
    /// As many values each as the table has columns.
    pub rows: Vec<Vec<Value<'a>>>,
}

impl Rows<'_> {
    /// One statement can write a row only once: of those with one key the last stays.
    fn keep_last(&mut self) {
        if self.table.repeated != Repeated::Replaced {
            return;
        }
        let mut last: HashMap<Value<'_>, usize> = HashMap::with_capacity(self.rows.len());
        for (at, row) in self.rows.iter().enumerate() {
            if let Some(key) = row.first() {
                last.insert(key.clone(), at);
            }
        }
        if last.len() == self.rows.len() {
            return;
        }
        let last: HashSet<usize> = last.into_values().collect();
        let mut at = 0;
        self.rows.retain(|_| {
            at += 1;
            last.contains(&(at - 1))
        });
    }
}

/// Rows to take away.
#[derive(Debug)]
pub struct Removal<'a> {
    /// A `DELETE` with parameters, `$1` and so on.
    pub sql: &'static str,
    /// The parameters.
    pub parameters: Vec<Value<'a>>,
}

/// What one transaction writes: rows first, removals after them.
#[derive(Debug)]
pub struct Batch<'a> {
    /// In the order of [`TABLES`], tables without rows left out.
    pub tables: Vec<Rows<'a>>,
    /// In any order: they touch none of the rows.
    pub removals: Vec<Removal<'a>>,
}

impl<'a> Batch<'a> {
    /// Of changes in the order they were made. Records up to `written` are in the files and leave the outbox.
    ///
    /// # Errors
    /// A value that cannot be written as JSON.
    pub fn of(
        mutations: impl Iterator<Item = &'a Mutation>,
        written: Option<u64>,
    ) -> Result<Self, Cause> {
        // What changes several times is written once, as it is at last.
        let mut changes: Vec<&'a Mutation> = Vec::new();
        let mut known: HashMap<(&'static str, &'a str), usize> = HashMap::new();
        for mutation in mutations {
            match replaced(mutation).map(|(table, key)| known.entry((table.name, key))) {
                Some(Entry::Occupied(at)) => {
                    if let Some(change) = changes.get_mut(*at.get()) {
                        *change = mutation;
                    }
                    continue;
                }
                Some(Entry::Vacant(at)) => drop(at.insert(changes.len())),
                None => {}
            }
            changes.push(mutation);
        }
        let mut rows: Vec<(&'static Table, Vec<Value<'a>>)> = Vec::with_capacity(changes.len());
        let mut removals = Vec::new();
        let mut last_record = None;
        let mut last_notification = None;
        for change in changes {
            match written_as(change)? {
                Written::Row(table, values) => rows.push((table, values)),
                Written::Rows(table, several) => {
                    rows.extend(several.into_iter().map(|values| (table, values)));
                }
                Written::Removal(removal) => removals.push(removal),
            }
            if let Mutation::Record(record) = change {
                last_record = last_record.max(Some(record.sequence_number));
            }
            if let Mutation::Notification(notification) = change {
                last_notification = last_notification.max(Some(notification.id));
            }
        }
        if let Some(last) = last_notification {
            rows.push((&COUNTER, vec![NOTIFICATIONS.into(), number(last).into()]));
        }
        if let Some(last) = last_record {
            rows.push((&LAST_RECORD, vec![0.into(), number(last).into()]));
        }
        if let Some(sequence_number) = written {
            removals.push(Removal {
                sql: "DELETE FROM outbox WHERE sequence_number <= $1",
                parameters: vec![number(sequence_number).into()],
            });
        }
        let mut tables: Vec<Rows<'a>> = TABLES
            .into_iter()
            .map(|table| Rows {
                table,
                rows: Vec::new(),
            })
            .collect();
        for (table, values) in rows {
            if let Some(of) = tables.iter_mut().find(|of| of.table.name == table.name) {
                of.rows.push(values);
            }
        }
        tables.retain(|of| !of.rows.is_empty());
        tables.iter_mut().for_each(Rows::keep_last);
        Ok(Self { tables, removals })
    }
}

/// The row that a change writes whole, if it may be written again: its table and its key.
fn replaced(mutation: &Mutation) -> Option<(&'static Table, &str)> {
    match mutation {
        Mutation::Account(account) => Some((&ACCOUNT, &account.name)),
        Mutation::ServiceAccount(account) => Some((&SERVICE_ACCOUNT, &account.name)),
        Mutation::Identity(identity, _) => Some((&IDENTITY, identity)),
        Mutation::Session(session) => Some((&SESSION, &session.id)),
        Mutation::Entry(_)
        | Mutation::ForgetSessions(_)
        | Mutation::Record(_)
        | Mutation::VoucherBatch(_)
        | Mutation::Voucher(_)
        | Mutation::Audit(_)
        | Mutation::Notification(_)
        | Mutation::NotificationLater(_)
        | Mutation::NotificationEnded(_)
        | Mutation::Invoicing(_) => None,
    }
}

enum Written<'a> {
    Row(&'static Table, Vec<Value<'a>>),
    Rows(&'static Table, Vec<Vec<Value<'a>>>),
    Removal(Removal<'a>),
}

fn written_as(mutation: &Mutation) -> Result<Written<'_>, Cause> {
    Ok(match mutation {
        Mutation::Account(account) => Written::Row(
            &ACCOUNT,
            vec![
                (&*account.name).into(),
                match account.payment {
                    Payment::Prepaid => "prepaid",
                    Payment::Postpaid => "postpaid",
                }
                .into(),
                account.currency.code().into(),
                account.balance_micro.into(),
                account.credit_limit_micro.into(),
                i64::from(account.blocked).into(),
                // Most customers have nothing but defaults, and an account is written with each charge.
                match account.profile == *PLAIN {
                    true => "{}".into(),
                    false => json(&account.profile)?,
                },
            ],
        ),
        Mutation::ServiceAccount(account) => Written::Row(
            &SERVICE_ACCOUNT,
            vec![
                (&*account.name).into(),
                (&*account.account).into(),
                account.terms.unit.name().into(),
                account.balance.into(),
                json(account)?,
            ],
        ),
        Mutation::Identity(identity, Some(account)) => {
            Written::Row(&IDENTITY, vec![(&**identity).into(), (&**account).into()])
        }
        Mutation::Identity(identity, None) => Written::Removal(Removal {
            sql: "DELETE FROM identity WHERE identity = $1",
            parameters: vec![(&**identity).into()],
        }),
        Mutation::Entry(entry) => Written::Row(
            &ENTRY,
            vec![
                (&*entry.key).into(),
                (&*entry.debit).into(),
                (&*entry.credit).into(),
                entry.amount.into(),
                entry.commodity.name().into(),
                entry.unix_ms.into(),
                (&*entry.about.service).into(),
                (&*entry.about.provider).into(),
                i64::from(entry.about.tax_basis_points).into(),
                i64::from(entry.about.commission_basis_points).into(),
            ],
        ),
        Mutation::Session(session) => Written::Row(
            &SESSION,
            vec![
                (&*session.id).into(),
                session.done_unix_ms().into(),
                json(session)?,
            ],
        ),
        // What is forgotten was closed before anything that this batch writes.
        Mutation::ForgetSessions(unix_ms) => Written::Removal(Removal {
            sql: "DELETE FROM session WHERE closed_unix_ms <= $1",
            parameters: vec![(*unix_ms).into()],
        }),
        Mutation::Record(record) => Written::Row(
            &OUTBOX,
            vec![number(record.sequence_number).into(), json(record)?],
        ),
        Mutation::Notification(notification) => {
            let value = json(notification)?;
            let contacts = notification.told_contacts();
            let rows = contacts.map(|contact| {
                let (key, due) = (row_key(notification.id, contact), notification.unix_ms);
                let channel = contact.channel().as_str();
                vec![
                    key,
                    channel.into(),
                    due.into(),
                    0.into(),
                    "".into(),
                    value.clone(),
                ]
            });
            Written::Rows(&NOTIFICATION, rows.collect())
        }
        Mutation::NotificationLater(waiting) => {
            let task = &waiting.task;
            Written::Row(
                &NOTIFICATION,
                vec![
                    row_key(task.notification.id, &task.contact),
                    task.contact.channel().as_str().into(),
                    waiting.next_unix_ms.into(),
                    i64::from(task.attempts).into(),
                    waiting.error.as_str().into(),
                    json(&*task.notification)?,
                ],
            )
        }
        Mutation::Invoicing(row) => invoicing(row),
        Mutation::VoucherBatch(batch) => {
            Written::Row(&voucher::VOUCHER_BATCH, voucher::batch_row(batch))
        }
        Mutation::Voucher(one) => Written::Row(&voucher::VOUCHER, voucher::row(one)),
        Mutation::Audit(entry) => Written::Row(&audit::AUDIT, audit::row(entry)),
        Mutation::NotificationEnded(key) => Written::Removal(Removal {
            sql: "DELETE FROM notification WHERE key = $1",
            parameters: vec![row_key(key.id, &key.contact)],
        }),
    })
}

/// The key of a contact's row: `7 mailto:alice@example.org`.
fn row_key(id: u64, contact: &Contact) -> Value<'static> {
    format!("{id} {contact}").into()
}

fn invoicing(row: &Invoicing) -> Written<'_> {
    let id = row.id().into();
    match row {
        Invoicing::Invoice(row) => Written::Row(
            &INVOICE,
            vec![
                id,
                row.month.into(),
                row.ordinal.into(),
                (&*row.number).into(),
                (&*row.account).into(),
                row.until_unix_ms.into(),
                row.through.into(),
                row.closing_micro.into(),
                row.value.as_str().into(),
            ],
        ),
        Invoicing::Settlement(row) => Written::Row(
            &SETTLEMENT,
            vec![
                id,
                row.month.into(),
                row.ordinal.into(),
                (&*row.provider).into(),
                (&*row.currency).into(),
                row.carried_micro.into(),
                row.value.as_str().into(),
            ],
        ),
        Invoicing::Period(row) => Written::Row(
            &PERIOD,
            vec![
                id,
                row.through.into(),
                row.open_from.into(),
                row.settled_until_unix_ms.into(),
                row.first_number.into(),
                row.invoices.into(),
                row.settlements.into(),
                row.closed_unix_ms.into(),
            ],
        ),
    }
}

fn json<T: Serialize>(value: &T) -> Result<Value<'static>, Cause> {
    Ok(serde_json::to_string(value)?.into())
}

fn number(sequence_number: u64) -> i64 {
    i64::try_from(sequence_number).unwrap_or(i64::MAX)
}
