//! The spool: a log of [`Entry`], in segments, written by one thread.
//!
//! Whatever waits is written and synced together, and only then reported as stored. When the daemon starts, the segments
//! are read once and add up to the messages that are not over. Segments whose messages are all over are used again;
//! messages that stay for long are carried forward, so that they do not keep old segments.
//!
//! The space of a segment, and of the next one, is taken beforehand. When the next one's cannot be taken, new messages
//! are refused while there is still room to write what happens to those at hand.

pub mod encoding;
mod keep;
mod segment;
#[cfg(test)]
mod tests;
mod writer;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use thiserror::Error;

use self::encoding::Line;
use self::keep::Keep;
use self::segment::{Head, Next, Reading, Segment, Unreadable};
use self::writer::Writer;
use crate::entry::{Entry, Recovered};
use crate::event::{Position, StoreFailure};

/// Where and how large.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder; made if it is not there.
    pub folder: PathBuf,
    /// Octets of a segment: disk use is twice this at least.
    pub segment_octets: u32,
}

/// What the spool tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Every entry up to this one is on disk.
    Stored {
        /// Number of the last, from 1 since the start.
        up_to: Position,
    },
    /// Every entry after the last [`Report::Stored`] is lost, and so is each one before [`Spool::failure_heard`].
    Failed(StoreFailure),
    /// After [`Spool::failure_heard`]: entries are stored again.
    Ready,
    /// Whether there is no space for another segment.
    SpaceLow(bool),
}

/// Why the spool cannot be opened.
#[derive(Debug, Error)]
pub enum SpoolError {
    /// A segment cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The folder cannot be used.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A segment is not there.
    #[error("{}: segment {missing} is missing; restore the folder from a copy, or move it away to begin anew without its messages", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// Its number.
        missing: u64,
    },
    /// Another process uses the folder.
    #[error("{}: in use by another process", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
}

enum Command {
    Entries(Vec<Entry>),
    FailureHeard,
}

/// The way to the spool's thread. Dropping it writes what waits and ends the thread.
#[derive(Debug)]
pub struct Spool {
    commands: Option<Sender<Command>>,
    thread: Option<JoinHandle<()>>,
    _lock: nix::fcntl::Flock<File>,
}

impl Spool {
    /// Opens the spool and says what it holds. `report` is called on its thread.
    pub fn open(
        settings: Settings,
        report: impl Fn(Report) + Send + 'static,
    ) -> Result<(Self, Recovered), SpoolError> {
        let named = |source| SpoolError::Folder {
            path: settings.folder.clone(),
            source,
        };
        std::fs::create_dir_all(&settings.folder).map_err(named)?;
        let lock = lock(&settings.folder)?;
        let mut keep = Keep::new(1);
        let last = read(&settings.folder, &mut keep)?;
        let recovered = keep.recovered();
        let spare =
            segment::make_spare(&settings.folder, settings.segment_octets).map_err(named)?;
        let head = Head {
            number: last.map_or(1, |last| last + 1),
            next_id: keep.next_id(),
        };
        let current = Segment::begin(&settings.folder, spare, settings.segment_octets, head)
            .map_err(named)?;
        keep.begin(head.number, head.next_id);
        let (commands, queue) = channel();
        let writer = Writer::new(settings.clone(), keep, current, Box::new(report));
        let thread = std::thread::Builder::new()
            .name("spool".into())
            .spawn(move || writer.run(&queue))
            .map_err(named)?;
        let spool = Self {
            commands: Some(commands),
            thread: Some(thread),
            _lock: lock,
        };
        Ok((spool, recovered))
    }

    /// Has entries stored, in order.
    pub fn store(&self, entries: Vec<Entry>) {
        self.tell(Command::Entries(entries));
    }

    /// The core has heard [`Report::Failed`]: entries after this count again.
    pub fn failure_heard(&self) {
        self.tell(Command::FailureHeard);
    }

    fn tell(&self, command: Command) {
        if let Some(commands) = &self.commands {
            // The thread ends only with us.
            let _ = commands.send(command);
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(folder: &Path) -> Result<nix::fcntl::Flock<File>, SpoolError> {
    let file = File::open(folder).map_err(|source| SpoolError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusiveNonblock).map_err(|_| {
        SpoolError::InUse {
            folder: folder.to_owned(),
        }
    })
}

/// Reads every segment, closes the last, and returns its number.
fn read(folder: &Path, keep: &mut Keep) -> Result<Option<u64>, SpoolError> {
    let named = |source| SpoolError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(named)? {
        let name = entry.map_err(named)?.file_name();
        numbers.extend(name.to_str().and_then(segment::number));
    }
    numbers.sort_unstable();
    let (first, last) = (numbers.first().copied(), numbers.last().copied());
    for (expected, number) in (first.unwrap_or(0)..).zip(&numbers) {
        if expected != *number {
            return Err(SpoolError::Missing {
                folder: folder.to_owned(),
                missing: expected,
            });
        }
        let path = segment::path(folder, *number);
        let is_last = Some(*number) == last;
        let reading = match Reading::open(&path)? {
            Some(reading) if reading.head.number == *number => reading,
            // Named after its header was synced: a wrong header is damage.
            _ => {
                return Err(SpoolError::Unreadable(Unreadable::Damaged {
                    path,
                    offset: 0,
                    what: "not the header of this segment".into(),
                }));
            }
        };
        read_segment(reading, &path, is_last, keep)?;
    }
    Ok(last)
}

fn read_segment(
    mut reading: Reading,
    path: &Path,
    is_last: bool,
    keep: &mut Keep,
) -> Result<(), SpoolError> {
    keep.begin(reading.head.number, reading.head.next_id);
    loop {
        let at = reading.position();
        let undecodable = match reading.next()? {
            Next::Frame(octets) => match encoding::read(octets) {
                Ok(Line::End) => return Ok(()),
                Ok(line) => {
                    keep.apply(line, octets.len());
                    continue;
                }
                Err(error) => error,
            },
            Next::Nothing if is_last => {
                // Nothing more is written here: what a torn group left behind is never read.
                return segment::close(path, reading.head, at).map_err(|source| {
                    SpoolError::Folder {
                        path: path.to_owned(),
                        source,
                    }
                });
            }
            Next::Nothing => return Err(reading.damaged("its end is missing").into()),
        };
        return Err(reading.damaged(undecodable).into());
    }
}
