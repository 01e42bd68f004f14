//! The thread that writes charge records to files.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tollwire_cdr::ChargeRecord;
use tollwire_runtime::clock::Now;
use tollwire_runtime::pace::Pace;
use tollwire_runtime::records::{ClosureReason, RecordWriter};

use crate::store::Records;

/// Between attempts, and between looks at the file's age.
const INTERVAL: Duration = Duration::from_secs(1);

/// Under load files are written once in this time: the records are safe in the store until then.
const SLOT: Duration = Duration::from_millis(50);

/// The thread; ends when every sender of records is gone.
pub struct Outbox {
    thread: Option<JoinHandle<()>>,
}

/// A queue of records for [`Outbox::start`].
pub fn queue() -> (Sender<Records>, Receiver<Records>) {
    channel()
}

impl Outbox {
    /// Writes what comes through `queue`; calls `written` with the last sequence number on disk.
    pub fn start(
        mut writer: RecordWriter,
        queue: Receiver<Records>,
        written: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Self> {
        let thread = std::thread::Builder::new()
            .name("records".into())
            .spawn(move || {
                let mut open = true;
                let mut waiting = Vec::new();
                let mut after = None;
                let mut pace = Pace::new(SLOT);
                while open || !waiting.is_empty() {
                    if let Err(error) = write(&mut writer, &mut after, &mut waiting, &written) {
                        tracing::error!(%error, records = waiting.len(), "charge records wait in the store: free disk space or mend the folder");
                        if !open {
                            return;
                        }
                        std::thread::sleep(INTERVAL);
                    }
                    let received = queue.recv_timeout(INTERVAL);
                    pace.sleep();
                    match received {
                        Ok(records) => {
                            for records in std::iter::once(records).chain(queue.try_iter()) {
                                match records {
                                    Records::Made(records) => waiting.extend(records),
                                    // What waited here is among them, or another instance's by now.
                                    Records::Begin {
                                        after: theirs,
                                        waiting: records,
                                    } => (after, waiting) = (Some(theirs), records),
                                }
                            }
                        }
                        Err(RecvTimeoutError::Timeout) => {}
                        Err(RecvTimeoutError::Disconnected) => open = false,
                    }
                }
                let now = Now::read().unix_ms;
                if let Err(error) = writer.close(ClosureReason::ManualIntervention, now) {
                    tracing::warn!(%error, "the record file stays open");
                }
            })?;
        Ok(Self {
            thread: Some(thread),
        })
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(
    writer: &mut RecordWriter,
    after: &mut Option<u64>,
    waiting: &mut Vec<ChargeRecord>,
    written: &impl Fn(u64),
) -> io::Result<()> {
    let now = Now::read().unix_ms;
    if let Some(number) = *after {
        writer.follow(number, now)?;
        *after = None;
    }
    writer.append(waiting, now)?;
    if let Some(last) = waiting.last() {
        written(last.sequence_number);
        waiting.clear();
    }
    writer.rotate_if_due(now)
}
