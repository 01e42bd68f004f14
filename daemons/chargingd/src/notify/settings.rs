//! `[notifications]`; `conf/chargingd.toml` explains each key.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use tollwire_runtime::config::Invalid;

use super::{Channel, Contact, Limits, Texts};

/// The authorities that Debian trusts.
const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The whole table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notifications {
    /// The file with the texts; the shipped ones if absent.
    pub texts: Option<PathBuf>,
    /// The language of those who ask for none that there is.
    pub language: Box<str>,
    /// The pause after a first failure; each further one doubles it.
    pub retry_first_seconds: u32,
    /// The longest pause.
    pub retry_most_seconds: u32,
    /// After so long nobody is told any more.
    pub give_up_seconds: u32,
    /// Contacts of one kind of one account that are told in an hour; 0 is no limit.
    pub per_account_hour: u32,
    /// Short messages.
    pub sms: Sms,
    /// SIP MESSAGE.
    pub sip: Sip,
    /// Webhooks.
    pub webhook: Webhook,
    /// Mail.
    pub mail: Mail,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            texts: None,
            language: "en".into(),
            retry_first_seconds: 10,
            retry_most_seconds: 1800,
            give_up_seconds: 86_400,
            per_account_hour: 20,
            sms: Sms::default(),
            sip: Sip::default(),
            webhook: Webhook::default(),
            mail: Mail::default(),
        }
    }
}

/// `[notifications.sms]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sms {
    /// Whether short messages are sent.
    pub enabled: bool,
    /// The SMSC, host and port.
    pub address: Box<str>,
    /// `system_id` to bind with.
    pub system_id: Box<str>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Whom the messages come from: digits, or up to 11 letters.
    pub source: Box<str>,
    /// Messages without their response at once.
    pub in_flight: u16,
}

impl Default for Sms {
    fn default() -> Self {
        Self {
            enabled: false,
            address: "127.0.0.1:2775".into(),
            system_id: "chargingd".into(),
            password_file: None,
            source: "Tollwire".into(),
            in_flight: 10,
        }
    }
}

/// What SIP goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SipTransport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
}

/// `[notifications.sip]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// Whether MESSAGEs are sent.
    pub enabled: bool,
    /// Where they go.
    pub proxy: SocketAddr,
    /// What they go over.
    pub transport: SipTransport,
    /// Whom they come from, a SIP URI.
    pub from: Box<str>,
    /// Who we are if we are asked; the user of `from` if absent.
    pub username: Option<Box<str>>,
    /// The file with the password; without one a challenge is a failure.
    pub password_file: Option<PathBuf>,
    /// Transactions at once.
    pub in_flight: u16,
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            enabled: false,
            proxy: SocketAddr::from(([127, 0, 0, 1], 5060)),
            transport: SipTransport::Udp,
            from: "sip:billing@localdomain".into(),
            username: None,
            password_file: None,
            in_flight: 16,
        }
    }
}

/// `[notifications.webhook]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhook {
    /// Whether webhooks are called.
    pub enabled: bool,
    /// The file with the secrets that bodies are signed with, one a line.
    pub secret_file: Option<PathBuf>,
    /// Hosts that may be called; empty: any.
    pub allow_hosts: Vec<Box<str>>,
    /// Networks that may be called though the Internet does not reach them.
    pub allow_networks: Vec<IpNet>,
    /// Whether `http:` is good enough.
    pub allow_http: bool,
    /// Authorities that vouch for the hosts, PEM.
    pub tls_authorities: PathBuf,
    /// For a whole call.
    pub timeout_seconds: u32,
    /// Calls at once.
    pub in_flight: u16,
    /// Of them to one host.
    pub in_flight_per_host: u16,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            enabled: false,
            secret_file: None,
            allow_hosts: Vec::new(),
            allow_networks: Vec::new(),
            allow_http: false,
            tls_authorities: AUTHORITIES.into(),
            timeout_seconds: 10,
            in_flight: 32,
            in_flight_per_host: 4,
        }
    }
}

/// How the mail relay is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encryption {
    /// In the clear.
    None,
    /// In the clear until STARTTLS, which must succeed.
    Starttls,
    /// TLS from the first octet.
    Tls,
}

/// `[notifications.mail]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mail {
    /// Whether mail is sent.
    pub enabled: bool,
    /// The relay, host and port.
    pub relay: Box<str>,
    /// How it is spoken to.
    pub encryption: Encryption,
    /// Whom the mail comes from.
    pub from: Box<str>,
    /// Who we are to the relay; nobody if absent.
    pub username: Option<Box<str>>,
    /// The file with the password.
    pub password_file: Option<PathBuf>,
    /// Authorities that vouch for the relay, PEM.
    pub tls_authorities: PathBuf,
    /// For a whole mail.
    pub timeout_seconds: u32,
    /// Mails at once.
    pub in_flight: u16,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            enabled: false,
            relay: "127.0.0.1:25".into(),
            encryption: Encryption::None,
            from: "billing@localdomain".into(),
            username: None,
            password_file: None,
            tls_authorities: AUTHORITIES.into(),
            timeout_seconds: 30,
            in_flight: 4,
        }
    }
}

impl Notifications {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key, and what would do.
    pub fn validate(&self) -> Result<(), Invalid> {
        let wrong = |key: &str, what: &str| Err(Invalid::new(format!("notifications.{key}"), what));
        if self.retry_first_seconds == 0 || self.retry_most_seconds < self.retry_first_seconds {
            return wrong(
                "retry_most_seconds",
                "no less than retry_first_seconds, which is at least 1",
            );
        }
        if self.give_up_seconds == 0 {
            return wrong("give_up_seconds", "at least 1");
        }
        for (key, value) in [
            ("sms.in_flight", self.sms.in_flight),
            ("sip.in_flight", self.sip.in_flight),
            ("webhook.in_flight", self.webhook.in_flight),
            (
                "webhook.in_flight_per_host",
                self.webhook.in_flight_per_host,
            ),
            ("mail.in_flight", self.mail.in_flight),
        ] {
            if !(1..=1000).contains(&value) {
                return wrong(key, "1 to 1000");
            }
        }
        for (key, value) in [
            ("webhook.timeout_seconds", self.webhook.timeout_seconds),
            ("mail.timeout_seconds", self.mail.timeout_seconds),
        ] {
            if !(1..=300).contains(&value) {
                return wrong(key, "1 to 300");
            }
        }
        for (key, value) in [
            ("sms.address", &self.sms.address),
            ("mail.relay", &self.mail.relay),
        ] {
            if host_and_port(value).is_none() {
                return wrong(key, "host:port");
            }
        }
        if self.sms.system_id.len() > 15 || !self.sms.system_id.is_ascii() {
            return wrong(
                "sms.system_id",
                "at most 15 characters of ASCII (SMPP 3.4 section 4.1.1)",
            );
        }
        let source = &self.sms.source;
        let digits = source.strip_prefix('+').unwrap_or(source);
        let is_number =
            (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = (1..=11).contains(&source.len())
            && source
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if !is_number && !is_name {
            return wrong(
                "sms.source",
                "a number, or up to 11 letters (3GPP TS 23.040 section 9.1.2.5)",
            );
        }
        if !matches!(self.sip.from.parse(), Ok(Contact::Sip(_))) {
            return wrong("sip.from", "a SIP URI: sip:USER@HOST");
        }
        let mail = format!("mailto:{}", self.mail.from);
        if !matches!(mail.parse(), Ok(Contact::Mail(_))) {
            return wrong("mail.from", "an address: USER@HOST");
        }
        if self.webhook.enabled && self.webhook.secret_file.is_none() {
            return wrong(
                "webhook.secret_file",
                "a file with the secret that webhooks are signed with",
            );
        }
        match Texts::load(self.texts.as_deref(), &self.language) {
            Ok(_) => Ok(()),
            Err(error) => wrong("texts", &error),
        }
    }

    /// How the queue treats each channel that is on.
    pub fn limits(&self) -> Vec<(Channel, Limits)> {
        let ms = |seconds: u32| i64::from(seconds) * 1000;
        let limits = |enabled: bool, in_flight: u16, per_server: u16| Limits {
            enabled,
            in_flight: in_flight.into(),
            in_flight_per_server: per_server.into(),
            per_account_hour: self.per_account_hour,
            retry_first_ms: ms(self.retry_first_seconds),
            retry_most_ms: ms(self.retry_most_seconds),
            give_up_ms: ms(self.give_up_seconds),
        };
        let Self {
            sms,
            sip,
            webhook,
            mail,
            ..
        } = self;
        vec![
            (
                Channel::Sms,
                limits(sms.enabled, sms.in_flight, sms.in_flight),
            ),
            (
                Channel::Sip,
                limits(sip.enabled, sip.in_flight, sip.in_flight),
            ),
            (
                Channel::Webhook,
                limits(
                    webhook.enabled,
                    webhook.in_flight,
                    webhook.in_flight_per_host,
                ),
            ),
            (
                Channel::Mail,
                limits(mail.enabled, mail.in_flight, mail.in_flight),
            ),
        ]
    }
}

/// Cuts `host:port`; an IPv6 address may stand in brackets.
pub(super) fn host_and_port(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let sound = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
    let port = port.parse().ok().filter(|port| *port > 0)?;
    sound.then_some((host, port))
}

/// The secret in a file: its first line.
///
/// # Errors
/// The file, and what is wrong.
pub(super) fn secret(file: &Path) -> Result<String, String> {
    let mut secrets = secrets(file)?;
    Ok(secrets.swap_remove(0))
}

/// The secrets in a file, one a line; at least one.
///
/// # Errors
/// The file, and what is wrong.
pub(super) fn secrets(file: &Path) -> Result<Vec<String>, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    if let Some(warning) = tollwire_runtime::config::mode_warning(file) {
        tracing::warn!("{warning}");
    }
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    let secrets: Vec<String> = lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if secrets.is_empty() {
        return Err(format!("{}: no secret in it", file.display()));
    }
    Ok(secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_named() {
        type Change = fn(&mut Notifications);
        let changes: [(&str, Change); 10] = [
            ("retry_most_seconds", |all| all.retry_most_seconds = 1),
            ("give_up_seconds", |all| all.give_up_seconds = 0),
            ("sms.in_flight", |all| all.sms.in_flight = 0),
            ("sms.address", |all| all.sms.address = "smsc".into()),
            ("sms.source", |all| {
                all.sms.source = "A name too long".into()
            }),
            ("sip.from", |all| all.sip.from = "billing".into()),
            ("mail.from", |all| all.mail.from = "a@b\r\nc".into()),
            ("mail.relay", |all| all.mail.relay = "relay:0".into()),
            ("webhook.secret_file", |all| all.webhook.enabled = true),
            ("webhook.timeout_seconds", |all| {
                all.webhook.timeout_seconds = 0;
            }),
        ];
        assert_eq!(Notifications::default().validate(), Ok(()));
        for (key, change) in changes {
            let mut all = Notifications::default();
            change(&mut all);
            let error = all.validate().unwrap_err();
            assert_eq!(error.key, format!("notifications.{key}"));
        }
    }
}
