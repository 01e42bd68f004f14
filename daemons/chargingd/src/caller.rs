//! Who asks.

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;
use tollwire_runtime::admin::Peer;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    who: Box<str>,
}

impl Caller {
    /// His name in the audit log.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }
}

/// Whoever may open the Unix socket is an operator; the kernel says who he is.
pub(crate) async fn of_socket(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let who = match peer.uid {
        Some(uid) => format!("uid {uid}").into(),
        None => "uid unknown".into(),
    };
    request.extensions_mut().insert(Caller { who });
    next.run(request).await
}
