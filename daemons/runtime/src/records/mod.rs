//! Charge records on disk: appended, synced in groups, closed whole.
//!
//! The file being written is `NAME-SEQUENCE.jsonl.open` (and `.csv.open`), where SEQUENCE is its first record's.
//! Closing it is write, sync, rename to `.jsonl`, manifest, sync of the directory: a file without `.open` never
//! changes again, and whoever ships files looks at nothing else. What a crash left is mended by
//! [`RecordWriter::open`]: a torn last line, which was never reported as written, is cut off.

pub(crate) mod files;
mod recovery;

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tollwire_cdr::{ChargeRecord, Record, Timestamp, to_csv_line, to_json_line};

use files::{Format, Names, sync_directory};

/// Where and how records are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder; made if it is missing.
    pub directory: PathBuf,
    /// What file names begin with.
    pub name: String,
    /// A file of at least this many octets of JSON is closed.
    pub max_bytes: u64,
    /// A file this old is closed, milliseconds.
    pub max_age_ms: i64,
    /// Whether each file has a CSV twin.
    pub csv: bool,
}

/// Why a file was closed (the closure reasons of 3GPP TS 32.297 6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosureReason {
    /// It was large enough.
    FileSizeLimit,
    /// It was old enough.
    FileOpenTime,
    /// The daemon stopped, or the operator asked.
    ManualIntervention,
    /// The daemon crashed while closing it.
    AbnormalClosure,
}

/// What a closed file holds; beside it as `NAME-SEQUENCE.manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Sequence number of its first record.
    pub first_sequence_number: u64,
    /// Sequence number of its last record.
    pub last_sequence_number: u64,
    /// Records it holds.
    pub records: u64,
    /// When it was opened.
    pub opened: Timestamp,
    /// When it was closed.
    pub closed: Timestamp,
    /// Why.
    pub reason: ClosureReason,
}

#[derive(Debug)]
struct Open {
    names: Names,
    json: File,
    csv: Option<File>,
    json_length: u64,
    csv_length: u64,
    first: u64,
    records: u64,
    opened_unix_ms: i64,
}

/// Appends records to files. Calls block; the caller has a thread for them.
#[derive(Debug)]
pub struct RecordWriter<R = ChargeRecord> {
    settings: Settings,
    open: Option<Open>,
    last_sequence_number: Option<u64>,
    /// The same for who reads the files while they are written.
    durable: watch::Sender<u64>,
    /// A failed append could not be undone in the file: it is mended before the next.
    torn: bool,
    kind: PhantomData<fn(R)>,
}

impl<R: Record> RecordWriter<R> {
    /// Opens the folder and mends what a crash left there.
    pub fn open(settings: Settings, now_unix_ms: i64) -> io::Result<Self> {
        std::fs::create_dir_all(&settings.directory)
            .map_err(|error| files::named(&settings.directory, error))?;
        let mut writer = Self {
            settings,
            open: None,
            last_sequence_number: None,
            durable: watch::Sender::new(0),
            torn: false,
            kind: PhantomData,
        };
        writer.recover(now_unix_ms)?;
        writer.tell();
        Ok(writer)
    }

    /// The last record on disk; `None` if the folder holds none.
    pub fn last_sequence_number(&self) -> Option<u64> {
        self.last_sequence_number
    }

    /// Up to which number records are on disk, 0 for none, and will not change any more: for who reads the files while
    /// they are written.
    pub fn durable(&self) -> watch::Receiver<u64> {
        self.durable.subscribe()
    }

    fn tell(&self) {
        let last = self.last_sequence_number.unwrap_or(0);
        self.durable
            .send_if_modified(|told| std::mem::replace(told, last) != last);
    }

    /// The last `count` records on disk, the newest first.
    pub fn newest(&self, count: usize) -> io::Result<Vec<R>> {
        let mut newest = Vec::new();
        let all = Names::all(&self.settings.directory, &self.settings.name)?;
        for names in all.iter().rev() {
            if newest.len() >= count {
                break;
            }
            let open = names.open(Format::Json);
            let path = if open.exists() {
                open
            } else {
                names.closed(Format::Json)
            };
            let (records, _) = recovery::readable(&path)?;
            newest.extend(records.into_iter().rev().take(count - newest.len()));
        }
        Ok(newest)
    }

    /// Appends `records` and syncs once. When this returns `Ok` they are on disk; when it returns an error none
    /// of them counts, and the same call may be made again.
    ///
    /// Records already on disk, by sequence number, are passed over.
    ///
    /// # Errors
    /// `InvalidInput` for a gap in the sequence; else the file system's, disk full among them.
    pub fn append(&mut self, records: &[R], now_unix_ms: i64) -> io::Result<()> {
        if self.torn {
            self.recover(now_unix_ms)?;
        }
        let new: Vec<&R> = records
            .iter()
            .filter(|record| {
                self.last_sequence_number
                    .is_none_or(|last| record.sequence_number() > last)
            })
            .collect();
        let Some(first) = new.first() else {
            return Ok(());
        };
        let mut expected = self
            .last_sequence_number
            .map_or(first.sequence_number(), |last| last + 1);
        for record in &new {
            if record.sequence_number() != expected {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!(
                        "record {} where {expected} must follow",
                        record.sequence_number()
                    ),
                ));
            }
            expected += 1;
        }
        self.rotate_if_due(now_unix_ms)?;
        let first = first.sequence_number();
        if self.open.is_none() {
            self.open = Some(self.begin(first, now_unix_ms)?);
        }
        if let Some(open) = &mut self.open {
            if let Err(error) = open.append(&new) {
                self.torn = open.undo().is_err();
                return Err(files::named(&self.settings.directory, error));
            }
            self.last_sequence_number = Some(expected - 1);
            self.tell();
        }
        self.rotate_if_due(now_unix_ms)
    }

    /// The records up to `sequence_number` are in somebody else's files, if they are not in these: what follows them
    /// begins a new file here.
    ///
    /// # Errors
    /// The file system's; the same call may be made again.
    pub fn follow(&mut self, sequence_number: u64, now_unix_ms: i64) -> io::Result<()> {
        if self.torn {
            self.recover(now_unix_ms)?;
        }
        // Without any files the first record may have any number.
        if (self.last_sequence_number).is_none_or(|last| last >= sequence_number) {
            return Ok(());
        }
        self.close(ClosureReason::ManualIntervention, now_unix_ms)?;
        // A file that holds nothing is named after a record that is not to come.
        if let Some(empty) = self.open.take() {
            for format in [Format::Csv, Format::Json] {
                let path = empty.names.open(format);
                if path.exists() {
                    std::fs::remove_file(&path).map_err(|error| files::named(&path, error))?;
                }
            }
        }
        self.last_sequence_number = Some(sequence_number);
        Ok(())
    }

    /// Closes the current file if it is large or old enough. To be called now and then, also without records.
    pub fn rotate_if_due(&mut self, now_unix_ms: i64) -> io::Result<()> {
        let reason = match &self.open {
            Some(open) if open.json_length >= self.settings.max_bytes => {
                ClosureReason::FileSizeLimit
            }
            Some(open) if now_unix_ms - open.opened_unix_ms >= self.settings.max_age_ms => {
                ClosureReason::FileOpenTime
            }
            _ => return Ok(()),
        };
        self.close(reason, now_unix_ms)
    }

    /// Closes the current file, if there is one.
    pub fn close(&mut self, reason: ClosureReason, now_unix_ms: i64) -> io::Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        if open.records == 0 {
            self.open = Some(open);
            return Ok(());
        }
        let manifest = Manifest {
            first_sequence_number: open.first,
            last_sequence_number: open.first + open.records - 1,
            records: open.records,
            opened: Timestamp(open.opened_unix_ms),
            closed: Timestamp(now_unix_ms),
            reason,
        };
        let closed = finish(&self.settings.directory, &open.names, &manifest);
        if closed.is_err() {
            // Nothing is lost: recovery finds the file in whichever state it is.
            self.torn = true;
        }
        closed
    }

    fn begin(&self, first: u64, now_unix_ms: i64) -> io::Result<Open> {
        let names = Names::new(&self.settings.directory, &self.settings.name, first);
        let json = files::create(&names.open(Format::Json))?;
        let mut csv = None;
        let mut csv_length = 0;
        if self.settings.csv {
            let path = names.open(Format::Csv);
            let mut file = files::create(&path)?;
            writeln!(file, "{}", R::CSV_HEADER).map_err(|error| files::named(&path, error))?;
            csv_length = R::CSV_HEADER.len() as u64 + 1;
            csv = Some(file);
        }
        sync_directory(&self.settings.directory)?;
        Ok(Open {
            names,
            json,
            csv,
            json_length: 0,
            csv_length,
            first,
            records: 0,
            opened_unix_ms: now_unix_ms,
        })
    }
}

/// Gives the files of `names` their final names and the manifest.
fn finish(directory: &Path, names: &Names, manifest: &Manifest) -> io::Result<()> {
    for format in [Format::Csv, Format::Json] {
        let open = names.open(format);
        if open.exists() {
            File::open(&open)?.sync_all()?;
            std::fs::rename(&open, names.closed(format))
                .map_err(|error| files::named(&open, error))?;
        }
    }
    sync_directory(directory)?;
    let text = serde_json::to_string_pretty(manifest).map_err(io::Error::other)?;
    files::replace(&names.manifest(), text.as_bytes())?;
    sync_directory(directory)
}

impl Open {
    fn append<R: Record>(&mut self, records: &[&R]) -> io::Result<()> {
        let mut json = String::new();
        let mut csv = String::new();
        for record in records {
            json.push_str(&to_json_line(*record).map_err(io::Error::other)?);
            if self.csv.is_some() {
                csv.push_str(&to_csv_line(*record).map_err(io::Error::other)?);
            }
        }
        // CSV first: JSON decides what counts, and the twin is made again from it after a crash.
        if let Some(file) = &mut self.csv {
            file.write_all(csv.as_bytes())?;
            file.sync_data()?;
        }
        self.json.write_all(json.as_bytes())?;
        self.json.sync_data()?;
        self.csv_length += csv.len() as u64;
        self.json_length += json.len() as u64;
        self.records += records.len() as u64;
        Ok(())
    }

    /// Cuts both files back to what was synced before.
    fn undo(&mut self) -> io::Result<()> {
        cut(&mut self.json, self.json_length)?;
        if let Some(file) = &mut self.csv {
            cut(file, self.csv_length)?;
        }
        Ok(())
    }
}

fn cut(file: &mut File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    file.sync_data()
}

#[cfg(test)]
mod tests;
