//! Keys: the shop's own, and those of billing servers.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use tollwire_invoice::BillingServer;
use tollwire_jose::{Jwk, JwkSet, SigningKey};
use tollwire_web::Client;

/// Keys that are remembered.
const MOST: usize = 1_024;

/// Reads the shop's key, or makes one (mode 0640) if the file is not there.
///
/// # Errors
/// The file, and why.
pub fn own(path: &Path) -> Result<SigningKey, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if !path.exists() {
        let key = SigningKey::generate_ed25519().map_err(|error| named(&error))?;
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(path);
        let written = file.and_then(|mut file| {
            file.write_all(key.to_pem().as_bytes())?;
            file.sync_all()
        });
        written.map_err(|error| named(&error))?;
        tracing::info!(thumbprint = key.public().thumbprint(), "a key was made");
    }
    let pem = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    SigningKey::from_pem(&pem).map_err(|error| named(&error))
}

/// Keys of billing servers, by their thumbprints: what a thumbprint stands for never changes.
#[derive(Debug, Default)]
pub struct Keys(Mutex<HashMap<String, Arc<OnceCell<Jwk>>>>);

impl Keys {
    /// The key that a billing server's acknowledgements are verified with: the one of its key set whose thumbprint it
    /// advertises. However many ask for it at once, it is fetched once.
    ///
    /// # Errors
    /// Why it could not be had.
    pub async fn of(&self, server: &BillingServer, client: &Client) -> Result<Jwk, String> {
        let cell = self.cell(&server.acknowledgement_key);
        let key = cell.get_or_try_init(|| fetch(server, client)).await?;
        Ok(key.clone())
    }

    fn cell(&self, thumbprint: &str) -> Arc<OnceCell<Jwk>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MOST && !keys.contains_key(thumbprint) {
            keys.clear();
        }
        Arc::clone(keys.entry(thumbprint.to_owned()).or_default())
    }
}

async fn fetch(server: &BillingServer, client: &Client) -> Result<Jwk, String> {
    let (thumbprint, url) = (&server.acknowledgement_key, &server.acknowledgement_key_url);
    let answer = client.get(url).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("{url}: {}", answer.status));
    }
    let set: JwkSet =
        serde_json::from_slice(&answer.body).map_err(|error| format!("{url}: {error}"))?;
    let key = set.of_thumbprint(thumbprint).cloned();
    key.ok_or_else(|| format!("{url}: no key of thumbprint {thumbprint}"))
}
