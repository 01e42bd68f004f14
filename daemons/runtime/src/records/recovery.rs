//! What a crash left, made whole.

use std::fs::OpenOptions;
use std::io::{self, Seek, SeekFrom};
use std::path::Path;

use tollwire_cdr::{Record, Timestamp, from_json_line, to_csv_line};

use super::files::{self, Format, Names};
use super::{ClosureReason, Manifest, Open, RecordWriter, finish};

impl<R: Record> RecordWriter<R> {
    /// Finishes files that were being closed, mends the open one, and learns the last sequence number.
    pub(super) fn recover(&mut self, now_unix_ms: i64) -> io::Result<()> {
        self.open = None;
        let settings = self.settings.clone();
        let all = Names::all(&settings.directory, &settings.name)?;
        for names in &all {
            let open = names.open(Format::Json);
            if !open.exists() {
                if !names.manifest().exists() {
                    self.finish_closing(names, &names.closed(Format::Json), now_unix_ms)?;
                }
                continue;
            }
            if names.closed(Format::Csv).exists() {
                // A file that has its final name never changes again: nor may its twin.
                self.finish_closing(names, &open, now_unix_ms)?;
                continue;
            }
            let (records, length) = readable::<R>(&open)?;
            if records.is_empty() && self.open.is_none() {
                // Begun, and nothing in it was ever reported as written.
                std::fs::remove_file(&open)?;
                let _ = std::fs::remove_file(names.open(Format::Csv));
                continue;
            }
            self.take_up(names.clone(), &records, length, now_unix_ms)?;
        }
        // An empty file that was removed above may have been the newest.
        let newest = (all.iter().rev()).find(|names| names.closed(Format::Json).exists());
        let last = match (&self.open, newest) {
            (Some(open), _) => Some(open.first + open.records - 1),
            (None, Some(names)) => {
                let (records, _) = readable::<R>(&names.closed(Format::Json))?;
                records.last().map(Record::sequence_number)
            }
            (None, None) => None,
        };
        self.last_sequence_number = last.max(self.last_sequence_number);
        self.torn = false;
        Ok(())
    }

    /// The crash came after the first rename and before the manifest; `json` is what the JSON is called now.
    fn finish_closing(&self, names: &Names, json: &Path, now_unix_ms: i64) -> io::Result<()> {
        let (records, _) = readable::<R>(json)?;
        if self.settings.csv && !names.closed(Format::Csv).exists() {
            files::replace(&names.closed(Format::Csv), &twin(&records)?)?;
            let _ = std::fs::remove_file(names.open(Format::Csv));
        }
        let manifest = Manifest {
            first_sequence_number: names.first,
            last_sequence_number: records.last().map_or(names.first, Record::sequence_number),
            records: records.len() as u64,
            opened: Timestamp(now_unix_ms),
            closed: Timestamp(now_unix_ms),
            reason: ClosureReason::AbnormalClosure,
        };
        finish(&self.settings.directory, names, &manifest)
    }

    /// Goes on with the open file behind its last whole line.
    fn take_up(
        &mut self,
        names: Names,
        records: &[R],
        length: u64,
        now_unix_ms: i64,
    ) -> io::Result<()> {
        let mut json = OpenOptions::new()
            .write(true)
            .open(names.open(Format::Json))?;
        json.set_len(length)?;
        json.seek(SeekFrom::Start(length))?;
        json.sync_data()?;
        let mut csv = None;
        let mut csv_length = 0;
        if self.settings.csv {
            let content = twin(records)?;
            csv_length = content.len() as u64;
            files::replace(&names.open(Format::Csv), &content)?;
            let mut file = OpenOptions::new()
                .write(true)
                .open(names.open(Format::Csv))?;
            file.seek(SeekFrom::End(0))?;
            csv = Some(file);
        }
        files::sync_directory(&self.settings.directory)?;
        self.open = Some(Open {
            first: names.first,
            names,
            json,
            csv,
            json_length: length,
            csv_length,
            records: records.len() as u64,
            opened_unix_ms: now_unix_ms,
        });
        Ok(())
    }
}

/// The records of the whole lines, and the octets those take.
pub(super) fn readable<R: Record>(path: &Path) -> io::Result<(Vec<R>, u64)> {
    let content = std::fs::read(path).map_err(|error| files::named(path, error))?;
    let mut records = Vec::new();
    let mut length = 0;
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let record = std::str::from_utf8(line)
            .ok()
            .filter(|line| line.ends_with('\n'))
            .and_then(|line| from_json_line(line).ok());
        let Some(record) = record else {
            break;
        };
        records.push(record);
        length += line.len() as u64;
    }
    Ok((records, length))
}

fn twin<R: Record>(records: &[R]) -> io::Result<Vec<u8>> {
    let mut content = format!("{}\n", R::CSV_HEADER);
    for record in records {
        content.push_str(&to_csv_line(record).map_err(io::Error::other)?);
    }
    Ok(content.into_bytes())
}
