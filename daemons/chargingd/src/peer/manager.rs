//! The manager as the daemon has it: a thread, and the ways to it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use axum::Router;
use tokio::sync::{mpsc, oneshot};
use tollwire_diameter::credit_control::CreditControlRequest;

use super::admin;
use super::config::Config;
use super::driver::Driver;
use super::figures::Figures;
use super::gate::LinkConfig;
use super::ro::Parties;
use crate::session::Outcome;

/// Threads that look at signatures.
const THREADS: usize = 2;

/// What the manager needs of the daemon.
pub(crate) struct Setup {
    /// `[peers]`
    pub(crate) config: Config,
    /// Who asks the charging core.
    pub(crate) parties: Parties,
    /// How limiters are asked.
    pub(crate) link: LinkConfig,
    /// The way to the charging core.
    pub(crate) charge: mpsc::Sender<Charge>,
}

/// A request to the charging core, and where its answer goes when it is stored; nothing, if it is not.
pub(crate) struct Charge {
    /// The request.
    pub(crate) request: Box<CreditControlRequest>,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Outcome>,
}

/// What the daemon tells the manager.
pub(crate) enum Command {
    /// The charging core wants the session of this Session-Id back.
    Refresh(Box<str>),
    /// It ended it.
    Aborted(Box<str>),
    /// The configuration was read again.
    Reload(Box<Config>),
}

/// The running manager. It ends when this is dropped, or with [`Manager::stop`].
pub(crate) struct Manager {
    commands: Option<mpsc::UnboundedSender<Command>>,
    thread: Option<JoinHandle<()>>,
    figures: Arc<Mutex<Figures>>,
    routes: Router,
}

impl Manager {
    /// Opens its database, and listens.
    ///
    /// # Errors
    /// What cannot be read, opened or bound.
    pub(crate) fn start(setup: Setup) -> Result<Self, String> {
        let (commands, told) = mpsc::unbounded_channel();
        let (begun, begins) = std::sync::mpsc::channel();
        let figures = Arc::<Mutex<Figures>>::default();
        let shown = figures.clone();
        let thread = std::thread::Builder::new().name("peers".into());
        let thread = thread.spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(THREADS)
                .thread_name("peers")
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(begun.send(Err(error.to_string()))),
            };
            runtime.block_on(async move {
                match Driver::open(setup, shown).await {
                    Ok((driver, routes)) => {
                        let _ = begun.send(Ok(routes));
                        driver.run(told).await;
                    }
                    Err(error) => drop(begun.send(Err(error))),
                }
            });
        });
        let thread = thread.map_err(|error| error.to_string())?;
        let routes = begins
            .recv()
            .unwrap_or_else(|_| Err("the manager's thread ended".to_owned()))?;
        Ok(Self {
            commands: Some(commands),
            thread: Some(thread),
            figures,
            routes,
        })
    }

    /// The way to tell it something.
    pub(crate) fn commands(&self) -> Option<mpsc::UnboundedSender<Command>> {
        self.commands.clone()
    }

    /// For operators; without a manager they say so.
    pub(crate) fn routes(manager: Option<&Self>) -> Router {
        manager.map_or_else(admin::nobody, |manager| manager.routes.clone())
    }

    /// For `/metrics`.
    pub(crate) fn figures(&self) -> Figures {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets answers that are under way go out, and ends. What was begun is found again.
    pub(crate) async fn stop(mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
