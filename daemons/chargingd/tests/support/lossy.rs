//! A way to the server that loses a COMMIT, or the answer to one.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// What is lost next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Loss {
    /// Nothing.
    Nothing = 0,
    /// The next COMMIT, and the connection with it.
    Commit = 1,
    /// The answer to the next COMMIT, and the connection with it.
    Answer = 2,
}

/// Listens in a folder of its own, as a server would.
pub struct Lossy {
    folder: PathBuf,
    next: Arc<AtomicU8>,
}

const SOCKET: &str = ".s.PGSQL.5432";

impl Lossy {
    /// A way to the server whose socket is in `server`.
    pub fn to(server: &Path, name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("lossy-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let listener = UnixListener::bind(folder.join(SOCKET)).unwrap();
        let next = Arc::new(AtomicU8::new(Loss::Nothing as u8));
        let (server, lose) = (server.join(SOCKET), next.clone());
        std::thread::spawn(move || {
            // Ends with the process: nobody connects to a folder that is gone.
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = UnixStream::connect(&server) else {
                    continue;
                };
                carry(client, server, lose.clone());
            }
        });
        Self { folder, next }
    }

    /// What is lost next, once.
    pub fn lose(&self, loss: Loss) {
        self.next.store(loss as u8, Ordering::SeqCst);
    }

    /// Whether it was lost.
    pub fn has_lost(&self) -> bool {
        self.next.load(Ordering::SeqCst) == Loss::Nothing as u8
    }

    /// The folder of the socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Lossy {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn carry(client: UnixStream, server: UnixStream, next: Arc<AtomicU8>) {
    let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let swallow = Arc::new(AtomicBool::new(false));
    let swallowing = swallow.clone();
    std::thread::spawn(move || {
        let (mut from, mut to) = (from, to);
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let data = &buffer[..count];
            if is_commit(data) {
                let loss = next.swap(Loss::Nothing as u8, Ordering::SeqCst);
                if loss == Loss::Commit as u8 {
                    break;
                }
                swallow.store(loss == Loss::Answer as u8, Ordering::SeqCst);
            }
            if to.write_all(data).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
    std::thread::spawn(move || {
        let (mut from, mut to) = (server, client);
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let data = &buffer[..count];
            if swallowing.load(Ordering::SeqCst) {
                // The tag of the completed command.
                if is_commit(data) {
                    break;
                }
            } else if to.write_all(data).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// What belongs to one transaction leaves in one piece.
fn is_commit(data: &[u8]) -> bool {
    data.windows(6).any(|it| it == b"COMMIT")
}
