//! Mail through a relay, by SMTP (lettre).

use std::path::Path;
use std::time::{Duration, SystemTime};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use super::Letter;
use crate::notify::Outcome;
use crate::notify::settings::{self, Encryption};

pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    timeout: Duration,
}

impl Mail {
    pub(super) fn new(settings: &settings::Mail) -> Result<Self, String> {
        let (host, port) = settings::host_and_port(&settings.relay)
            .ok_or("notifications.mail.relay: host:port")?;
        let from: Address =
            (settings.from.parse()).map_err(|error| format!("notifications.mail.from: {error}"))?;
        let timeout = Duration::from_secs(settings.timeout_seconds.into());
        let tls = || tls(host, &settings.tls_authorities);
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .timeout(Some(timeout))
            .hello_name(ClientId::Domain(from.domain().to_owned()))
            .tls(match settings.encryption {
                Encryption::None => Tls::None,
                Encryption::Starttls => Tls::Required(tls()?),
                Encryption::Tls => Tls::Wrapper(tls()?),
            });
        if let Some(username) = &settings.username {
            let file = settings
                .password_file
                .as_ref()
                .ok_or("notifications.mail.password_file is missing: username needs it")?;
            let password = settings::secret(file)?;
            builder = builder.credentials(Credentials::new(username.to_string(), password));
        }
        Ok(Self {
            transport: builder.build(),
            from,
            timeout,
        })
    }

    pub(super) async fn deliver(&self, address: &str, letter: &Letter) -> Outcome {
        let message = match self.message(address, letter) {
            Ok(message) => message,
            Err(error) => return Outcome::Refused(error),
        };
        match tokio::time::timeout(self.timeout, self.transport.send(message)).await {
            Ok(Ok(_)) => Outcome::Told,
            Ok(Err(error)) => judge(&error),
            Err(_) => Outcome::Unreachable("no answer in time".into()),
        }
    }

    fn message(&self, address: &str, letter: &Letter) -> Result<Message, String> {
        let to: Address = address.parse().map_err(|error| format!("{error}"))?;
        let sent = u64::try_from(letter.task.notification.unix_ms).unwrap_or(0);
        Message::builder()
            .from(Mailbox::new(None, self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(letter.rendered.subject.clone())
            // The same for each attempt, as the date is: who gets it twice sees it once.
            .message_id(Some(format!("<{}@{}>", letter.name(), self.from.domain())))
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(sent))
            // RFC 3834 5: nobody is to answer it automatically.
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".into(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(letter.rendered.text.clone())
            .map_err(|error| error.to_string())
    }
}

fn tls(host: &str, authorities: &Path) -> Result<TlsParameters, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", authorities.display());
    let pem = std::fs::read(authorities).map_err(|error| named(&error))?;
    let certificate = Certificate::from_pem(&pem).map_err(|error| named(&error))?;
    TlsParameters::builder(host.to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(certificate)
        .build()
        .map_err(|error| named(&error))
}

/// What the relay said. Only what it says about the mail itself is final.
fn judge(error: &lettre::transport::smtp::Error) -> Outcome {
    let what = error.to_string();
    match error.status().map(u16::from) {
        // RFC 4954 6 and RFC 3207: it wants a password, another one, or TLS.
        Some(454 | 530 | 534 | 535 | 538) | None => Outcome::Unreachable(what),
        // RFC 5321 4.2.3: the service is closing, or not there.
        Some(421) => Outcome::Unreachable(what),
        Some(500..) => Outcome::Refused(what),
        Some(_) => Outcome::Failed(what),
    }
}
