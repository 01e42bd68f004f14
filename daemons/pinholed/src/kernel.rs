//! The thread that owns the netlink socket: takes every job that waits, and carries them out together.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::nftables::{Done, Job, Table};

/// Jobs carried out together at the most.
const AT_ONCE: usize = 256;

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
    while let Ok(first) = queue.recv() {
        let (tickets, jobs): (Vec<u64>, Vec<Job>) = std::iter::once(first)
            .chain(queue.try_iter().take(AT_ONCE - 1))
            .unzip();
        let outcomes = table.run(&jobs);
        done(tickets.into_iter().zip(outcomes).collect());
    }
}
