//! The thread that owns the netlink socket: takes every job that waits, and carries them out together.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tollwire_runtime::pace::Pace;

use crate::flow::FlowKey;
use crate::nftables::{Change, Done, Job, Table};

/// Jobs carried out together at the most.
const AT_ONCE: usize = 256;
/// Under load a transaction begins once in this time, with everything that waits.
const SLOT: Duration = Duration::from_millis(2);

/// The way to the thread; dropping it carries out what waits and ends it.
pub struct Kernel {
    jobs: Option<Sender<(u64, Job)>>,
    thread: Option<JoinHandle<()>>,
}

impl Kernel {
    /// Gives `table` to a thread, which calls `done` with the tickets and outcomes of the jobs.
    pub fn start(
        table: Table,
        done: impl Fn(Vec<(u64, Done)>) + Send + 'static,
    ) -> io::Result<Self> {
        let (jobs, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("netlink".into())
            .spawn(move || run(table, &queue, &done))?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Hands a job over.
    pub fn submit(&self, ticket: u64, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only with us.
            let _ = jobs.send((ticket, job));
        }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut table: Table, queue: &Receiver<(u64, Job)>, done: &dyn Fn(Vec<(u64, Done)>)) {
    let mut kept: Option<(u64, Job)> = None;
    let mut pace = Pace::new(SLOT);
    while let Some(first) = kept.take().or_else(|| queue.recv().ok()) {
        pace.sleep();
        let mut cleaned: HashSet<FlowKey> = cleaned_by(&first.1).collect();
        let (mut tickets, mut jobs) = (vec![first.0], vec![first.1]);
        while jobs.len() < AT_ONCE
            && let Ok((ticket, job)) = queue.try_recv()
        {
            // What one job cleans up at its end, another must not have made before: it waits for the next turn.
            if job
                .changes
                .iter()
                .filter_map(Change::key)
                .any(|key| cleaned.contains(&key))
            {
                kept = Some((ticket, job));
                break;
            }
            cleaned.extend(cleaned_by(&job));
            tickets.push(ticket);
            jobs.push(job);
        }
        let outcomes = table.run(&jobs);
        done(tickets.into_iter().zip(outcomes).collect());
    }
}

fn cleaned_by(job: &Job) -> impl Iterator<Item = FlowKey> {
    job.afterwards.iter().filter_map(Change::key)
}
