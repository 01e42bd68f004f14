//! What every handler has.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tollwire_invoice::BillingServer;
use tollwire_jose::SigningKey;
use tollwire_runtime::clock::Now;
use tollwire_slp_agent::UserAgent;
use tollwire_web::client::Client;
use tollwire_web::{Database, Frame, Language, Messages, Tokens};

use super::forward::Finder;
use super::secrets::Secrets;
use crate::config::Config;
use crate::driver::Ask;
use crate::effect::Reply;
use crate::event::{ClientId, Event};
use crate::guard::Guard;
use crate::pages::Pages;
use crate::passkeys::{Open, Party};
use crate::settings::Settings;

const ENGLISH: &str = include_str!("../../messages/en.toml");
const GERMAN: &str = include_str!("../../messages/de.toml");

/// What a reload changes.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) config: Config,
    pub(crate) settings: Arc<Settings>,
    pub(crate) server: BillingServer,
    pub(crate) messages: Messages,
    /// If customers may pay with passkeys.
    pub(crate) party: Option<Arc<Party>>,
    frame: Frame,
}

impl Live {
    /// # Errors
    /// What of the configuration does not do.
    pub(crate) fn new(config: Config, key: Arc<SigningKey>) -> Result<Self, String> {
        let settings = config.settings(key)?;
        let built_in = [("en", ENGLISH), ("de", GERMAN)];
        let messages = Messages::load(&built_in, config.billing.messages.as_deref(), "en")
            .map_err(|error| format!("billing.messages: {error}"))?;
        Ok(Self {
            server: config.server(&settings.thumbprint),
            frame: Frame::new(&config.billing.name, config.billing.path(), &messages),
            settings: Arc::new(settings),
            party: config.billing.party().map(Arc::new),
            messages,
            config,
        })
    }
}

/// What every handler has; a clone is the same.
#[derive(Clone)]
pub(crate) struct App {
    shared: Arc<Shared>,
}

struct Shared {
    live: RwLock<Arc<Live>>,
    guard: Mutex<Guard>,
    /// A look at a secret is over.
    turns: Notify,
    open: Mutex<Open>,
    pub(crate) secrets: Secrets,
    tokens: Tokens,
    database: Database,
    client: Client,
    asks: mpsc::Sender<Ask>,
    finder: Finder,
}

impl App {
    pub(crate) fn new(
        live: Live,
        tokens: Tokens,
        database: Database,
        client: Client,
        asks: mpsc::Sender<Ask>,
        agent: Option<UserAgent>,
    ) -> Result<Self, String> {
        let guard = Guard::new(live.config.guard());
        let secrets = Secrets::new(&live.config.secrets)?;
        Ok(Self {
            shared: Arc::new(Shared {
                live: RwLock::new(Arc::new(live)),
                guard: Mutex::new(guard),
                turns: Notify::new(),
                open: Mutex::default(),
                secrets,
                tokens,
                database,
                client,
                asks,
                finder: Finder::new(agent),
            }),
        })
    }

    /// The configuration now.
    pub(crate) fn live(&self) -> Arc<Live> {
        let live = self.shared.live.read();
        live.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another one from now on.
    pub(crate) fn set_live(&self, live: Live) {
        self.with_guard(|guard| guard.set(live.config.guard()));
        let place = self.shared.live.write();
        *place.unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    pub(crate) fn frame(&self) -> Frame {
        self.live().frame.clone()
    }

    pub(crate) fn with_guard<T>(&self, work: impl FnOnce(&mut Guard) -> T) -> T {
        let guard = self.shared.guard.lock();
        work(&mut guard.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn turns(&self) -> &Notify {
        &self.shared.turns
    }

    /// With the challenges that wait for passkeys.
    pub(crate) fn with_open<T>(&self, work: impl FnOnce(&mut Open) -> T) -> T {
        let open = self.shared.open.lock();
        work(&mut open.unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn secrets(&self) -> &Secrets {
        &self.shared.secrets
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.shared.tokens
    }

    pub(crate) fn database(&self) -> &Database {
        &self.shared.database
    }

    pub(crate) fn client(&self) -> &Client {
        &self.shared.client
    }

    pub(crate) fn finder(&self) -> &Finder {
        &self.shared.finder
    }

    pub(crate) fn pages<'a>(&self, live: &'a Live, words: &'a Language) -> Pages<'a> {
        Pages {
            frame: &live.frame,
            words,
            name: &live.config.billing.name,
            base: live.config.billing.path(),
            terms_url: live.config.billing.terms_url.as_deref(),
            passkeys: live.party.is_some(),
        }
    }

    /// What the core answers; nothing, if it does not in time.
    pub(crate) async fn ask(
        &self,
        event: impl FnOnce(ClientId) -> Event + Send + 'static,
    ) -> Option<Reply> {
        let (answer, awaited) = oneshot::channel();
        let patience = self.live().config.limits.answer_seconds;
        let ask = Ask {
            event: Box::new(event),
            answer,
        };
        if self.shared.asks.try_send(ask).is_err() {
            return Some(Reply::Busy);
        }
        let patience = Duration::from_secs(patience.into());
        tokio::time::timeout(patience, awaited).await.ok()?.ok()
    }
}

/// Seconds since 1970.
pub(crate) fn seconds() -> i64 {
    Now::read().unix_ms / 1000
}
