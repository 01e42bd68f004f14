//! What is asked of the storage, once for all databases.

use std::collections::HashMap;

use bytes::Bytes;
use tollwire_diameter::Message;

use super::rows::{signed, unsigned};
use super::view::record_type_name;
use super::{
    Element, ElementView, Query, Ranges, RecordDetail, RecordView, Session, SessionView, describe,
};
use crate::store::{Cause, Queries, Row, Value};

/// Elements that have changed since; asked before [`RANGES`], so that no range is older than its element.
pub(super) const ELEMENTS: &str =
    "SELECT name, realm, records, last_unix_ms, changed FROM element WHERE changed > $1";
/// Their ranges.
pub(super) const RANGES: &str = "SELECT element, first, last FROM range
     WHERE element IN (SELECT name FROM element WHERE changed > $1)";

/// Elements as they are read.
#[derive(Default)]
pub(super) struct Found {
    /// By name.
    pub(super) elements: HashMap<Box<str>, Element>,
    ranges: HashMap<Box<str>, Vec<(u64, u64)>>,
    /// The newest `changed` among them.
    pub(super) newest: i64,
}

impl Found {
    /// Takes a row of [`ELEMENTS`].
    pub(super) fn element(&mut self, row: Row<'_>) -> Result<(), Cause> {
        let element = Element {
            realm: row.text(1)?.into(),
            records: unsigned(row.integer(2)?),
            last_unix_ms: row.integer(3)?,
            ranges: Ranges::default(),
        };
        self.newest = self.newest.max(row.integer(4)?);
        self.elements.insert(row.text(0)?.into(), element);
        Ok(())
    }

    /// Takes a row of [`RANGES`].
    pub(super) fn range(&mut self, row: Row<'_>) -> Result<(), Cause> {
        let range = (unsigned(row.integer(1)?), unsigned(row.integer(2)?));
        (self.ranges.entry(row.text(0)?.into()).or_default()).push(range);
        Ok(())
    }

    /// All of them, whole.
    pub(super) fn whole(mut self) -> (HashMap<Box<str>, Element>, i64) {
        for (name, ranges) in self.ranges {
            if let Some(element) = self.elements.get_mut(&name) {
                element.ranges = Ranges::of(ranges);
            }
        }
        (self.elements, self.newest)
    }
}

/// Every element with its sequence numbers, and the newest change among them.
///
/// # Errors
/// The database cannot be read.
pub fn elements(store: &mut dyn Queries) -> Result<(HashMap<Box<str>, Element>, i64), Cause> {
    let mut found = Found::default();
    let all = [Value::Integer(-1)];
    store.query(ELEMENTS, &all, &mut |row| found.element(row))?;
    store.query(RANGES, &all, &mut |row| found.range(row))?;
    Ok(found.whole())
}

/// Elements by name, with their gaps.
///
/// # Errors
/// The database cannot be read.
pub fn views(store: &mut dyn Queries) -> Result<Vec<ElementView>, Cause> {
    let (elements, _) = elements(store)?;
    let mut views: Vec<ElementView> = elements
        .into_iter()
        .map(|(name, element)| ElementView::of(&name, &element))
        .collect();
    views.sort_by(|one, other| one.element.cmp(&other.element));
    Ok(views)
}

/// Records, the newest first.
///
/// # Errors
/// The database cannot be read.
pub fn records(store: &mut dyn Queries, query: &Query) -> Result<Vec<RecordView>, Cause> {
    let mut conditions = Conditions::default();
    conditions.element_and_session(query);
    conditions.and("sequence_number =", query.sequence_number.map(signed));
    conditions.and("received_unix_ms >=", query.from_unix_ms);
    conditions.and("received_unix_ms <", query.until_unix_ms);
    if query.faulty {
        conditions.text.push_str(" AND reuses_number = 1");
    }
    let sql = format!(
        "SELECT {RECORD} FROM record WHERE 1 = 1{} ORDER BY id DESC LIMIT {}",
        conditions.text,
        query.count()
    );
    let mut found = Vec::new();
    store.query(&sql, &conditions.values, &mut |row| {
        found.push(record_of(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// One record with its message.
///
/// # Errors
/// The database cannot be read.
pub fn record(store: &mut dyn Queries, id: i64) -> Result<Option<RecordDetail>, Cause> {
    let sql = format!("SELECT {RECORD}, message FROM record WHERE id = $1");
    let mut found = None;
    store.query(&sql, &[id.into()], &mut |row| {
        found = Some(detail(record_of(row)?, row.octets(14)?));
        Ok(())
    })?;
    Ok(found)
}

/// Sessions, the last heard of first.
///
/// # Errors
/// The database cannot be read.
pub fn sessions(store: &mut dyn Queries, query: &Query) -> Result<Vec<SessionView>, Cause> {
    let mut conditions = Conditions::default();
    conditions.element_and_session(query);
    conditions.and("last_unix_ms >=", query.from_unix_ms);
    conditions.and("last_unix_ms <", query.until_unix_ms);
    if query.faulty {
        conditions
            .text
            .push_str(" AND (started = 0 OR last_number - first_number + 1 > records)");
    }
    let sql = format!(
        "SELECT element, session_id, {SESSION} FROM session WHERE 1 = 1{} ORDER BY last_unix_ms DESC LIMIT {}",
        conditions.text,
        query.count()
    );
    let mut found = Vec::new();
    store.query(&sql, &conditions.values, &mut |row| {
        let state = session(row, 2)?;
        found.push(SessionView::of(
            row.text(0)?.to_owned(),
            row.text(1)?.to_owned(),
            &state,
        ));
        Ok(())
    })?;
    Ok(found)
}

/// What a question asks for, and its values.
#[derive(Default)]
struct Conditions {
    text: String,
    values: Vec<Value<'static>>,
}

impl Conditions {
    fn and<T: Into<Value<'static>>>(&mut self, condition: &str, value: Option<T>) {
        if let Some(value) = value {
            self.values.push(value.into());
            self.text
                .push_str(&format!(" AND {condition} ${}", self.values.len()));
        }
    }

    fn element_and_session(&mut self, query: &Query) {
        let element = query.element.as_deref().map(str::to_ascii_lowercase);
        self.and("element =", element);
        self.and("session_id =", query.session_id.clone());
    }
}

const RECORD: &str =
    "id, element, session_id, record_type, number, sub_session, variant, realm, sequence_number,
service_context, user_name, event_unix_ms, received_unix_ms, reuses_number";

/// The columns of [`session`].
pub(super) const SESSION: &str =
    "started, stopped, records, first_number, last_number, first_unix_ms, last_unix_ms";

fn record_of(row: Row<'_>) -> Result<RecordView, Cause> {
    Ok(RecordView {
        id: row.integer(0)?,
        element: row.text(1)?.to_owned(),
        session_id: row.text(2)?.to_owned(),
        record_type: record_type_name(i32::try_from(row.integer(3)?)?).into(),
        number: u32::try_from(row.integer(4)?)?,
        sub_session_id: row.text(5)?.parse().ok(),
        variant: u32::try_from(row.integer(6)?)?,
        realm: row.text(7)?.to_owned(),
        sequence_number: row.optional_integer(8)?.map(unsigned),
        service_context: row.optional_text(9)?,
        user_name: row.optional_text(10)?,
        event_unix_ms: row.optional_integer(11)?,
        received_unix_ms: row.integer(12)?,
        reuses_number: row.integer(13)? != 0,
    })
}

/// `record` with what its `message` says.
fn detail(record: RecordView, message: &[u8]) -> RecordDetail {
    let decoded = Message::decode(Bytes::copy_from_slice(message)).ok();
    let carried = decoded.as_ref().and_then(describe::carried);
    RecordDetail {
        record,
        message: describe::hex(message),
        avps: decoded.as_ref().map(describe::avps).unwrap_or_default(),
        carried,
    }
}

/// The session in the columns from `at` on.
pub(super) fn session(row: Row<'_>, at: usize) -> Result<Session, Cause> {
    let small = |column: usize| -> Result<u32, Cause> { Ok(row.integer(column)?.try_into()?) };
    Ok(Session {
        started: row.integer(at)? != 0,
        stopped: row.integer(at + 1)? != 0,
        records: small(at + 2)?,
        first_number: small(at + 3)?,
        last_number: small(at + 4)?,
        first_unix_ms: row.integer(at + 5)?,
        last_unix_ms: row.integer(at + 6)?,
    })
}
