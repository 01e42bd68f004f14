//! What a form sends.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use url::form_urlencoded;

/// Fields of a form that are looked at.
const MOST: usize = 16;

/// The fields of a form (`application/x-www-form-urlencoded`), the first of each name.
#[derive(Debug)]
pub(super) struct Fields(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = std::convert::Infallible;

    /// What is no form has no fields; that is said where one is missing.
    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let kind = request.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        let body = match kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            true => Bytes::from_request(request, state).await.ok(),
            false => None,
        };
        Ok(Self::read(&body.unwrap_or_default()))
    }
}

impl Fields {
    fn read(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body).into_owned();
        Self(pairs.take(MOST).collect())
    }

    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let named = self.0.iter().find(|(it, _)| it == name);
        named.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_name_counts() {
        let fields = Fields::read(b"a=1&b=x+y%2F&a=2&c");
        assert_eq!(fields.get("a"), Some("1"));
        assert_eq!(fields.get("b"), Some("x y/"));
        assert_eq!(fields.get("c"), Some(""));
        assert_eq!(fields.get("d"), None);
        assert_eq!(Fields::read(&b"x=1&".repeat(100)).0.len(), MOST);
    }
}
