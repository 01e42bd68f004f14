//! Reads record files while they are written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::records::files::{Format, Names, named};

/// Octets read at once; more if one line is longer.
const CHUNK: usize = 256 * 1024;
/// No record is longer than this.
const LONGEST: usize = 16 << 20;

/// A line of a record file, without its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: u64,
    pub(super) json: String,
}

/// Where reading stands.
#[derive(Debug)]
struct Place {
    names: Names,
    file: File,
    /// Octets of whole lines that were taken.
    offset: u64,
    /// The number of the last line taken.
    taken: u64,
}

/// The record files of one element.
#[derive(Debug)]
pub(super) struct Spool {
    directory: PathBuf,
    name: String,
    place: Option<Place>,
}

impl Spool {
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        Self {
            directory: directory.into(),
            name: name.into(),
            place: None,
        }
    }

    /// Records behind number `after` and up to `durable`, at most `count`; fewer where a file ends.
    ///
    /// What is beyond `durable` may still be taken back by its writer, and is not looked at twice.
    ///
    /// # Errors
    /// The file system's, or `InvalidData` for a line that is no record: it has to be mended, for nothing is passed
    /// over.
    pub(super) fn read(&mut self, after: u64, count: usize, durable: u64) -> io::Result<Vec<Line>> {
        let mut found = Vec::new();
        if count == 0 || after >= durable {
            return Ok(found);
        }
        if self.place.as_ref().is_none_or(|place| place.taken != after) {
            self.place = self.find(after)?;
        }
        while let Some(place) = &mut self.place {
            let ended = place.lines(after, count, durable, &mut found)?;
            if !found.is_empty() || !ended {
                break;
            }
            let Some(next) = self.next_file()? else {
                break;
            };
            self.place = Some(next);
        }
        if let (Some(place), Some(last)) = (&mut self.place, found.last()) {
            place.taken = last.number;
        }
        Ok(found)
    }

    /// The file that holds the record behind `after`; the next one, if the files before it are gone.
    fn find(&self, after: u64) -> io::Result<Option<Place>> {
        let all = Names::all(&self.directory, &self.name)?;
        let wanted = after.saturating_add(1);
        let names = all
            .iter()
            .rev()
            .find(|names| names.first <= wanted)
            .or_else(|| all.first());
        names
            .map(|names| Place::open(names.clone(), after))
            .transpose()
    }

    fn next_file(&self) -> io::Result<Option<Place>> {
        let Some(place) = &self.place else {
            return Ok(None);
        };
        let all = Names::all(&self.directory, &self.name)?;
        all.into_iter()
            .find(|names| names.first > place.names.first)
            .map(|names| Place::open(names, place.taken))
            .transpose()
    }
}

impl Place {
    fn open(names: Names, taken: u64) -> io::Result<Self> {
        // It may be closed, and so renamed, between the two looks: the closed one is looked for again then.
        let (open, closed) = (names.open(Format::Json), names.closed(Format::Json));
        let file = File::open(&closed)
            .or_else(|_| File::open(open))
            .or_else(|_| File::open(&closed))
            .map_err(|error| named(&closed, error))?;
        Ok(Self {
            names,
            file,
            offset: 0,
            taken,
        })
    }

    /// Appends lines to `found`; whether the file holds no more whole line.
    fn lines(
        &mut self,
        after: u64,
        count: usize,
        durable: u64,
        found: &mut Vec<Line>,
    ) -> io::Result<bool> {
        let mut size = CHUNK;
        loop {
            let mut chunk = vec![0; size];
            let length = read_at(&self.file, &mut chunk, self.offset)?;
            let mut taken = 0;
            for line in chunk
                .get(..length)
                .unwrap_or_default()
                .split_inclusive(|octet| *octet == b'\n')
            {
                if line.last() != Some(&b'\n') {
                    break;
                }
                if found.len() >= count {
                    self.offset += taken;
                    return Ok(false);
                }
                let read = match self.line(line) {
                    Ok(read) => read,
                    // What is before it is as good as ever.
                    Err(_) if !found.is_empty() => {
                        self.offset += taken;
                        return Ok(false);
                    }
                    Err(error) => return Err(error),
                };
                if read.number > durable {
                    self.offset += taken;
                    return Ok(false);
                }
                taken += line.len() as u64;
                if read.number > after {
                    found.push(read);
                }
            }
            self.offset += taken;
            let ended = length < size;
            if taken == 0 && !ended {
                if size >= LONGEST {
                    return Err(self.invalid("a line without an end"));
                }
                size *= 4;
                continue;
            }
            if ended || !found.is_empty() {
                return Ok(ended);
            }
        }
    }

    fn line(&self, line: &[u8]) -> io::Result<Line> {
        #[derive(Deserialize)]
        struct Numbered {
            sequence_number: u64,
        }
        let json = std::str::from_utf8(line)
            .map_err(|error| self.invalid(&error.to_string()))?
            .trim_end();
        let Numbered { sequence_number } =
            serde_json::from_str(json).map_err(|error| self.invalid(&error.to_string()))?;
        Ok(Line {
            number: sequence_number,
            json: json.into(),
        })
    }

    fn invalid(&self, what: &str) -> io::Error {
        let text = format!("no record behind number {}: {what}", self.taken);
        named(
            &self.names.closed(Format::Json),
            io::Error::new(io::ErrorKind::InvalidData, text),
        )
    }
}

/// Reads until `buffer` is full or the file ends.
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("spool-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn write(&self, first: u64, suffix: &str, text: &str) {
            let path = self.0.join(format!("smscd-{first:020}.jsonl{suffix}"));
            std::fs::write(path, text).unwrap();
        }

        fn close(&self, first: u64) {
            let open = self.0.join(format!("smscd-{first:020}.jsonl.open"));
            std::fs::rename(&open, open.with_extension("")).unwrap();
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn text(numbers: std::ops::RangeInclusive<u64>) -> String {
        numbers
            .map(|number| {
                let more = "x".repeat(usize::try_from(number % 7).unwrap() * 20_000);
                format!("{{\"sequence_number\":{number},\"more\":\"{more}\"}}\n")
            })
            .collect()
    }

    /// Everything up to `durable`, in reads of `count`.
    fn all(spool: &mut Spool, after: &mut u64, count: usize, durable: u64) -> Vec<u64> {
        let mut found = Vec::new();
        loop {
            let lines = spool.read(*after, count, durable).unwrap();
            let Some(last) = lines.last() else {
                return found;
            };
            assert!(lines.len() <= count);
            *after = last.number;
            found.extend(lines.iter().map(|line| line.number));
        }
    }

    #[test]
    fn files_are_read_in_order_and_only_what_is_durable() {
        let folder = Folder::new("order");
        folder.write(1, "", &text(1..=20));
        folder.write(21, "", &text(21..=22));
        folder.write(23, ".open", &format!("{}{}", text(23..=30), "{\"sequ"));
        let mut spool = Spool::new(&folder.0, "smscd");
        let mut after = 0;
        assert_eq!(
            all(&mut spool, &mut after, 3, 25),
            (1..=25).collect::<Vec<_>>()
        );
        assert!(all(&mut spool, &mut after, 3, 25).is_empty());
        // The writer takes back what was not durable, and goes on otherwise.
        folder.write(23, ".open", &text(23..=27));
        assert_eq!(all(&mut spool, &mut after, 100, 27), [26, 27]);
        folder.close(23);
        folder.write(28, ".open", &text(28..=29));
        assert_eq!(all(&mut spool, &mut after, 100, 29), [28, 29]);
    }

    #[test]
    fn what_was_removed_is_jumped_over_to_what_is_left() {
        let folder = Folder::new("removed");
        folder.write(5, "", &text(5..=6));
        folder.write(9, "", &text(9..=9));
        let mut spool = Spool::new(&folder.0, "smscd");
        assert_eq!(all(&mut spool, &mut 0, 10, 9), [5, 6, 9]);
        assert_eq!(
            all(&mut Spool::new(&folder.0, "smscd"), &mut 5, 10, 9),
            [6, 9]
        );
        let none = Folder::new("none");
        assert!(all(&mut Spool::new(&none.0, "smscd"), &mut 0, 10, 9).is_empty());
    }

    #[test]
    fn a_line_that_is_no_record_stops_everything_behind_it() {
        let folder = Folder::new("broken");
        folder.write(1, "", &format!("{}nonsense\n{}", text(1..=1), text(3..=3)));
        let mut spool = Spool::new(&folder.0, "smscd");
        assert_eq!(spool.read(0, 10, 3).unwrap().len(), 1);
        for _ in 0..2 {
            let error = spool.read(1, 10, 3).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        folder.write(1, "", &text(1..=3));
        assert_eq!(all(&mut spool, &mut 0, 10, 3), [1, 2, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        /// However records are spread over files and reads, and wherever reading begins.
        #[test]
        fn every_record_is_read_once(
            sizes in proptest::collection::vec(1..30_u64, 1..6),
            count in 1..40_usize,
            begin in 0..60_u64,
        ) {
            let folder = Folder::new("spread");
            let mut last = 0;
            for size in &sizes {
                folder.write(last + 1, "", &text(last + 1..=last + size));
                last += size;
            }
            let mut after = begin;
            let found = all(&mut Spool::new(&folder.0, "smscd"), &mut after, count, last);
            prop_assert_eq!(found, (begin + 1..=last).collect::<Vec<_>>());
        }
    }
}
