//! Programs under test: started in a namespace, logged to a file, gone when dropped.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{poll, wait_for};

/// A directory of its own under the system's temporary directory, removed when dropped unless the
/// test is failing (its logs are then what one wants to read).
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Creates `tollwire-<pid>-<number>`, open to every user: daemons may run under their own.
    ///
    /// # Panics
    /// When the directory cannot be created.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tollwire-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a scratch directory");
        Self { path }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `text` to the file `name` in it and returns the file's path.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept for reading: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output going to `log`. It dies with the thread that started it,
    /// so that a killed test leaves nothing running.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        Self::spawn(name, command.stdin(Stdio::null()), log)
    }

    /// Like [`Process::start`], with a pipe to its standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start_with_input(name: &str, command: &mut Command, log: &Path) -> (Self, ChildStdin) {
        let mut process = Self::spawn(name, command.stdin(Stdio::piped()), log);
        let input = process.child.stdin.take().expect("it was asked for");
        (process, input)
    }

    fn spawn(name: &str, command: &mut Command, log: &Path) -> Self {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let errors = output.try_clone().expect("a second handle on the log");
        let child = command
            .stdout(output)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} did not start: {error}"));
        Self {
            name: name.to_owned(),
            child,
            status: None,
            log: log.to_owned(),
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it is called in failure messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it wrote so far, on both outputs.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(40);
        let tail = lines.get(from..).unwrap_or_default().join("\n");
        format!("--- {} ({})\n{tail}\n---", self.name, self.log.display())
    }

    /// Its exit status, when it has ended.
    ///
    /// # Panics
    /// When the system cannot tell.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child's status");
        }
        self.status
    }

    /// Sends a signal, if it is still running.
    pub fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            let id = i32::try_from(self.child.id()).expect("a process id fits");
            let _ = kill(Pid::from_raw(id), signal);
        }
    }

    /// `kill -9`, and waits until the kernel has taken it away.
    ///
    /// # Panics
    /// When it survives.
    pub fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        let name = self.name.clone();
        wait_for(
            &format!("the end of {name}"),
            Duration::from_secs(20),
            || self.ended(),
        );
    }

    /// Waits for it to end by itself.
    ///
    /// # Panics
    /// When it is still running after `patience`; the message carries its log.
    #[track_caller]
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        match poll(patience, || self.ended()) {
            Some(status) => status,
            None => panic!(
                "{} still runs after {} s\n{}",
                self.name,
                patience.as_secs_f32(),
                self.log_tail()
            ),
        }
    }

    /// Waits for it to end with exit code 0.
    ///
    /// # Panics
    /// When it does not; the message carries its log.
    #[track_caller]
    pub fn wait_success(&mut self, patience: Duration) {
        let status = self.wait(patience);
        assert!(
            status.success(),
            "{} ended with {} (signal {:?})\n{}",
            self.name,
            status,
            status.signal(),
            self.log_tail()
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program to its end and gives its standard output.
///
/// # Panics
/// When it cannot be started or fails; the message carries both outputs.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stdout = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{command:?}: {status}\n{stdout}{}",
        String::from_utf8_lossy(&stderr)
    );
    stdout
}
