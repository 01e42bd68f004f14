//! Services that come and go.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, mpsc};
use tollwire_slp::agent::Heard;
use tollwire_slp::{Filter, ServiceType};

use crate::agent::{Found, UserAgent};
use crate::answers::Service;
use crate::driver::Task;
use crate::error::Error;

/// Changes that wait for whoever watches; behind that nothing is asked.
const CHANGES: usize = 64;
/// How often a service that was found by multicast may be missing before it counts as gone: an answer may be lost.
const MISSES: u32 = 2;
/// The least wait between two questions.
const SHORTEST: Duration = Duration::from_secs(1);

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A service is there, or back.
    Added(Service),
    /// Its attributes are others.
    Changed(Service),
    /// The service at this URL is gone, or its lifetime is over.
    Removed(String),
}

/// Watches services of a type.
#[derive(Debug)]
pub struct Watch {
    changes: mpsc::Receiver<Change>,
    _task: Task,
}

impl Watch {
    /// The next change; nothing when the agent has stopped.
    pub async fn next(&mut self) -> Option<Change> {
        self.changes.recv().await
    }
}

impl UserAgent {
    /// Watches services of a type that satisfy `predicate`, with their attributes where agents tell them (RFC 3059).
    ///
    /// It asks again when a lifetime is over, when a directory agent comes, goes or restarts, and every
    /// `timers.watch_seconds`. Dropping the watch ends it.
    ///
    /// # Errors
    /// A type or a predicate that cannot be read. What goes wrong later is tried again.
    pub fn watch(&self, service_type: &str, predicate: &str) -> Result<Watch, Error> {
        ServiceType::parse(service_type)?;
        if !predicate.trim().is_empty() {
            Filter::parse(predicate)?;
        }
        let (sender, changes) = mpsc::channel(CHANGES);
        let task = tokio::spawn(watch(
            self.clone(),
            service_type.into(),
            predicate.into(),
            sender,
        ));
        Ok(Watch {
            changes,
            _task: Task(task),
        })
    }
}

async fn watch(
    agent: UserAgent,
    service_type: String,
    predicate: String,
    changes: mpsc::Sender<Change>,
) {
    let mut seen = Seen::default();
    let mut heard = agent.shared.heard.subscribe();
    let longest = Duration::from_secs(agent.shared.settings.timers.watch_seconds).max(SHORTEST);
    loop {
        let answer = agent
            .collect_services(&service_type, &predicate, true)
            .await;
        let now = Instant::now();
        let mut news = match &answer {
            Ok(found) => seen.update(now, found),
            Err(Error::Stopped) => return,
            Err(error) => {
                tracing::debug!(%error, %service_type, "not answered");
                Vec::new()
            }
        };
        news.extend(seen.expire(now));
        for change in news {
            if changes.send(change).await.is_err() {
                return;
            }
        }
        let wait = seen
            .expiry()
            .map_or(longest, |at| at.saturating_duration_since(now))
            .clamp(SHORTEST, longest);
        let again = tokio::time::sleep(wait);
        tokio::pin!(again);
        loop {
            tokio::select! {
                () = &mut again => break,
                () = changes.closed() => return,
                heard = heard.recv() => if matters(heard.as_ref()) { break },
            }
        }
    }
}

fn matters(heard: Result<&Heard, &broadcast::error::RecvError>) -> bool {
    match heard {
        Ok(Heard::New(_) | Heard::Restarted(_) | Heard::Leaving(_) | Heard::Changed(_)) => true,
        // What was missed may have mattered.
        Err(broadcast::error::RecvError::Lagged(_)) => true,
        Ok(Heard::Same(_) | Heard::Ignored(_)) | Err(broadcast::error::RecvError::Closed) => false,
    }
}

/// What is known to be there.
#[derive(Debug, Default)]
struct Seen(BTreeMap<String, Known>);

#[derive(Debug)]
struct Known {
    attributes: Option<String>,
    expires: Instant,
    misses: u32,
}

impl Seen {
    fn update(&mut self, now: Instant, found: &Found<Vec<Service>>) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut present = BTreeMap::new();
        for service in &found.found {
            let expires = now + Duration::from_secs(service.lifetime.into());
            let known = self.0.remove(&service.url);
            match &known {
                None => changes.push(Change::Added(service.clone())),
                Some(known)
                    if service.attributes.is_some() && known.attributes != service.attributes =>
                {
                    changes.push(Change::Changed(service.clone()));
                }
                Some(_) => {}
            }
            let attributes = service
                .attributes
                .clone()
                .or(known.and_then(|known| known.attributes));
            let known = Known {
                attributes,
                expires,
                misses: 0,
            };
            present.insert(service.url.clone(), known);
        }
        // Only directory agents that all answered, and whole, can say that a service is not there.
        let whole = !found.multicast && !found.truncated && found.unanswered.is_empty();
        for (url, mut missing) in std::mem::replace(&mut self.0, present) {
            missing.misses += 1;
            if whole || missing.misses >= MISSES {
                changes.push(Change::Removed(url));
            } else {
                self.0.insert(url, missing);
            }
        }
        changes
    }

    fn expire(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        self.0.retain(|url, known| {
            let lives = known.expires > now;
            if !lives {
                changes.push(Change::Removed(url.clone()));
            }
            lives
        });
        changes
    }

    /// When the next of them is over.
    fn expiry(&self) -> Option<Instant> {
        self.0.values().map(|known| known.expires).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollwire_slp::ScopeList;

    fn service(url: &str, lifetime: u16, attributes: Option<&str>) -> Service {
        Service {
            url: url.into(),
            lifetime,
            attributes: attributes.map(Into::into),
        }
    }

    fn found(services: &[Service], multicast: bool) -> Found<Vec<Service>> {
        Found {
            found: services.to_vec(),
            truncated: false,
            multicast,
            unanswered: Vec::new(),
            unserved: ScopeList::default(),
        }
    }

    #[test]
    fn a_directory_agents_word_counts_at_once() {
        let now = Instant::now();
        let mut seen = Seen::default();
        let (a, b) = (service("x:a", 60, None), service("x:b", 60, None));
        assert_eq!(
            seen.update(now, &found(&[a.clone(), b.clone()], false)),
            [Change::Added(a.clone()), Change::Added(b.clone())]
        );
        assert!(
            seen.update(now, &found(&[a.clone(), b.clone()], false))
                .is_empty()
        );
        assert_eq!(
            seen.update(now, &found(&[a], false)),
            [Change::Removed("x:b".into())]
        );
    }

    #[test]
    fn what_multicast_misses_once_may_have_been_lost() {
        let now = Instant::now();
        let mut seen = Seen::default();
        let a = service("x:a", 60, None);
        seen.update(now, &found(std::slice::from_ref(&a), true));
        assert!(seen.update(now, &found(&[], true)).is_empty());
        assert!(
            seen.update(now, &found(std::slice::from_ref(&a), true))
                .is_empty()
        );
        assert!(seen.update(now, &found(&[], true)).is_empty());
        assert_eq!(
            seen.update(now, &found(&[], true)),
            [Change::Removed("x:a".into())]
        );
    }

    #[test]
    fn lifetimes_end_without_anybodys_word() {
        let now = Instant::now();
        let mut seen = Seen::default();
        seen.update(now, &found(&[service("x:a", 60, None)], true));
        assert_eq!(seen.expiry(), Some(now + Duration::from_secs(60)));
        assert!(seen.expire(now + Duration::from_secs(59)).is_empty());
        assert_eq!(
            seen.expire(now + Duration::from_secs(60)),
            [Change::Removed("x:a".into())]
        );
        assert_eq!(seen.expiry(), None);
    }

    #[test]
    fn attributes_that_change_are_told_and_those_that_are_not_told_stay() {
        let now = Instant::now();
        let mut seen = Seen::default();
        let one = service("x:a", 60, Some("(n=1)"));
        seen.update(now, &found(std::slice::from_ref(&one), false));
        assert!(
            seen.update(now, &found(&[service("x:a", 60, None)], false))
                .is_empty()
        );
        assert!(seen.update(now, &found(&[one], false)).is_empty());
        let two = service("x:a", 60, Some("(n=2)"));
        assert_eq!(
            seen.update(now, &found(std::slice::from_ref(&two), false)),
            [Change::Changed(two)]
        );
    }
}
