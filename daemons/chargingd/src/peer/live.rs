//! What a reload changes: certificates, roots, lists, services.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tollwire_jose::{Chain, JoseError, Jwk, Trust};
use tollwire_peer::{Identity, Listed, Refusal, Word};
use tollwire_web::limit::Limit;

use super::config::Config;
use super::seal::Manager;
use super::settings::Settings;
use super::store::Parties;

/// What is in force.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) skew_seconds: u32,
    pub(super) trust: Trust,
    pub(super) seal: Arc<Manager>,
    pub(super) settings: Arc<Settings>,
    pub(super) listed: Vec<Listed>,
    /// Providers' certificates, by service.
    providers: HashMap<String, Chain>,
    pub(super) keep_days: u32,
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

impl Live {
    /// # Errors
    /// The file, and what is wrong with it.
    pub(super) fn new(config: &Config, now_unix: i64) -> Result<Self, String> {
        let (Some(certificate), Some(key), Some(roots)) =
            (&config.certificate, &config.key, &config.roots)
        else {
            return Err("peers: certificate, key and roots are needed".to_owned());
        };
        let named = |path: &Path| {
            let path = path.display().to_string();
            move |error: JoseError| format!("{path}: {error}")
        };
        let identity =
            Identity::from_pem(&read(certificate)?, &read(key)?).map_err(named(certificate))?;
        let lists = (config.crls.iter().map(|path| read(path))).collect::<Result<Vec<_>, _>>()?;
        let trust =
            Trust::new(&read(roots)?, lists.iter().map(String::as_str)).map_err(named(roots))?;
        // Whoever has the same roots shall be able to hold what is signed against them.
        if let Err(error) = trust.verify(identity.chain(), now_unix) {
            tracing::warn!(certificate = %certificate.display(), %error, "nobody with these roots will believe the manager");
        }
        let mut providers = HashMap::new();
        for service in &config.service {
            let path = &service.certificate;
            let chain = Chain::from_pem(&read(path)?).map_err(named(path))?;
            let name = &chain.certified().name;
            if *name != service.provider {
                return Err(format!(
                    "{}: the certificate is of {name:?}, and the provider of {:?} is {:?}",
                    path.display(),
                    service.name,
                    service.provider
                ));
            }
            providers.insert(service.name.clone(), chain);
        }
        let seal = Arc::new(Manager::new(identity));
        let listed = config.service.iter().map(|service| Listed {
            name: service.name.clone(),
            title: service.title.clone(),
            provider: service.provider.clone(),
            price: service.price.clone(),
            collect: (service.measures.all())
                .map(|(measure, _)| measure)
                .collect(),
        });
        Ok(Self {
            skew_seconds: config.skew_seconds,
            trust,
            settings: Arc::new(Settings {
                offers: config.offers(),
                seal: seal.clone(),
                max_sessions: config.max_sessions,
                max_sessions_per_user: config.max_sessions_per_user,
                grace_ms: i64::from(config.grace_seconds) * 1000,
                retry_first_ms: config.retry_first_ms.into(),
                retry_most_ms: config.retry_most_ms.into(),
            }),
            seal,
            listed: listed.collect(),
            providers,
            keep_days: config.keep_days,
        })
    }

    /// The key of a service's provider, if his certificate is good now.
    ///
    /// # Errors
    /// There is no such service, or no key may go to its provider now.
    pub(super) fn provider_key(&self, service: &str, now_unix: i64) -> Result<&Jwk, Refusal> {
        let Some(chain) = self.providers.get(service) else {
            let what = "no service of this name";
            return Err(Refusal::new(Word::UnknownService, what));
        };
        match self.trust.verify(chain, now_unix) {
            Ok(_) => Ok(&chain.certified().key),
            Err(error) => {
                tracing::warn!(service, %error, "the certificate of a service's provider is not good");
                let what = "the provider's certificate is not good now";
                Err(Refusal::new(Word::Unavailable, what))
            }
        }
    }
}

impl Live {
    /// Of these sessions, those whose user or provider was revoked.
    pub(super) fn withdrawn(&self, sessions: Vec<Parties>, now_unix: i64) -> Vec<Box<str>> {
        let is_revoked = |chain: &Chain| {
            // A list that is out of date refuses what is new, and ends nothing.
            matches!(self.trust.verify(chain, now_unix), Err(JoseError::Revoked))
        };
        let revoked = self.providers.values().filter(|chain| is_revoked(chain));
        let providers: HashSet<&str> = revoked.map(|it| &*it.certified().name).collect();
        // A user has many sessions, and one certificate.
        let mut users: HashMap<String, bool> = HashMap::new();
        let mut withdrawn = Vec::new();
        for parties in sessions {
            let user = *users
                .entry(parties.user_chain)
                .or_insert_with_key(|chain| Chain::from_pem(chain).is_ok_and(|it| is_revoked(&it)));
            if user || providers.contains(&*parties.provider) {
                withdrawn.push(parties.session);
            }
        }
        withdrawn
    }
}

/// What every handler shares with the manager's task.
pub(super) struct Shared {
    live: RwLock<Arc<Live>>,
    users: Mutex<Limit<Box<str>>>,
    providers: Mutex<Limit<Box<str>>>,
    began: std::time::Instant,
}

impl Shared {
    pub(super) fn new(live: Live, config: &Config) -> Self {
        let (users, providers) = limits(config);
        Self {
            live: RwLock::new(Arc::new(live)),
            users: Mutex::new(users),
            providers: Mutex::new(providers),
            began: std::time::Instant::now(),
        }
    }

    pub(super) fn live(&self) -> Arc<Live> {
        let live = self.live.read();
        live.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, live: Live, config: &Config) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
        let (users, providers) = limits(config);
        *self.users.lock().unwrap_or_else(PoisonError::into_inner) = users;
        *self
            .providers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = providers;
    }

    /// Takes a user's request from what he may ask.
    pub(super) fn user(&self, name: &str) -> Result<(), Refusal> {
        self.take(&self.users, name)
    }

    /// Takes a provider's message from what he may send.
    pub(super) fn provider(&self, name: &str) -> Result<(), Refusal> {
        self.take(&self.providers, name)
    }

    fn take(&self, limit: &Mutex<Limit<Box<str>>>, name: &str) -> Result<(), Refusal> {
        let now_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut limit = limit.lock().unwrap_or_else(PoisonError::into_inner);
        limit.request(name.into(), now_ms).map_err(|seconds| {
            let what = format!("too many of this certificate: try again in {seconds} s");
            Refusal::new(Word::TooMany, what)
        })
    }
}

fn limits(config: &Config) -> (Limit<Box<str>>, Limit<Box<str>>) {
    (
        Limit::new(config.user_requests_per_second, config.user_burst),
        Limit::new(config.provider_messages_per_second, config.provider_burst),
    )
}
