//! The Diameter node: sockets and time around the pure [`tollwire_diameter::peer`] machine.
//!
//! ```text
//!   NodeHandle ──send_request, answer──┐         ┌─ one task per connection: reads, decodes,
//!   (any thread, never waits)          │         │  asks the machine, writes what is queued
//!                                      v         v
//!                            Mutex<State>: peers, connections' queues
//!                                      ^         │
//!   timer task ──Tick──────────────────┘         └─> mpsc::Sender<NodeEvent> ──> the daemon
//!   listener and connector tasks ──new connections──>
//! ```
//!
//! - No task per request. Frames queued while a connection's task was busy leave in one write.
//! - The event channel is bounded. While it is full, connections are not read; requests then queue
//!   in the peers' sockets.
//! - Over TLS a connection speaks after its handshake, and only for the Origin-Host that its peer's certificate names.
//! - An answer goes out on the connection its request came in on, or nowhere.

mod address;
mod config;
mod connection;
mod event;
mod handle;
mod listen;
mod state;
mod stream;
mod timer;
mod tls;

pub use address::{Address, InvalidAddress, Servers};
pub use config::{AllowedPeer, NodeConfig, PeerConfig};
pub use event::{NodeEvent, PeerId, ReplyTo};
pub use handle::{Node, NodeHandle};
pub use tls::{TlsError, TlsFiles};
pub use tollwire_diameter::peer::{Failure, Refused};
