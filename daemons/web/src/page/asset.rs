//! A file of the program's that browsers keep: its name changes with its content.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::routing::get;
use sha2::{Digest, Sha256};

use crate::headers::FOREVER;

/// A style sheet, script or picture under a path of its own.
///
/// ```
/// use tollwire_web::page::Asset;
/// let script = Asset::new("/pay", "passkey.js", "text/javascript; charset=utf-8", "\"use strict\";");
/// assert!(script.path().starts_with("/pay/assets/") && script.path().ends_with("-passkey.js"));
/// let router: axum::Router = script.route();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    path: String,
    kind: &'static str,
    content: &'static str,
}

impl Asset {
    /// `name` below `base`, of this media type.
    pub fn new(base: &str, name: &str, kind: &'static str, content: &'static str) -> Self {
        let digest = hex::encode(Sha256::digest(content.as_bytes()));
        let digest = digest.get(..16).unwrap_or(&digest);
        Self {
            path: format!("{}/assets/{digest}-{name}", base.trim_end_matches('/')),
            kind,
            content,
        }
    }

    /// Where it is served.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The route that serves it.
    pub fn route<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let (kind, content) = (HeaderValue::from_static(self.kind), self.content);
        let answer = move || {
            let headers = [(CONTENT_TYPE, kind.clone()), (CACHE_CONTROL, FOREVER)];
            std::future::ready((headers, content))
        };
        Router::new().route(&self.path, get(answer))
    }
}
