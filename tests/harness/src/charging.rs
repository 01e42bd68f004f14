//! `chargingd` alone, on Diameter's port in the router of a [`Net`], before clients made of python-diameter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::capture::Capture;
use crate::daemons::program;
use crate::net::Net;
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_until};

/// Where it listens, on the loopback interface.
pub const PORT: u16 = 3_868;

/// A running `chargingd`.
#[derive(Debug)]
pub struct Charging<'net> {
    net: &'net Net,
    admin: PathBuf,
    _process: Process,
}

impl<'net> Charging<'net> {
    /// Starts it in `scratch` with these tariffs, and `more` sections of configuration.
    pub fn start(net: &'net Net, scratch: &Scratch, tariffs: &str, more: &str) -> Self {
        let at = |name: &str| scratch.path().join(name).display().to_string();
        scratch.write("tariffs.toml", tariffs);
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.tollwire.example\"\norigin_realm = \"tollwire.example\"\n\
             listen = [\"127.0.0.1:{PORT}\"]\n[store]\npath = {:?}\n[records]\ndirectory = {:?}\n\
             [tariffs]\nfile = {:?}\n[admin]\nsocket = {:?}\n{more}",
            at("chargingd.db"),
            at("records"),
            at("tariffs.toml"),
            at("chargingd.admin"),
        );
        let path = scratch.write("chargingd.toml", &config);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("its own file");
        let mut command = net.router.command(program("chargingd"));
        let log = scratch.path().join("chargingd.log");
        let process = Process::start("chargingd", command.arg("--config").arg(&path), &log);
        let admin = scratch.path().join("chargingd.admin");
        wait_until("chargingd to serve", PATIENCE, || {
            std::os::unix::net::UnixStream::connect(&admin).is_ok()
        });
        Self {
            net,
            admin,
            _process: process,
        }
    }

    /// Its admin socket.
    #[must_use]
    pub fn admin(&self) -> &Path {
        &self.admin
    }

    /// `tollctl` at it, to be given its arguments.
    #[must_use]
    pub fn tollctl(&self) -> Command {
        let mut command = self.net.router.command(program("tollctl"));
        command.arg("--chargingd").arg(&self.admin);
        command
    }

    /// A client of `tests/netns/diameter`.
    #[must_use]
    pub fn client(&self, script: &str) -> Command {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = tests.join("../target/python/bin/python");
        let mut command = self.net.router.command(python);
        command
            .arg(tests.join("netns/diameter").join(script))
            .args(["127.0.0.1", &PORT.to_string()]);
        command
    }

    /// What goes to and from it.
    #[must_use]
    pub fn capture(&self, scratch: &Scratch) -> Capture {
        Capture::start(&self.net.router, scratch, &format!("tcp port {PORT}"))
    }
}
