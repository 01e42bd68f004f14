//! The world around the core, on a thread of its own: what is signed is looked at beside the charging of others.
//!
//! ```text
//! users, providers --Ask--------+            +--Reply--> them
//! database --Begun, Taken, Stored            +--Begin, Take, Store--> database's thread
//! charging core --Charged-------+--> Core ---+--Charge--> charging core, on the daemon's own thread
//! providers --Delivered, Revoked+            +--Deliver, Revoke--> client
//! gate's link --Gate------------+            +--Gate--> gate's link
//! ```

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::clock::Now;
use tollwire_web::client::Client;
use tollwire_web::database::{Failure, Options};
use tollwire_web::{Database, Server};

use super::admin;
use super::config::Config;
use super::core::Core;
use super::effect::{Change, Effect, Reply};
use super::event::{Charged, ClientId, Event};
use super::figures::Figures;
use super::gate::{self, Link, Told, What};
use super::live::{Live, Shared};
use super::manager::{Charge, Command, Setup};
use super::provider;
use super::ro::{self, Parties};
use super::store;
use super::web::{self, App, Ask};

/// Requests that may wait for the core.
const QUEUE: usize = 4096;
/// Events handled in one turn at the most.
const TURN: usize = 256;
/// How often figures are read.
const FIGURES: Duration = Duration::from_secs(1);
/// How often what is old is forgotten.
const FORGETTING: Duration = Duration::from_secs(60);

/// An event that the database's answer makes.
type Answered = Pin<Box<dyn Future<Output = Event> + Send>>;

pub(super) struct Driver {
    core: Core,
    shared: Arc<Shared>,
    parties: Parties,
    charge: mpsc::Sender<Charge>,
    database: Database,
    client: Client,
    server: Option<Server>,
    link: Option<Link>,
    told: mpsc::UnboundedReceiver<Told>,
    /// What was asked of the gate, by its token.
    gates: HashMap<u64, (Box<str>, What)>,
    token: u64,
    asks: mpsc::Receiver<Ask>,
    clients: HashMap<ClientId, oneshot::Sender<Reply>>,
    next_client: u64,
    tells: mpsc::UnboundedSender<Event>,
    /// What the database answers, in the order in which it was asked.
    stores: mpsc::UnboundedSender<Answered>,
    events: mpsc::UnboundedReceiver<Event>,
    figures: Arc<Mutex<Figures>>,
}

impl Driver {
    pub(super) async fn open(
        setup: Setup,
        figures: Arc<Mutex<Figures>>,
    ) -> Result<(Self, Router), String> {
        let Setup {
            config,
            parties,
            link,
            charge,
        } = setup;
        let now = Now::read();
        let live = Live::new(&config, now.unix_ms / 1000)?;
        let client = Client::new(&tollwire_web::client::Config {
            // Operators name providers' URLs, and nobody else does.
            allow_http: true,
            ..config.client.clone()
        })?;
        let database = Database::open(&config.database, &Options::new(store::MIGRATIONS))?;
        let recovered = database.read(store::open).await;
        let recovered = recovered.map_err(|error: Failure<store::Error>| {
            format!("{}: {error}", config.database.display())
        })?;
        let (told_sender, told) = mpsc::unbounded_channel();
        let mut limiters: Vec<_> = Vec::new();
        for gate in config
            .service
            .iter()
            .filter_map(|service| service.gate.as_ref())
        {
            limiters.push(gate.pinholed.clone());
        }
        let mut standing = Vec::new();
        for session in recovered.iter().map(|recovered| &recovered.session) {
            // Also one that no service has any more.
            limiters.extend(session.gate_order().map(|order| order.pinholed));
            standing.extend(session.standing_gate());
        }
        let link = match limiters.is_empty() {
            true => None,
            false => Some(
                Link::start(link, limiters, standing, told_sender)
                    .map_err(|error| format!("peers.service.gate: {error}"))?,
            ),
        };
        let sessions = recovered.len();
        let mut effects = Vec::new();
        let core = Core::new(now, live.settings.clone(), recovered, &mut effects);
        let shared = Arc::new(Shared::new(live, &config));
        let (asks_sender, asks) = mpsc::channel(QUEUE);
        let app = App {
            shared: shared.clone(),
            asks: asks_sender,
        };
        let routes = admin::router(app.clone(), database.clone());
        let server = Server::start_with(&config.web, web::router(app), Some(web::refuse())).await?;
        let (tells, events) = mpsc::unbounded_channel();
        let (stores, mut answers) = mpsc::unbounded_channel::<Answered>();
        let tell = tells.clone();
        tokio::spawn(async move {
            while let Some(answer) = answers.recv().await {
                let _ = tell.send(answer.await);
            }
        });
        let mut driver = Self {
            core,
            shared,
            parties,
            charge,
            database,
            client,
            server: Some(server),
            link,
            told,
            gates: HashMap::new(),
            token: 0,
            asks,
            clients: HashMap::new(),
            next_client: 0,
            tells,
            stores,
            events,
            figures,
        };
        tracing::info!(address = ?driver.server.as_ref().and_then(Server::address), sessions, "the accounting manager serves peers");
        driver.carry_out(effects);
        driver.look_at_lists();
        Ok((driver, routes))
    }

    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut batch = Vec::with_capacity(TURN);
        let mut alive = tokio::time::interval(FIGURES);
        let mut forgetting = tokio::time::interval(FORGETTING);
        loop {
            let mut effects = Vec::new();
            let pause = self.pause();
            tokio::select! {
                Some(ask) = self.asks.recv() => {
                    self.ask(ask, &mut effects);
                    for _ in 1..TURN {
                        match self.asks.try_recv() {
                            Ok(ask) => self.ask(ask, &mut effects),
                            Err(_) => break,
                        }
                    }
                }
                _ = self.events.recv_many(&mut batch, TURN) => {
                    for event in batch.drain(..) {
                        self.core.handle(Now::read(), event, &mut effects);
                    }
                }
                Some(told) = self.told.recv() => {
                    let asked = told.token.and_then(|token| self.gates.remove(&token));
                    let event = Event::Gate {
                        id: told.session.into(),
                        what: asked.map(|(_, what)| what),
                        outcome: told.outcome,
                    };
                    self.core.handle(Now::read(), event, &mut effects);
                }
                command = commands.recv() => match command {
                    Some(command) => self.command(command, &mut effects),
                    None => break,
                },
                () = tokio::time::sleep(pause) => {
                    self.core.handle(Now::read(), Event::Tick, &mut effects);
                }
                _ = alive.tick() => {
                    self.clients.retain(|_, answer| !answer.is_closed());
                    self.show();
                }
                _ = forgetting.tick() => self.forget(),
            }
            self.carry_out(effects);
        }
        self.stop().await;
    }

    /// The charging core is there no more: whoever waits for it hears that he should come again.
    async fn stop(mut self) {
        let server = self.server.take();
        let stopping = async move {
            if let Some(server) = server {
                server.stop().await;
            }
        };
        tokio::pin!(stopping);
        loop {
            let mut effects = Vec::new();
            tokio::select! {
                () = &mut stopping => break,
                Some(ask) = self.asks.recv() => drop(ask),
                Some(event) = self.events.recv() => {
                    self.core.handle(Now::read(), event, &mut effects);
                }
            }
            for effect in effects {
                match effect {
                    Effect::Reply { client, reply } => {
                        if let Some(answer) = self.clients.remove(&client) {
                            let _ = answer.send(reply);
                        }
                    }
                    // What is stored is stored; nothing more is begun.
                    Effect::Store(change) => self.store(change),
                    _ => {}
                }
            }
        }
        let database = self.database.clone();
        let _ = tokio::task::spawn_blocking(move || database.close()).await;
    }

    fn pause(&self) -> Duration {
        let due = self.core.next_due().map(|due| {
            let left = due.saturating_sub(Now::read().unix_ms).max(0);
            Duration::from_millis(left.unsigned_abs())
        });
        let most = Duration::from_secs(60);
        due.unwrap_or(most).min(most)
    }

    fn ask(&mut self, ask: Ask, effects: &mut Vec<Effect>) {
        self.next_client += 1;
        let client = ClientId(self.next_client);
        self.clients.insert(client, ask.answer);
        self.core.handle(Now::read(), (ask.event)(client), effects);
    }

    fn command(&mut self, command: Command, effects: &mut Vec<Effect>) {
        let event = match command {
            Command::Refresh(session) => match self.parties.session_of(&session) {
                Some(id) => Event::Refresh(id.into()),
                None => return,
            },
            Command::Aborted(session) => match self.parties.session_of(&session) {
                Some(id) => Event::Aborted(id.into()),
                None => return,
            },
            Command::Reload(config) => match self.reload(&config) {
                Ok(event) => event,
                Err(error) => {
                    return tracing::error!("{error}; peers keep the configuration that they had");
                }
            },
        };
        self.core.handle(Now::read(), event, effects);
    }

    fn reload(&mut self, config: &Config) -> Result<Event, String> {
        if !config.enabled {
            return Err("peers.enabled: needs a restart".to_owned());
        }
        let live = Live::new(config, Now::read().unix_ms / 1000)?;
        if let Some(server) = &self.server {
            server.reload(&config.web)?;
        }
        let settings = live.settings.clone();
        self.shared.set(live, config);
        self.look_at_lists();
        tracing::info!(
            "services, certificates, roots, lists and limits of peers read again; the rest keeps its values until a restart"
        );
        Ok(Event::Reloaded(settings))
    }

    /// Ends the sessions of whoever is on a list of what was revoked.
    fn look_at_lists(&self) {
        let (live, tells) = (self.shared.live(), self.tells.clone());
        let sessions = self.database.read(store::parties);
        tokio::spawn(async move {
            let sessions = match sessions.await {
                Ok(sessions) => sessions,
                Err(error) => {
                    return tracing::error!(%error, "sessions are not held against the lists of revoked certificates");
                }
            };
            let now = Now::read().unix_ms / 1000;
            let look = tokio::task::spawn_blocking(move || live.withdrawn(sessions, now));
            for id in look.await.unwrap_or_default() {
                tracing::warn!(session = %id, "a certificate was revoked: its session is");
                let _ = tells.send(Event::Withdrawn(id));
            }
        });
    }

    fn show(&self) {
        let figures = Figures {
            counters: self.core.counters(),
            live: self.core.live() as u64,
            owed_revocations: self.core.owed_revocations() as u64,
            gates: self.link.as_ref().map(Link::figures).unwrap_or_default(),
        };
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = figures;
    }

    fn forget(&self) {
        let days = i64::from(self.shared.live().keep_days);
        let now = Now::read().unix_ms;
        // 0 keeps all.
        let before = match days {
            0 => i64::MIN,
            days => now.saturating_sub(days.saturating_mul(86_400_000)),
        };
        let call = (self.database).call(move |tx| store::forget(tx, now, before));
        tokio::spawn(async move {
            match call.await {
                Ok(0) => {}
                Ok(sessions) => tracing::info!(sessions, "old sessions of peers are forgotten"),
                Err(error) => tracing::warn!(%error, "old sessions of peers are not forgotten"),
            }
        });
    }

    /// Tells the core what the database answers, behind what it was asked before.
    fn tell_stored(&self, event: impl Future<Output = Event> + Send + 'static) {
        let _ = self.stores.send(Box::pin(event));
    }

    fn store(&self, change: Box<Change>) {
        let what = change.clone();
        let at_ms = Now::read().unix_ms;
        let call = self
            .database
            .call(move |tx| store::change(tx, &what, at_ms));
        self.tell_stored(async move {
            match stored(call.await, "a change of a session of peers") {
                Some(()) => Event::Stored(change),
                None => Event::NotStored(change),
            }
        });
    }

    /// Tells the core what comes of it.
    fn tell(&self, event: impl Future<Output = Event> + Send + 'static) {
        let tells = self.tells.clone();
        tokio::spawn(async move {
            let _ = tells.send(event.await);
        });
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Begin {
                    client,
                    session,
                    digest,
                    chain,
                    nonce,
                    nonce_until_ms,
                } => {
                    let new = session.clone();
                    let call = self.database.call(move |tx| {
                        let nonce = (&*nonce, nonce_until_ms);
                        store::begin(tx, &new, (&digest, &chain), nonce)
                    });
                    self.tell_stored(async move {
                        Event::Begun {
                            client,
                            session,
                            outcome: stored(call.await, "a request for a credential"),
                        }
                    });
                }
                Effect::Take {
                    client,
                    message,
                    ordered,
                    at_ms,
                } => {
                    let is_ordered = ordered.is_some();
                    let new = message.clone();
                    let call = self
                        .database
                        .call(move |tx| store::take(tx, &new, ordered.as_deref(), at_ms));
                    self.tell_stored(async move {
                        Event::Taken {
                            client,
                            message,
                            ordered: is_ordered,
                            outcome: stored(call.await, "an accounting message"),
                        }
                    });
                }
                Effect::Store(change) => self.store(change),
                Effect::Charge { session, order } => {
                    let request = Box::new(self.parties.request(&session, &order));
                    let charge = self.charge.clone();
                    self.tell(async move {
                        let (answer, awaited) = oneshot::channel();
                        let asked = charge.send(Charge { request, answer }).await;
                        let outcome = match asked {
                            Ok(()) => awaited.await.ok(),
                            Err(_) => None,
                        };
                        let result = outcome.map_or(Charged::Unknown, |outcome| {
                            ro::answer(&session, order.kind, &outcome)
                        });
                        Event::Charged {
                            id: session.id,
                            number: order.number,
                            result,
                        }
                    });
                }
                Effect::Deliver {
                    id,
                    provider,
                    url,
                    credential,
                } => {
                    let (client, live) = (self.client.clone(), self.shared.live());
                    self.tell(async move {
                        let result =
                            provider::deliver(&client, &live, (&id, &provider), &url, credential)
                                .await;
                        Event::Delivered { id, result }
                    });
                }
                Effect::Revoke { id, url, reason } => {
                    let (client, live) = (self.client.clone(), self.shared.live());
                    self.tell(async move {
                        let taken = provider::revoke(&client, &live, (&id, reason), &url).await;
                        Event::Revoked { id, taken }
                    });
                }
                Effect::Gate { what, order } => self.gate(what, *order),
                Effect::Reply { client, reply } => {
                    if let Some(answer) = self.clients.remove(&client) {
                        let _ = answer.send(reply);
                    }
                }
            }
        }
    }

    fn gate(&mut self, what: What, order: gate::Order) {
        let id: Box<str> = order.session.as_str().into();
        let Some(link) = &self.link else {
            // A service that has a gate since a reload.
            let outcome = gate::Outcome::Unreachable;
            let what = Some(what);
            let _ = self.tells.send(Event::Gate { id, what, outcome });
            return;
        };
        self.token += 1;
        self.gates.insert(self.token, (id, what));
        link.ask(gate::Ask {
            token: self.token,
            what,
            order,
        });
    }
}

fn stored<T>(result: Result<T, Failure<store::Error>>, what: &str) -> Option<T> {
    result
        .inspect_err(|error| tracing::error!(%error, "{what} is not stored"))
        .ok()
}
