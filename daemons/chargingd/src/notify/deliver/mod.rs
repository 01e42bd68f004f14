//! How contacts are told: one file a channel. What goes through one server has a task that owns the connection.

mod mail;
mod segments;
mod sip;
mod sms;
mod webhook;

use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::{Contact, Notifications, Outcome, Rendered, Task};

/// Letters that wait for a connection's task; the queue has bounded them already.
const JOBS: usize = 64;

/// What is told to whom.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    pub(super) task: Task,
    pub(super) rendered: Rendered,
}

impl Letter {
    /// The same for every attempt, another for every letter: what is told twice can be known by it.
    fn name(&self) -> String {
        let contact = Sha256::digest(self.task.contact.to_string());
        let contact = contact.get(..6).unwrap_or_default();
        format!("{}-{}", self.task.notification.id, hex::encode(contact))
    }
}

/// A letter, and who waits for its outcome.
struct Job {
    letter: Letter,
    reply: oneshot::Sender<Outcome>,
}

/// The channels that are on.
pub(super) struct Deliverers {
    sms: Option<mpsc::Sender<Job>>,
    sip: Option<mpsc::Sender<Job>>,
    webhook: Option<webhook::Webhook>,
    mail: Option<mail::Mail>,
}

impl Deliverers {
    /// Reads the secrets; call within the runtime that is to speak.
    pub(super) fn new(settings: &Notifications) -> Result<Self, String> {
        let Notifications {
            sms,
            sip,
            webhook,
            mail,
            ..
        } = settings;
        Ok(Self {
            sms: (sms.enabled).then(|| sms::start(sms)).transpose()?,
            sip: (sip.enabled).then(|| sip::start(sip)).transpose()?,
            webhook: (webhook.enabled)
                .then(|| webhook::Webhook::new(webhook))
                .transpose()?,
            mail: (mail.enabled).then(|| mail::Mail::new(mail)).transpose()?,
        })
    }

    /// Tries once.
    pub(super) async fn deliver(&self, letter: Letter) -> Outcome {
        let off = || Outcome::Failed("the channel is off".into());
        match &letter.task.contact {
            Contact::Sms(_) => through(self.sms.as_ref(), letter).await,
            Contact::Sip(_) => through(self.sip.as_ref(), letter).await,
            Contact::Webhook(url) => match &self.webhook {
                Some(webhook) => webhook.deliver(url, &letter).await,
                None => off(),
            },
            Contact::Mail(address) => match &self.mail {
                Some(mail) => mail.deliver(address, &letter).await,
                None => off(),
            },
        }
    }
}

async fn through(jobs: Option<&mpsc::Sender<Job>>, letter: Letter) -> Outcome {
    let Some(jobs) = jobs else {
        return Outcome::Failed("the channel is off".into());
    };
    let (reply, outcome) = oneshot::channel();
    if jobs.send(Job { letter, reply }).await.is_err() {
        return Outcome::Failed("stopping".into());
    }
    // Not answered: its connection ended.
    outcome
        .await
        .unwrap_or_else(|_| Outcome::Unreachable("the connection was lost".into()))
}

/// The first `most` octets of a text, whole characters.
fn cut(text: &str, most: usize) -> &str {
    let end = text
        .char_indices()
        .map(|(at, character)| at + character.len_utf8())
        .take_while(|end| *end <= most)
        .last();
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
