//! Packets as an independent reader sees them: tcpdump writes, tshark decodes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::net::Host;
use crate::process::{Process, Scratch, run};
use crate::wait::{PATIENCE, wait_until};

/// Goes to the discard port (RFC 863) of the captured host itself when the capture ends: once it is
/// in the file, so is everything before it.
const LAST_PACKET: &[u8] = b"tollwire: end of capture";

/// A running capture on every interface of a namespace.
#[derive(Debug)]
pub struct Capture {
    discard: UdpSocket,
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Starts capturing what matches the pcap `filter`, and returns once it listens.
    ///
    /// # Panics
    /// When tcpdump does not start.
    #[must_use]
    #[track_caller]
    pub fn start(host: &Host, scratch: &Scratch, filter: &str) -> Self {
        let file = scratch.path().join("capture.pcap");
        let log = scratch.path().join("tcpdump.log");
        let mut command = host.command("tcpdump");
        command
            .args([
                "-i", "any", "-U", "-Z", "root", "-s", "0", "-B", "16384", "-w",
            ])
            .arg(&file)
            // With the packet that ends the capture.
            .arg(format!("({filter}) or udp dst port 9"));
        let process = Process::start("tcpdump", &mut command, &log);
        wait_until("tcpdump to listen", PATIENCE, || {
            process.log().contains("listening on")
        });
        let discard = host.udp_at(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0));
        Self {
            discard,
            process,
            file,
        }
    }

    /// Ends the capture: everything seen so far is in the file.
    ///
    /// # Panics
    /// When tcpdump does not end.
    #[must_use]
    pub fn stop(mut self) -> Recording {
        self.discard
            .send_to(LAST_PACKET, (Ipv4Addr::LOCALHOST, 9))
            .expect("the loopback interface is up");
        wait_until("the last packet in the capture", PATIENCE, || {
            let written = fs::read(&self.file).unwrap_or_default();
            let tail = written.len().saturating_sub(4096);
            let tail = written.get(tail..).unwrap_or_default();
            tail.windows(LAST_PACKET.len()).any(|at| at == LAST_PACKET)
        });
        self.process.signal(Signal::SIGTERM);
        self.process.wait(PATIENCE);
        Recording::of(&self.file)
    }
}

/// A finished capture.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    decode_as: Vec<String>,
}

impl Recording {
    /// The capture in `file`.
    #[must_use]
    pub fn of(file: &Path) -> Self {
        Self {
            file: file.to_owned(),
            decode_as: Vec::new(),
        }
    }

    /// Adds a tshark "decode as" rule, such as `tcp.port==3868,diameter`.
    #[must_use]
    pub fn decode_as(mut self, rule: &str) -> Self {
        self.decode_as.push(rule.to_owned());
        self
    }

    /// The `fields` of every packet matching the display `filter`, one row per packet. A field
    /// that occurs several times in a packet is joined with `|`.
    ///
    /// # Panics
    /// When tshark refuses the filter or a field.
    #[must_use]
    #[track_caller]
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
        let mut command = self.tshark(filter);
        command.args(["-T", "fields", "-E", "separator=/t", "-E", "aggregator=|"]);
        for field in fields {
            command.args(["-e", field]);
        }
        run(&mut command)
            .lines()
            .map(|line| line.split('\t').map(str::to_owned).collect())
            .collect()
    }

    /// How many packets match the display `filter`.
    ///
    /// # Panics
    /// When tshark refuses the filter.
    #[must_use]
    #[track_caller]
    pub fn count(&self, filter: &str) -> usize {
        self.fields(filter, &["frame.number"]).len()
    }

    /// Every packet that tshark calls malformed or marks with an error, as it describes it.
    #[must_use]
    #[track_caller]
    pub fn malformed(&self) -> Vec<String> {
        let filter = "_ws.malformed || _ws.unreassembled || _ws.expert.severity == \"Error\"";
        run(&mut self.tshark(filter))
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// The whole decoding of the packets matching `filter`, for a failure message.
    #[must_use]
    #[track_caller]
    pub fn text(&self, filter: &str) -> String {
        run(self.tshark(filter).arg("-V"))
    }

    fn tshark(&self, filter: &str) -> Command {
        let mut command = Command::new("tshark");
        command
            .arg("-n")
            .arg("-r")
            .arg(&self.file)
            .args(["-Y", filter]);
        for rule in &self.decode_as {
            command.args(["-d", rule]);
        }
        command
    }
}
