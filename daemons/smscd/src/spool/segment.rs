//! One file of the log.
//!
//! ```text
//! header  magic (8) | number (8) | next message id (8) | CRC-32C of the three (4) | zeros (4)
//! frame   length (4) | CRC-32C (4) | group (4) | length octets | zeros to a multiple of 8
//! ```
//! Integers in network byte order. `group` is where the group of frames that was written together begins: all before it
//! was on disk by then. The checksum covers the segment's number, `group` and the octets, so that what an earlier use of
//! the same blocks left behind is never taken for a frame.
//!
//! A segment has its full length from the beginning: its space is taken when it is made, and writing it cannot run out
//! of space.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

const MAGIC: &[u8; 8] = b"TWSPOOL1";
const HEADER: usize = 32;
const FRAME: usize = 12;
const ALIGNMENT: usize = 8;

/// Why a segment cannot be read.
#[derive(Debug, Error)]
pub enum Unreadable {
    /// The file system says so.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
    /// What was on disk is not what was written.
    #[error("{}: damaged at octet {offset}: {what}; restore the folder from a copy, or move it away to begin anew without its messages", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What is there.
        what: String,
    },
}

/// What names a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Counted up by one from segment to segment.
    pub number: u64,
    /// Ids below were used before it.
    pub next_id: u64,
}

/// The file of the segment with this number.
pub fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.spool"))
}

/// The number in the name of a segment's file.
pub fn number(file_name: &str) -> Option<u64> {
    file_name.strip_suffix(".spool")?.parse().ok()
}

/// Appends a frame with what `write` writes.
pub fn frame(head: Head, group: u32, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME]);
    write(out);
    let octets = out.get(start + FRAME..).unwrap_or_default();
    // Bounded by the largest PDU.
    let length = u32::try_from(octets.len()).unwrap_or(u32::MAX);
    let checksum = checksum(head, group, octets);
    for (at, value) in [(0, length), (4, checksum), (8, group)] {
        if let Some(place) = out.get_mut(start + at..start + at + 4) {
            place.copy_from_slice(&value.to_be_bytes());
        }
    }
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

fn checksum(head: Head, group: u32, octets: &[u8]) -> u32 {
    let seed = crc32c::crc32c(&head.number.to_be_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &group.to_be_bytes()), octets)
}

/// A segment that is written.
#[derive(Debug)]
pub struct Segment {
    file: File,
    /// What names it.
    pub head: Head,
    /// Where the next group goes.
    pub end: u32,
    length: u32,
}

impl Segment {
    /// Makes `spare`, a file of full length, the segment of this name, and syncs its header.
    pub fn begin(folder: &Path, spare: File, length: u32, head: Head) -> io::Result<Self> {
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(MAGIC);
        header.extend_from_slice(&head.number.to_be_bytes());
        header.extend_from_slice(&head.next_id.to_be_bytes());
        header.extend_from_slice(&crc32c::crc32c(&header).to_be_bytes());
        header.resize(HEADER, 0);
        spare.write_all_at(&header, 0)?;
        spare.sync_all()?;
        std::fs::rename(spare_path(folder), path(folder, head.number))?;
        sync_folder(folder)?;
        Ok(Self {
            file: spare,
            head,
            end: HEADER as u32,
            length,
        })
    }

    /// Whether `octets` more fit, with the end of the segment behind them.
    pub fn has_room(&self, octets: usize) -> bool {
        let needed = octets.saturating_add(FRAME + ALIGNMENT);
        usize::try_from(self.length.saturating_sub(self.end)).is_ok_and(|room| needed <= room)
    }

    /// Writes whole frames and has them on disk when it returns.
    pub fn append(&mut self, frames: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frames, u64::from(self.end))?;
        self.file.sync_data()?;
        self.end += u32::try_from(frames.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Makes what follows the last group unreadable, for a group that failed half-way.
    pub fn blank(&mut self, octets: usize) -> io::Result<()> {
        let room = usize::try_from(self.length.saturating_sub(self.end)).unwrap_or(usize::MAX);
        self.file
            .write_all_at(&vec![0; octets.min(room)], u64::from(self.end))?;
        self.file.sync_data()
    }
}

/// Ends a segment at `end`, where nothing that was on disk follows.
pub fn close(path: &Path, head: Head, end: u32) -> io::Result<()> {
    let mut frames = Vec::new();
    frame(head, end, &mut frames, super::encoding::write_end);
    let file = OpenOptions::new().write(true).open(path)?;
    file.write_all_at(&frames, u64::from(end))?;
    file.sync_data()
}

/// Where the next segment's space is kept.
pub fn spare_path(folder: &Path) -> PathBuf {
    folder.join("spare")
}

/// Takes the space of a segment, at once.
pub fn make_spare(folder: &Path, length: u32) -> io::Result<File> {
    let path = spare_path(folder);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&path)?;
    let reserved = nix::fcntl::posix_fallocate(&file, 0, i64::from(length));
    if let Err(error) = reserved {
        let _ = std::fs::remove_file(&path);
        return Err(error.into());
    }
    file.set_len(u64::from(length))?;
    Ok(file)
}

/// Has the names in a folder on disk.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// A segment that is read.
#[derive(Debug)]
pub struct Reading {
    path: PathBuf,
    octets: Vec<u8>,
    /// What names it.
    pub head: Head,
    at: usize,
}

/// The next thing in a segment.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A frame's octets.
    Frame(&'a [u8]),
    /// Nothing that was ever on disk follows.
    Nothing,
}

impl Reading {
    /// Reads a file. `None` if its header was never whole: nothing was acknowledged from it.
    pub fn open(path: &Path) -> Result<Option<Self>, Unreadable> {
        let octets = std::fs::read(path).map_err(|source| Unreadable::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(read_head(&octets).map(|head| Self {
            path: path.to_owned(),
            octets,
            head,
            at: HEADER,
        }))
    }

    /// Where the next frame begins.
    pub fn position(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// The next frame. A torn last group reads as nothing; a hole before what was on disk is damage.
    pub fn next(&mut self) -> Result<Next<'_>, Unreadable> {
        let start = self.at;
        if let Some((octets, end)) = frame_at(&self.octets, self.head, start).map(|found| found.0) {
            self.at = end;
            return Ok(Next::Frame(self.octets.get(octets).unwrap_or_default()));
        }
        // A group that was begun after `start` shows that what is at `start` was once whole.
        let mut at = start + ALIGNMENT;
        while at < self.octets.len() {
            if let Some((_, group)) = frame_at(&self.octets, self.head, at)
                && usize::try_from(group).is_ok_and(|group| group > start)
            {
                return Err(self.damaged("a frame whose checksum is wrong"));
            }
            at += ALIGNMENT;
        }
        Ok(Next::Nothing)
    }

    /// Damage where the next frame would be.
    pub fn damaged(&self, what: impl ToString) -> Unreadable {
        Unreadable::Damaged {
            path: self.path.clone(),
            offset: self.at as u64,
            what: what.to_string(),
        }
    }
}

fn read_head(octets: &[u8]) -> Option<Head> {
    let header = octets.get(..HEADER)?;
    let (fields, rest) = header.split_at_checked(24)?;
    let (checksum, _) = rest.split_first_chunk::<4>()?;
    let (magic, fields_left) = fields.split_first_chunk::<8>()?;
    if magic != MAGIC || crc32c::crc32c(fields) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let (number, rest) = fields_left.split_first_chunk::<8>()?;
    let (next_id, _) = rest.split_first_chunk::<8>()?;
    Some(Head {
        number: u64::from_be_bytes(*number),
        next_id: u64::from_be_bytes(*next_id),
    })
}

/// The octets' range, where the next frame begins, and the frame's group.
type Found = ((std::ops::Range<usize>, usize), u32);

fn frame_at(octets: &[u8], head: Head, at: usize) -> Option<Found> {
    let (length, rest) = octets.get(at..)?.split_first_chunk::<4>()?;
    let (expected, rest) = rest.split_first_chunk::<4>()?;
    let (group, rest) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let group = u32::from_be_bytes(*group);
    let content = rest.get(..length)?;
    // No frame is empty: zeros are none.
    if length == 0 || checksum(head, group, content) != u32::from_be_bytes(*expected) {
        return None;
    }
    let start = at + FRAME;
    let end = start + length;
    Some(((start..end, end.next_multiple_of(ALIGNMENT)), group))
}
