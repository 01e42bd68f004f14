//! Record files that nobody needs any more.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use super::cursor::Cursor;
use crate::records::files::{Format, Names, named, sync_directory};

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(3600);

/// Which files may go: closed ones, all of whose records every reader has had acknowledged, some days after they were closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Folder of the files.
    pub directory: PathBuf,
    /// What the files' names begin with.
    pub name: String,
    /// Days that a file stays; 0 keeps all.
    pub keep_days: u32,
    /// Whether they are sent to accounting storage.
    pub shipped: bool,
    /// Whether they are published.
    pub streamed: bool,
}

impl Retention {
    /// Removes what may go; says how many files.
    ///
    /// # Errors
    /// The file system's. What was not removed then is the next time.
    fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let readers = [(self.shipped, "shipped"), (self.streamed, "streamed")];
        let readers = readers.iter().filter(|(reads, _)| *reads);
        let mut acknowledged = None::<u64>;
        for (_, reader) in readers {
            let cursor = Cursor::named(&self.directory, &self.name, reader);
            let up_to = cursor.read()?.unwrap_or(0);
            acknowledged = Some(acknowledged.map_or(up_to, |known| known.min(up_to)));
        }
        // Whose records nobody fetches may be the only ones that there are.
        let Some(acknowledged) = acknowledged.filter(|_| self.keep_days > 0) else {
            return Ok(0);
        };
        let keep = Duration::from_secs(u64::from(self.keep_days) * 86_400);
        let mut removed = 0;
        // The newest says where the numbers go on, and always stays.
        for pair in Names::all(&self.directory, &self.name)?.windows(2) {
            let [names, next] = pair else { break };
            if next.first > acknowledged.saturating_add(1) {
                break;
            }
            let json = names.closed(Format::Json);
            let closed = match json.metadata().and_then(|metadata| metadata.modified()) {
                Ok(at) => at,
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(named(&json, error)),
            };
            if now.duration_since(closed).unwrap_or_default() < keep {
                break;
            }
            // JSON last: while it is there, the others are found again.
            for path in [names.manifest(), names.closed(Format::Csv), json] {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(named(&path, error));
                    }
                    _ => {}
                }
            }
            removed += 1;
        }
        if removed > 0 {
            sync_directory(&self.directory)?;
        }
        Ok(removed)
    }
}

/// Removes what may go each hour, on a thread of its own. Dropping it ends that.
#[derive(Debug)]
pub struct Janitor {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Janitor {
    /// Begins at once; nothing, if all files stay.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(retention: Retention) -> io::Result<Option<Self>> {
        if retention.keep_days == 0 || !(retention.shipped || retention.streamed) {
            return Ok(None);
        }
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::Builder::new()
            .name("retention".into())
            .spawn(move || {
                loop {
                    match retention.sweep(SystemTime::now()) {
                        Ok(0) => {}
                        Ok(files) => tracing::info!(
                            files,
                            "record files that are acknowledged and old are removed"
                        ),
                        Err(error) => tracing::warn!(%error, "old record files stay for now"),
                    }
                    // Nobody sends: an end is the sender's.
                    if stopped.recv_timeout(INTERVAL)
                        == Err(std::sync::mpsc::RecvTimeoutError::Disconnected)
                    {
                        return;
                    }
                }
            })?;
        Ok(Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        }))
    }
}

impl Drop for Janitor {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("keep-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&path);
            std::fs::create_dir_all(&path).unwrap();
            for first in [1, 11, 21] {
                for extension in ["jsonl", "csv", "manifest.json"] {
                    std::fs::write(path.join(format!("smscd-{first:020}.{extension}")), "")
                        .unwrap();
                }
            }
            std::fs::write(path.join(format!("smscd-{:020}.jsonl.open", 31)), "").unwrap();
            Self(path)
        }

        fn cursor(&self, reader: &str, acknowledged: u64) {
            Cursor::named(&self.0, "smscd", reader)
                .write(acknowledged)
                .unwrap();
        }

        fn left(&self) -> Vec<u64> {
            let all = Names::all(&self.0, "smscd").unwrap();
            all.iter().map(|names| names.first).collect()
        }

        fn retention(&self) -> Retention {
            Retention {
                directory: self.0.clone(),
                name: "smscd".into(),
                keep_days: 2,
                shipped: true,
                streamed: true,
            }
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_goes_when_every_reader_has_it_and_it_is_old() {
        let folder = Folder::new("readers");
        let retention = folder.retention();
        let later = SystemTime::now() + 3 * DAY;
        // Nothing was ever acknowledged.
        assert_eq!(retention.sweep(later).unwrap(), 0);
        folder.cursor("shipped", 30);
        assert_eq!(retention.sweep(later).unwrap(), 0);
        folder.cursor("streamed", 19);
        assert_eq!(
            retention.sweep(SystemTime::now() + DAY).unwrap(),
            0,
            "too new"
        );
        assert_eq!(retention.sweep(later).unwrap(), 1);
        assert_eq!(folder.left(), [11, 21, 31]);
        assert!(!folder.0.join(format!("smscd-{:020}.csv", 1)).exists());
        folder.cursor("streamed", 20);
        assert_eq!(retention.sweep(later).unwrap(), 1);
        folder.cursor("streamed", 1000);
        folder.cursor("shipped", 1000);
        assert_eq!(retention.sweep(later).unwrap(), 1);
        assert_eq!(folder.left(), [31], "the newest stays");
    }

    #[test]
    fn without_a_reader_or_a_time_all_stay() {
        let folder = Folder::new("none");
        folder.cursor("shipped", 1000);
        folder.cursor("streamed", 1000);
        let later = SystemTime::now() + 400 * DAY;
        let nobody = Retention {
            shipped: false,
            streamed: false,
            ..folder.retention()
        };
        let for_ever = Retention {
            keep_days: 0,
            ..folder.retention()
        };
        assert_eq!(nobody.sweep(later).unwrap(), 0);
        assert_eq!(for_ever.sweep(later).unwrap(), 0);
        assert!(Janitor::start(nobody).unwrap().is_none());
        assert!(Janitor::start(for_ever).unwrap().is_none());
        // And one who only asks for accounting storage does not wait for a stream.
        let shipped = Retention {
            streamed: false,
            ..folder.retention()
        };
        assert_eq!(shipped.sweep(later).unwrap(), 3);
    }
}
