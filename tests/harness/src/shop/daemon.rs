//! A daemon with pages and an operator's socket, on a host that knows the names of the test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::launch::{exchange_json, launch};
use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::wait::PATIENCE;
use crate::web::internet::Internet;

/// A running daemon, without any privilege but `pinholed`'s. Dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    program: &'static str,
    name: String,
    host: Host,
    folder: PathBuf,
    /// `/etc/hosts`, bound in its place.
    hosts: PathBuf,
    /// What its clock is ahead.
    days_ahead: u32,
    process: Option<Process>,
}

impl Daemon {
    /// One of `program`, called `name`, that is not started yet. Where `config` says `@name@`, its own file of that name.
    #[must_use]
    pub fn prepare(
        internet: &Internet,
        host: &Host,
        scratch: &Scratch,
        program: &'static str,
        name: &str,
        config: &str,
    ) -> Self {
        let daemon = Self {
            program,
            name: name.to_owned(),
            host: host.clone(),
            folder: scratch.path().to_owned(),
            hosts: internet.hosts_file(),
            days_ahead: 0,
            process: None,
        };
        daemon.configure(config);
        daemon
    }

    /// Writes its configuration.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, config: &str) {
        let mut text = String::new();
        for (at, part) in config.split('@').enumerate() {
            match at % 2 {
                0 => text.push_str(part),
                _ => text.push_str(&self.file(part).display().to_string()),
            }
        }
        let path = self.file("toml");
        fs::write(&path, text).expect("written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("its own file");
    }

    /// A file of its own.
    #[must_use]
    pub fn file(&self, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}", self.name))
    }

    /// What it is called here.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it (again), and waits until it says that it is ready, as systemd would.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start(&mut self) {
        let mut setpriv = Internet::command_with(&self.hosts, &self.host, "setpriv");
        if self.days_ahead > 0 {
            // The wall clock alone: timers go on as they are.
            setpriv
                .env("LD_PRELOAD", "/usr/$LIB/faketime/libfaketime.so.1")
                .env("FAKETIME", format!("+{}d", self.days_ahead))
                .env("DONT_FAKE_MONOTONIC", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let capabilities = match self.program {
            "pinholed" => "-all,+net_admin",
            _ => "-all",
        };
        let (process, _) = launch(
            setpriv,
            &self.folder,
            &self.name,
            self.program,
            capabilities,
        );
        self.process = Some(process);
    }

    /// From its next start on its wall clock is so many days ahead.
    pub fn set_days_ahead(&mut self, days: u32) {
        self.days_ahead = days;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }

    /// SIGHUP: its files are to be read again.
    pub fn reload(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::SIGHUP);
        }
    }

    /// SIGTERM, and waits for a good end.
    ///
    /// # Panics
    /// When it ends otherwise.
    #[track_caller]
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::SIGTERM);
            process.wait_success(PATIENCE);
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let octets = fs::read(self.file("log")).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// Waits until it has logged this.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        let logged = crate::wait::poll(PATIENCE, || self.log().contains(text).then_some(()));
        assert!(
            logged.is_some(),
            "{} did not log {text:?}:\n{}",
            self.name,
            self.log()
        );
    }

    /// Its operator's socket.
    #[must_use]
    pub fn admin(&self) -> PathBuf {
        self.file("admin")
    }

    /// What `GET path` answers on its operator's socket.
    ///
    /// # Panics
    /// When it does not answer well.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        exchange_json(&self.admin(), "GET", path, None)
    }

    /// What `POST path` answers there.
    ///
    /// # Panics
    /// When it does not answer well.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        exchange_json(&self.admin(), "POST", path, Some(body))
    }
}
