//! Up to where records are acknowledged, on disk.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::records::files;

/// The file.
#[derive(Debug)]
pub(super) struct Cursor {
    path: PathBuf,
    directory: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Content {
    acknowledged: u64,
}

impl Cursor {
    /// The cursor of accounting storage for the files called `name` in `directory`.
    pub(super) fn of(directory: &Path, name: &str) -> Self {
        Self::named(directory, name, "shipped")
    }

    /// The cursor of another reader of these files.
    pub(super) fn named(directory: &Path, name: &str, reader: &str) -> Self {
        Self {
            path: directory.join(format!("{name}.{reader}.json")),
            directory: directory.into(),
        }
    }

    /// The last number that is acknowledged; `None` if nothing was ever sent.
    ///
    /// # Errors
    /// The file cannot be read, or says something else. Whoever mends it may remove it: everything is sent again then,
    /// and known to the storage.
    pub(super) fn read(&self) -> io::Result<Option<u64>> {
        let text = match std::fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::named(&self.path, error)),
        };
        let content: Content = serde_json::from_str(&text)
            .map_err(|error| files::named(&self.path, io::Error::other(error)))?;
        Ok(Some(content.acknowledged))
    }

    /// Keeps `acknowledged`, whole or not at all.
    ///
    /// # Errors
    /// The file system's; the old number stands.
    pub(super) fn write(&self, acknowledged: u64) -> io::Result<()> {
        let text = serde_json::to_string(&Content { acknowledged }).map_err(io::Error::other)?;
        files::replace(&self.path, text.as_bytes())?;
        files::sync_directory(&self.directory)
    }
}
