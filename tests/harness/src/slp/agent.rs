//! `slpd` on a host.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::launch::{exchange, launch};
use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_for};

/// A running `slpd`. Dropping it kills it.
#[derive(Debug)]
pub struct Agent {
    folder: PathBuf,
    name: String,
    host: Host,
    process: Option<Process>,
}

impl Agent {
    /// Starts one on `host`, under `name`, with this configuration; sockets and files go where the test's are. Timers are
    /// short unless `config` has a table of its own.
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start(host: &Host, scratch: &Scratch, name: &str, config: &str) -> Self {
        let folder = scratch.path().to_owned();
        let at = |what: &str| folder.join(format!("{name}.{what}")).display().to_string();
        let mut text = config.to_owned();
        if !config.contains("[network]") {
            text.push_str("\n[network]\n");
        }
        text = text.replace(
            "[network]\n",
            &format!("[network]\nregistration_socket = {:?}\n", at("register")),
        );
        if !config.contains("[store]") {
            text.push_str("\n[store]\n");
        }
        text = text.replace("[store]\n", &format!("[store]\npath = {:?}\n", at("db")));
        if !config.contains("[timers]") {
            text.push_str("\n[timers]\nstart_wait_ms = 50\nreg_passive_ms = 50\nreg_active_ms = 50\nretry_ms = 200\n");
        }
        text.push_str(&format!("\n[admin]\nsocket = {:?}\n", at("admin")));
        let path = scratch.write(&format!("{name}.toml"), &text);
        fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("its own file");
        let mut agent = Self {
            folder,
            name: name.to_owned(),
            host: host.clone(),
            process: None,
        };
        agent.start_again();
        agent
    }

    /// Starts it again after [`Agent::kill`] or [`Agent::stop`].
    ///
    /// # Panics
    /// When it does not get ready.
    #[track_caller]
    pub fn start_again(&mut self) {
        let setpriv = self.host.command("setpriv");
        // Port 427 is all that it needs.
        let needed = "-all,+net_bind_service";
        let (process, _) = launch(setpriv, &self.folder, &self.name, "slpd", needed);
        self.process = Some(process);
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
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

    /// SIGHUP.
    pub fn reload(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::SIGHUP);
        }
    }

    /// Where it hears on IPv4.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host.ip, 427)
    }

    /// Where it hears on IPv6.
    #[must_use]
    pub fn address6(&self) -> SocketAddr {
        SocketAddr::new(self.host.ip6, 427)
    }

    /// Its host's IPv4 address.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.host.ip
    }

    /// The registration socket.
    #[must_use]
    pub fn registration_socket(&self) -> PathBuf {
        self.folder.join(format!("{}.register", self.name))
    }

    /// The operator's socket.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.folder.join(format!("{}.admin", self.name))
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.folder.join(format!("{}.toml", self.name))
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join(format!("{}.log", self.name))).unwrap_or_default()
    }

    /// Resident memory.
    #[must_use]
    pub fn resident_kilobytes(&self) -> u64 {
        let id = self.process.as_ref().map_or(0, Process::id);
        fs::read_to_string(format!("/proc/{id}/status"))
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().map_or(0, Process::id)
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.process
            .as_mut()
            .is_some_and(|process| process.ended().is_none())
    }

    /// Sends a message to the registration socket, and gives the answer.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn register_locally(&self, message: &[u8]) -> super::wire::Reply {
        let mut stream = UnixStream::connect(self.registration_socket()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(message).expect("it takes the message");
        let octets = read_message(&mut stream).expect("it answers");
        super::wire::Reply {
            octets,
            from: self.address(),
        }
    }

    /// What `GET path` answers on the operator's socket.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn get(&self, path: &str) -> String {
        exchange(&self.admin_socket(), "GET", path, None)
    }

    /// What `POST path` answers.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    pub fn post(&self, path: &str) -> String {
        exchange(&self.admin_socket(), "POST", path, None)
    }

    /// URLs that are registered, in order.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn registered(&self) -> Vec<String> {
        let list: Value =
            serde_json::from_str(&self.get("/registrations?limit=10000")).expect("JSON");
        list.as_array()
            .expect("a list")
            .iter()
            .filter_map(|entry| Some(entry["url"].as_str()?.to_owned()))
            .collect()
    }

    /// Waits until just these URLs are registered.
    ///
    /// # Panics
    /// When they are not within `patience`.
    #[track_caller]
    pub fn wait_for_registered(&self, urls: &[&str], patience: Duration) {
        let mut last = Vec::new();
        let what = format!("{} to have {urls:?}", self.name);
        let done = crate::wait::poll(patience, || {
            last = self.registered();
            (last == urls).then_some(())
        });
        assert!(
            done.is_some(),
            "{what}, but it has {last:?}\n{}",
            self.log()
        );
    }

    /// A gauge of `/metrics`, once it has been read since.
    ///
    /// # Panics
    /// When there is no such gauge.
    #[must_use]
    #[track_caller]
    pub fn gauge(&self, name: &str) -> u64 {
        let text = self.get("/metrics");
        wait_for("the gauge", Duration::from_secs(1), || {
            text.lines()
                .find_map(|line| line.strip_prefix(&format!("slpd_{name} ")))
                .and_then(|value| value.parse().ok())
        })
    }
}

/// One SLPv2 message of a stream.
///
/// # Errors
/// As reading.
pub fn read_message(stream: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut octets = vec![0; 5];
    stream.read_exact(&mut octets)?;
    let length =
        usize::from(octets[2]) << 16 | usize::from(octets[3]) << 8 | usize::from(octets[4]);
    octets.resize(length.max(5), 0);
    stream.read_exact(&mut octets[5..])?;
    Ok(octets)
}
