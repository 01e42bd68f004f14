//! The thread that writes.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::encoding::{self, Line};
use super::keep::Keep;
use super::segment::{self, Head, Segment};
use super::{Command, Report, Settings};
use crate::entry::Entry;
use crate::event::{Position, StoreFailure};

/// Entries written and synced together at the most.
const GROUP: usize = 16_384;
/// Messages carried forward beside one group, and one more for each entry of the group.
const CARRY: usize = 64;
/// The same when there is nothing else to do.
const CARRY_IDLE: usize = 4096;
/// How often space is looked for while there is none.
const LOOK: Duration = Duration::from_millis(500);

pub(super) struct Writer {
    settings: Settings,
    keep: Keep,
    current: Segment,
    /// Space for the next segment is taken.
    spare: bool,
    /// What was last said of it.
    low: bool,
    /// Number of the last entry taken.
    position: Position,
    /// Number of the last entry on disk.
    stored: Position,
    reported: Position,
    looked: Instant,
    state: State,
    report: Box<dyn Fn(Report) + Send>,
    frames: Vec<u8>,
    /// What `frames` says, and how long each is.
    lines: Vec<(Line, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Storing,
    /// Entries are lost until the core has heard of it.
    Failed,
    /// The core has heard; there is no space yet.
    Waiting,
}

impl Writer {
    pub(super) fn new(
        settings: Settings,
        keep: Keep,
        current: Segment,
        report: Box<dyn Fn(Report) + Send>,
    ) -> Self {
        Self {
            settings,
            keep,
            current,
            spare: true,
            low: false,
            position: 0,
            stored: 0,
            reported: 0,
            looked: Instant::now(),
            state: State::Storing,
            report,
            frames: Vec::new(),
            lines: Vec::new(),
        }
    }

    pub(super) fn run(mut self, queue: &Receiver<Command>) {
        self.take_spare();
        loop {
            let first = match queue.recv_timeout(LOOK) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let mut entries = 0;
            for command in first.into_iter().chain(queue.try_iter()) {
                match command {
                    Command::Entries(group) => {
                        entries += group.len();
                        self.take(group);
                    }
                    Command::FailureHeard => self.heard(),
                }
                if entries >= GROUP {
                    break;
                }
            }
            if self.state == State::Storing {
                self.carry(if entries == 0 {
                    CARRY_IDLE
                } else {
                    CARRY + entries
                });
                self.sync();
                self.report_stored();
                self.drop_unneeded();
            }
            if !self.spare && self.looked.elapsed() >= LOOK {
                self.take_spare();
            }
            if self.state == State::Waiting {
                self.try_again();
            }
        }
    }

    fn take(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if self.state == State::Storing {
                self.put(Line::Entry(entry));
            }
            self.position += 1;
        }
    }

    /// Puts a line to the group that is synced next.
    fn put(&mut self, line: Line) {
        let mut before = self.frames.len();
        self.frame(&line);
        if !self.current.has_room(self.frames.len()) {
            self.frames.truncate(before);
            if !self.roll() {
                return;
            }
            before = self.frames.len();
            self.frame(&line);
        }
        self.lines.push((line, self.frames.len() - before));
    }

    fn frame(&mut self, line: &Line) {
        let (head, group) = (self.current.head, self.current.end);
        segment::frame(head, group, &mut self.frames, |out| match line {
            Line::Entry(entry) => encoding::write_entry(entry, out),
            Line::Carried(carried) => encoding::write_carried(carried, out),
            Line::End => encoding::write_end(out),
        });
    }

    /// Has the group on disk.
    fn sync(&mut self) -> bool {
        if self.frames.is_empty() {
            return true;
        }
        match self.current.append(&self.frames) {
            Ok(()) => {
                self.frames.clear();
                for (line, octets) in self.lines.drain(..) {
                    self.keep.apply(line, octets);
                }
                self.stored = self.position;
                true
            }
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    /// Goes on in the next segment; the group so far is on disk then.
    fn roll(&mut self) -> bool {
        if !self.sync() {
            return false;
        }
        if !self.spare {
            self.take_spare();
        }
        if !self.spare {
            self.fail(&io::ErrorKind::StorageFull.into());
            return false;
        }
        match self.next_segment() {
            Ok(()) => true,
            Err(error) => {
                self.fail(&error);
                false
            }
        }
    }

    fn next_segment(&mut self) -> io::Result<()> {
        let folder = &self.settings.folder;
        let spare = segment::make_spare(folder, self.settings.segment_octets)?;
        let mut end = Vec::new();
        segment::frame(self.current.head, self.current.end, &mut end, |out| {
            encoding::write_end(out);
        });
        self.current.append(&end)?;
        let head = Head {
            number: self.current.head.number + 1,
            next_id: self.keep.next_id(),
        };
        self.current = Segment::begin(folder, spare, self.settings.segment_octets, head)?;
        self.keep.begin(head.number, head.next_id);
        self.take_spare();
        Ok(())
    }

    fn take_spare(&mut self) {
        let taken = segment::make_spare(&self.settings.folder, self.settings.segment_octets);
        self.looked = Instant::now();
        if taken.is_ok() == self.low {
            self.low = taken.is_err();
            (self.report)(Report::SpaceLow(self.low));
        }
        if let Err(error) = &taken
            && self.spare
        {
            tracing::warn!(folder = %self.settings.folder.display(), %error, "no space for another segment: new messages are refused; free disk space");
        }
        self.spare = taken.is_ok();
    }

    /// The group is lost, and must never be read.
    fn fail(&mut self, error: &io::Error) {
        let failure = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreFailure::Full,
            _ => StoreFailure::Broken,
        };
        tracing::error!(folder = %self.settings.folder.display(), %error, "messages cannot be stored and are refused; free disk space or mend the disk");
        self.lines.clear();
        let lost = self.frames.len();
        self.frames.clear();
        if lost > 0
            && let Err(error) = self.current.blank(lost)
        {
            // What was refused might come back after a restart, beside what the ESME sends again: only a
            // restart that reads the disk knows what is there.
            tracing::error!(%error, "the spool can neither be written nor cleaned; ending, to read it again");
            std::process::abort();
        }
        self.state = State::Failed;
        self.report_stored();
        (self.report)(Report::Failed(failure));
    }

    fn heard(&mut self) {
        if self.state == State::Failed {
            self.state = State::Waiting;
        }
    }

    fn try_again(&mut self) {
        // Room for a few hundred messages, or a whole segment.
        if self.current.has_room(1 << 16) || self.spare {
            self.state = State::Storing;
            tracing::info!("messages are stored again");
            (self.report)(Report::Ready);
        }
    }

    fn report_stored(&mut self) {
        if self.stored > self.reported {
            self.reported = self.stored;
            (self.report)(Report::Stored { up_to: self.stored });
        }
    }

    /// Carries messages forward that keep an old segment for themselves.
    fn carry(&mut self, count: usize) {
        for carried in self.keep.carry(count, self.settings.segment_octets) {
            if self.state == State::Storing {
                self.put(Line::Carried(carried));
            }
        }
    }

    /// Segments that nothing needs become the next spare, or go.
    fn drop_unneeded(&mut self) {
        let folder = self.settings.folder.clone();
        while let Some(number) = self.keep.pop_unneeded() {
            let path = segment::path(&folder, number);
            let dropped = if self.spare {
                std::fs::remove_file(&path)
            } else {
                std::fs::rename(&path, segment::spare_path(&folder))
            };
            match dropped {
                Ok(()) if !self.spare => self.take_spare(),
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, path = %path.display(), "a segment that is not needed stays");
                }
            }
        }
    }
}
