//! Who the user is, and whom he believes.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tollwire_jose::Trust;
use tollwire_peer::Identity;
use tollwire_peer_user::{Caller, Manager, User};
use tollwire_web::client::{Client, Config};

use crate::failure::Failure;
use crate::files::read;

/// Who asks, and of whom.
#[derive(Debug, Args)]
pub(super) struct Party {
    /// Base URL of the accounting manager: https://manager.example:8443.
    #[arg(long, global = true, value_name = "URL")]
    manager: Option<String>,
    /// The name in the manager's certificate, if it is not the URL's host.
    #[arg(long, global = true, value_name = "NAME")]
    manager_name: Option<String>,
    /// Your certificate, and those that lead to a root, PEM.
    #[arg(long, global = true, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Its key, PEM [default: the certificate's file with the ending .key].
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Roots that the manager's certificate leads to, PEM.
    #[arg(long, global = true, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// A list of revoked certificates, PEM; can be repeated.
    #[arg(long, global = true, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// Authorities of HTTPS servers, PEM [default: the system's].
    #[arg(long, global = true, value_name = "FILE")]
    tls_roots: Option<PathBuf>,
    /// How long an answer may take to begin, seconds.
    #[arg(long, global = true, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout: u64,
}

fn needed<'a, T>(value: &'a Option<T>, name: &str) -> Result<&'a T, Failure> {
    value
        .as_ref()
        .ok_or_else(|| Failure::Usage(format!("{name} is missing")))
}

impl Party {
    /// What uses credentials.
    pub(super) fn caller(&self) -> Result<Caller, Failure> {
        self.client().map(Caller::new)
    }

    fn client(&self) -> Result<Client, Failure> {
        let config = Config {
            trust_file: self.tls_roots.clone(),
            timeout_seconds: self.timeout,
            // A manager is named by the user, a provider by the manager: both may be in networks of their own.
            allow_private: true,
            allow_http: true,
            ..Config::default()
        };
        Client::new(&config).map_err(Failure::Wrong)
    }

    /// What asks for them.
    pub(super) fn user(&self) -> Result<Arc<User>, Failure> {
        let manager = needed(&self.manager, "--manager")?;
        let manager = Manager::new(manager, self.manager_name.as_deref())?;
        let (identity, trust) = self.read()?;
        let user = User::new(identity, trust, manager, self.client()?);
        Ok(Arc::new(user))
    }

    /// The files as they are now.
    pub(super) fn read(&self) -> Result<(Identity, Trust), Failure> {
        let certificate = needed(&self.certificate, "--certificate")?;
        let roots = needed(&self.roots, "--roots")?;
        let key = self.key.clone();
        let key = key.unwrap_or_else(|| certificate.with_extension("key"));
        let identity = Identity::from_pem(&read(certificate)?, &read(&key)?).map_err(|error| {
            let (certificate, key) = (certificate.display(), key.display());
            Failure::Wrong(format!("{certificate}, {key}: {error}"))
        })?;
        let lists = self.crl.iter().map(|path| read(path));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        let trust = Trust::new(&read(roots)?, lists.iter().map(String::as_str))
            .map_err(|error| Failure::Wrong(format!("{}: {error}", roots.display())))?;
        Ok((identity, trust))
    }
}
