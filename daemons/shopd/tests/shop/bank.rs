//! A billing server that the test plays: its keys and its form over HTTPS, and its acknowledgements.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Json;
use axum::routing::get;
use serde_json::json;
use tollwire_invoice::{Acknowledgement, Invoice};
use tollwire_jose::SigningKey;
use tollwire_web::{Server, server};

/// Seconds that an acknowledgement is good for.
const HOUR: i64 = 3_600;

pub struct Bank {
    pub name: String,
    pub key: SigningKey,
    /// `https://127.0.0.1:port/pay`
    pub url: String,
    /// What its certificate is checked with.
    pub certificate: PathBuf,
    _server: Server,
}

impl Bank {
    /// A billing server with a certificate in `folder`. `has_form`: it serves a blank form of its own.
    pub async fn start(folder: &Path, name: &str, has_form: bool) -> Self {
        let key = SigningKey::generate_ed25519().unwrap();
        let file = |what: &str| folder.join(format!("{name}.{what}"));
        let (certificate, tls_key) = (file("pem"), file("key"));
        let config = server::Config {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            tls_certificate_file: Some(certificate.clone()),
            tls_key_file: Some(tls_key),
            self_signed_names: vec!["127.0.0.1".into()],
            ..server::Config::default()
        };
        let keys = json!({ "keys": [key.public()] });
        let form = || async {
            // The shop asks by the URL that it knows: the port is in its question, not known here.
            StatusCode::NOT_FOUND
        };
        let mut router = Router::new().route("/pay/keys.json", get(move || async { Json(keys) }));
        router = match has_form {
            true => router.route("/pay/form.json", get(own_form)),
            false => router.route("/pay/form.json", get(form)),
        };
        let server = Server::start(&config, router).await.unwrap();
        let url = format!("https://{}/pay", server.address().unwrap());
        Self {
            name: name.into(),
            key,
            url,
            certificate,
            _server: server,
        }
    }

    pub fn service_url(&self) -> String {
        format!("service:billing:{}", self.url)
    }

    pub fn thumbprint(&self) -> String {
        self.key.public().thumbprint()
    }

    pub fn attributes(&self) -> String {
        self.attributes_with("(agreement-required=false)")
    }

    pub fn attributes_with(&self, more: &str) -> String {
        format!(
            "(name={}),(protocol=https),(fee-basis-points=250),(currency=EUR),(invoice-form-type=fields),\
             (invoice-fields=account,pin),(acknowledgement-key={}),{more}",
            self.name,
            self.thumbprint()
        )
    }

    /// That an invoice for this server was paid now.
    pub fn acknowledgement(&self, invoice: &str) -> Acknowledgement {
        let received = Invoice::read(invoice, &self.thumbprint(), now()).unwrap();
        let paid = (&received.invoice, &*received.digest);
        let now = now();
        Acknowledgement::of(paid, &self.url, "payment-1", now, now + HOUR)
    }

    /// The same, signed.
    pub fn acknowledge(&self, invoice: &str) -> String {
        self.acknowledgement(invoice).sign(&self.key).unwrap()
    }
}

async fn own_form(headers: axum::http::HeaderMap) -> Json<serde_json::Value> {
    let host = headers.get("host").unwrap().to_str().unwrap();
    Json(json!({
        "action": format!("https://{host}/pay/pay"),
        "page": format!("https://{host}/pay/invoice"),
        "type": "fields",
        "fields": [
            { "name": "account", "label": "Customer number", "type": "text", "autocomplete": "username", "required": true },
            { "name": "word", "label": "Magic word", "type": "password", "autocomplete": "off", "required": true },
        ],
        "languages": ["en"],
    }))
}

pub fn now() -> i64 {
    tollwire_runtime::clock::Now::read().unix_ms / 1_000
}
