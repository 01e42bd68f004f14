//! What every answer says to browsers: no script or style of others, no frames, no guessing, no caches.
//!
//! The server adds these headers to every answer. An answer that needs more says so in its extensions, as
//! [`Page`](crate::Page) does:
//!
//! ```
//! use axum::response::{IntoResponse, Response};
//! use tollwire_web::headers::Content;
//! fn answer() -> Response {
//!     let mut answer = "...".into_response();
//!     let content = Content::default().form_action("https://bank.example:8443/pay");
//!     answer.extensions_mut().insert(content);
//!     answer
//! }
//! ```
//!
//! Mind: a page with `Referrer-Policy: no-referrer` posts with `Origin: null`, even to its own server (Fetch,
//! "append a request Origin header"), so [`sender`] asks `Sec-Fetch-Site` first, and a token (see [`crate::csrf`])
//! decides where neither is told.

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, ORIGIN, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, Uri};

/// For a file whose name changes with its content.
pub const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What the content of one answer may do, besides showing text with this server's styles and images and posting its
/// forms to this server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    forms: Vec<String>,
    images: Vec<String>,
    script: bool,
    foreign: bool,
}

impl Content {
    /// Its forms may also post to the server of this URL (`https://host:port/...`); what is none changes nothing.
    #[must_use]
    pub fn form_action(mut self, url: &str) -> Self {
        self.forms.extend(origin(url));
        self
    }

    /// It may also show images of the server of this URL.
    #[must_use]
    pub fn images(mut self, url: &str) -> Self {
        self.images.extend(origin(url));
        self
    }

    /// It may run this server's script files, and those may ask this server: never inline.
    #[must_use]
    pub fn script(mut self) -> Self {
        self.script = true;
        self
    }

    /// It is somebody else's that is passed on: what it shows, loads and runs is for them to say, and it runs as of no
    /// origin at all, without what this server's pages may (CSP level 3, `sandbox`).
    #[must_use]
    pub fn foreign(mut self) -> Self {
        self.foreign = true;
        self
    }

    /// The `Content-Security-Policy` (CSP level 3).
    pub fn policy(&self) -> String {
        if self.foreign {
            return "sandbox allow-downloads allow-forms allow-scripts; frame-ancestors 'none'"
                .to_owned();
        }
        let mut policy = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; img-src 'self'"
            .to_owned();
        let mut also = |sources: &[String]| {
            for source in sources {
                policy.push(' ');
                policy.push_str(source);
            }
        };
        also(&self.images);
        policy.push_str("; form-action 'self'");
        for source in &self.forms {
            policy.push(' ');
            policy.push_str(source);
        }
        if self.script {
            policy.push_str("; script-src 'self'; connect-src 'self'");
        }
        policy
    }
}

/// `scheme://host:port` of an HTTP URL.
///
/// ```
/// use tollwire_web::headers::origin;
/// assert_eq!(origin("https://Bank.example:8443/pay").as_deref(), Some("https://bank.example:8443"));
/// assert_eq!(origin("https://a.example; script-src *"), None);
/// assert_eq!(origin("javascript:alert(1)"), None);
/// ```
pub fn origin(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let scheme = uri
        .scheme_str()
        .filter(|it| matches!(*it, "https" | "http"))?;
    let authority = uri.authority()?;
    let host = authority.host().to_ascii_lowercase();
    // A wildcard would be one in the policy too.
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    if host.is_empty() || !host.bytes().all(plain) || authority.as_str().contains('@') {
        return None;
    }
    Some(match authority.port_u16() {
        Some(port) if (scheme, port) != ("https", 443) && (scheme, port) != ("http", 80) => {
            format!("{scheme}://{host}:{port}")
        }
        _ => format!("{scheme}://{host}"),
    })
}

/// Adds the headers. What an answer says of caches stands; without that nobody may keep it. `hsts_seconds` is for
/// answers over TLS, 0 without.
pub(crate) fn complete<B>(response: &mut Response<B>, hsts_seconds: u64) {
    let content = response.extensions_mut().remove::<Content>();
    let policy = HeaderValue::try_from(content.unwrap_or_default().policy());
    let headers = response.headers_mut();
    if let Ok(policy) = policy {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (OPENER_POLICY, "same-origin"),
        (
            PERMISSIONS_POLICY,
            "camera=(), geolocation=(), microphone=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if hsts_seconds > 0
        && let Ok(value) = HeaderValue::try_from(format!("max-age={hsts_seconds}"))
    {
        headers.insert(STRICT_TRANSPORT_SECURITY, value);
    }
}

/// Whose page sent a request, as far as the browser tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// One of this origin, or the user himself (an address typed, a bookmark).
    Own,
    /// Another's.
    Other,
    /// Not told: an older browser, or no browser.
    Unknown,
}

/// Whose page sent a request, by `Sec-Fetch-Site` (W3C Fetch Metadata), or else `Origin` (RFC 6454 section 7), where
/// `own` is the URL that this server is known by.
pub fn sender(headers: &HeaderMap, own: &str) -> Sender {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return match site.as_bytes() {
            b"same-origin" | b"none" => Sender::Own,
            _ => Sender::Other,
        };
    }
    match headers.get(ORIGIN).map(HeaderValue::to_str) {
        None | Some(Ok("null")) => Sender::Unknown,
        Some(Ok(text)) if origin(own).is_some_and(|own| origin(text) == Some(own)) => Sender::Own,
        Some(_) => Sender::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_names_origins_alone_and_cannot_be_widened_by_a_url() {
        let content = Content::default()
            .form_action("https://bank.example:8443/pay?x=1")
            .form_action("https://*.example/")
            .form_action("https://a.example;script-src *")
            .images("https://pictures.example/a.png")
            .policy();
        assert_eq!(
            content,
            "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'self'; \
             img-src 'self' https://pictures.example; form-action 'self' https://bank.example:8443"
        );
        assert!(!content.contains("script-src"));
        let foreign = Content::default().script().foreign().policy();
        assert!(foreign.starts_with("sandbox ") && !foreign.contains("same-origin"));
        let script = Content::default().script().policy();
        assert!(script.ends_with("; script-src 'self'; connect-src 'self'"));
        assert!(!script.contains("unsafe"));
    }

    #[test]
    fn what_an_answer_says_of_caches_stands() {
        let mut response = Response::new(());
        complete(&mut response, 0);
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        assert!(!response.headers().contains_key(STRICT_TRANSPORT_SECURITY));
        let mut response = Response::new(());
        response.headers_mut().insert(CACHE_CONTROL, FOREVER);
        complete(&mut response, 60);
        assert_eq!(response.headers()[CACHE_CONTROL], FOREVER);
        assert_eq!(response.headers()[STRICT_TRANSPORT_SECURITY], "max-age=60");
    }

    #[test]
    fn the_sender_is_known_by_what_browsers_tell() {
        let told = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            sender(&headers, "https://shop.example/")
        };
        assert_eq!(told("sec-fetch-site", "same-origin"), Sender::Own);
        assert_eq!(told("sec-fetch-site", "none"), Sender::Own);
        assert_eq!(told("sec-fetch-site", "same-site"), Sender::Other);
        assert_eq!(told("sec-fetch-site", "cross-site"), Sender::Other);
        assert_eq!(told("origin", "https://shop.example"), Sender::Own);
        assert_eq!(told("origin", "https://shop.example:8443"), Sender::Other);
        assert_eq!(told("origin", "http://shop.example"), Sender::Other);
        assert_eq!(told("origin", "null"), Sender::Unknown);
        assert_eq!(told("accept", "*/*"), Sender::Unknown);
    }
}
