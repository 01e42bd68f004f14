//! Connections that wait for the next request to the same server.

use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use hyper::client::conn::http1::SendRequest;
use tokio::time::Instant;

/// Connections that are kept, of one server and in all, and for how long.
const MOST_OF_SERVER: usize = 4;
const MOST: usize = 64;
const LONGEST: Duration = Duration::from_secs(30);

pub(super) type Sender = SendRequest<Body>;

/// The oldest first.
#[derive(Debug, Default)]
pub(super) struct Pool(VecDeque<(String, Instant, Sender)>);

impl Pool {
    /// A connection to the server of this origin that can be used at once.
    pub(super) fn take(&mut self, origin: &str) -> Option<Sender> {
        self.sweep();
        let fits = |(to, _, sender): &(String, _, Sender)| to == origin && sender.is_ready();
        let at = self.0.iter().rposition(fits)?;
        self.0.remove(at).map(|(_, _, sender)| sender)
    }

    /// Keeps one; it is ready when its answer has been read.
    pub(super) fn put(&mut self, origin: String, sender: Sender) {
        self.sweep();
        let of_server = self.0.iter().filter(|(to, ..)| *to == origin).count();
        if of_server >= MOST_OF_SERVER
            && let Some(at) = self.0.iter().position(|(to, ..)| *to == origin)
        {
            self.0.remove(at);
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((origin, Instant::now(), sender));
    }

    fn sweep(&mut self) {
        self.0
            .retain(|(_, since, sender)| !sender.is_closed() && since.elapsed() < LONGEST);
    }
}
