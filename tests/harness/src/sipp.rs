//! sipp: an independent SIP phone that follows a scenario file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::net::Host;
use crate::phone::SipText;
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_until};

/// How to run one sipp. Start from [`Sipp::scenario`].
#[derive(Clone, Debug)]
pub struct Sipp {
    scenario: PathBuf,
    address: Option<SocketAddr>,
    target: Option<SocketAddr>,
    arguments: Vec<String>,
    tcp: bool,
    quiet: bool,
}

impl Sipp {
    /// Follows `tests/netns/scenarios/<name>.xml`, one call.
    #[must_use]
    pub fn scenario(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../netns/scenarios");
        Self {
            scenario: folder.join(format!("{name}.xml")),
            address: None,
            target: None,
            arguments: Vec::new(),
            tcp: false,
            quiet: false,
        }
    }

    /// Signals from this port of the host it runs on (default 5060).
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Sends its requests there.
    #[must_use]
    pub fn to(mut self, proxy: SocketAddr) -> Self {
        self.target = Some(proxy);
        self
    }

    /// Speaks TCP.
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Logs no messages, for load.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Sets the scenario's `[name]`.
    #[must_use]
    pub fn key(mut self, name: &str, value: &str) -> Self {
        self.arguments
            .extend(["-key", name, value].map(str::to_owned));
        self
    }

    /// Sets `[service]`, the user that is called.
    #[must_use]
    pub fn service(self, user: &str) -> Self {
        self.option("-s", user)
    }

    /// The user name and password of `[authentication]`.
    #[must_use]
    pub fn credentials(self, user: &str, password: &str) -> Self {
        self.option("-au", user).option("-ap", password)
    }

    /// Ends after this many calls (default 1), started at `rate` per second.
    #[must_use]
    pub fn calls(self, calls: u32, rate: u32) -> Self {
        self.option("-m", &calls.to_string())
            .option("-r", &rate.to_string())
            .option("-l", &calls.to_string())
    }

    /// Any other option of sipp.
    #[must_use]
    pub fn option(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name, value].map(str::to_owned));
        self
    }

    /// Any option without a value.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.arguments.push(name.to_owned());
        self
    }

    /// Starts it on `host`, with its logs in `scratch` under `name`. Returns once its port is bound.
    ///
    /// # Panics
    /// When sipp does not come up.
    #[must_use]
    #[track_caller]
    pub fn start(&self, host: &Host, scratch: &Scratch, name: &str) -> RunningSipp {
        let address = self
            .address
            .unwrap_or_else(|| SocketAddr::new(host.ip, 5060));
        let file = |extension: &str| scratch.path().join(format!("{name}.{extension}"));
        let mut command = host.command("sipp");
        command
            .arg("-sf")
            .arg(&self.scenario)
            .args(["-i", &address.ip().to_string()])
            .args(["-p", &address.port().to_string()])
            .args(["-t", if self.tcp { "t1" } else { "u1" }])
            .args(["-nostdin", "-trace_err", "-error_file"])
            .arg(file("errors"));
        if !self.quiet {
            command
                .args(["-trace_msg", "-message_overwrite", "true", "-message_file"])
                .arg(file("messages"));
        }
        if !self.arguments.iter().any(|argument| argument == "-m") {
            command.args(["-m", "1"]);
        }
        command.args(&self.arguments);
        if let Some(target) = self.target {
            command.arg(target.to_string());
        }
        // sipp wants a terminal name even without a terminal.
        command
            .env("TERM", "xterm")
            .env("TZ", "UTC")
            .current_dir(scratch.path());
        let mut running = RunningSipp {
            process: Process::start(name, &mut command, &file("log")),
            messages: file("messages"),
            errors: file("errors"),
        };
        wait_until(&format!("{name} to bind {address}"), PATIENCE, || {
            running.process.ended().is_some() || bound(host, address)
        });
        running
    }
}

/// Whether something in the host's namespace is bound to the address.
fn bound(host: &Host, address: SocketAddr) -> bool {
    let output = host
        .command("ss")
        .args(["-Hnaut", "src", &address.to_string()])
        .output();
    output.is_ok_and(|output| !output.stdout.is_empty())
}

/// A sipp that runs or has ended.
#[derive(Debug)]
pub struct RunningSipp {
    process: Process,
    messages: PathBuf,
    errors: PathBuf,
}

/// One message as sipp logged it.
#[derive(Clone, Debug)]
pub struct Logged {
    /// When, in milliseconds since 1970.
    pub unix_ms: i64,
    /// True when sipp sent it, false when it received it.
    pub sent: bool,
    /// The message.
    pub message: SipText,
}

impl RunningSipp {
    /// Waits until the scenario has succeeded for every call.
    ///
    /// # Panics
    /// When a call failed; the message carries what sipp saw.
    #[track_caller]
    pub fn wait_success(&mut self, patience: Duration) {
        let status = self.process.wait(patience);
        assert!(
            status.success(),
            "{} failed with {status}\n{}\n--- messages\n{}\n{}",
            self.process.name(),
            fs::read_to_string(&self.errors).unwrap_or_default(),
            fs::read_to_string(&self.messages).unwrap_or_default(),
            self.process.log_tail(),
        );
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it complained of so far.
    #[must_use]
    pub fn errors(&self) -> String {
        let bytes = fs::read(&self.errors).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Every message so far, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Logged> {
        let bytes = fs::read(&self.messages).unwrap_or_default();
        parse_log(&String::from_utf8_lossy(&bytes))
    }

    /// The first message that `accept` takes.
    #[must_use]
    pub fn find(&self, accept: impl Fn(&Logged) -> bool) -> Option<Logged> {
        self.messages().into_iter().find(|logged| accept(logged))
    }

    /// Waits for a message that `accept` takes, and gives the first.
    ///
    /// # Panics
    /// When none comes within `patience`.
    #[track_caller]
    pub fn wait_for(
        &self,
        what: &str,
        patience: Duration,
        accept: impl Fn(&Logged) -> bool,
    ) -> Logged {
        crate::wait::wait_for(what, patience, || self.find(&accept))
    }
}

/// ```text
/// ----------------------------------------------- 2026-11-20 22:27:42.123456
/// UDP message sent (432 bytes):
///
/// SIP/2.0 200 OK
/// ```
fn parse_log(text: &str) -> Vec<Logged> {
    let rule = "----------------------------------------------- ";
    text.split(rule)
        .skip(1)
        .filter_map(|entry| {
            let (date, rest) = entry.split_once('\n')?;
            let (what, message) = rest.split_once('\n')?;
            let sent = what.contains("message sent");
            if !sent && !what.contains("message received") {
                return None;
            }
            Some(Logged {
                unix_ms: parse_time(date.trim())?,
                sent,
                message: SipText::new(message.trim_start()),
            })
        })
        .collect()
}

/// `2026-11-20 22:27:42.123456` in milliseconds since 1970.
fn parse_time(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', ' ', '\t'])?;
    let mut date = date.split('-').map(str::parse::<i64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, fraction) = time.split_once('.')?;
    let mut clock = clock.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (
        clock.next()?.ok()?,
        clock.next()?.ok()?,
        clock.next()?.ok()?,
    );
    let millisecond: i64 = fraction.get(..3)?.parse().ok()?;
    // Days since 1970 in the proleptic Gregorian calendar, with years that begin in March.
    let (year, month) = if month <= 2 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100
        + day_of_year
        - 719_468;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_gives_times_and_directions() {
        let log = "----------------------------------------------- 2024-02-29 12:00:01.250999\n\
                   UDP message sent (30 bytes):\n\nBYE sip:b@example.org SIP/2.0\r\n\r\n\n\
                   ----------------------------------------------- 1970-01-01 00:00:00.001000\n\
                   UDP message received [20] bytes :\n\nSIP/2.0 200 OK\r\n\r\n";
        let messages = parse_log(log);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0].unix_ms, 1_709_208_001_250);
        assert!(messages[0].sent);
        assert_eq!(messages[0].message.method(), Some("BYE"));
        assert_eq!(messages[1].unix_ms, 1);
        assert!(!messages[1].sent);
        assert_eq!(messages[1].message.status(), Some(200));
    }
}
