//! The SMSCs that are compared.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use tollwire_harness::daemons::program;
use tollwire_harness::net::{Host, Net};
use tollwire_harness::process::{Process, Scratch};
use tollwire_harness::sms::PASSWORD;
use tollwire_harness::wait::{PATIENCE, wait_until};

use super::{Smsc, System};

/// The name of the one that the others are compared with.
pub const OURS: &str = "smscd";

const PORT: u16 = 2775;

/// All of them, ours first.
pub fn all() -> Vec<System> {
    vec![
        System {
            name: OURS,
            promise: "on disk, a charge record each",
            start: smscd,
        },
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

/// `smscd` as it is installed, but for its folders; the spool is on the disk of the build.
fn smscd(net: &Net, _: &Scratch) -> Result<Box<dyn Smsc>, String> {
    let folder = folder().join("../../../target/bench/smscd");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let hash = tollwire_runtime::password::hash(PASSWORD)?;
    let at = |name: &str| folder.join(name).display().to_string();
    let config = format!(
        "[smpp]\nlisten = [\"127.0.0.1:{PORT}\"]\n\
         [[esme]]\nsystem_id = \"application\"\npassword_hash = \"{hash}\"\nwindow = 1000\nmax_binds = 100\nmax_messages = 4000000\n\
         [[esme]]\nsystem_id = \"phone\"\npassword_hash = \"{hash}\"\nwindow = 1000\nmax_binds = 100\n\
         [[route]]\nname = \"applications\"\nreceivers = [\"application\"]\ndestination_prefix = \"4900\"\n\
         [[route]]\nname = \"phones\"\nreceivers = [\"phone\"]\n\
         [limits]\nmax_messages = 4000000\nmax_octets = 4000000000\n\
         [spool]\ndirectory = \"{}\"\n[records]\ndirectory = \"{}\"\n[admin]\nsocket = \"{}\"\n",
        at("spool"),
        at("records"),
        at("admin"),
    );
    let file = folder.join("smscd.toml");
    fs::write(&file, config).map_err(|error| error.to_string())?;
    let mut command = net.router.command(program("smscd"));
    command.arg("--config").arg(&file);
    let mut process = Process::start("smscd", &mut command, &folder.join("log"));
    wait_until("smscd to serve", PATIENCE, || {
        process.ended().is_some() || process.log().contains("serving")
    });
    match process.ended() {
        None => Ok(Box::new(Simple { process })),
        Some(status) => Err(format!("smscd: {status}\n{}", process.log_tail())),
    }
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
