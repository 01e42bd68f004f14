//! Files that hold secrets, or must be whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// What a file's fault is.
pub(crate) fn of(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    let path = path.to_owned();
    |source| Failure::File { path, source }
}

/// All of a file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(of(path))
}

/// A directory that is there afterwards.
pub(crate) fn make_directory(path: &Path) -> Result<(), Failure> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder.create(path).map_err(of(path))
}

/// A new file, of that mode before anything is in it.
pub(crate) fn create(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        sync_directory(path)
    };
    write().map_err(of(path))
}

/// A file in the place of another, whole or not at all.
pub(crate) fn replace(path: &Path, mode: u32, text: &str) -> Result<(), Failure> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    match std::fs::remove_file(&beside) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(of(&beside)(error)),
    }
    create(&beside, mode, text)?;
    std::fs::rename(&beside, path)
        .and_then(|()| sync_directory(path))
        .map_err(of(path))
}

fn sync_directory(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
