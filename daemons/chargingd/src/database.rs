//! The keys that say where a database is, in every section that has one.

use std::path::PathBuf;
use std::time::Duration;

use tollwire_runtime::config::Invalid;

use crate::part::Division;
use crate::store::{Place, Server, Url};

/// `path`, or `url` with what belongs to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keys<'a> {
    pub(crate) section: &'static str,
    pub(crate) path: Option<&'a PathBuf>,
    pub(crate) url: Option<&'a Url>,
    pub(crate) password_file: Option<&'a PathBuf>,
    pub(crate) tls_ca_file: Option<&'a PathBuf>,
}

/// What a place is beside its keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uses<'a> {
    /// The file where neither `path` nor `url` is given.
    pub(crate) default_path: &'static str,
    /// The schema on a server.
    pub(crate) schema: Option<&'static str>,
    /// [`Server::division`].
    pub(crate) division: Division,
    /// [`Server::takeover`].
    pub(crate) takeover: Duration,
    /// [`Server::origin_host`].
    pub(crate) origin_host: &'a str,
}

impl Keys<'_> {
    /// Checks what the types cannot.
    ///
    /// # Errors
    /// The key that does not do.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let section = self.section;
        let key = |name: &str| format!("{section}.{name}");
        let Some(url) = self.url else {
            for (name, file) in [
                ("password_file", self.password_file),
                ("tls_ca_file", self.tls_ca_file),
            ] {
                if file.is_some() {
                    let what = format!("is for {section}.url, which is missing");
                    return Err(Invalid::new(key(name), what));
                }
            }
            return Ok(());
        };
        if self.path.is_some() {
            let what =
                format!("take out either this or {section}.url: the store is in one of them");
            return Err(Invalid::new(key("path"), what));
        }
        if url.has_password() && self.password_file.is_some() {
            let what = format!("take out either this or the password in {section}.url");
            return Err(Invalid::new(key("password_file"), what));
        }
        if url.wants_tls() && self.tls_ca_file.is_none() {
            let what = format!(
                "is missing: the server is on another host; name its authorities, or write ?sslmode=disable at the \
                 end of {section}.url if the path is protected by other means"
            );
            return Err(Invalid::new(key("tls_ca_file"), what));
        }
        Ok(())
    }

    /// Where it is.
    pub(crate) fn place(&self, uses: &Uses<'_>) -> Place {
        match self.url {
            Some(url) => Place::Server(Box::new(Server {
                url: url.clone(),
                password_file: self.password_file.cloned(),
                tls_ca_file: self.tls_ca_file.cloned(),
                takeover: uses.takeover,
                origin_host: uses.origin_host.to_owned(),
                division: uses.division,
                schema: uses.schema.map(str::to_owned),
            })),
            None => Place::File((self.path.cloned()).unwrap_or_else(|| uses.default_path.into())),
        }
    }
}
