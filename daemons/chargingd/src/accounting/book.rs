//! The rules: what is new, what is missing, what has no beginning. No I/O.

use std::collections::HashMap;

use tollwire_diameter::ResultCode;
use tollwire_diameter::accounting::AccountingRecordType;

use super::{Arrival, Key, Known, Ranges};

/// What one element may take up in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Elements that are known at once.
    pub elements: usize,
    /// Ranges of sequence numbers of one element: one more than it has gaps.
    pub ranges: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            elements: 10_000,
            ranges: 10_000,
        }
    }
}

/// What is known of who sends records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Origin-Realm.
    pub realm: Box<str>,
    /// Records of it that are kept.
    pub records: u64,
    /// When the last one came, milliseconds since 1970.
    pub last_unix_ms: i64,
    /// Sequence numbers of it that came.
    pub ranges: Ranges,
}

/// What is known of an accounting session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// Whether its START_RECORD came.
    pub started: bool,
    /// Whether its STOP_RECORD came.
    pub stopped: bool,
    /// Its records.
    pub records: u32,
    /// The lowest Accounting-Record-Number.
    pub first_number: u32,
    /// The highest.
    pub last_number: u32,
    /// When the first record came, milliseconds since 1970.
    pub first_unix_ms: i64,
    /// When the last one did.
    pub last_unix_ms: i64,
}

impl Session {
    /// Numbers that lack between the lowest and the highest. Sub-sessions count for themselves, and hide gaps.
    pub fn missing(&self) -> u32 {
        (self.last_number - self.first_number)
            .saturating_add(1)
            .saturating_sub(self.records)
    }
}

/// A record as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What came.
    pub arrival: Arrival,
    /// When, milliseconds since 1970.
    pub received_unix_ms: i64,
    /// 0, or how many other records have the same name already.
    pub variant: u32,
    /// Its sequence number was another record's before: the element's spool began anew.
    pub reuses_number: bool,
}

/// What is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A record more.
    Record(Box<Stored>),
    /// A session as it is now.
    Session {
        /// Whose.
        element: Box<str>,
        /// Its id.
        session_id: Box<str>,
        /// Its state.
        session: Session,
    },
    /// An element as it is now, but for its sequence numbers.
    Element {
        /// Origin-Host.
        name: Box<str>,
        /// Origin-Realm.
        realm: Box<str>,
        /// Records kept.
        records: u64,
        /// When the last came.
        last_unix_ms: i64,
    },
    /// A range of sequence numbers as it is now.
    Range {
        /// Whose.
        element: Box<str>,
        /// First number.
        first: u64,
        /// Last number.
        last: u64,
    },
    /// A range that another one has swallowed.
    RangeGone {
        /// Whose.
        element: Box<str>,
        /// First number.
        first: u64,
    },
}

/// What becomes of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is new.
    New,
    /// It is kept already.
    Duplicate,
    /// There is no room to keep track of it.
    Refused(ResultCode),
}

/// What happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records that were new.
    pub stored: u64,
    /// Records that were kept already.
    pub duplicates: u64,
    /// Those of them that said something else than the first.
    pub differing: u64,
    /// Records whose sequence number was another's before.
    pub reused: u64,
    /// Records refused.
    pub refused: u64,
}

/// What is kept in memory: elements, and what the changes under way have made of records and sessions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    limits: Limits,
    elements: HashMap<Box<str>, Element>,
    counters: Counters,
    /// As they were when all was kept.
    settled: Counters,
    /// Not settled yet: contents of the records that have a name.
    records: HashMap<Key, Vec<[u8; 16]>>,
    /// Not settled yet: sessions as they are now.
    sessions: HashMap<(Box<str>, Box<str>), Session>,
}

impl Book {
    /// A book that knows `elements`.
    pub fn new(limits: Limits, elements: HashMap<Box<str>, Element>) -> Self {
        Self {
            limits,
            elements,
            ..Self::default()
        }
    }

    /// Goes on with what is kept: the last changes were not, and `refused` records with them.
    pub fn begin_again(&mut self, elements: HashMap<Box<str>, Element>, refused: u64) {
        self.elements = elements;
        self.counters = self.settled;
        self.counters.refused += refused;
        self.settled();
    }

    /// Takes over what other instances have made of these elements.
    pub fn learn(&mut self, elements: HashMap<Box<str>, Element>) {
        self.elements.extend(elements);
    }

    /// The changes so far are kept: what is known of records and sessions is theirs from now on.
    pub fn settled(&mut self) {
        self.records.clear();
        self.sessions.clear();
        self.settled = self.counters;
    }

    /// Judges `arrival`, of which `known` is kept; what is to be kept is appended to `changes`.
    pub fn handle(
        &mut self,
        now_unix_ms: i64,
        arrival: Arrival,
        known: &Known,
        changes: &mut Vec<Change>,
    ) -> Verdict {
        let pending = self.records.get(&arrival.key);
        let same = known.same || pending.is_some_and(|all| all.contains(&arrival.digest));
        let others = known
            .records
            .saturating_add(pending.map_or(0, |all| u32::try_from(all.len()).unwrap_or(u32::MAX)));
        if others > 0 && (same || !arrival.is_whole) {
            self.counters.duplicates += 1;
            if !same {
                self.counters.differing += 1;
            }
            // A record of a session that was spooled twice has two numbers: neither is missing.
            if self.make_room(&arrival).is_ok() {
                self.note_number(&arrival, changes);
            }
            return Verdict::Duplicate;
        }
        if let Err(code) = self.make_room(&arrival) {
            self.counters.refused += 1;
            return Verdict::Refused(code);
        }
        let reuses_number = arrival.sequence_number.is_some_and(|number| {
            (self.elements.get(&arrival.key.element))
                .is_some_and(|element| element.ranges.contains(number))
        });
        self.note_number(&arrival, changes);
        self.note_session(now_unix_ms, &arrival, known, changes);
        let element = self
            .elements
            .entry(arrival.key.element.clone())
            .or_default();
        element.records = element.records.saturating_add(1);
        element.last_unix_ms = now_unix_ms;
        element.realm = arrival.realm.clone();
        changes.push(Change::Element {
            name: arrival.key.element.clone(),
            realm: element.realm.clone(),
            records: element.records,
            last_unix_ms: now_unix_ms,
        });
        self.records
            .entry(arrival.key.clone())
            .or_default()
            .push(arrival.digest);
        self.counters.stored += 1;
        self.counters.reused += u64::from(reuses_number);
        changes.push(Change::Record(Box::new(Stored {
            arrival,
            received_unix_ms: now_unix_ms,
            variant: others,
            reuses_number,
        })));
        Verdict::New
    }

    /// Every element with its name.
    pub fn elements(&self) -> impl Iterator<Item = (&str, &Element)> {
        self.elements
            .iter()
            .map(|(name, element)| (&**name, element))
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    fn make_room(&self, arrival: &Arrival) -> Result<(), ResultCode> {
        match self.elements.get(&arrival.key.element) {
            None if self.elements.len() >= self.limits.elements => {
                Err(ResultCode::RESOURCES_EXCEEDED)
            }
            Some(element)
                if arrival.sequence_number.is_some()
                    && element.ranges.len() >= self.limits.ranges =>
            {
                // What closes a gap, or goes on with a range, is still welcome.
                let number = arrival.sequence_number.unwrap_or(0);
                let touches = element.ranges.contains(number)
                    || element.ranges.contains(number.saturating_sub(1))
                    || element.ranges.contains(number.saturating_add(1));
                if touches {
                    Ok(())
                } else {
                    Err(ResultCode::OUT_OF_SPACE)
                }
            }
            _ => Ok(()),
        }
    }

    fn note_number(&mut self, arrival: &Arrival, changes: &mut Vec<Change>) {
        let Some(number) = arrival.sequence_number else {
            return;
        };
        let element = self
            .elements
            .entry(arrival.key.element.clone())
            .or_default();
        if let Some(grown) = element.ranges.insert(number) {
            let name = &arrival.key.element;
            changes.push(Change::Range {
                element: name.clone(),
                first: grown.first,
                last: grown.last,
            });
            changes.extend(grown.gone.map(|first| Change::RangeGone {
                element: name.clone(),
                first,
            }));
        }
    }

    fn note_session(
        &mut self,
        now_unix_ms: i64,
        arrival: &Arrival,
        known: &Known,
        changes: &mut Vec<Change>,
    ) {
        let Key {
            element,
            session_id,
            record_type,
            number,
            ..
        } = &arrival.key;
        if *record_type == AccountingRecordType::EventRecord {
            return;
        }
        let name = (element.clone(), session_id.clone());
        let session = self.sessions.entry(name).or_insert_with(|| {
            known.session.clone().unwrap_or_else(|| Session {
                first_number: *number,
                last_number: *number,
                first_unix_ms: now_unix_ms,
                ..Session::default()
            })
        });
        session.started |= *record_type == AccountingRecordType::StartRecord;
        session.stopped |= *record_type == AccountingRecordType::StopRecord;
        session.records = session.records.saturating_add(1);
        session.first_number = session.first_number.min(*number);
        session.last_number = session.last_number.max(*number);
        session.last_unix_ms = now_unix_ms;
        changes.push(Change::Session {
            element: element.clone(),
            session_id: session_id.clone(),
            session: session.clone(),
        });
    }
}
