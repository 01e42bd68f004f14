//! The world around orders.
//!
//! ```text
//! customers, billing servers --HTTPS--> serve --Event--> Order, on the database's thread --COMMIT--> Effect --> serve
//! users and managers of peer-to-peer accounting --HTTPS, UDP--> peer-provider
//! directory agents, billing servers --SLP--> discovery --> Servers --> the page of the methods
//! admin socket, timer, signals --> driver
//! ```

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollwire_peer_provider::Provider;
use tollwire_runtime::daemon::{self, Fault, Started};
use tollwire_runtime::metrics::{Gauges, Metrics, Reading};
use tollwire_runtime::signals::{Request, Signals};
use tollwire_runtime::{admin as runtime_admin, notify};
use tollwire_web::database::Options;
use tollwire_web::{Database, Server, Tokens};

use crate::config::Config;
use crate::discovery::Finder;
use crate::shop::{Settings, Shop};
use crate::{admin, keys, serve, store};

/// How often gauges are read.
const GAUGES: Duration = Duration::from_secs(5);
/// How often orders are looked at whose time may be over.
const TIDY: Duration = Duration::from_secs(30);
/// How long transfers that were cut off may take to say how far they came.
const LAST_WORDS: Duration = Duration::from_secs(1);
const DAY_MS: i64 = 86_400_000;

/// Runs `shopd`.
pub fn main() -> ExitCode {
    daemon::run(
        "shopd",
        "Tollwire shop: goods that are delivered once they are paid at a billing server",
        run,
    )
}

/// What is read now and then.
struct Readings {
    shop: Arc<Shop>,
    connections: usize,
    peers: tollwire_peer_provider::Readings,
}

const GAUGE_ROWS: &[(&str, &str, Reading<Readings>)] = &[
    ("connections", "Connections that are open", |readings| {
        readings.connections as u64
    }),
    ("methods", "Billing servers known", |readings| {
        readings.shop.servers().all().count() as u64
    }),
    ("transfers", "Transfers under way", |readings| {
        readings.shop.transfers.count() as u64
    }),
    (
        "peers_sessions",
        "Accounting sessions that are not over and told",
        |readings| readings.peers.sessions,
    ),
    ("peers_open", "Accounting sessions in use", |readings| {
        readings.peers.open
    }),
    (
        "peers_unacknowledged",
        "Accounting messages that are not acknowledged",
        |readings| readings.peers.unacknowledged,
    ),
];

async fn run(started: Started<Config>) -> Result<(), Fault> {
    let Started {
        configuration: config,
        path,
    } = started;
    let mut signals = Signals::listen().map_err(Fault::unavailable)?;
    let (web, admin_config) = (config.web.clone(), config.admin.clone());
    let peers = match config.peers.enabled {
        true => Some(Provider::open(config.peers.clone(), "peers").await),
        false => None,
    };
    let peers = peers.transpose().map_err(Fault::unavailable)?;
    let shop = Arc::new(open(config)?);
    let (reloads, mut reload) = mpsc::channel(4);
    let metrics = Metrics::new("shopd");
    shop.counters.register(&metrics);
    let gauges = Gauges::register(&metrics, GAUGE_ROWS);
    let (mut admin_routes, mut routes) = (admin::router(&shop, reloads), serve::router(&shop));
    let mut relays = None;
    if let Some(peers) = &peers {
        peers.register(&metrics);
        admin_routes = admin_routes.merge(peers.admin());
        routes = routes.merge(peers.router());
        relays = Some(peers.listen().await.map_err(Fault::unavailable)?);
    }
    let _serving = runtime_admin::serve(
        &admin_config.socket,
        admin_config.metrics,
        admin_routes,
        &metrics,
    )
    .await
    .map_err(Fault::unavailable)?;
    let server = Server::start_with(&web, routes, Some(serve::refuse(&shop)))
        .await
        .map_err(Fault::unavailable)?;
    let watching = Arc::clone(&shop);
    let watch = tokio::spawn(async move {
        if let Some(finder) = &watching.finder
            && let Err(error) = finder.watch(&watching).await
        {
            tracing::error!(%error, "billing servers cannot be discovered");
        }
    });
    let accounting = peers.clone().map(|peers| {
        tracing::info!(
            name = peers.name(), udp = ?relays.as_ref().map(|it| it.addresses()),
            "serving users of accounting managers"
        );
        tokio::spawn(async move { peers.run().await })
    });
    tracing::info!(
        address = ?server.address(),
        goods = shop.settings().catalogue.goods().len(),
        thumbprint = shop.key.public().thumbprint(),
        "serving"
    );
    notify::ready();
    let mut alive =
        tokio::time::interval(notify::watchdog_interval().unwrap_or(GAUGES).min(GAUGES));
    let mut tidy = tokio::time::interval(TIDY);
    loop {
        tokio::select! {
            _ = alive.tick() => {
                notify::alive();
                gauges.set(&Readings {
                    shop: Arc::clone(&shop),
                    connections: server.connections(),
                    peers: peers.as_ref().map(Provider::readings).unwrap_or_default(),
                });
            }
            _ = tidy.tick() => drop(tokio::spawn(tidy_up(Arc::clone(&shop)))),
            Some(answer) = reload.recv() => {
                let _ = answer.send(read_again(&path, &shop, &server, peers.as_ref()));
            }
            request = signals.next() => match request {
                Request::Reload => drop(read_again(&path, &shop, &server, peers.as_ref())),
                Request::Stop => break,
            },
        }
    }
    notify::stopping();
    server.stop().await;
    watch.abort();
    drop(relays);
    // Transfers that were cut off tell how far they came.
    let end = Instant::now() + LAST_WORDS;
    while shop.transfers.count() > 0 && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    if let (Some(peers), Some(accounting)) = (peers, accounting) {
        accounting.abort();
        peers.close().await;
    }
    let database = shop.database.clone();
    tokio::task::spawn_blocking(move || database.close())
        .await
        .map_err(Fault::failure)
}

fn open(config: Config) -> Result<Shop, Fault> {
    let database = Database::open(&config.store.path, &Options::new(store::MIGRATIONS))
        .map_err(Fault::unavailable)?;
    let key = keys::own(&config.store.key).map_err(Fault::unavailable)?;
    let tokens = Tokens::of_file(&config.store.form_key).map_err(Fault::unavailable)?;
    let finder = config.methods.discover.then(|| {
        let span = Duration::from_secs(config.methods.find_seconds);
        Finder::new(config.slp.clone(), span)
    });
    let finder = finder.transpose().map_err(Fault::configuration)?;
    let settings = Settings::read(config).map_err(Fault::configuration)?;
    Ok(Shop::new(settings, database, key, tokens, finder))
}

async fn tidy_up(shop: Arc<Shop>) {
    let now_ms = shop.now_ms();
    shop.servers_mut().expire(now_ms);
    let keep = i64::from(shop.settings().config.orders.keep_days) * DAY_MS;
    loop {
        let tidied = shop
            .database
            .call(move |connection| store::tidy(connection, now_ms, now_ms - keep))
            .await;
        match tidied {
            Ok((_, true)) => {}
            Ok((_, false)) => return,
            Err(fault) => {
                tracing::warn!(error = %fault, "orders whose time is over could not be ended");
                return;
            }
        }
    }
}

fn read_again(
    path: &Path,
    shop: &Shop,
    server: &Server,
    peers: Option<&Provider>,
) -> Result<(), String> {
    notify::reloading();
    let result = load(path).and_then(|settings| {
        if let Some(peers) = peers {
            peers.reload(settings.config.peers.clone(), "peers")?;
        }
        server.reload(&settings.config.web)?;
        shop.reload(settings);
        Ok(())
    });
    match &result {
        Ok(()) => tracing::info!(
            "goods, messages, certificates, trust, methods, managers, bounds and rates read again; addresses, services of peers, stores and slp keep their values until a restart"
        ),
        Err(error) => tracing::error!("{error}; the old configuration stays in force"),
    }
    notify::ready();
    result
}

fn load(path: &Path) -> Result<Settings, String> {
    let config = tollwire_runtime::config::load(&PathBuf::from(path));
    Settings::read(config.map_err(|error| error.to_string())?)
}
