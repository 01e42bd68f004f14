use std::fmt;
use std::sync::Arc;

use tollwire_diameter::Message;
use tollwire_diameter::peer::{ConnectionId, Failure};

/// Names a peer: by its name in the configuration, or by its Origin-Host if it connected to us.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PeerId(Arc<str>);

impl PeerId {
    /// The peer of this name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where the answer to a request goes: the connection it came in on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplyTo(pub(super) ConnectionId);

/// What a node tells its daemon.
#[derive(Debug)]
pub enum NodeEvent {
    /// Requests can be sent to the peer.
    PeerOpen {
        /// The peer.
        peer: PeerId,
        /// Origin-Host.
        origin_host: String,
        /// Origin-Realm.
        origin_realm: String,
        /// Grew if the peer restarted: its sessions are gone (RFC 6733 8.6).
        origin_state_id: Option<u32>,
    },
    /// They no longer can. Requests that wait are sent again if the peer comes back in time.
    PeerClosed {
        /// The peer.
        peer: PeerId,
    },
    /// The peer asks.
    Request {
        /// The peer.
        peer: PeerId,
        /// For [`crate::diameter::NodeHandle::answer`].
        reply_to: ReplyTo,
        /// The request; its application and command are supported and it is meant for this node.
        message: Message,
    },
    /// The peer answered; with the E bit, read it as a `base::ErrorAnswer`.
    Answer {
        /// As given to [`crate::diameter::NodeHandle::send_request`].
        token: u64,
        /// The answer.
        message: Message,
    },
    /// No answer will come.
    Failed {
        /// As given to [`crate::diameter::NodeHandle::send_request`].
        token: u64,
        /// Why; the peer may have acted on the request all the same.
        why: Failure,
    },
}
