//! The thread that writes charge records.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tollwire_cdr::{MessageRecord, Record, Timestamp};
use tollwire_runtime::clock::Now;
use tollwire_runtime::pace::Pace;
use tollwire_runtime::records::{ClosureReason, RecordWriter};

use crate::config::Config;
use crate::effect::RecordFacts;
use crate::event::Event;
use crate::message::{MessageState, Payer};

/// Between attempts, and between looks at the file's age.
const INTERVAL: Duration = Duration::from_secs(1);
/// Under load files are written once in this time: the spool keeps what a record is made of until it is written.
const SLOT: Duration = Duration::from_millis(20);

/// The way to the thread. Dropping it writes what waits and ends the thread.
pub(super) struct Records {
    queue: Option<Sender<Vec<MessageRecord>>>,
    waiting: Vec<MessageRecord>,
    origin_host: String,
    /// Up to which number records are on disk.
    pub(super) durable: watch::Receiver<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Records {
    /// Opens the files. `owed` records may be in them already: those are not written again.
    pub(super) fn start(
        config: &Config,
        owed: usize,
        told: UnboundedSender<Event>,
    ) -> io::Result<Self> {
        let writer = RecordWriter::open(config.record_settings(), Now::read().unix_ms)?;
        // The spool forgets a record in the order of writing: what it does not know of is among the newest.
        let newest: Vec<MessageRecord> = writer.newest(owed)?;
        let written = newest.into_iter().map(|record| record.record_id).collect();
        let durable = writer.durable();
        let (queue, records) = channel();
        let thread = std::thread::Builder::new()
            .name("records".into())
            .spawn(move || {
                Files {
                    writer,
                    written,
                    left: owed,
                    waiting: Vec::new(),
                    taken: 0,
                    told,
                }
                .run(&records);
            })?;
        Ok(Self {
            queue: Some(queue),
            waiting: Vec::new(),
            origin_host: config.diameter.origin_host.clone(),
            durable,
            thread: Some(thread),
        })
    }

    /// Adds a record to those that [`Records::flush`] hands over.
    pub(super) fn write(&mut self, facts: &RecordFacts) {
        self.waiting.push(ticket(facts, &self.origin_host));
    }

    /// Hands over what was added.
    pub(super) fn flush(&mut self) {
        if !self.waiting.is_empty()
            && let Some(queue) = &self.queue
        {
            // The thread ends only with us.
            let _ = queue.send(std::mem::take(&mut self.waiting));
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Files {
    writer: RecordWriter<MessageRecord>,
    /// Records of the last run that the spool may still owe.
    written: HashSet<String>,
    /// How many it may.
    left: usize,
    waiting: Vec<MessageRecord>,
    taken: u64,
    told: UnboundedSender<Event>,
}

impl Files {
    fn run(mut self, queue: &Receiver<Vec<MessageRecord>>) {
        let mut open = true;
        let mut pace = Pace::new(SLOT);
        while open || !self.waiting.is_empty() {
            if let Err(error) = self.append() {
                tracing::error!(%error, records = self.waiting.len(), "charge records wait in the spool: free disk space or mend the folder");
                if !open {
                    return;
                }
                std::thread::sleep(INTERVAL);
            }
            let received = queue.recv_timeout(INTERVAL);
            pace.sleep();
            match received {
                Ok(records) => {
                    self.take(records);
                    while let Ok(records) = queue.try_recv() {
                        self.take(records);
                    }
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

    fn take(&mut self, records: Vec<MessageRecord>) {
        for record in records {
            self.taken += 1;
            if self.left > 0 {
                self.left -= 1;
                if self.written.remove(record.record_id()) {
                    continue;
                }
            }
            self.waiting.push(record);
        }
    }

    fn append(&mut self) -> io::Result<()> {
        let now = Now::read().unix_ms;
        let mut next = self.writer.last_sequence_number().unwrap_or(0);
        for record in &mut self.waiting {
            next += 1;
            record.sequence_number = next;
        }
        self.writer.append(&self.waiting, now)?;
        self.waiting.clear();
        if self.taken > 0 {
            let _ = self.told.send(Event::RecordsStored { up_to: self.taken });
        }
        self.writer.rotate_if_due(now)
    }
}

fn ticket(facts: &RecordFacts, origin_host: &str) -> MessageRecord {
    let RecordFacts {
        message,
        done,
        account,
    } = facts;
    // What was not delivered costs nothing; what nobody was asked to pay has no payer.
    let delivered = matches!(done.state, MessageState::Delivered | MessageState::Accepted);
    let charge = message.charge.as_ref().filter(|_| delivered);
    MessageRecord {
        sequence_number: 0,
        record_id: message.id.to_string(),
        service: "short-message".into(),
        message_id: message.public_id().to_string(),
        source: message.source.digits.to_string(),
        destination: message.destination.digits.to_string(),
        esme: message.submitter.to_string(),
        next_hop: done.next_hop.as_deref().unwrap_or_default().into(),
        upstream_message_id: done
            .upstream_message_id
            .as_deref()
            .unwrap_or_default()
            .into(),
        accepted_time: Timestamp(message.accepted_unix_ms),
        end_time: Timestamp(done.at_unix_ms),
        segments: message.segments,
        data_coding: message.data_coding,
        attempts: done.attempts,
        state: done.state.name().into(),
        cause: done.cause.name().into(),
        status: done.status,
        payer: charge.map(|charge| {
            match charge.payer {
                Payer::Receiver => "receiver",
                Payer::Sender => "sender",
                Payer::ThirdParty(_) => "third-party",
            }
            .into()
        }),
        account: charge.and(account.as_deref()).map(Into::into),
        tariff_class: charge.and_then(|charge| charge.class),
        currency: charge.map(|charge| String::from_utf8_lossy(&charge.currency).into_owned()),
        amount_micro: charge.map(|charge| charge.amount_micro),
        // What was reserved is settled by credit control.
        charging: if done.settlement.is_some() {
            "online"
        } else {
            "record"
        }
        .into(),
        origin_host: origin_host.into(),
    }
}
