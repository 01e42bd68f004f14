//! A provider: its sessions, and what all requests share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::Router;
use tokio::sync::{Notify, Semaphore, watch};
use tollwire_jose::{SessionKey, Trust};
use tollwire_peer::{Identity, open_key};
use tollwire_runtime::clock::Now;
use tollwire_runtime::metrics::Metrics;
use tollwire_web::Client;
use tollwire_web::database::{Database, Failure, Options};

use crate::config::{Config, Files};
use crate::core::{Core, Event, SessionId, Taken};
use crate::counters::Counters;
use crate::{admin, routes, service, store, udp};

/// How often what is old is removed.
const TIDY: Duration = Duration::from_secs(10);

/// A provider; a clone is the same.
#[derive(Clone)]
pub struct Provider {
    pub(crate) shared: Arc<Shared>,
}

/// What is read now and then, for gauges.
#[derive(Debug, Clone, Copy, Default)]
pub struct Readings {
    /// Sessions that are not over and told.
    pub sessions: u64,
    /// Of them used.
    pub open: u64,
    /// Messages not acknowledged.
    pub unacknowledged: u64,
}

pub(crate) struct Shared {
    sessions: Mutex<Sessions>,
    live: RwLock<Arc<Live>>,
    pub(crate) database: Database,
    pub(crate) counters: Counters,
    /// The timers have changed.
    wake: Notify,
    pub(crate) posts: Semaphore,
    /// Nonces that are remembered.
    pub(crate) nonces: AtomicU64,
}

/// What a reload changes.
pub(crate) struct Live {
    pub(crate) config: Config,
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) managers: Client,
    pub(crate) upstream: Client,
}

impl Live {
    fn read(config: Config, table: &str) -> Result<Self, String> {
        let files = config.files(table);
        let Files { identity, trust } =
            files.map_err(|invalid| format!("{}: {}", invalid.key, invalid.what))?;
        Ok(Self {
            managers: Client::new(&config.managers())?,
            upstream: Client::new(&config.upstream())?,
            identity,
            trust,
            config,
        })
    }
}

/// What is in memory of sessions.
pub(crate) struct Sessions {
    pub(crate) core: Core,
    pub(crate) keys: HashMap<SessionId, Arc<SessionKey>>,
    signals: HashMap<SessionId, watch::Sender<()>>,
    /// When the driver looks again.
    planned: Option<Instant>,
}

impl Sessions {
    /// Adds the key of a session that the core has.
    pub(crate) fn add(&mut self, id: SessionId, key: SessionKey) {
        self.signals.entry(id.clone()).or_default();
        self.keys.entry(id).or_insert_with(|| Arc::new(key));
    }

    /// Tells whenever what a session may do has changed; it is closed when the session is over and told.
    pub(crate) fn signal(&self, id: &str) -> Option<watch::Receiver<()>> {
        self.signals.get(id).map(watch::Sender::subscribe)
    }

    pub(crate) fn changed(&mut self, id: &str) {
        if let Some(signal) = self.signals.get(id) {
            signal.send_replace(());
        }
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.keys.remove(id);
        self.signals.remove(id);
    }
}

impl Provider {
    /// Opens the database, and takes up what was under way. `table` is the name of the configuration's table, for errors.
    ///
    /// # Errors
    /// What cannot be read or opened.
    pub async fn open(config: Config, table: &str) -> Result<Self, String> {
        let live = Live::read(config, table)?;
        let database = Database::open(&live.config.database, &Options::new(store::MIGRATIONS))?;
        let stored = database.read(store::live).await;
        let stored = stored.map_err(|failure: Failure<store::Error>| failure.to_string())?;
        let keep_ms = live.config.keep_ms();
        let tidied =
            database.call(move |connection| store::tidy(connection, Now::read().unix_ms, keep_ms));
        let (nonces, _) = tidied.await.map_err(|failure| failure.to_string())?;
        let mut keys = Vec::new();
        let mut sessions = Vec::new();
        for (session, sealed) in stored {
            match open_key(&live.identity, &sealed) {
                Ok(key) => keys.push((session.id.clone(), key)),
                // Its messages still go out; nobody can use it.
                Err(error) => tracing::warn!(
                    session = %session.id, %error,
                    "the key of a session cannot be read any more: was the provider's key replaced?"
                ),
            }
            sessions.push(session);
        }
        let mut all = Sessions {
            core: Core::new(Now::read(), live.config.settings(), Vec::new()),
            keys: HashMap::new(),
            signals: HashMap::new(),
            planned: None,
        };
        for session in sessions {
            all.signals.entry(session.id.clone()).or_default();
            all.core.add(Now::read(), session);
        }
        for (id, key) in keys {
            all.add(id, key);
        }
        Ok(Self {
            shared: Arc::new(Shared {
                sessions: Mutex::new(all),
                posts: Semaphore::new(live.config.max_posts),
                live: RwLock::new(Arc::new(live)),
                database,
                counters: Counters::default(),
                wake: Notify::new(),
                nonces: AtomicU64::new(nonces),
            }),
        })
    }

    /// What managers and users ask for: to be merged with the routes of a [`tollwire_web::Server`].
    pub fn router(&self) -> Router {
        routes::router(&self.shared).merge(service::router(&self.shared))
    }

    /// `GET /peers/sessions`, `POST /peers/sessions/{id}/close`: for the operator.
    pub fn admin(&self) -> Router {
        admin::router(&self.shared)
    }

    /// Shows counters.
    pub fn register(&self, metrics: &Metrics) {
        self.shared.counters.register(metrics);
    }

    /// What there is now.
    pub fn readings(&self) -> Readings {
        let sessions = self.shared.sessions();
        let (all, open) = sessions.core.counts();
        Readings {
            sessions: all as u64,
            open: open as u64,
            unacknowledged: sessions.core.unacknowledged() as u64,
        }
    }

    /// Our name: that of the certificate.
    pub fn name(&self) -> String {
        self.shared.live().identity.name().to_owned()
    }

    /// Takes other managers, bounds, certificates, roots and lists. Path, services and database stay.
    ///
    /// # Errors
    /// What cannot be read; then everything stays as it is.
    pub fn reload(&self, config: Config, table: &str) -> Result<(), String> {
        let before = self.shared.live();
        let config = Config {
            path: before.config.path.clone(),
            service: before.config.service.clone(),
            udp: before.config.udp.clone(),
            ..config
        };
        let live = Live::read(config, table)?;
        let settings = live.config.settings();
        self.shared.sessions().core.set_settings(settings);
        *self
            .shared
            .live
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        Ok(())
    }

    /// Binds the sockets of services by datagrams.
    ///
    /// # Errors
    /// The address, and why.
    pub async fn listen(&self) -> Result<udp::Relays, String> {
        udp::Relays::bind(&self.shared).await
    }

    /// Does what is due, for ever: messages, checkpoints, ends.
    pub async fn run(&self) {
        let mut tidy = tokio::time::interval(TIDY);
        loop {
            let next = self.shared.plan();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => self.shared.feed(Event::Tick),
                () = self.shared.wake.notified() => {}
                _ = tidy.tick() => self.shared.tidy().await,
            }
        }
    }

    /// Stores what was used, and closes the database: for the end of the daemon. Sessions go on when it is started again.
    pub async fn close(&self) {
        let totals: Vec<_> = {
            let mut sessions = self.shared.sessions();
            let views = sessions.core.views(Now::read());
            views.into_iter().map(|view| (view.id, view.used)).collect()
        };
        let stored = self.shared.database.call(move |connection| {
            (totals.iter()).try_for_each(|(id, used)| store::checkpoint(connection, id, *used))
        });
        if let Err(failure) = stored.await {
            tracing::error!(error = %failure, "peers: what was used since the last checkpoint is not stored");
        }
        let database = self.shared.database.clone();
        // Blocks until what waits is done.
        let _ = tokio::task::spawn_blocking(move || database.close()).await;
    }
}

impl Shared {
    pub(crate) fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// When the driver has to look next; from now on it is woken for what is earlier.
    fn plan(&self) -> Option<Instant> {
        let mut sessions = self.sessions();
        sessions.planned = sessions.core.next();
        sessions.planned
    }

    /// Does something with the sessions, and wakes the driver if something is due earlier than it knows.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Sessions) -> T) -> T {
        let mut sessions = self.sessions();
        let done = act(&mut sessions);
        let next = sessions.core.next();
        let is_earlier = match (next, sessions.planned) {
            (Some(next), Some(planned)) => next < planned,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_earlier {
            self.wake.notify_one();
        }
        done
    }

    /// How much of `octets` of a session may pass.
    pub(crate) fn take(&self, id: &str, octets: usize) -> Taken {
        let taken = self.with(|sessions| sessions.core.take(Now::read(), id, octets));
        if let Taken::Octets(count) = taken {
            self.counters.octets.inc_by(count as u64);
        }
        taken
    }

    async fn tidy(&self) {
        loop {
            let (now_ms, keep_ms) = (Now::read().unix_ms, self.live().config.keep_ms());
            let tidied = self
                .database
                .call(move |connection| store::tidy(connection, now_ms, keep_ms));
            match tidied.await {
                Ok((nonces, more)) => {
                    self.nonces.store(nonces, Ordering::Relaxed);
                    if !more {
                        return;
                    }
                }
                Err(failure) => {
                    tracing::warn!(error = %failure, "peers: what is old could not be removed");
                    return;
                }
            }
        }
    }
}
