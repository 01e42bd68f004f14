//! Files that are sold, below one folder and nowhere else.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::order::Version;

/// The folder.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Opens the folder.
    ///
    /// # Errors
    /// It is not there, or no folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        Ok(Self(open(path, flags, Mode::empty())?))
    }

    /// Opens a file below it, and says which version of it that is.
    ///
    /// The kernel refuses what leads out of the folder, by `..` as by symbolic links (openat2(2), RESOLVE_BENEATH), at
    /// the moment that it opens the file: what changes meanwhile changes nothing.
    ///
    /// # Errors
    /// It is not there, leads out of the folder, or is no file.
    pub fn file(&self, path: &Path) -> io::Result<(File, Version)> {
        // Without O_NONBLOCK a pipe in its place would hold the daemon.
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::from(openat2(&self.0, path, how).map_err(|error| named(error.into()))?);
        let metadata = file.metadata().map_err(named)?;
        if !metadata.is_file() {
            return Err(named(io::Error::other("no plain file")));
        }
        let tag = format!(
            "{:x}-{:x}-{:x}.{:x}",
            metadata.ino(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec()
        );
        let version = Version {
            size: metadata.len(),
            tag,
        };
        Ok((file, version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let folder = std::env::temp_dir().join(format!("tollwire-goods-{}", std::process::id()));
        let root = folder.join("root");
        std::fs::create_dir_all(root.join("inner")).unwrap();
        std::fs::write(folder.join("secret"), "secret").unwrap();
        std::fs::write(root.join("inner/song"), "la la").unwrap();
        symlink("inner/song", root.join("inside")).unwrap();
        symlink("../secret", root.join("outside")).unwrap();
        symlink(folder.join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("up")).unwrap();

        let opened = Root::open(&root).unwrap();
        for fits in ["inner/song", "inside"] {
            let (_, version) = opened.file(Path::new(fits)).unwrap();
            assert_eq!(version.size, 5);
        }
        for refused in [
            "outside",
            "absolute",
            "up/secret",
            "../secret",
            "inner/../../secret",
            "/etc/passwd",
            "inner",
            "missing",
        ] {
            assert!(opened.file(Path::new(refused)).is_err(), "{refused}");
        }
        let (_, before) = opened.file(Path::new("inside")).unwrap();
        std::fs::write(root.join("inner/song"), "la la la").unwrap();
        let (_, after) = opened.file(Path::new("inside")).unwrap();
        assert_ne!(before, after);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
