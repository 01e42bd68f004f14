//! What an instance knows of the other parts: who is active for each, and whose part an identity is of.
//!
//! One thread asks the database: who is active once a second, and whatever identities wait in one question.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::Division;
use crate::store::{Cause, Directory, Server};

/// How often it is asked who is active.
const PACE: Duration = Duration::from_secs(1);
/// Questions that may wait.
const QUEUE: usize = 4096;
/// Questions that are asked as one.
const TOGETHER: usize = 512;

/// Origin-Host of the instance that is active for each part in order, as far as it is known.
type Active = Arc<[Option<String>]>;

/// The way to the thread that asks; clones share it. It ends with the last of them.
#[derive(Clone)]
pub(crate) struct Overview {
    division: Division,
    questions: SyncSender<Question>,
    active: watch::Receiver<Active>,
}

/// Where the subscriber of a request may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sought {
    /// Identities, the first that is known counts.
    pub(crate) identities: Vec<Box<str>>,
    /// Else the account of this name.
    pub(crate) account: Option<Box<str>>,
}

impl Sought {
    /// Whether there is anything to look for.
    pub(crate) fn is_somebody(&self) -> bool {
        !self.identities.is_empty() || self.account.is_some()
    }
}

/// What became of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// Of this part.
    Part(u32),
    /// Of none.
    Nowhere,
    /// The database cannot tell now.
    Unknown,
}

struct Question {
    sought: Sought,
    then: Box<dyn FnOnce(Whereabouts) + Send>,
}

impl Overview {
    /// Starts the thread, if the database is divided at all.
    ///
    /// # Errors
    /// No thread.
    pub(crate) fn start(server: &Server) -> io::Result<Option<Self>> {
        let division = server.division;
        if !division.is_divided() {
            return Ok(None);
        }
        let directory = Directory::of(server).map_err(io::Error::other)?;
        let nobody: Active = vec![None; division.parts() as usize].into();
        let (active, known) = watch::channel(nobody);
        let (questions, queue) = sync_channel(QUEUE);
        std::thread::Builder::new()
            .name("parts".into())
            .spawn(move || {
                let mut asking = Asking {
                    division,
                    directory,
                    active,
                    complaint: None,
                };
                asking.run(&queue);
            })?;
        Ok(Some(Self {
            division,
            questions,
            active: known,
        }))
    }

    /// How the subscribers are divided.
    pub(crate) fn division(&self) -> Division {
        self.division
    }

    /// Origin-Host of the instance that is active for a part, as it was known a second ago.
    pub(crate) fn active(&self, part: u32) -> Option<String> {
        let index = usize::try_from(part).ok()?.checked_sub(1)?;
        self.active.borrow().get(index)?.clone()
    }

    /// Of all parts in order.
    pub(crate) fn all_active(&self) -> Vec<Option<String>> {
        self.active.borrow().to_vec()
    }

    /// Has it found out where a subscriber is; `false` if too many wait, and `then` is dropped.
    pub(crate) fn seek(
        &self,
        sought: Sought,
        then: impl FnOnce(Whereabouts) + Send + 'static,
    ) -> bool {
        let then = Box::new(then);
        self.questions.try_send(Question { sought, then }).is_ok()
    }

    /// The part that one of these identities is of.
    pub(crate) async fn find(&self, identities: Vec<Box<str>>) -> Whereabouts {
        let (sender, answer) = oneshot::channel();
        let sought = Sought {
            identities,
            account: None,
        };
        self.seek(sought, move |found| {
            let _ = sender.send(found);
        });
        answer.await.unwrap_or(Whereabouts::Unknown)
    }
}

struct Asking {
    division: Division,
    directory: Directory,
    active: watch::Sender<Active>,
    /// What went wrong, said once.
    complaint: Option<String>,
}

impl Asking {
    fn run(&mut self, queue: &Receiver<Question>) {
        let mut next = Instant::now();
        loop {
            let pause = next.saturating_duration_since(Instant::now());
            match queue.recv_timeout(pause) {
                Ok(first) => {
                    let more = queue.try_iter().take(TOGETHER - 1);
                    self.answer(std::iter::once(first).chain(more).collect());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if next <= Instant::now() {
                let active = self.directory.active();
                if let Some(active) = self.heed(active) {
                    self.active.send_replace(active.into());
                }
                next = Instant::now() + PACE;
            }
        }
    }

    fn answer(&mut self, questions: Vec<Question>) {
        let all: BTreeSet<&str> = (questions.iter())
            .flat_map(|question| &question.sought.identities)
            .map(|identity| &**identity)
            .collect();
        let all: Vec<&str> = all.into_iter().collect();
        let parts = self.directory.parts_of(&all);
        let parts = self.heed(parts);
        for question in questions {
            let found = match &parts {
                Some(parts) => place(self.division, &question.sought, parts),
                None => Whereabouts::Unknown,
            };
            (question.then)(found);
        }
    }

    fn heed<T>(&mut self, answer: Result<T, Cause>) -> Option<T> {
        match answer {
            Ok(answer) => {
                self.complaint = None;
                Some(answer)
            }
            Err(error) => {
                let complaint = error.to_string();
                if self.complaint.as_ref() != Some(&complaint) {
                    tracing::warn!(%error, "where the subscribers of other parts are cannot be asked");
                    self.complaint = Some(complaint);
                }
                None
            }
        }
    }
}

fn place(division: Division, sought: &Sought, parts: &HashMap<String, u32>) -> Whereabouts {
    let known = (sought.identities.iter()).find_map(|identity| parts.get(&**identity).copied());
    let named = || sought.account.as_ref().map(|name| division.of(name));
    known
        .or_else(named)
        .map_or(Whereabouts::Nowhere, Whereabouts::Part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_identity_that_is_known_counts_and_then_the_name() {
        let division = Division::new(1, 4).unwrap();
        let parts = HashMap::from([("sip:b@test".to_owned(), 3), ("+1".to_owned(), 2)]);
        let found = |identities: &[&str], account: Option<&str>| {
            let sought = Sought {
                identities: identities.iter().map(|it| (*it).into()).collect(),
                account: account.map(Into::into),
            };
            place(division, &sought, &parts)
        };
        use Whereabouts::{Nowhere, Part};
        assert_eq!(found(&["sip:a@test", "sip:b@test", "+1"], None), Part(3));
        assert_eq!(found(&["+1", "sip:b@test"], Some("alice")), Part(2));
        assert_eq!(found(&["sip:a@test"], Some("alice")), Part(4));
        assert_eq!(found(&["sip:a@test"], None), Nowhere);
        assert_eq!(found(&[], None), Nowhere);
    }
}
