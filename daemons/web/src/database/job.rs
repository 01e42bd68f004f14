//! What waits for a thread.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::Failure;

/// A change: run, and told when its transaction is over.
pub(super) trait Job: Send {
    /// Whether what it did stays.
    fn run(&mut self, connection: &Connection) -> bool;
    /// Its transaction is stored, or why not.
    fn tell(self: Box<Self>, stored: Result<(), &Arc<str>>);
}

/// A question.
pub(super) trait Question: Send {
    fn ask(self: Box<Self>, connection: &Connection);
    fn fail(self: Box<Self>, why: &Arc<str>);
}

pub(super) struct Asked<F, T, E> {
    closure: Option<F>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, Failure<E>>>,
}

impl<F, T, E> Asked<F, T, E> {
    pub(super) fn new(closure: F) -> (Self, oneshot::Receiver<Result<T, Failure<E>>>) {
        let (answer, receiver) = oneshot::channel();
        let asked = Self {
            closure: Some(closure),
            result: None,
            answer,
        };
        (asked, receiver)
    }
}

impl<F, T, E> Job for Asked<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        self.result = self.closure.take().map(|closure| closure(connection));
        matches!(self.result, Some(Ok(_)))
    }

    fn tell(self: Box<Self>, stored: Result<(), &Arc<str>>) {
        let answer = match (self.result, stored) {
            (Some(Ok(value)), Ok(())) => Ok(value),
            // Also where the transaction was lost: perhaps just because of this.
            (Some(Err(error)), _) => Err(Failure::Refused(error)),
            (_, Err(why)) => Err(Failure::NotStored(Arc::clone(why))),
            (None, Ok(())) => Err(Failure::Closed),
        };
        // Whoever does not wait for it does not want to know.
        let _ = self.answer.send(answer);
    }
}

impl<F, T, E> Question for Asked<F, T, E>
where
    F: FnOnce(&Connection) -> Result<T, E> + Send,
    T: Send,
    E: Send,
{
    fn ask(self: Box<Self>, connection: &Connection) {
        if let Some(closure) = self.closure {
            let _ = self
                .answer
                .send(closure(connection).map_err(Failure::Refused));
        }
    }

    fn fail(self: Box<Self>, why: &Arc<str>) {
        let _ = self.answer.send(Err(Failure::NotStored(Arc::clone(why))));
    }
}
