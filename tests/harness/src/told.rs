//! Who is told by `chargingd`: a webhook and a mail server in Python, through `tests/netns/notify/receiver.py`.

use std::fs;
use std::io::Write;
use std::process::ChildStdin;

use serde_json::{Value, json};

use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::sms::peer::tests_folder;
use crate::wait::{PATIENCE, wait_for};

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    process: Process,
    input: ChildStdin,
}

impl Receiver {
    /// Starts it on `host` with these arguments, and waits until it listens.
    ///
    /// # Panics
    /// When aiosmtpd is not installed (`make packages` does it), or it does not listen.
    #[must_use]
    #[track_caller]
    pub fn start(host: &Host, scratch: &Scratch, name: &str, arguments: &[&str]) -> Self {
        let python = tests_folder().join("../target/python/bin/python");
        let mut command = host.command(python);
        command
            .arg("-B")
            .arg(tests_folder().join("netns/notify/receiver.py"))
            .args(arguments);
        let log = scratch.path().join(format!("{name}.received"));
        let _ = fs::remove_file(&log);
        let (process, input) = Process::start_with_input(name, &mut command, &log);
        let mut receiver = Self { process, input };
        receiver.wait_for("ready", 1);
        receiver
    }

    /// What it answers from now on.
    ///
    /// # Panics
    /// When it does not obey.
    #[track_caller]
    pub fn answer(&mut self, status: u16) {
        let obeyed = self.events("obeyed").len();
        writeln!(self.input, "{}", json!({"answer": status})).expect("it reads");
        self.wait_for("obeyed", obeyed + 1);
    }

    /// Every event of this name so far.
    #[must_use]
    pub fn events(&self, name: &str) -> Vec<Value> {
        let log = self.process.log();
        log.split_inclusive('\n')
            .filter(|line| line.starts_with('{') && line.ends_with('\n'))
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
            .filter(|event| event["event"] == name)
            .collect()
    }

    /// Waits until there are `count` events of this name.
    ///
    /// # Panics
    /// When there are not.
    #[track_caller]
    pub fn wait_for(&mut self, name: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} times {name} at {}", self.process.name());
        wait_for(&what, PATIENCE, || {
            assert!(
                self.process.ended().is_none(),
                "{}",
                self.process.log_tail()
            );
            let events = self.events(name);
            (events.len() >= count).then_some(events)
        })
    }
}
