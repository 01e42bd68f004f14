//! One credential for many requests, and the next before it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedMutexGuard, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tollwire_peer::Listed;

use crate::{Caller, Credential, User, UserError, now};

/// The pause after a manager who gives none.
const PAUSE: Duration = Duration::from_secs(2);
/// How often, and after which pauses, the manager is asked again who releases what the session before did not use.
const RELEASES: u32 = 8;
const RELEASE: Duration = Duration::from_millis(500);
/// Sessions that wait to be ended.
const MOST_ENDING: usize = 64;
/// How long ending the last ones may take.
const ENDING: Duration = Duration::from_secs(10);

/// A credential in use. Its session is ended when nobody uses it any more, if it was asked for here.
#[derive(Debug)]
pub struct Lease {
    credential: Credential,
    is_spent: AtomicBool,
    has_served: AtomicBool,
    ending: Option<mpsc::Sender<Credential>>,
}

impl Lease {
    /// What to sign with.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The provider says that it is over.
    pub fn spent(&self) {
        self.is_spent.store(true, Ordering::Relaxed);
    }

    /// The provider served a request under it.
    pub fn served(&self) {
        self.has_served.store(true, Ordering::Relaxed);
    }

    /// The provider says that it does not allow this. Where it did before, the next may do: it has requests of its own to
    /// spend, and the user's new address.
    pub fn denied(&self) {
        if self.has_served.load(Ordering::Relaxed) {
            self.spent();
        }
    }

    /// Whether the provider said that it is over.
    pub fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    fn is_good(&self) -> bool {
        !self.is_spent() && self.credential.is_good(now())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(ending) = &self.ending
            && ending.try_send(self.credential.clone()).is_err()
        {
            tracing::warn!(
                session = %self.credential.accounting_session_id,
                "a session is left to end by itself"
            );
        }
    }
}

/// The credential of one service, and the next.
pub struct Leases {
    caller: Caller,
    /// Where the first comes from, if none is given, and the next.
    source: Option<(Arc<User>, Listed)>,
    renews: bool,
    state: Mutex<State>,
    /// Held by whoever asks the manager.
    asking: Arc<tokio::sync::Mutex<()>>,
    ending: mpsc::Sender<Credential>,
    ender: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Arc<Lease>>,
    /// There has been one.
    had: bool,
    /// Why there is none, and until when nobody is asked.
    refusal: Option<(Instant, UserError)>,
}

impl Leases {
    /// Of a service: one credential, and with `renews` the next before its end.
    pub fn of(user: Arc<User>, service: Listed, renews: bool) -> Arc<Self> {
        let caller = user.caller().clone();
        Self::new(caller, Some((user, service)), None, renews)
    }

    /// This one, which is not ended here.
    pub fn given(caller: Caller, credential: Credential) -> Arc<Self> {
        let lease = Lease {
            credential,
            is_spent: AtomicBool::new(false),
            has_served: AtomicBool::new(false),
            ending: None,
        };
        Self::new(caller, None, Some(Arc::new(lease)), false)
    }

    fn new(
        caller: Caller,
        source: Option<(Arc<User>, Listed)>,
        current: Option<Arc<Lease>>,
        renews: bool,
    ) -> Arc<Self> {
        let (ending, mut ended) = mpsc::channel::<Credential>(MOST_ENDING);
        let ends = caller.clone();
        let ender = tokio::spawn(async move {
            while let Some(credential) = ended.recv().await {
                let session = &credential.accounting_session_id;
                match ends.close(&credential).await {
                    Ok(_) => tracing::info!(%session, "a session was ended"),
                    Err(error) => tracing::warn!(%session, %error, "a session was not ended"),
                }
            }
        });
        Arc::new(Self {
            caller,
            source,
            renews,
            state: Mutex::new(State {
                had: current.is_some(),
                current,
                refusal: None,
            }),
            asking: Arc::default(),
            ending,
            ender: Mutex::new(Some(ender)),
        })
    }

    /// What uses them.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Option<Arc<Lease>> {
        self.state().current.clone().filter(|lease| lease.is_good())
    }

    /// A credential that is good now.
    ///
    /// # Errors
    /// [`UserError::Over`], or why there is no other.
    pub async fn lease(self: &Arc<Self>) -> Result<Arc<Lease>, UserError> {
        if let Some(lease) = self.current() {
            if self.renews && now() >= lease.credential.renew_at() {
                self.renew();
            }
            return Ok(lease);
        }
        let _asking = Arc::clone(&self.asking).lock_owned().await;
        // Whoever asked before may have got one.
        if let Some(lease) = self.current() {
            return Ok(lease);
        }
        match &*self.state() {
            State { had: true, .. } if !self.renews => return Err(UserError::Over),
            State {
                refusal: Some((until, error)),
                ..
            } if Instant::now() < *until => return Err(error.clone()),
            _ => {}
        }
        self.ask().await
    }

    /// Asks for the next while this one is good, unless somebody does already.
    fn renew(self: &Arc<Self>) {
        let refusal = self.state().refusal.as_ref().map(|(until, _)| *until);
        if refusal.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let Ok(asking) = Arc::clone(&self.asking).try_lock_owned() else {
            return;
        };
        let leases = Arc::clone(self);
        tokio::spawn(async move { leases.ask_beside(asking).await });
    }

    async fn ask_beside(&self, _asking: OwnedMutexGuard<()>) {
        // It may have been renewed between the look and the lock.
        let due = |lease: &Arc<Lease>| now() >= lease.credential.renew_at();
        if self.current().is_none_or(|lease| due(&lease))
            && let Err(error) = self.ask().await
        {
            tracing::warn!(%error, "no new credential yet");
        }
    }

    async fn ask(&self) -> Result<Arc<Lease>, UserError> {
        let Some((user, service)) = &self.source else {
            return Err(UserError::Over);
        };
        let had = self.state().had;
        let mut left = if had { RELEASES } else { 0 };
        let asked = loop {
            match user.request(service, None).await {
                Err(error) if error.is_short() && left > 0 => left -= 1,
                asked => break asked,
            }
            sleep(RELEASE).await;
        };
        let mut state = self.state();
        match asked {
            Ok(credential) => {
                let lease = Arc::new(Lease {
                    ending: Some(self.ending.clone()),
                    credential,
                    is_spent: AtomicBool::new(false),
                    has_served: AtomicBool::new(false),
                });
                state.had = true;
                state.refusal = None;
                // Of what was there before, the session ends with the requests that still use it.
                state.current = Some(Arc::clone(&lease));
                Ok(lease)
            }
            Err(error) => {
                state.refusal = Some((Instant::now() + PAUSE, error.clone()));
                Err(error)
            }
        }
    }

    /// Whether another follows the one at hand.
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// Ends the session at hand, if it was asked for here, and waits for those that are ending.
    pub async fn end(self: Arc<Self>) {
        self.state().current = None;
        let ender = self
            .ender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        drop(self);
        if let Some(mut ender) = ender
            && timeout(ENDING, &mut ender).await.is_err()
        {
            ender.abort();
        }
    }
}
