//! Calls on disk, so that a restart finds them: one line a change, the last one of a call counts.
//!
//! A line is its length (32 bits, little-endian) and that many octets in postcard's encoding. Lines are written and not
//! synced: they must outlive this process, not the machine, whose fall ends every call.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use tollwire_runtime::clock::Now;
use tollwire_sip::transaction::{Flow, Transport};

use crate::calls::CallEffect;
use crate::calls::{Call, CallNumber, CallSnapshot, Settings};
use crate::dialog::Dialog;
use crate::supervision::{CallEntry, Parties};

/// A line to be written. The fields are those of [`Remembered`], in the same order.
#[derive(Debug, Serialize)]
// Made to be written at once, and never kept.
#[allow(clippy::large_enum_variant)]
pub enum Line<'a> {
    /// A call from now on.
    State {
        /// Its number.
        call: CallNumber,
        /// Who takes part.
        parties: &'a Parties,
        /// The caller's tag.
        caller_tag: &'a str,
        /// Where the caller's messages come from.
        caller_flow: Hop,
        /// Where the callee's come from.
        callee_flow: Option<Hop>,
        /// The confirmed dialog.
        dialog: Option<&'a Dialog>,
        /// The machine.
        snapshot: CallSnapshot,
    },
    /// A call that owes nothing any more.
    Closed {
        /// Its number.
        call: CallNumber,
    },
}

/// A line that was read.
#[derive(Debug, Deserialize)]
pub enum Remembered {
    /// See [`Line::State`].
    State {
        /// Its number.
        call: CallNumber,
        /// Who takes part.
        parties: Box<Parties>,
        /// The caller's tag.
        caller_tag: Box<str>,
        /// Where the caller's messages come from.
        caller_flow: Hop,
        /// Where the callee's come from.
        callee_flow: Option<Hop>,
        /// The confirmed dialog.
        dialog: Option<Box<Dialog>>,
        /// The machine.
        snapshot: Box<CallSnapshot>,
    },
    /// See [`Line::Closed`].
    Closed {
        /// Its number.
        call: CallNumber,
    },
}

/// A [`Flow`] as it is kept.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Hop {
    stream: bool,
    local: SocketAddr,
    remote: SocketAddr,
}

impl From<Flow> for Hop {
    fn from(flow: Flow) -> Self {
        Self {
            stream: flow.transport.is_reliable(),
            local: flow.local,
            remote: flow.remote,
        }
    }
}

impl From<Hop> for Flow {
    fn from(hop: Hop) -> Self {
        Self {
            transport: if hop.stream {
                Transport::Tcp
            } else {
                Transport::Udp
            },
            local: hop.local,
            remote: hop.remote,
        }
    }
}

impl<'a> Line<'a> {
    /// The call as it is.
    pub fn state(entry: &'a CallEntry) -> Self {
        Self::State {
            call: entry.call.number(),
            parties: &entry.parties,
            caller_tag: &entry.caller_tag,
            caller_flow: entry.caller_flow.into(),
            callee_flow: entry.callee_flow.map(Hop::from),
            dialog: entry.dialog.as_deref(),
            snapshot: entry.call.snapshot(),
        }
    }

    /// Appends the line to `octets`.
    pub fn write_to(&self, octets: &mut Vec<u8>) -> io::Result<()> {
        let start = octets.len();
        octets.extend([0; LENGTH]);
        *octets = postcard::to_extend(self, std::mem::take(octets)).map_err(io::Error::other)?;
        let length = u32::try_from(octets.len() - start - LENGTH).map_err(io::Error::other)?;
        octets[start..start + LENGTH].copy_from_slice(&length.to_le_bytes());
        Ok(())
    }
}

/// Octets of a line's length.
const LENGTH: usize = 4;

/// Reads the first line of `octets`, and says where the next begins. `None` if it is not whole.
fn split(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = octets.split_first_chunk::<LENGTH>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

impl Remembered {
    /// The calls that `octets` leave alive: the last line of a call counts. A torn end is passed over.
    pub fn read(mut octets: &[u8]) -> HashMap<CallNumber, Self> {
        let mut last = HashMap::new();
        while let Some((line, rest)) = split(octets) {
            octets = rest;
            match postcard::from_bytes(line) {
                Ok(line @ Self::State { call, .. }) => drop(last.insert(call, line)),
                Ok(Self::Closed { call }) => drop(last.remove(&call)),
                Err(_) => {}
            }
        }
        last
    }

    /// Accounting records of the call that are not known to be on disk.
    pub fn owed(&self) -> usize {
        match self {
            Self::State { snapshot, .. } => snapshot.owed(),
            Self::Closed { .. } => 0,
        }
    }

    /// Takes the call up again; `effects` is what it wants done.
    pub fn restore(
        self,
        settings: &Settings,
        now: Now,
        effects: &mut Vec<CallEffect>,
    ) -> Option<CallEntry> {
        let Self::State {
            call,
            parties,
            caller_tag,
            caller_flow,
            callee_flow,
            dialog,
            snapshot,
        } = self
        else {
            return None;
        };
        Some(CallEntry {
            call: Call::restore(call, *snapshot, settings, now, effects),
            parties: Rc::new(*parties),
            caller_tag,
            caller_flow: caller_flow.into(),
            callee_flow: callee_flow.map(Flow::from),
            dialog: dialog.map(|mut dialog| {
                dialog.pass_over_unseen_requests();
                dialog
            }),
            candidate: None,
            early_sequences: (0, 0),
            invite: None,
        })
    }
}

/// The file.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// What is to be written next.
    waiting: Vec<u8>,
}

impl Journal {
    /// Opens the journal and reads what an earlier process left in it.
    ///
    /// The old file stays until [`Journal::compact`] replaces it.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Remembered>)> {
        let octets = match std::fs::read(path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(named(path, error)),
        };
        // What follows a torn line could not be read.
        let mut whole = octets.as_slice();
        while let Some((_, rest)) = split(whole) {
            whole = rest;
        }
        let length = (octets.len() - whole.len()) as u64;
        let file = append(path)?;
        file.set_len(length).map_err(|error| named(path, error))?;
        let journal = Self {
            path: path.to_owned(),
            file,
            length,
            waiting: Vec::new(),
        };
        Ok((journal, Remembered::read(&octets).into_values().collect()))
    }

    /// Puts a line to those that [`Journal::write`] writes.
    pub fn push(&mut self, line: &Line<'_>) -> io::Result<()> {
        line.write_to(&mut self.waiting)
    }

    /// Appends what was put, in one write.
    pub fn write(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.waiting);
        if let Err(error) = written {
            // Half a line would hide all that follow it.
            self.waiting.clear();
            let _ = self.file.set_len(self.length);
            return Err(named(&self.path, error));
        }
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Octets in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Replaces the file by `lines` alone.
    pub fn compact<'a>(&mut self, lines: impl Iterator<Item = Line<'a>>) -> io::Result<()> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let _ = std::fs::remove_file(&temporary);
        let mut file = append(&temporary)?;
        let mut octets = Vec::new();
        for line in lines {
            line.write_to(&mut octets)?;
        }
        file.write_all(&octets)
            .map_err(|error| named(&temporary, error))?;
        std::fs::rename(&temporary, &self.path).map_err(|error| named(&self.path, error))?;
        self.file = file;
        self.length = octets.len() as u64;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o640)
        .open(path)
        .map_err(|error| named(path, error))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u64) -> CallNumber {
        CallNumber(value)
    }

    #[test]
    fn a_torn_end_hides_nothing_before_or_after_it() {
        let folder = std::env::temp_dir().join(format!("journal-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("calls");
        let closed = |value| Line::Closed {
            call: number(value),
        };
        let mut whole = Vec::new();
        closed(1).write_to(&mut whole).unwrap();
        let first = whole.len();
        closed(300).write_to(&mut whole).unwrap();
        for end in first..whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let (mut journal, _) = Journal::open(&path).unwrap();
            assert_eq!(journal.length(), first as u64, "cut at {end}");
            journal.push(&closed(2)).unwrap();
            journal.write().unwrap();
            let octets = std::fs::read(&path).unwrap();
            assert_eq!(octets.len() as u64, journal.length());
            let (_, rest) = split(&octets).unwrap();
            let (line, rest) = split(rest).unwrap();
            assert!(rest.is_empty());
            let line: Remembered = postcard::from_bytes(line).unwrap();
            assert!(matches!(line, Remembered::Closed { call } if call == number(2)));
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
