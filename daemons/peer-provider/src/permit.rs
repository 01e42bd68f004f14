//! Whether a request may be served, and what it uses while it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tollwire_jose::SessionKey;
use tollwire_peer::{Refusal, ServiceRequest, Word};
use tollwire_runtime::clock::Now;

use crate::check::{self, Asked, Denied, Purpose};
use crate::core::{Event, SessionId, Taken};
use crate::provider::{Provider, Shared};
use crate::refusal::unstored;
use crate::store::{self, Admission};

/// How long an end may take to be stored.
const PATIENCE: Duration = Duration::from_secs(10);

/// The right of one request to be served. While it is there its session is in use.
pub struct Permit {
    shared: Arc<Shared>,
    id: SessionId,
    is_under_way: bool,
}

impl Permit {
    /// The session's identifier.
    pub fn session(&self) -> &SessionId {
        &self.id
    }

    /// Whether so many octets may pass: as many as are left of the grant. They are counted.
    pub fn take(&self, octets: usize) -> Taken {
        self.shared.take(&self.id, octets)
    }

    /// Whether the session is over.
    pub fn is_over(&self) -> bool {
        self.shared.sessions().core.is_over(&self.id)
    }

    /// Tells whenever what the session may do has changed; closed when it is over.
    pub fn signal(&self) -> Option<watch::Receiver<()>> {
        self.shared.sessions().signal(&self.id)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_under_way {
            let id = &self.id;
            self.shared
                .with(|sessions| sessions.core.release(Now::read(), id));
        }
    }
}

impl Provider {
    /// Whether a request with this service request (the header field's value) is let through. That it was, is on disk.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn authorize(
        &self,
        token: Option<&str>,
        asked: &Asked<'_>,
    ) -> Result<Permit, Refusal> {
        authorize(&self.shared, token, asked).await
    }
}

pub(crate) async fn authorize(
    shared: &Arc<Shared>,
    token: Option<&str>,
    asked: &Asked<'_>,
) -> Result<Permit, Refusal> {
    let permit = admitted(shared, token, asked).await;
    match &permit {
        Ok(_) => {
            shared.counters.requests.inc();
        }
        Err(refusal) => {
            shared.counters.refused("service-request", refusal.error);
            tracing::debug!(source = %asked.source, error = ?refusal.error, detail = refusal.detail, "a service request is refused");
        }
    }
    permit
}

async fn admitted(
    shared: &Arc<Shared>,
    token: Option<&str>,
    asked: &Asked<'_>,
) -> Result<Permit, Refusal> {
    let missing = || Refusal::new(Word::Malformed, "no Tollwire-Service-Request");
    let token = token.ok_or_else(missing)?;
    let kid = ServiceRequest::session_of(token)?;
    let (id, key) = key(shared, kid.as_str()).await?;
    let request = ServiceRequest::verify(token, &key)?;
    let live = shared.live();
    let skew = i64::from(live.config.skew_seconds);
    check::request(&request, asked, Now::read().unix_ms / 1_000, skew)?;
    if shared.nonces.load(Ordering::Relaxed) >= live.config.max_nonces {
        let detail = "as many requests were made just now as are remembered";
        return Err(Refusal::new(Word::TooMany, detail));
    }
    let wait = Duration::from_secs(live.config.wait_seconds.into());
    reserve(shared, &id, asked, wait).await?;
    let terms_are_udp = {
        let sessions = shared.sessions();
        sessions.core.terms(&id).is_some_and(|terms| terms.is_udp)
    };
    let serves = asked.purpose.serves();
    let admission = Admission {
        id: id.clone(),
        until_ms: (request.request.nonce.unix().saturating_add(2 * skew)).saturating_mul(1_000),
        nonce: request.request.nonce.into(),
        counts: asked.purpose.counts(),
        opens: serves,
        address: (serves && terms_are_udp).then(|| asked.source.to_canonical()),
    };
    shared.nonces.fetch_add(1, Ordering::Relaxed);
    let stored = (shared.database).call(move |it| store::admit(it, &admission));
    let owner = Arc::clone(shared);
    let (source, purpose) = (asked.source, asked.purpose);
    // Also if the client goes away meanwhile: what is on disk and what is in memory stay one.
    let admitted = tokio::spawn(async move {
        let stored = stored.await;
        let asked = Asked {
            method: "",
            target: "",
            source,
            service: None,
            purpose,
        };
        let is_stored = matches!(stored, Ok(true));
        let is_served =
            owner.with(|sessions| sessions.core.admitted(Now::read(), &id, &asked, is_stored));
        let permit = Permit {
            is_under_way: is_stored && serves,
            shared: owner,
            id,
        };
        match stored {
            Ok(true) if is_served => Ok(permit),
            Ok(true) => Err(over()),
            Ok(false) => Err(Refusal::new(Word::Replayed, "the nonce was used")),
            Err(failure) => Err(unstored(failure)),
        }
    });
    let lost = |_| Refusal::new(Word::Unavailable, "the provider is stopping");
    admitted.await.map_err(lost)?
}

fn over() -> Refusal {
    Refusal::new(Word::Closed, "the session is over")
}

/// The session that a request says it is of, with its key.
async fn key(shared: &Arc<Shared>, id: &str) -> Result<(SessionId, Arc<SessionKey>), Refusal> {
    {
        let sessions = shared.sessions();
        if let Some((id, key)) = sessions.keys.get_key_value(id) {
            return match sessions.core.is_over(id) {
                true => Err(over()),
                false => Ok((id.clone(), Arc::clone(key))),
            };
        }
    }
    let asked = id.to_owned();
    let known = shared.database.read(move |it| store::known(it, &asked));
    match known.await.map_err(unstored)? {
        Some((_, _, true)) => Err(over()),
        Some(_) => Err(Refusal::new(
            Word::Unavailable,
            "the session's key cannot be read",
        )),
        None => Err(Refusal::new(Word::UnknownSession, "no such session")),
    }
}

/// Has the core let a request through; where a grant is used up, it waits for more.
async fn reserve(
    shared: &Arc<Shared>,
    id: &SessionId,
    asked: &Asked<'_>,
    patience: Duration,
) -> Result<(), Refusal> {
    let end = tokio::time::Instant::now() + patience;
    loop {
        let (denied, signal) = {
            let outcome = shared.with(|sessions| {
                let signal = sessions.signal(id);
                let admitted = sessions.core.admit(Now::read(), id, asked);
                admitted.map_err(|denied| (denied, signal))
            });
            match outcome {
                Ok(()) => return Ok(()),
                Err(denied) => denied,
            }
        };
        let waiting = match (denied, signal) {
            (Denied::Refused(refusal), _) => return Err(refusal),
            (Denied::Wait, Some(signal)) => signal,
            (Denied::Wait, None) => return Err(over()),
        };
        let mut waiting = waiting;
        match tokio::time::timeout_at(end, waiting.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return Err(over()),
            Err(_) => {
                let detail = "what was granted is used up, and the manager has not said more yet";
                return Err(Refusal::new(Word::Unavailable, detail));
            }
        }
    }
}

impl Shared {
    /// Ends a session; when this returns, that is on disk, and what was used told there.
    pub(crate) async fn end(
        self: &Arc<Self>,
        id: &SessionId,
        cause: tollwire_peer::Cause,
    ) -> Result<(), Refusal> {
        let signal = self.sessions().signal(id);
        self.feed(Event::End {
            id: id.clone(),
            cause,
        });
        let Some(mut signal) = signal else {
            return Ok(());
        };
        let stored = async {
            while !self.sessions().core.end_is_stored(id) {
                if signal.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, stored).await.map_err(|_| {
            Refusal::new(
                Word::Unavailable,
                "the session has ended, and that is not stored yet",
            )
        })
    }
}

impl Purpose {
    /// Of a request to `sessions`.
    pub(crate) fn of_sessions(method: &axum::http::Method) -> Self {
        match *method == axum::http::Method::DELETE {
            true => Self::End,
            false => Self::Open,
        }
    }
}
