//! The thread that puts accounting records on disk, from where they are sent.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc::UnboundedSender, watch};
use tollwire_cdr::{CallRecord, Timestamp};
use tollwire_runtime::clock::Now;
use tollwire_runtime::pace::Pace;
use tollwire_runtime::records::{ClosureReason, RecordWriter, Settings};

use crate::calls::{CallNumber, Report};
use crate::links::session_id;
use crate::supervision::Parties;

/// Between attempts, and between looks at the file's age.
const INTERVAL: Duration = Duration::from_secs(1);
/// Under load files are written once in this time: calls keep what a record is made of until it is written.
const SLOT: Duration = Duration::from_millis(20);

/// Records that are on disk.
pub(super) type Spooled = Vec<(CallNumber, u32)>;

struct Waiting {
    call: CallNumber,
    record: CallRecord,
}

/// The way to the thread. Dropping it writes what waits and ends the thread.
pub(super) struct Spool {
    queue: Option<Sender<Waiting>>,
    origin_host: String,
    /// Up to which number records are on disk.
    pub(super) durable: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Spool {
    /// Opens the files. `owed` records of an earlier run may be in them already: those are not written again.
    pub(super) fn start(
        settings: Settings,
        origin_host: &str,
        owed: usize,
        told: UnboundedSender<Spooled>,
    ) -> io::Result<Self> {
        let writer = RecordWriter::open(settings, Now::read().unix_ms)?;
        let durable = writer.durable();
        let written = writer.newest(owed)?;
        let (queue, records) = channel();
        let mut files = Files {
            writer,
            written: (written.into_iter())
                .map(|record: CallRecord| record.record_id)
                .collect(),
            told,
        };
        let thread = std::thread::Builder::new()
            .name("accounting".into())
            .spawn(move || files.run(&records))?;
        Ok(Self {
            queue: Some(queue),
            origin_host: origin_host.into(),
            durable,
            thread: Some(thread),
        })
    }

    /// Hands a record over.
    pub(super) fn write(&self, call: CallNumber, parties: &Parties, report: &Report) {
        if let Some(queue) = &self.queue {
            let record = record(&self.origin_host, parties, report);
            // The thread ends only with us.
            let _ = queue.send(Waiting { call, record });
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Files {
    writer: RecordWriter<CallRecord>,
    /// Records of the last run that calls may still owe.
    written: HashSet<String>,
    told: UnboundedSender<Spooled>,
}

impl Files {
    fn run(&mut self, queue: &Receiver<Waiting>) {
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut open = true;
        let mut pace = Pace::new(SLOT);
        while open || !waiting.is_empty() {
            if let Err(error) = self.append(&mut waiting) {
                tracing::error!(%error, records = waiting.len(), "accounting records wait with their calls: free disk space or mend the folder");
                if !open {
                    return;
                }
                std::thread::sleep(INTERVAL);
            }
            let received = queue.recv_timeout(INTERVAL);
            pace.sleep();
            match received {
                Ok(record) => {
                    waiting.push(record);
                    waiting.extend(queue.try_iter());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => open = false,
            }
        }
        let now = Now::read().unix_ms;
        if let Err(error) = self.writer.close(ClosureReason::ManualIntervention, now) {
            tracing::warn!(%error, "the record file stays open");
        }
    }

    fn append(&mut self, waiting: &mut Vec<Waiting>) -> io::Result<()> {
        let now = Now::read().unix_ms;
        if !waiting.is_empty() {
            let mut next = self.writer.last_sequence_number().unwrap_or(0);
            let mut new = Vec::with_capacity(waiting.len());
            for Waiting { record, .. } in waiting.iter() {
                if !self.written.contains(&record.record_id) {
                    next += 1;
                    let mut record = record.clone();
                    record.sequence_number = next;
                    new.push(record);
                }
            }
            self.writer.append(&new, now)?;
            let spooled = waiting
                .drain(..)
                .map(|waiting| (waiting.call, waiting.record.number))
                .collect();
            let _ = self.told.send(spooled);
        }
        self.writer.rotate_if_due(now)
    }
}

fn record(origin_host: &str, parties: &Parties, report: &Report) -> CallRecord {
    let session_id = session_id(origin_host, parties, "rf");
    CallRecord {
        sequence_number: 0,
        record_id: format!("{session_id};{}", report.number),
        service: "sip-call".into(),
        session_id,
        record_type: report.kind.name().into(),
        number: report.number,
        event_time: Timestamp(report.at_unix_ms),
        call_id: parties.call_id.to_string(),
        from: parties.calling.to_string(),
        to: parties.called.to_string(),
        identity: parties.identity.to_string(),
        caller_address: parties.caller_address.to_string(),
        callee_address: parties
            .callee_address
            .map(|address| address.to_string())
            .unwrap_or_default(),
        invite_time: Timestamp(parties.invite_unix_ms),
        answer_time: report.answer_unix_ms.map(Timestamp),
        duration_ms: report
            .answer_unix_ms
            .map_or(0, |answer| report.at_unix_ms.saturating_sub(answer).max(0)),
        octets_from_caller: report.octets_from_caller,
        octets_to_caller: report.octets_to_caller,
        end_cause: report.cause.map(|cause| cause.name().into()),
        origin_host: origin_host.into(),
    }
}
