//! Calls on disk, so that a restart finds them: one line of JSON a change, the last one of a call counts.
//!
//! Lines are written and not synced: they must outlive this process, not the machine, whose fall ends every call.

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

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// A call from now on.
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
    /// A call that owes nothing any more.
    Closed {
        /// Its number.
        call: CallNumber,
    },
}

/// A [`Flow`] in JSON.
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

impl Line {
    /// The call as it is.
    pub fn state(call: CallNumber, entry: &CallEntry, snapshot: CallSnapshot) -> Self {
        Self::State {
            call,
            parties: Box::new((*entry.parties).clone()),
            caller_tag: entry.caller_tag.clone(),
            caller_flow: entry.caller_flow.into(),
            callee_flow: entry.callee_flow.map(Hop::from),
            dialog: entry.dialog.clone(),
            snapshot: Box::new(snapshot),
        }
    }

    fn call(&self) -> CallNumber {
        match self {
            Self::State { call, .. } | Self::Closed { call } => *call,
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
}

impl Journal {
    /// Opens the journal and reads what an earlier process left in it. A torn last line is passed over.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Line>)> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(named(path, error)),
        };
        let mut last: HashMap<CallNumber, Line> = HashMap::new();
        for line in text.lines() {
            match serde_json::from_str::<Line>(line) {
                Ok(line @ Line::State { .. }) => drop(last.insert(line.call(), line)),
                Ok(Line::Closed { call }) => drop(last.remove(&call)),
                Err(_) => {}
            }
        }
        let live: Vec<Line> = last.into_values().collect();
        let mut journal = Self {
            path: path.to_owned(),
            file: append(path)?,
            length: 0,
        };
        journal.compact(&live)?;
        Ok((journal, live))
    }

    /// Appends lines.
    pub fn append(&mut self, lines: &[Box<Line>]) -> io::Result<()> {
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        self.file
            .write_all(&text)
            .map_err(|error| named(&self.path, error))?;
        self.length += text.len() as u64;
        Ok(())
    }

    /// Octets in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Replaces the file by `lines` alone.
    pub fn compact(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(".new");
        let temporary = PathBuf::from(temporary);
        let _ = std::fs::remove_file(&temporary);
        let mut file = append(&temporary)?;
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        file.write_all(&text)
            .map_err(|error| named(&temporary, error))?;
        std::fs::rename(&temporary, &self.path).map_err(|error| named(&self.path, error))?;
        self.file = file;
        self.length = text.len() as u64;
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
