//! The thread that writes.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tollwire_cdr::ChargeRecord;
use tollwire_runtime::pace::Pace;

use super::backend::{Backend, Cause, Standing, Unwritten};
use super::batch::Batch;
use super::place::is_of_configuration;
use super::{After, Group, Job, Notice, Place, Records, StoreError, read};
use crate::effect::Mutation;

/// Groups in one transaction.
const GROUPS: usize = 1024;
/// Under load a commit begins once in this time, with everything that waits.
const SLOT: Duration = Duration::from_millis(16);
/// Without anything to commit for so long, what was put off is done.
const IDLE: Duration = Duration::from_secs(1);
/// Between attempts to begin: a full disk is not hammered, and the place of an instance that died is taken soon.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct Writer<A: After> {
    backend: Box<dyn Backend>,
    epoch: u64,
    standing: Option<Standing>,
    /// Records up to this number are in the files, and may leave the outbox.
    written: Option<u64>,
    /// What may be stored or not: the connection was lost before the answer came.
    doubtful: Vec<Group<A>>,
    next_attempt: Instant,
    /// What kept it from beginning, said once.
    complaint: Option<String>,
    records: Box<dyn Fn(Records) + Send>,
    notice: Box<dyn Fn(Notice) + Send>,
}

impl<A: After> Writer<A> {
    /// The writer, and what it begins with.
    pub(super) fn open(
        place: &Place,
        records: impl Fn(Records) + Send + 'static,
        notice: impl Fn(Notice) + Send + 'static,
    ) -> Result<(Self, Notice), StoreError> {
        let mut writer = Self {
            backend: place.open()?,
            epoch: 0,
            standing: None,
            written: None,
            doubtful: Vec::new(),
            next_attempt: Instant::now(),
            complaint: None,
            records: Box::new(records),
            notice: Box::new(notice),
        };
        let first = match writer.begin() {
            Ok(first) => first.unwrap_or(Notice::Away),
            Err(error) if place.is_shared() && !is_of_configuration(&error) => {
                writer.complain(&error);
                Notice::Away
            }
            Err(error) => return Err(place.fault(error)),
        };
        Ok((writer, first))
    }

    pub(super) fn run(mut self, queue: &Receiver<Job<A>>) {
        let mut stopping = false;
        let mut pace = Pace::new(SLOT);
        while !stopping {
            let active = self.is_active();
            let first = match queue.recv_timeout(if active { IDLE } else { PAUSE }) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            if active {
                pace.sleep();
            }
            let mut groups = Vec::new();
            let idle = first.is_none();
            for job in first.into_iter().chain(queue.try_iter().take(GROUPS - 1)) {
                match job {
                    Job::Group(group) if active && group.epoch == self.epoch => groups.push(group),
                    // Made with memory that the disk does not have.
                    Job::Group(group) => refuse([group]),
                    Job::Written(number) => self.written = Some(number),
                    Job::Stop => stopping = true,
                }
            }
            if !active {
                if self.next_attempt <= Instant::now() {
                    self.attempt();
                }
            } else if !groups.is_empty() {
                self.commit(groups);
            } else if idle || stopping {
                self.rest();
            }
        }
    }

    fn is_active(&self) -> bool {
        self.standing == Some(Standing::Active)
    }

    /// Tries to become the one that writes, if it is time to.
    fn attempt(&mut self) {
        match self.begin() {
            Ok(notice) => {
                self.complaint = None;
                if let Some(notice) = notice {
                    (self.notice)(notice);
                }
            }
            Err(error) => {
                self.complain(&error);
                if self.standing.take().is_some() {
                    (self.notice)(Notice::Away);
                }
            }
        }
        self.next_attempt = Instant::now() + PAUSE;
    }

    fn complain(&mut self, error: &Cause) {
        let complaint = error.to_string();
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::error!(%error, "the database cannot be used; requests are refused until it can");
            self.complaint = Some(complaint);
        }
    }

    /// What is known of the store, if that is news.
    fn begin(&mut self) -> Result<Option<Notice>, Cause> {
        if !self.doubtful.is_empty() {
            let stored = self.backend.settle()?;
            let groups = std::mem::take(&mut self.doubtful);
            tracing::warn!(
                stored,
                "the database was asked what became of the last group"
            );
            if stored {
                self.tell(groups);
            } else {
                refuse(groups);
            }
        }
        let standing = self.backend.begin()?;
        let notice = match &standing {
            Standing::Standby(_) if self.standing.as_ref() == Some(&standing) => return Ok(None),
            Standing::Standby(active) => Notice::Standby {
                active: active.clone(),
            },
            Standing::Active => {
                let state = read::state(self.backend.as_mut())?;
                let waiting = read::outbox(self.backend.as_mut())?;
                self.epoch += 1;
                let after = waiting
                    .first()
                    .map_or(state.last_record, |record| record.sequence_number - 1);
                (self.records)(Records::Begin { after, waiting });
                Notice::Active {
                    epoch: self.epoch,
                    state: Box::new(state),
                }
            }
        };
        self.standing = Some(standing);
        Ok(Some(notice))
    }

    /// Done when there is nothing else to do: repeated records are known by their numbers.
    fn rest(&mut self) {
        if self.written.is_some() {
            match self.write(std::iter::empty()) {
                Ok(()) => self.written = None,
                Err(error) => {
                    tracing::warn!(%error, "records that are in the files stay in the outbox for now");
                }
            }
        }
        if let Err(error) = self.backend.check() {
            self.fail(&error);
        }
    }

    fn write<'a>(
        &mut self,
        mutations: impl Iterator<Item = &'a Mutation>,
    ) -> Result<(), Unwritten> {
        let batch = Batch::of(mutations, self.written)?;
        self.backend.write(&batch)
    }

    fn commit(&mut self, groups: Vec<Group<A>>) {
        let mutations = || groups.iter().flat_map(|group| &group.mutations);
        if mutations().next().is_some() {
            match self.write(mutations()) {
                Ok(()) => self.written = None,
                Err(error) => {
                    match error {
                        Unwritten::Refused(_) => refuse(groups),
                        Unwritten::Unknown(_) => self.doubtful = groups,
                    }
                    self.fail(&error);
                    return;
                }
            }
        }
        self.tell(groups);
    }

    /// These are stored.
    fn tell(&self, groups: Vec<Group<A>>) {
        let mut records: Vec<ChargeRecord> = Vec::new();
        for group in groups {
            group.after.into_iter().for_each(After::stored);
            records.extend(group.mutations.into_iter().filter_map(|it| match it {
                Mutation::Record(record) => Some(*record),
                _ => None,
            }));
        }
        if !records.is_empty() {
            (self.records)(Records::Made(records));
        }
    }

    /// Memory and disk differ: memory is read again before anything else is written.
    fn fail(&mut self, error: &dyn std::fmt::Display) {
        tracing::error!(%error, "not stored: free disk space or mend the database; requests are refused until then");
        std::thread::sleep(PAUSE);
        self.attempt();
    }
}

fn refuse<A: After>(groups: impl IntoIterator<Item = Group<A>>) {
    groups
        .into_iter()
        .flat_map(|group| group.after)
        .for_each(After::refused);
}
