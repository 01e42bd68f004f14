//! Passwords and PINs: hashed off the daemon's thread, a bounded number at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use tollwire_runtime::password::{hash_with, verify};

use crate::config;

/// Too many wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Busy;

/// Checks and makes hashes.
pub(crate) struct Secrets {
    memory_kib: u32,
    passes: u32,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    most: usize,
    /// Who does not exist is checked against this: it takes as long.
    nobody: Arc<str>,
}

impl Secrets {
    pub(crate) fn new(config: &config::Secrets) -> Result<Self, String> {
        let nobody = hash_with("nobody", config.memory_kib, config.passes)?;
        Ok(Self {
            memory_kib: config.memory_kib,
            passes: config.passes,
            places: Arc::new(Semaphore::new(config.at_once)),
            waiting: AtomicUsize::new(0),
            most: config.waiting,
            nobody: nobody.into(),
        })
    }

    /// Whether the secret is the one that `hash` was made of; without a hash it is not, and takes as long to say.
    pub(crate) async fn verify(&self, hash: Option<&str>, secret: String) -> Result<bool, Busy> {
        let known = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| self.nobody.clone(), Into::into);
        let fits = self.at_work(move || verify(&hash, &secret)).await?;
        Ok(known && fits)
    }

    /// The hash of a new secret.
    pub(crate) async fn hash(&self, secret: String) -> Result<Result<String, String>, Busy> {
        let (memory_kib, passes) = (self.memory_kib, self.passes);
        self.at_work(move || hash_with(&secret, memory_kib, passes))
            .await
    }

    async fn at_work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        let waits = Waits(&self.waiting);
        let place = self.places.clone().acquire_owned().await;
        let place = place.map_err(|_| Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            // Only now, also if nobody waits for it any more.
            drop(place);
            done
        })
        .await;
        drop(waits);
        done.map_err(|_| Busy)
    }
}

struct Waits<'a>(&'a AtomicUsize);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(waiting: usize) -> Secrets {
        Secrets::new(&config::Secrets {
            memory_kib: 8,
            passes: 1,
            waiting,
            ..config::Secrets::default()
        })
        .unwrap()
    }

    #[tokio::test]
    async fn only_its_own_secret_fits_and_nobodys_fits_nobody() {
        let secrets = secrets(4);
        let hash = secrets.hash("open".into()).await.unwrap().unwrap();
        assert_eq!(secrets.verify(Some(&hash), "open".into()).await, Ok(true));
        assert_eq!(secrets.verify(Some(&hash), "shut".into()).await, Ok(false));
        assert_eq!(secrets.verify(None, "open".into()).await, Ok(false));
        // What the hash of nobody was made of is no way in.
        assert_eq!(secrets.verify(None, "nobody".into()).await, Ok(false));
    }

    #[tokio::test]
    async fn more_than_may_wait_are_sent_away() {
        let secrets = secrets(2);
        let one = secrets.verify(None, "a".into());
        let two = secrets.verify(None, "b".into());
        let three = secrets.verify(None, "c".into());
        let all = tokio::join!(one, two, three);
        assert_eq!(all, (Ok(false), Ok(false), Err(Busy)));
        assert_eq!(secrets.verify(None, "d".into()).await, Ok(false));
    }
}
