//! One look at a secret, counted whatever becomes of it.

use std::net::IpAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tollwire_runtime::clock::Now;

use super::app::App;
use crate::guard::NotYet;

/// How long a browser waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// A look at a secret that has begun. Dropped without a word it counts for nothing: whoever goes away learns nothing.
pub(crate) struct Attempt {
    app: App,
    login: String,
    source: IpAddr,
    right: Option<bool>,
}

impl Attempt {
    /// Waits for its turn, if others of this customer or source are being looked at.
    ///
    /// # Errors
    /// Seconds to wait after wrong ones; or the turn did not come.
    pub(crate) async fn begin(app: &App, login: &str, source: IpAddr) -> Result<Self, NotYet> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // Before it is asked, so that no end of another one is missed.
            let turn = app.turns().notified();
            let now = Now::read().unix_ms;
            match app.with_guard(|guard| guard.attempt(now, login, source)) {
                Ok(()) => {
                    return Ok(Self {
                        app: app.clone(),
                        login: login.into(),
                        source,
                        right: None,
                    });
                }
                Err(NotYet::Turn) => timeout_at(deadline, turn).await.map_err(|_| NotYet::Turn)?,
                Err(wait) => return Err(wait),
            }
        }
    }

    /// It was looked at.
    pub(crate) fn judge(mut self, right: bool) {
        self.right = Some(right);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = Now::read().unix_ms;
        self.app
            .with_guard(|guard| guard.judged(now, &self.login, self.source, self.right));
        self.app.turns().notify_waiters();
    }
}
