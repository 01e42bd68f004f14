//! The world around the core.
//!
//! ```text
//! browsers, billing servers --Ask--+            +--Reply--> them
//! database --Begun, Stored---------+            +--Begin, Store--> database's thread
//! Diameter node --CCA--------------+--> Core ---+--Credit--> Diameter node
//! shops --Posted-------------------+            +--Post--> client
//! timer ---------------------------+
//! ```
//! What customers' secrets are is checked before (`web`): the core hears of payments alone.

mod advertising;
mod credit;
mod gauges;
mod key;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tollwire_runtime::clock::Now;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::diameter::{Node, NodeEvent};
use tollwire_runtime::metrics::{Gauges, Metrics};
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};
use tollwire_web::client::{Client, ClientError};
use tollwire_web::database::{Failure, Options};
use tollwire_web::{Database, Server, Tokens};

use self::advertising::Advertising;
use self::credit::Credit;
use crate::admin;
use crate::config::Config;
use crate::core::Core;
use crate::effect::{Effect, Reply};
use crate::event::{ClientId, Event, PostResult};
use crate::store;
use crate::web::{self, App, Live};

/// Events handled in one turn at the most.
const TURN: usize = 64;
/// Requests that may wait for the core.
const QUEUE: usize = 4096;
/// How often gauges are read.
const GAUGES: Duration = Duration::from_secs(5);
/// How often payments that are long over are forgotten.
const FORGETTING: Duration = Duration::from_secs(3600);
/// How long a stop waits for what is on its way to the disk and to the charging system.
const DRAIN: Duration = Duration::from_secs(8);
/// A media type of its own: no page's form can send it.
const ACKNOWLEDGEMENT: &str = "application/jose";

/// Runs `billd`.
pub fn main() -> ExitCode {
    daemon::run(
        "billd",
        "Tollwire billing server: pages where customers pay, acknowledgements to shops",
        run,
    )
}

/// What a request wants of the core; the answer goes back.
pub(crate) struct Ask {
    /// Made with the number that the client gets.
    pub(crate) event: Box<dyn FnOnce(ClientId) -> Event + Send>,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Reply>,
}

struct Driver {
    core: Core,
    database: Database,
    client: Client,
    credit: Credit,
    tells: mpsc::UnboundedSender<Event>,
    clients: HashMap<ClientId, oneshot::Sender<Reply>>,
    next_client: u64,
    app: App,
    path: PathBuf,
}

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let Started {
        configuration: config,
        path,
    } = started;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let key = Arc::new(key::load(&config.acknowledgement.key_file).map_err(Fault::unavailable)?);
    let live = Live::new(config.clone(), key.clone()).map_err(Fault::configuration)?;
    let tokens = Tokens::of_file(&config.store.form_key_file).map_err(Fault::unavailable)?;
    let client = Client::new(&config.client).map_err(Fault::configuration)?;
    let database = Database::open(&config.store.file, &Options::new(store::MIGRATIONS))
        .map_err(Fault::unavailable)?;
    let open = database.read(store::open).await;
    let open = open.map_err(|error: Failure<store::Error>| Fault::unavailable(error))?;
    let recovered = open.len();
    let (node_sender, mut node_events) = mpsc::channel(1024);
    let node = Node::start(config.node(), node_sender).map_err(Fault::unavailable)?;
    let (tells, mut told) = mpsc::unbounded_channel();
    let (asks, mut asked) = mpsc::channel(QUEUE);
    let mut advertising = Advertising::new(&config).map_err(Fault::configuration)?;
    let settings = live.settings.clone();
    let mut effects = Vec::new();
    let core = Core::new(Now::read(), settings, open, &mut effects);
    let app = App::new(
        live,
        tokens,
        database.clone(),
        client.clone(),
        asks,
        advertising.agent(),
    )
    .map_err(Fault::unavailable)?;
    let metrics = Metrics::new("billd");
    let gauges = Gauges::register(&metrics, gauges::ROWS);
    let _serving = runtime_admin::serve(
        &config.admin.socket,
        config.admin.metrics,
        admin::router(app.clone()),
        &metrics,
    )
    .await
    .map_err(Fault::unavailable)?;
    let router = web::router(&app, config.billing.path());
    let server = Server::start_with(&config.web.0, router, Some(web::refuse(&app))).await;
    let mut server = Some(server.map_err(Fault::unavailable)?);
    let mut driver = Driver {
        core,
        database,
        client,
        credit: Credit::new(node, config.parties()),
        tells,
        clients: HashMap::new(),
        next_client: 0,
        app,
        path,
    };
    driver.carry_out(effects);
    let live = driver.app.live();
    advertising.advertise(&live.server, config.slp.lifetime_seconds);
    let watchdog = notify::watchdog_interval().map_or(GAUGES, |interval| interval.min(GAUGES));
    let mut alive = tokio::time::interval(watchdog);
    let mut forgetting = tokio::time::interval(FORGETTING);
    notify::ready();
    tracing::info!(
        url = %live.settings.url, key = %live.settings.thumbprint, payments = recovered,
        "serving"
    );
    drop(live);
    let mut batch = Vec::with_capacity(TURN);
    let mut stopping: Option<Stopping> = None;
    loop {
        let mut effects = Vec::new();
        let pause = driver.pause();
        tokio::select! {
            Some(ask) = asked.recv() => driver.ask(ask, &mut effects),
            _ = told.recv_many(&mut batch, TURN) => {
                for event in batch.drain(..) {
                    driver.core.handle(Now::read(), event, &mut effects);
                }
            }
            Some(event) = node_events.recv() => driver.node_event(event, &mut effects),
            () = tokio::time::sleep(pause) => {
                driver.core.handle(Now::read(), Event::Tick, &mut effects);
            }
            _ = alive.tick() => {
                notify::alive();
                gauges.set(&driver.core);
                driver.clients.retain(|_, answer| !answer.is_closed());
            }
            _ = forgetting.tick() => driver.forget(),
            request = signals.next() => match (request, &server) {
                (Request::Reload, Some(server)) => driver.reload(server, &mut advertising),
                (Request::Stop, Some(_)) => {
                    notify::stopping();
                    stopping = server.take().map(Stopping::begin);
                }
                _ => {}
            },
            () = Stopping::over(&mut stopping) => break,
        }
        driver.carry_out(effects);
        if let Some(stopping) = &mut stopping
            && stopping.answered.is_finished()
            && driver.core.is_quiet()
        {
            break;
        }
    }
    advertising.withdraw().await;
    driver.credit.shutdown().await;
    driver.database.close();
    Ok(())
}

/// A stop that waits for what is under way: nobody new is heard, those that were get their answers.
struct Stopping {
    answered: tokio::task::JoinHandle<()>,
    until: tokio::time::Instant,
}

impl Stopping {
    fn begin(server: Server) -> Self {
        Self {
            answered: tokio::spawn(server.stop()),
            until: tokio::time::Instant::now() + DRAIN,
        }
    }

    async fn over(stopping: &mut Option<Self>) {
        match stopping {
            // Looked at often: the last answer may be the last event.
            Some(stopping) if !stopping.answered.is_finished() => tokio::select! {
                _ = &mut stopping.answered => {}
                () = tokio::time::sleep_until(stopping.until) => {}
            },
            Some(stopping) => tokio::time::sleep_until(stopping.until).await,
            None => std::future::pending().await,
        }
    }
}

impl Driver {
    fn pause(&self) -> Duration {
        let due = self.core.next_due().map(|due| {
            let left = due.saturating_sub(Now::read().unix_ms).max(0);
            Duration::from_millis(left.unsigned_abs())
        });
        due.unwrap_or(Duration::from_secs(60))
            .min(Duration::from_secs(60))
    }

    fn ask(&mut self, ask: Ask, effects: &mut Vec<Effect>) {
        self.next_client += 1;
        let client = ClientId(self.next_client);
        self.clients.insert(client, ask.answer);
        let event = (ask.event)(client);
        self.core.handle(Now::read(), event, effects);
    }

    fn node_event(&mut self, event: NodeEvent, effects: &mut Vec<Effect>) {
        if let Some(event) = self.credit.event(event) {
            self.core.handle(Now::read(), event, effects);
        }
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Begin {
                    client,
                    order,
                    at_ms,
                } => self.begin(client, order, at_ms),
                Effect::Store { id, change, at_ms } => {
                    let (name, what) = (id.clone(), change.clone());
                    let call = self
                        .database
                        .call(move |tx| store::change(tx, &name, &what, at_ms));
                    self.tell(async move {
                        match call.await {
                            Ok(()) => Event::Stored(id, change),
                            Err(error) => {
                                tracing::error!(payment = %id, %error, "a payment's change is not stored");
                                Event::NotStored(id, change)
                            }
                        }
                    });
                }
                Effect::Credit(order) => {
                    if let Some(event) = self.credit.ask(*order) {
                        let _ = self.tells.send(event);
                    }
                }
                Effect::Post {
                    id,
                    url,
                    acknowledgement,
                } => {
                    let client = self.client.clone();
                    self.tell(async move {
                        let body = acknowledgement.to_string();
                        let answer = client.post(&url, ACKNOWLEDGEMENT, body).await;
                        Event::Posted {
                            result: posted(&url, answer),
                            id,
                        }
                    });
                }
                Effect::Reply { client, reply } => {
                    if let Some(answer) = self.clients.remove(&client) {
                        let _ = answer.send(reply);
                    }
                }
                Effect::Record(payment) => tracing::info!(
                    payment = %payment.order.id, state = payment.state.name(),
                    provider = %payment.order.provider, "a payment is over"
                ),
            }
        }
    }

    fn begin(&self, client: ClientId, order: Box<crate::payment::Order>, at_ms: i64) {
        let payer = order.payer.clone();
        let call = self
            .database
            .call(move |tx| store::begin(tx, &order, at_ms));
        self.tell(async move {
            match call.await {
                Ok(outcome) => Event::Begun {
                    client,
                    payer,
                    outcome,
                },
                Err(error) => {
                    tracing::error!(%error, "an order is not stored");
                    Event::NotBegun { client }
                }
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

    fn forget(&self) {
        let live = self.app.live();
        let days = i64::from(live.config.store.keep_days);
        let now = Now::read().unix_ms;
        let before = now.saturating_sub(days * 86_400_000);
        let call = (self.database).call(move |tx| store::forget(tx, now, before));
        tokio::spawn(async move {
            match call.await {
                Ok(0) => {}
                Ok(payments) => tracing::info!(payments, "old payments are forgotten"),
                Err(error) => tracing::warn!(%error, "old payments are not forgotten"),
            }
        });
    }

    fn reload(&mut self, server: &Server, advertising: &mut Advertising) {
        notify::reloading();
        match self.try_reload(server) {
            Ok(live) => {
                advertising.advertise(&live.server, live.config.slp.lifetime_seconds);
                tracing::info!(
                    "the billing server, agreements, proxy, phone bills, secrets and certificates read again; the rest keeps its values until a restart"
                );
            }
            Err(error) => tracing::error!("{error}; the old configuration stays in force"),
        }
        notify::ready();
    }

    fn try_reload(&mut self, server: &Server) -> Result<Arc<Live>, String> {
        let config = load(&self.path)?;
        let old = self.app.live();
        if config.billing.path() != old.config.billing.path() {
            return Err("billing.url: another path needs a restart".into());
        }
        let key = old.settings.key.clone();
        let live = Live::new(config.clone(), key)?;
        server.reload(&config.web.0)?;
        let settings = live.settings.clone();
        self.app.set_live(live);
        let mut effects = Vec::new();
        self.core
            .handle(Now::read(), Event::Reloaded(settings), &mut effects);
        self.carry_out(effects);
        Ok(self.app.live())
    }
}

fn load(path: &Path) -> Result<Config, String> {
    tollwire_runtime::config::load(path).map_err(|error| error.to_string())
}

fn posted(url: &str, answer: Result<tollwire_web::client::Answer, ClientError>) -> PostResult {
    match answer {
        Ok(answer) => {
            let body: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let error = body.get("error").and_then(serde_json::Value::as_str);
            PostResult::Status {
                status: answer.status.as_u16(),
                already_paid: error == Some("already-paid"),
            }
        }
        Err(ClientError::Refused(why)) => {
            tracing::warn!(url, why, "an acknowledgement cannot be sent");
            PostResult::Impossible
        }
        Err(error) => {
            tracing::debug!(url, %error, "an acknowledgement was not answered");
            PostResult::NoAnswer
        }
    }
}
