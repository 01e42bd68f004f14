//! A PostgreSQL server of our own: in a scratch folder, on a Unix socket, under an unprivileged user, gone at the end.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User, chown};

const DEADLINE: Duration = Duration::from_secs(60);

/// A server with one user and any number of databases.
pub struct Server {
    folder: PathBuf,
    binaries: PathBuf,
    owner: Option<(Uid, Gid)>,
    /// Port, certificate and key, PEM, where it listens with TLS besides.
    tls: Option<(u16, PathBuf, PathBuf)>,
    child: Option<Child>,
}

impl Server {
    /// Makes a cluster and starts its server.
    pub fn start(name: &str) -> Self {
        let mut server = Self::make(name);
        server.run();
        server
    }

    /// One that listens on `port` of the loopback interface with TLS besides, under this certificate and key, PEM.
    pub fn start_with_tls(name: &str, port: u16, certificate: &str, key: &str) -> Self {
        let mut server = Self::make(name);
        let files = [("server.pem", certificate), ("server.key", key)].map(|(file, text)| {
            let path = server.folder.join(file);
            std::fs::write(&path, text).unwrap();
            // The server takes no key that others may read.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((uid, gid)) = server.owner {
                chown(&path, Some(uid), Some(gid)).unwrap();
            }
            path
        });
        let [certificate, key] = files;
        server.tls = Some((port, certificate, key));
        server.run();
        server
    }

    fn make(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("postgres-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        // The server refuses to run as root.
        let owner = Uid::effective().is_root().then(|| {
            let nobody = User::from_name("nobody").unwrap().unwrap();
            chown(&folder, Some(nobody.uid), Some(nobody.gid)).unwrap();
            (nobody.uid, nobody.gid)
        });
        let server = Self {
            folder,
            binaries: binaries(),
            owner,
            tls: None,
            child: None,
        };
        let made = server
            .command("initdb")
            .args(["--username=tollwire", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"])
            .arg(server.data())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        server
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.join(program));
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some((uid, gid)) = self.owner {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Starts the server, and waits until it answers.
    pub fn run(&mut self) {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.join("log"))
            .unwrap();
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(&self.folder)
            // A commit reaches the system's memory, which outlives the server; it need not outlive the machine.
            .args(["-c", "fsync=off"]);
        match &self.tls {
            None => command.args(["-c", "listen_addresses="]),
            Some((port, certificate, key)) => command
                .args(["-c", "listen_addresses=127.0.0.1", "-c", "ssl=on"])
                .args(["-c", &format!("ssl_cert_file={}", certificate.display())])
                .args(["-c", &format!("ssl_key_file={}", key.display())])
                .args(["-p", &port.to_string()]),
        };
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        self.child = Some(child);
        let begun = Instant::now();
        while !self.sql("postgres", "SELECT 1") {
            assert!(begun.elapsed() < DEADLINE, "{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server as a crash would: nothing is written, nobody is waited for.
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            let id = Pid::from_raw(i32::try_from(child.id()).unwrap());
            let _ = kill(id, Signal::SIGQUIT);
            let _ = child.wait();
        }
    }

    /// Whether the server carries out `sql`.
    pub fn sql(&self, database: &str, sql: &str) -> bool {
        self.command("psql")
            .args(["--no-psqlrc", "--quiet", "--username=tollwire", "--host"])
            .arg(&self.folder)
            .args(["--port", &self.port().to_string()])
            .args(["--dbname", database, "--command", sql])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    }

    /// A new database.
    pub fn database(&self, name: &str) -> String {
        assert!(
            self.sql("postgres", &format!("CREATE DATABASE {name}")),
            "{}",
            self.log()
        );
        url(&self.folder, name)
    }

    fn port(&self) -> u16 {
        self.tls.as_ref().map_or(5432, |(port, ..)| *port)
    }

    /// Where its socket is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The database `name` behind the socket in `folder`.
pub fn url(folder: &Path, name: &str) -> String {
    format!("postgres://tollwire@/{name}?host={}", folder.display())
}

/// The newest of Debian's versions.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is not installed: tests/packages.sh installs it");
    let newest = versions
        .filter_map(|entry| Some(entry.ok()?.path()))
        .max_by_key(|path| version(path))
        .unwrap();
    newest.join("bin")
}

fn version(path: &Path) -> u32 {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.parse().ok()).unwrap_or(0)
}
