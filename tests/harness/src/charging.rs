//! `chargingd` alone, on Diameter's port in the router of a [`Net`], before clients made of python-diameter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::capture::Capture;
use crate::daemons::program;
use crate::net::{Host, Net};
use crate::process::{Process, Scratch};
use crate::wait::{PATIENCE, wait_until};

/// Where it listens, on the loopback interface.
pub const PORT: u16 = 3_868;

/// One of several that share a database.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The first label of its Origin-Host; its files are called so too.
    pub name: &'a str,
    /// Where it listens, on the loopback interface.
    pub port: u16,
    /// Lines of `[store]`.
    pub store: &'a str,
}

/// A running `chargingd`.
#[derive(Debug)]
pub struct Charging {
    router: Host,
    admin: PathBuf,
    port: u16,
    process: Process,
}

impl Charging {
    /// Starts it in `scratch` with these tariffs, and `more` sections of configuration.
    pub fn start(net: &Net, scratch: &Scratch, tariffs: &str, more: &str) -> Self {
        let store = format!("path = {:?}", scratch.path().join("chargingd.db"));
        let place = Place {
            name: "chargingd",
            port: PORT,
            store: &store,
        };
        Self::start_as(net, scratch, place, tariffs, more)
    }

    /// One of several in `scratch`.
    ///
    /// # Panics
    /// When it does not serve.
    pub fn start_as(
        net: &Net,
        scratch: &Scratch,
        place: Place<'_>,
        tariffs: &str,
        more: &str,
    ) -> Self {
        let Place { name, port, store } = place;
        let at = |suffix: &str| scratch.path().join(format!("{name}{suffix}"));
        let shown = |suffix: &str| at(suffix).display().to_string();
        let tariffs = scratch.write(&format!("{name}-tariffs.toml"), tariffs);
        let config = format!(
            "[diameter]\norigin_host = \"{name}.tollwire.example\"\norigin_realm = \"tollwire.example\"\n\
             listen = [\"127.0.0.1:{port}\"]\n[store]\n{store}\n[records]\ndirectory = {:?}\n\
             [tariffs]\nfile = {tariffs:?}\n[admin]\nsocket = {:?}\n{more}",
            shown("-records"),
            shown(".admin"),
        );
        let path = scratch.write(&format!("{name}.toml"), &config);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("its own file");
        let mut command = net.router.command(program("chargingd"));
        let log = at(".log");
        let process = Process::start(name, command.arg("--config").arg(&path), &log);
        let admin = at(".admin");
        wait_until("chargingd to serve", PATIENCE, || {
            std::os::unix::net::UnixStream::connect(&admin).is_ok()
        });
        Self {
            router: net.router.clone(),
            admin,
            port,
            process,
        }
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Its admin socket.
    #[must_use]
    pub fn admin(&self) -> &Path {
        &self.admin
    }

    /// `tollctl` at it, to be given its arguments.
    #[must_use]
    pub fn tollctl(&self) -> Command {
        let mut command = self.router.command(program("tollctl"));
        command.arg("--chargingd").arg(&self.admin);
        command
    }

    /// A client of `tests/netns/diameter`.
    #[must_use]
    pub fn client(&self, script: &str) -> Command {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = tests.join("../target/python/bin/python");
        let mut command = self.router.command(python);
        command
            .arg(tests.join("netns/diameter").join(script))
            .args(["127.0.0.1", &self.port.to_string()]);
        command
    }

    /// What goes to and from it.
    #[must_use]
    pub fn capture(&self, scratch: &Scratch) -> Capture {
        Capture::start(&self.router, scratch, &format!("tcp port {}", self.port))
    }
}
