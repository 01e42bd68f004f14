//! What all requests share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use tollwire_invoice::{BillingServer, Form, FormType, Invoice};
use tollwire_jose::SigningKey;
use tollwire_runtime::clock::Now;
use tollwire_web::database::{Call, Failure};
use tollwire_web::{Client, Database, Frame, Messages, Tokens, client};

use crate::catalogue::Catalogue;
use crate::config::{Config, Forms};
use crate::counters::Counters;
use crate::discovery::Finder;
use crate::goods::Root;
use crate::keys::Keys;
use crate::order::event::Choice;
use crate::order::{Effect, Event, Order, Refusal, Rules};
use crate::servers::{Origin, Servers};
use crate::store::{self, StoreError};
use crate::transfers::Transfers;
use crate::words;

/// How long a blank form is remembered.
const FORM_LIFETIME: Duration = Duration::from_secs(300);
/// Blank forms that are remembered.
const MOST_FORMS: usize = 512;

/// When a blank form was asked for, and the form once it is there.
type FormSlot = Arc<(Instant, OnceCell<Form>)>;

/// What the configuration says, and the files that it names.
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// What is sold.
    pub catalogue: Catalogue,
    /// What pages say.
    pub messages: Messages,
    /// The frame around them.
    pub frame: Frame,
    /// Bounds of orders.
    pub rules: Rules,
    /// The folder of files; none where it cannot be opened, which matters to goods that are files alone.
    pub root: Option<Root>,
    /// Calls billing servers.
    pub client: Client,
    /// Calls what is upstream of streams and services.
    pub upstream: Client,
}

impl Settings {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn read(config: Config) -> Result<Self, String> {
        let messages = words::load(&config)?;
        // The operator says where that is: it may be anywhere.
        let upstream = client::Config {
            timeout_seconds: config.delivery.upstream_seconds,
            allow_private: true,
            allow_http: true,
            ..config.client.clone()
        };
        Ok(Self {
            catalogue: config.catalogue()?,
            frame: Frame::new(&config.shop.name, "/", &messages),
            messages,
            rules: config.rules(),
            root: Root::open(&config.goods.root).ok(),
            client: Client::new(&config.client)?,
            upstream: Client::new(&upstream)?,
            config,
        })
    }
}

/// The shop.
pub struct Shop {
    settings: RwLock<Arc<Settings>>,
    servers: RwLock<Servers>,
    forms: Mutex<HashMap<(String, String), FormSlot>>,
    /// Orders.
    pub database: Database,
    /// Signs invoices.
    pub key: Arc<SigningKey>,
    /// Keys of billing servers.
    pub keys: Keys,
    /// Makes the tokens of forms.
    pub tokens: Tokens,
    /// Transfers that are under way.
    pub transfers: Transfers,
    /// Looks for billing servers, where that is wanted.
    pub finder: Option<Finder>,
    /// What `/metrics` shows.
    pub counters: Counters,
}

/// Why an order's event had no effects.
pub type Fault = Failure<StoreError>;

impl Shop {
    /// A shop with these settings; nothing is known of billing servers but what is configured.
    pub fn new(
        settings: Settings,
        database: Database,
        key: SigningKey,
        tokens: Tokens,
        finder: Option<Finder>,
    ) -> Self {
        let shop = Self {
            servers: RwLock::new(Servers::new(settings.config.trust())),
            settings: RwLock::new(Arc::new(settings)),
            forms: Mutex::default(),
            database,
            key: Arc::new(key),
            keys: Keys::default(),
            tokens,
            transfers: Transfers::default(),
            finder,
            counters: Counters::default(),
        };
        shop.add_configured();
        shop
    }

    /// Takes other settings, and forgets billing servers that they do not allow.
    pub fn reload(&self, settings: Settings) {
        self.servers_mut().set_trust(settings.config.trust());
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.add_configured();
    }

    fn add_configured(&self) {
        for server in &self.settings().config.methods.server {
            let added = self
                .servers_mut()
                .add(&server.url, &server.attributes, Origin::Configured);
            if let Err(error) = added {
                tracing::warn!(url = server.url, %error, "methods.server: not dealt with");
            }
        }
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Billing servers that are known.
    pub fn servers(&self) -> RwLockReadGuard<'_, Servers> {
        self.servers.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change them.
    pub fn servers_mut(&self) -> RwLockWriteGuard<'_, Servers> {
        self.servers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        Now::read().unix_ms
    }

    /// Seconds since 1970.
    pub fn now(&self) -> i64 {
        self.now_ms() / 1_000
    }

    /// The order of a token, as it is stored.
    pub fn order(&self, token: &str) -> Call<Order, StoreError> {
        let (token, rules, now_ms) = (token.to_owned(), self.settings().rules, self.now_ms());
        self.database.read(move |connection| {
            let mut order = store::by_token(connection, &token)?;
            order.handle(&rules, now_ms, Event::Tick, &mut Vec::new());
            Ok(order)
        })
    }

    /// Handles an event of the order of a token: when its effects come back, what it changed is on disk. Events are
    /// handled in the order of the calls, and under way already when this returns.
    pub fn handle(&self, token: &str, event: Event) -> Call<(Order, Vec<Effect>), StoreError> {
        let (token, rules, now_ms) = (token.to_owned(), self.settings().rules, self.now_ms());
        self.database.call(move |connection| {
            let before = store::by_token(connection, &token)?;
            let mut order = before.clone();
            let mut effects = Vec::new();
            order.handle(&rules, now_ms, event, &mut effects);
            store::save(connection, now_ms, &before, &order)?;
            Ok((order, effects))
        })
    }

    /// [`Self::handle`] for an acknowledgement that was verified, of the invoice of this reference.
    pub fn acknowledge(&self, reference: &str) -> Call<(Order, Vec<Effect>), StoreError> {
        let (reference, rules) = (reference.to_owned(), self.settings().rules);
        let now_ms = self.now_ms();
        self.database.call(move |connection| {
            let before = store::by_reference(connection, &reference)?;
            let mut order = before.clone();
            let mut effects = Vec::new();
            let event = Event::Acknowledged { reference };
            order.handle(&rules, now_ms, event, &mut effects);
            store::save(connection, now_ms, &before, &order)?;
            Ok((order, effects))
        })
    }

    /// Has an invoice for the chosen billing server, made or made before: its reference.
    pub fn choose(&self, token: &str, choice: Choice) -> Call<Result<String, Refusal>, StoreError> {
        let settings = self.settings();
        let (key, token, now_ms) = (Arc::clone(&self.key), token.to_owned(), self.now_ms());
        self.database.call(move |connection| {
            let before = store::by_token(connection, &token)?;
            let mut order = before.clone();
            let mut effects = Vec::new();
            let aud = choice.server.clone();
            let event = Event::Choose(Box::new(choice));
            order.handle(&settings.rules, now_ms, event, &mut effects);
            let reference = match effects.pop() {
                Some(Effect::Show { reference }) => reference,
                Some(Effect::Sign {
                    reference,
                    expires_ms,
                }) => {
                    let invoice = invoice(
                        &settings.config,
                        &order,
                        &reference,
                        &aud,
                        now_ms,
                        expires_ms,
                    );
                    let jws = invoice
                        .sign(&key)
                        .map_err(|error| StoreError::Unsigned(error.to_string()))?;
                    let event = Event::Signed {
                        reference: reference.clone(),
                        jws,
                    };
                    order.handle(&settings.rules, now_ms, event, &mut effects);
                    reference
                }
                Some(Effect::Refuse(refusal)) => return Ok(Err(refusal)),
                _ => return Ok(Err(Refusal::AlreadyPaid)),
            };
            store::save(connection, now_ms, &before, &order)?;
            Ok(Ok(reference))
        })
    }

    /// The blank form of a billing server.
    pub async fn form(&self, server: &BillingServer, language: &str) -> Form {
        let settings = self.settings();
        let made = Form::of(server);
        if settings.config.methods.forms == Forms::Attributes || server.form_type == FormType::Page
        {
            return made;
        }
        let slot = self.form_slot(server, language);
        let fetched = async || match fetch_form(&settings.client, server, language).await {
            Ok(form) => form,
            Err(error) => {
                tracing::debug!(
                    url = server.url,
                    error,
                    "no form; it is made of the attributes"
                );
                made
            }
        };
        slot.1.get_or_init(fetched).await.clone()
    }

    /// Where the form of a billing server is remembered; however many ask for it at once, it is fetched once.
    fn form_slot(&self, server: &BillingServer, language: &str) -> FormSlot {
        let name = (server.url.clone(), language.to_owned());
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = forms.get(&name)
            && slot.0.elapsed() < FORM_LIFETIME
        {
            return Arc::clone(slot);
        }
        if forms.len() >= MOST_FORMS {
            forms.clear();
        }
        let slot = FormSlot::new((Instant::now(), OnceCell::new()));
        forms.insert(name, Arc::clone(&slot));
        slot
    }
}

async fn fetch_form(
    client: &Client,
    server: &BillingServer,
    language: &str,
) -> Result<Form, String> {
    let url = format!("{}?lang={language}", server.below("form.json"));
    let answer = client.get(&url).await.map_err(|error| error.to_string())?;
    match answer.status.is_success() {
        true => Form::read(&answer.body, server).map_err(|error| error.to_string()),
        false => Err(answer.status.to_string()),
    }
}

fn invoice(
    config: &Config,
    order: &Order,
    reference: &str,
    aud: &str,
    now_ms: i64,
    expires_ms: i64,
) -> Invoice {
    Invoice {
        iss: config.url().into(),
        aud: aud.into(),
        provider: config.provider().into(),
        reference: reference.into(),
        provider_reference: order.number.to_string(),
        title: order.bought.title.clone(),
        amount_micro: order.bought.amount_micro,
        currency: order.bought.currency,
        tax_basis_points: order.bought.tax_basis_points,
        acknowledgement_url: format!("{}/acknowledgements", config.url()),
        service_url: format!("{}/orders/{}", config.url(), order.token),
        iat: now_ms / 1_000,
        exp: expires_ms / 1_000,
        via: Vec::new(),
    }
}
