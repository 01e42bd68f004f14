//! Carries out what the core wants done.

use std::sync::Arc;

use tollwire_peer::{AccountingMessage, Cause, Identifier, Kind, MEDIA_TYPE, Nonce, Signed};
use tollwire_runtime::clock::Now;
use tollwire_web::client::ClientError;

use crate::answer::{self, Read};
use crate::core::{Answer, Effect, Event, SessionId, Settled, Totals};
use crate::provider::Shared;
use crate::store::{self, Message};

impl Shared {
    /// Tells the core what happened, and does what it wants.
    pub(crate) fn feed(self: &Arc<Self>, event: Event) {
        let mut effects = Vec::new();
        self.with(|sessions| {
            sessions.core.handle(Now::read(), event, &mut effects);
            for effect in &effects {
                match effect {
                    Effect::Changed { id } => sessions.changed(id),
                    Effect::Forget { id } => sessions.forget(id),
                    _ => {}
                }
            }
        });
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(self: &Arc<Self>, effect: Effect) {
        match effect {
            Effect::Message {
                id,
                sequence,
                cause,
                totals,
                replaces,
            } => self.message(id, sequence, cause, totals, replaces),
            Effect::Checkpoint { id, totals } => {
                let session = id.clone();
                let stored =
                    (self.database).call(move |it| store::checkpoint(it, &session, totals));
                let shared = Arc::clone(self);
                tokio::spawn(async move {
                    let stored = stored.await.is_ok();
                    shared.feed(Event::Checkpoint { id, totals, stored });
                });
            }
            Effect::Post { id, sequence } => {
                let shared = Arc::clone(self);
                tokio::spawn(async move {
                    let answer = shared.post(&id, sequence).await;
                    shared.feed(Event::Answered {
                        id,
                        sequence,
                        answer,
                    });
                });
            }
            Effect::Settle {
                id,
                sequence,
                settled,
                is_done,
            } => self.settle(id, sequence, settled, is_done),
            // Done under the lock.
            Effect::Changed { .. } | Effect::Forget { .. } => {}
        }
    }

    fn message(
        self: &Arc<Self>,
        id: SessionId,
        sequence: u64,
        cause: Option<Cause>,
        totals: Totals,
        replaces: Option<u64>,
    ) {
        let not_made = |why: String| {
            tracing::error!(session = %id, why, "an accounting message cannot be made");
            Event::Message {
                id: id.clone(),
                sequence,
                stored: false,
            }
        };
        let message = match self.make(&id, sequence, cause, totals) {
            Ok(message) => message,
            Err(why) => {
                let (shared, event) = (Arc::clone(self), not_made(why));
                // Not at once: this is called while the core's last effects are carried out.
                tokio::spawn(async move { shared.feed(event) });
                return;
            }
        };
        let stored = (self.database).call(move |it| store::message(it, &message, totals, replaces));
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let stored = stored.await;
            if let Err(failure) = &stored {
                tracing::error!(session = %id, error = %failure, "an accounting message is not stored");
            } else {
                shared.counters.messages.inc();
            }
            shared.feed(Event::Message {
                id,
                sequence,
                stored: stored.is_ok(),
            });
        });
    }

    fn make(
        &self,
        id: &SessionId,
        sequence: u64,
        cause: Option<Cause>,
        totals: Totals,
    ) -> Result<Message, String> {
        let live = self.live();
        let collect = {
            let sessions = self.sessions();
            let terms = sessions.core.terms(id).ok_or("no such session")?;
            terms.policies.collect.clone()
        };
        let now_ms = Now::read().unix_ms;
        let claims = AccountingMessage {
            message_id: Identifier::random()?,
            accounting_session_id: Identifier::try_from(id.to_string())?,
            sequence,
            kind: match cause {
                Some(_) => Kind::Final,
                None => Kind::Interim,
            },
            cause,
            data: totals.data(&collect),
            nonce: Nonce::new(now_ms / 1_000)?,
        };
        let token = claims
            .sign(&live.identity)
            .map_err(|error| error.to_string())?;
        Ok(Message {
            claims,
            token,
            signed_ms: now_ms,
        })
    }

    /// Sends a stored message: the same octets while they are fresh, and signed again when they are not.
    async fn post(&self, id: &SessionId, sequence: u64) -> Answer {
        let Ok(_place) = self.posts.acquire().await else {
            return Answer::Later;
        };
        let session = id.clone();
        let message = (self.database).read(move |it| store::outgoing(it, &session, sequence));
        let mut message = match message.await {
            Ok(message) => message,
            Err(failure) => {
                tracing::error!(session = %id, sequence, error = %failure, "an accounting message cannot be read");
                return Answer::Later;
            }
        };
        let live = self.live();
        let now_ms = Now::read().unix_ms;
        // A half of it is for the way, and for clocks that differ.
        let fresh_ms = i64::from(live.config.skew_seconds) * 500;
        let is_fresh =
            (message.signed_ms..=message.signed_ms.saturating_add(fresh_ms)).contains(&now_ms);
        if !is_fresh {
            let signed = Nonce::new(now_ms / 1_000).and_then(|nonce| {
                message.claims.nonce = nonce;
                let token = message.claims.sign(&live.identity);
                token.map_err(|error| error.to_string())
            });
            match signed {
                Ok(token) => message.token = token,
                Err(why) => {
                    tracing::error!(session = %id, why, "an accounting message cannot be signed");
                    return Answer::Later;
                }
            }
            message.signed_ms = now_ms;
            let again = message.clone();
            let stored = (self.database).call(move |it| store::signed_again(it, &again));
            if let Err(failure) = stored.await {
                tracing::error!(session = %id, error = %failure, "an accounting message is not stored");
                return Answer::Later;
            }
        }
        let Some(manager) = self.manager_of(id) else {
            return Answer::Later;
        };
        let Some(url) = (live.config.manager.iter()).find(|it| it.name == manager) else {
            tracing::warn!(session = %id, manager, "an accounting message waits: peers.manager does not name its manager any more");
            return Answer::Later;
        };
        let url = format!("{}/accounting", url.url.trim_end_matches('/'));
        let answer = (live.managers)
            .post(&url, MEDIA_TYPE, message.token.clone())
            .await;
        let read = match answer {
            Ok(answer) => answer::answer(
                answer.status.as_u16(),
                &answer.body,
                &message.claims,
                &manager,
                &live.trust,
                Now::read().unix_ms / 1_000,
            ),
            Err(error) => unanswered(&error),
        };
        self.heard(id, message, read).await
    }

    async fn heard(&self, id: &SessionId, mut message: Message, read: Read) -> Answer {
        let sequence = message.claims.sequence;
        if let Some(wrong) = &read.wrong {
            tracing::warn!(session = %id, sequence, what = wrong, "an accounting message is not acknowledged");
        }
        let counter = match &read.answer {
            Answer::Acknowledged { .. } => &self.counters.acknowledged,
            Answer::Later => &self.counters.repeated,
            Answer::Never | Answer::Closed | Answer::Unknown => &self.counters.given_up,
        };
        counter.inc();
        if read.stale {
            message.signed_ms = 0;
            let stored = (self.database).call(move |it| store::signed_again(it, &message));
            // If not, it is signed again when it is old enough.
            drop(stored.await);
        }
        read.answer
    }

    fn manager_of(&self, id: &str) -> Option<String> {
        let sessions = self.sessions();
        sessions.core.terms(id).map(|terms| terms.manager.clone())
    }

    fn settle(self: &Arc<Self>, id: SessionId, sequence: u64, settled: Settled, is_done: bool) {
        let (session, what) = (id.clone(), settled.clone());
        let stored =
            (self.database).call(move |it| store::settle(it, &session, sequence, &what, is_done));
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            let stored = stored.await.is_ok();
            if stored && is_done {
                match settled {
                    Settled::Acknowledged { .. } => {
                        tracing::info!(session = %id, "a session is over, and accounted for");
                    }
                    _ => tracing::error!(
                        session = %id,
                        "the manager takes no message of a session any more: what it has not acknowledged will not be paid"
                    ),
                }
            }
            shared.feed(Event::Settled {
                id,
                sequence,
                settled,
                stored,
            });
        });
    }
}

fn unanswered(error: &ClientError) -> Read {
    Read {
        answer: Answer::Later,
        stale: false,
        wrong: Some(error.to_string()),
    }
}
