//! The SMSCs that are compared.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tollwire_harness::net::{Host, Net};
use tollwire_harness::process::{Process, Scratch};
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::{Smsc, System};

/// The name of the one that the others are compared with.
pub const OURS: &str = "smscd";

const PORT: u16 = 2775;

/// All of them, ours first.
pub fn all() -> Vec<System> {
    vec![
        System {
            name: "node-smpp",
            promise: "in memory, no records",
            start: node,
        },
        System {
            name: "Net::SMPP",
            promise: "in memory, no records",
            start: perl,
        },
    ]
}

/// A peer that is one process and keeps nothing.
struct Simple {
    process: Process,
}

impl Smsc for Simple {
    fn address(&self) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT)
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.process.id()]
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/sms")
}

/// Starts `program` with the port as its last argument and waits until it says "listening".
fn start(
    host: &Host,
    scratch: &Scratch,
    program: &str,
    prepare: impl FnOnce(&mut Command),
) -> Result<Box<dyn Smsc>, String> {
    let mut command = host.command(program);
    prepare(&mut command);
    command.arg(PORT.to_string());
    let log = scratch.path().join("peer.log");
    let mut process = Process::start(program, &mut command, &log);
    wait_until("the peer to listen", PATIENCE, || {
        process.ended().is_some() || process.log().contains("listening")
    });
    match process.ended() {
        None => Ok(Box::new(Simple { process })),
        Some(status) => Err(format!("{program}: {status}\n{}", process.log_tail())),
    }
}

/// The npm package `smpp`, installed on the first use as its lock file says.
fn node(net: &Net, scratch: &Scratch) -> Result<Box<dyn Smsc>, String> {
    let modules = folder().join("../../../target/bench/node");
    if !modules.join("node_modules/smpp").exists() {
        fs::create_dir_all(&modules).map_err(|error| error.to_string())?;
        for file in ["package.json", "package-lock.json"] {
            fs::copy(folder().join(file), modules.join(file)).map_err(|error| error.to_string())?;
        }
        let npm = Command::new("npm")
            .args(["ci", "--silent"])
            .current_dir(&modules)
            .status();
        if !npm.is_ok_and(|status| status.success()) {
            return Err("npm did not install the package smpp".to_owned());
        }
    }
    start(&net.router, scratch, "node", |command| {
        command
            .env("NODE_PATH", modules.join("node_modules"))
            .arg(folder().join("node.js"));
    })
}

/// Debian's libnet-smpp-perl.
fn perl(net: &Net, scratch: &Scratch) -> Result<Box<dyn Smsc>, String> {
    start(&net.router, scratch, "perl", |command| {
        command.arg(folder().join("perl.pl"));
    })
}
