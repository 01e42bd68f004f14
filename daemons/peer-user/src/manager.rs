//! Whom a user believes.

use axum::http::Uri;

use crate::UserError;

/// Where the manager is, and who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    url: String,
    name: String,
}

impl Manager {
    /// Its base URL, and the name in its certificate: that of the URL's host if there is none.
    ///
    /// # Errors
    /// No URL.
    pub fn new(url: &str, name: Option<&str>) -> Result<Self, UserError> {
        let wrong = || {
            UserError::Setting(format!(
                "{url:?} is no URL of a manager: https://manager.example"
            ))
        };
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        if !matches!(uri.scheme_str(), Some("https" | "http")) || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            name: name.map_or_else(|| host.to_ascii_lowercase(), str::to_owned),
        })
    }

    /// The name in its certificate.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manager_is_named_by_its_host_unless_told() {
        let manager = Manager::new("https://Manager.example:8443/peers/", None).unwrap();
        assert_eq!(manager.name(), "manager.example");
        assert_eq!(
            manager.at("/services"),
            "https://Manager.example:8443/peers/services"
        );
        let named = Manager::new("http://10.0.0.1", Some("urn:x:manager")).unwrap();
        assert_eq!(named.name(), "urn:x:manager");
        for wrong in [
            "",
            "manager.example",
            "/x",
            "ftp://manager.example",
            "https://m.example?a",
        ] {
            assert!(Manager::new(wrong, None).is_err(), "{wrong}");
        }
    }
}
