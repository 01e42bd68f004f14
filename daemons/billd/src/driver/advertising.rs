//! This server on the network.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tollwire_invoice::BillingServer;
use tollwire_slp_agent::{Registration, UserAgent};

use crate::config::Config;

/// The first wait before it is tried again; each later one is twice as long.
const FIRST: Duration = Duration::from_secs(1);
/// The longest.
const MOST: Duration = Duration::from_secs(60);
/// How long taking it out may take: without, it lives to the end of its lifetime.
const PATIENCE: Duration = Duration::from_secs(3);

/// The user agent, and the registration that it keeps alive.
pub(super) struct Advertising {
    agent: Option<UserAgent>,
    advertise: bool,
    running: Option<(watch::Sender<bool>, JoinHandle<()>, Registration)>,
}

impl Advertising {
    /// With a user agent, if anything needs one.
    ///
    /// # Errors
    /// What it cannot be made of.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        let needed = config.slp.advertise || config.hands_on();
        let agent = match needed {
            true => Some(
                UserAgent::new(config.slp.agent.clone())
                    .map_err(|error| format!("slp.agent: {error}"))?,
            ),
            false => None,
        };
        Ok(Self {
            agent,
            advertise: config.slp.advertise,
            running: None,
        })
    }

    pub(super) fn agent(&self) -> Option<UserAgent> {
        self.agent.clone()
    }

    /// Registers the server, in the place of what was registered before, and tries for as long as it takes.
    pub(super) fn advertise(&mut self, server: &BillingServer, lifetime: u16) {
        let Some(agent) = self.agent.clone().filter(|_| self.advertise) else {
            return;
        };
        if is_own_host(&server.url) {
            tracing::warn!(
                url = server.url,
                "not advertised: nobody else reaches this URL; set billing.url"
            );
            return;
        }
        let mut registration = Registration::new(server.service_url(), server.to_attributes());
        registration.lifetime = lifetime;
        if let Some((_, _, known)) = &self.running
            && *known == registration
        {
            return;
        }
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(agent, registration.clone(), stopped));
        // The one before ends without being taken out: this one stands in its place.
        if let Some((_, task, _)) = self.running.replace((stop, task, registration)) {
            task.abort();
        }
    }

    /// Takes it out.
    pub(super) async fn withdraw(self) {
        if let Some((stop, task, _)) = self.running {
            let _ = stop.send(true);
            let _ = tokio::time::timeout(PATIENCE, task).await;
        }
    }
}

async fn keep(agent: UserAgent, registration: Registration, mut stopped: watch::Receiver<bool>) {
    let mut wait = FIRST;
    loop {
        match agent.advertise(registration.clone()).await {
            Ok(advertisement) => {
                tracing::info!(url = registration.url, "advertised");
                let _ = stopped.wait_for(|stopped| *stopped).await;
                match advertisement.withdraw().await {
                    Ok(_) => tracing::info!(url = registration.url, "no longer advertised"),
                    Err(error) => tracing::warn!(
                        url = registration.url, %error,
                        "still advertised until its lifetime is over"
                    ),
                }
                return;
            }
            Err(error) => {
                tracing::warn!(url = registration.url, %error, "not advertised yet: tried again");
            }
        }
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(MOST),
        }
    }
}

/// Whether a URL leads each host to itself.
fn is_own_host(url: &str) -> bool {
    let url = url::Url::parse(url).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::is_own_host;

    #[test]
    fn what_leads_everybody_to_himself_is_not_advertised() {
        for url in [
            "https://localhost:8443/pay",
            "https://127.0.0.1/",
            "https://[::1]:1/pay",
        ] {
            assert!(is_own_host(url), "{url}");
        }
        for url in [
            "https://bank.example/pay",
            "https://192.0.2.1/",
            "https://[2001:db8::1]/",
        ] {
            assert!(!is_own_host(url), "{url}");
        }
    }
}
