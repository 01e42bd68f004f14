//! Names, and the few file operations records need.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
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
pub(crate) struct Names {
    stem: PathBuf,
    pub(crate) first: u64,
}

impl Names {
    pub(crate) fn new(directory: &Path, name: &str, first: u64) -> Self {
        // Twenty digits hold every u64: the names sort as the numbers do.
        Self {
            stem: directory.join(format!("{name}-{first:020}")),
            first,
        }
    }

    pub(crate) fn open(&self, format: Format) -> PathBuf {
        self.with(&format!("{}.open", format.extension()))
    }

    pub(crate) fn closed(&self, format: Format) -> PathBuf {
        self.with(format.extension())
    }

    pub(crate) fn manifest(&self) -> PathBuf {
        self.with("manifest.json")
    }

    fn with(&self, extension: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }

    /// Every file in `directory` that has JSON, open or closed, by sequence number.
    pub(crate) fn all(directory: &Path, name: &str) -> io::Result<Vec<Self>> {
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
pub(crate) fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Makes an empty file, in the place of one that was begun and never synced.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o640)
        .open(path)
        .map_err(|error| named(path, error))
}

/// Puts `content` at `path`, whole or not at all.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
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
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
