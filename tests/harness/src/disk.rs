//! Disks that fill up.

use std::fs;
use std::process::Command;

use crate::process::run;

/// A small file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    path: String,
}

impl SmallDisk {
    /// Mounts one of `size`, as mount(8) writes it, at `path`.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    #[track_caller]
    pub fn mount(path: String, size: &str) -> Self {
        fs::create_dir_all(&path).expect("a mount point");
        run(Command::new("mount").args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={size}"),
            "tmpfs",
            &path,
        ]));
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Leaves no octet free.
    pub fn fill(&self) {
        let file = format!("{}/filler", self.path);
        let _ = Command::new("dd")
            .args(["if=/dev/zero", &format!("of={file}"), "bs=4096"])
            .output();
    }

    /// Takes [`SmallDisk::fill`] back.
    ///
    /// # Panics
    /// When it was not filled.
    pub fn make_room(&self) {
        fs::remove_file(format!("{}/filler", self.path)).expect("the filler is there");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy", &self.path]).output();
    }
}
