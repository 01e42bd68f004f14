//! What changes become in rows, for every database.

use super::backend::collapse;
use super::{Change, Key, Stored};
use crate::store::Type::{Integer, Octets, Text};
use crate::store::{Batch, Removal, Repeated, Rows, Table, Value};

static RECORD: Table = Table {
    name: "record",
    columns: &[
        ("element", Text),
        ("session_id", Text),
        ("record_type", Integer),
        ("number", Integer),
        ("sub_session", Text),
        ("variant", Integer),
        ("realm", Text),
        ("sequence_number", Integer),
        ("service_context", Text),
        ("user_name", Text),
        ("event_unix_ms", Integer),
        ("received_unix_ms", Integer),
        ("reuses_number", Integer),
        ("digest", Octets),
        ("message", Octets),
    ],
    repeated: Repeated::Refused,
};

static SESSION: Table = Table {
    name: "session",
    columns: &[
        ("session_id", Text),
        ("element", Text),
        ("started", Integer),
        ("stopped", Integer),
        ("records", Integer),
        ("first_number", Integer),
        ("last_number", Integer),
        ("first_unix_ms", Integer),
        ("last_unix_ms", Integer),
    ],
    repeated: Repeated::ReplacedPair,
};

static ELEMENT: Table = Table {
    name: "element",
    columns: &[
        ("name", Text),
        ("realm", Text),
        ("records", Integer),
        ("last_unix_ms", Integer),
    ],
    repeated: Repeated::Replaced,
};

static RANGE: Table = Table {
    name: "range",
    columns: &[("element", Text), ("first", Integer), ("last", Integer)],
    repeated: Repeated::ReplacedPair,
};

/// All of `changes`: each row once, as it is at last.
pub(super) fn batch(changes: &[Change]) -> Batch<'_> {
    let mut tables = [&RECORD, &SESSION, &ELEMENT, &RANGE].map(|table| Rows {
        table,
        rows: Vec::new(),
    });
    let [records, sessions, elements, ranges] = &mut tables;
    let mut removals = Vec::new();
    for change in collapse(changes) {
        match change {
            Change::Record(stored) => records.rows.push(record(stored)),
            Change::Session {
                element,
                session_id,
                session,
            } => sessions.rows.push(vec![
                (&**session_id).into(),
                (&**element).into(),
                i64::from(session.started).into(),
                i64::from(session.stopped).into(),
                i64::from(session.records).into(),
                i64::from(session.first_number).into(),
                i64::from(session.last_number).into(),
                session.first_unix_ms.into(),
                session.last_unix_ms.into(),
            ]),
            Change::Element {
                name,
                realm,
                records,
                last_unix_ms,
            } => elements.rows.push(vec![
                (&**name).into(),
                (&**realm).into(),
                signed(*records).into(),
                (*last_unix_ms).into(),
            ]),
            Change::Range {
                element,
                first,
                last,
            } => ranges.rows.push(vec![
                (&**element).into(),
                signed(*first).into(),
                signed(*last).into(),
            ]),
            // After the rows: a number that a range has swallowed never begins one again.
            Change::RangeGone { element, first } => removals.push(Removal {
                sql: "DELETE FROM range WHERE element = $1 AND first = $2",
                parameters: vec![(&**element).into(), signed(*first).into()],
            }),
        }
    }
    let mut tables = Vec::from(tables);
    tables.retain(|of| !of.rows.is_empty());
    Batch { tables, removals }
}

/// The elements that `changes` are of, each once.
pub(super) fn elements(changes: &[Change]) -> Vec<&str> {
    let mut names: Vec<&str> = (changes.iter())
        .filter_map(|change| match change {
            Change::Element { name, .. } => Some(&**name),
            Change::Range { element, .. } | Change::RangeGone { element, .. } => Some(&**element),
            Change::Record(_) | Change::Session { .. } => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn record(stored: &Stored) -> Vec<Value<'_>> {
    let Stored {
        arrival,
        received_unix_ms,
        variant,
        reuses_number,
    } = stored;
    let key = &arrival.key;
    vec![
        (&*key.element).into(),
        (&*key.session_id).into(),
        i64::from(key.record_type.number()).into(),
        i64::from(key.number).into(),
        sub_session(key).into(),
        i64::from(*variant).into(),
        (&*arrival.realm).into(),
        arrival.sequence_number.map(signed).into(),
        optional(arrival.service_context.as_deref()),
        optional(arrival.user_name.as_deref()),
        arrival.event_unix_ms.into(),
        (*received_unix_ms).into(),
        i64::from(*reuses_number).into(),
        arrival.digest.as_slice().into(),
        (&*arrival.message).into(),
    ]
}

fn optional(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, Value::from)
}

/// Accounting-Sub-Session-Id as it is kept.
pub(super) fn sub_session(key: &Key) -> String {
    key.sub_session_id
        .map(|id| id.to_string())
        .unwrap_or_default()
}

pub(super) fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}
