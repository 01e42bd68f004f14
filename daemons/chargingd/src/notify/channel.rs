//! The four ways.

use serde::Serialize;

use super::Contact;

/// How contacts of one kind are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// A short message, by SMPP.
    Sms,
    /// A SIP MESSAGE.
    Sip,
    /// A POST.
    Webhook,
    /// Mail, by SMTP.
    Mail,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sms, Self::Sip, Self::Webhook, Self::Mail];

    /// As in the store, in metrics and for the operator.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sms => "sms",
            Self::Sip => "sip",
            Self::Webhook => "webhook",
            Self::Mail => "mail",
        }
    }

    /// Whether everything of the channel goes through one server. Each host of a webhook fails by itself.
    pub(super) fn has_one_server(self) -> bool {
        self != Self::Webhook
    }
}

impl Contact {
    /// How it is told.
    pub fn channel(&self) -> Channel {
        match self {
            Self::Sms(_) => Channel::Sms,
            Self::Sip(_) => Channel::Sip,
            Self::Webhook(_) => Channel::Webhook,
            Self::Mail(_) => Channel::Mail,
        }
    }

    /// The server that this contact needs, within its channel: what fails together.
    pub(super) fn server(&self) -> Box<str> {
        match self {
            Self::Webhook(url) => {
                let after = url.split_once("://").map_or("", |(_, rest)| rest);
                let authority = after.split(['/', '?']).next().unwrap_or_default();
                authority.to_ascii_lowercase().into()
            }
            _ => "".into(),
        }
    }
}
