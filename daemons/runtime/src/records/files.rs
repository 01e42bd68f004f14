//! Names, and the few file operations records need.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Csv,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::Json => "jsonl",
            Self::Csv => "csv",
        }
    }
}

/// The names of one file's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    stem: PathBuf,
    pub(super) first: u64,
}

impl Names {
    pub(super) fn new(directory: &Path, name: &str, first: u64) -> Self {
        // Twenty digits hold every u64: the names sort as the numbers do.
        Self {
            stem: directory.join(format!("{name}-{first:020}")),
            first,
        }
    }

    pub(super) fn open(&self, format: Format) -> PathBuf {
        self.with(&format!("{}.open", format.extension()))
    }

    pub(super) fn closed(&self, format: Format) -> PathBuf {
        self.with(format.extension())
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.with("manifest.json")
    }

    fn with(&self, extension: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }

    /// Every file in `directory` that has JSON, open or closed, by sequence number.
    pub(super) fn all(directory: &Path, name: &str) -> io::Result<Vec<Self>> {
        let mut firsts = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(directory).map_err(|error| named(directory, error))? {
            let file_name = entry?.file_name();
            let number: Option<u64> = file_name
                .to_str()
                .and_then(|file_name| file_name.strip_prefix(name)?.strip_prefix('-'))
                .and_then(|rest| rest.split_once('.'))
                .filter(|(_, extension)| matches!(*extension, "jsonl" | "jsonl.open"))
                .and_then(|(number, _)| number.parse().ok());
            firsts.extend(number);
        }
        Ok(firsts
            .into_iter()
            .map(|first| Self::new(directory, name, first))
            .collect())
    }
}

/// The error with the path in front.
pub(super) fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes an empty file, in the place of one that was begun and never synced.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(path)
        .map_err(|error| named(path, error))
}

/// Puts `content` at `path`, whole or not at all.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut temporary = path.to_owned().into_os_string();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    let mut file = create(&temporary)?;
    file.write_all(content)
        .and_then(|()| file.sync_all())
        .map_err(|error| named(&temporary, error))?;
    std::fs::rename(&temporary, path).map_err(|error| named(path, error))
}

/// Makes renames and new files in `directory` durable.
pub(super) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
