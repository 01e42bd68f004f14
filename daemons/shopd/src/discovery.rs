//! Finding billing servers (RFC 2608).

use std::time::Duration;

use tokio::sync::Semaphore;
use tollwire_invoice::SERVICE_TYPE;
use tollwire_slp_agent::{Change, Error, Service, Settings, UserAgent};

use crate::servers::{Origin, predicate};
use crate::shop::Shop;

/// Questions by name at once.
const AT_ONCE: usize = 4;
/// Services of one answer that are looked at.
const MOST_FOUND: usize = 32;

/// Asks for billing servers.
#[derive(Debug)]
pub struct Finder {
    agent: UserAgent,
    questions: Semaphore,
    span: Duration,
}

/// Why nothing was looked for.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// [`AT_ONCE`].
    #[error("too many are looked for")]
    Busy,
    /// The agent's.
    #[error(transparent)]
    Agent(#[from] Error),
}

impl Finder {
    /// Starts a user agent.
    ///
    /// # Errors
    /// Settings that do not do.
    pub fn new(settings: Settings, span: Duration) -> Result<Self, Error> {
        Ok(Self {
            agent: UserAgent::new(settings)?,
            questions: Semaphore::new(AT_ONCE),
            span,
        })
    }

    /// Looks for billing servers by a part of their name, and takes them in. Gives how many there are.
    ///
    /// # Errors
    /// It could not be asked.
    pub async fn find(&self, shop: &Shop, name: &str) -> Result<usize, NotFound> {
        let _turn = self.questions.try_acquire().map_err(|_| NotFound::Busy)?;
        let agent = self.agent.within(self.span);
        let answer = agent
            .find_services_with_attributes(SERVICE_TYPE, &predicate(name))
            .await?;
        let now_ms = shop.now_ms();
        let found = answer.found.iter().take(MOST_FOUND);
        let added = found.filter(|service| {
            let until_ms = now_ms + i64::from(service.lifetime) * 1_000;
            add(shop, service, Origin::Found { until_ms })
        });
        Ok(added.count())
    }

    /// Takes in what comes and goes, as long as the agent lives.
    ///
    /// # Errors
    /// The agent's, at the start.
    pub async fn watch(&self, shop: &Shop) -> Result<(), Error> {
        let mut watch = self.agent.watch(SERVICE_TYPE, "")?;
        while let Some(change) = watch.next().await {
            match change {
                Change::Added(mut service) | Change::Changed(mut service) => {
                    if service.attributes.is_none() {
                        let asked = self.agent.find_attributes(&service.url, "").await;
                        service.attributes = asked.ok().map(|answer| answer.found);
                    }
                    add(shop, &service, Origin::Watched);
                }
                Change::Removed(url) => {
                    tracing::info!(%url, "a billing server is gone");
                    shop.servers_mut().remove(&url);
                }
            }
        }
        Ok(())
    }
}

fn add(shop: &Shop, service: &Service, origin: Origin) -> bool {
    let url = &service.url;
    let Some(attributes) = &service.attributes else {
        tracing::debug!(%url, "a billing server without attributes");
        return false;
    };
    let added = shop.servers_mut().add(url, attributes, origin);
    match &added {
        Ok(()) => tracing::info!(%url, "a billing server is there"),
        Err(error) => tracing::info!(%url, %error, "a billing server that is not dealt with"),
    }
    added.is_ok()
}
