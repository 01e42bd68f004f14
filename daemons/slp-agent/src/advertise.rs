//! A registration that is kept alive.

use std::time::Duration;

use tollwire_slp::agent::{Heard, Random};

use crate::agent::{UserAgent, seed};
use crate::driver::Task;
use crate::error::{Error, Peer};
use crate::registration::Registration;

/// The first wait after a refresh that failed; each later one is twice as long.
const RETRY: Duration = Duration::from_secs(1);

/// A service that stays registered while this is held. Dropped without [`Self::withdraw`] it lives to the end of its
/// lifetime.
#[derive(Debug)]
pub struct Advertisement {
    agent: UserAgent,
    registration: Registration,
    task: Task,
}

impl UserAgent {
    /// Registers a service, and registers it again each time that half of its lifetime is over, or a directory agent
    /// has lost it (RFC 2608 12.2.2).
    ///
    /// # Errors
    /// As [`Self::register`], for the first time. Later failures are logged and tried again.
    pub async fn advertise(&self, registration: Registration) -> Result<Advertisement, Error> {
        let random = Random::new(seed()?);
        let takers = self.register(&registration).await?;
        let task = tokio::spawn(refresh(self.clone(), registration.clone(), takers, random));
        Ok(Advertisement {
            agent: self.clone(),
            registration,
            task: Task(task),
        })
    }
}

impl Advertisement {
    /// Takes the service out. Returns who has done so.
    ///
    /// # Errors
    /// As [`UserAgent::deregister`].
    pub async fn withdraw(self) -> Result<Vec<Peer>, Error> {
        drop(self.task);
        self.agent.deregister(&self.registration.url, "").await
    }
}

async fn refresh(
    agent: UserAgent,
    registration: Registration,
    mut takers: Vec<Peer>,
    mut random: Random,
) {
    let half = Duration::from_secs(registration.lifetime.into()) / 2;
    // RFC 2608 8.3: not more than once a second.
    let regular = half.max(Duration::from_secs(1));
    let spread = Duration::from_millis(agent.shared.settings.timers.reg_passive_ms);
    let mut heard = agent.shared.heard.subscribe();
    let mut wait = regular;
    let mut retry = RETRY;
    loop {
        let due = tokio::time::sleep(wait);
        tokio::pin!(due);
        loop {
            tokio::select! {
                () = &mut due => break,
                Ok(news) = heard.recv() => {
                    // The slpd of this host sees to its directory agents itself.
                    let direct = !takers.contains(&Peer::Local);
                    if direct && matches!(news, Heard::New(_) | Heard::Restarted(_)) {
                        // So that not everybody registers at once.
                        tokio::time::sleep(random.wait(spread)).await;
                        break;
                    }
                }
            }
        }
        match agent.register(&registration).await {
            Ok(now) => {
                takers = now;
                wait = regular;
                retry = RETRY;
            }
            Err(Error::Stopped) => return,
            Err(error) => {
                tracing::warn!(url = %registration.url, %error, "not registered again");
                wait = retry.min(regular);
                retry = retry.saturating_mul(2);
            }
        }
    }
}
