//! Where a program's request leads, and where a redirect leads it.

use axum::http::Uri;

/// Where the service is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    /// `https://provider.example:8443`.
    origin: String,
    host: String,
    port: u16,
    /// Without a slash at its end.
    path: String,
}

/// How a program asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// As a proxy is asked: what stands before the path, `http://provider.example`.
    Absolute(String),
    /// As a server is asked.
    Origin,
}

impl Base {
    /// Of an address of a service; nothing if it is not of HTTP.
    pub(crate) fn of(address: &str) -> Option<Self> {
        let uri: Uri = address.parse().ok()?;
        let scheme = uri.scheme_str()?;
        let usual = match scheme {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority()?;
        Some(Self {
            origin: format!("{scheme}://{authority}"),
            host: authority.host().to_owned(),
            port: authority.port_u16().unwrap_or(usual),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }

    /// The whole URL that a request is for, and how it was asked for.
    ///
    /// # Errors
    /// Why it is not for this service.
    pub(crate) fn target(&self, asked: &Uri) -> Result<(Uri, Form), String> {
        let below = || format!("the service is at {}{} alone", self.origin, self.path);
        let path = asked.path_and_query().map_or("/", |path| path.as_str());
        if !path.starts_with('/') {
            return Err(below());
        }
        let (path, form) = match (asked.scheme_str(), asked.authority()) {
            (Some(scheme), Some(authority)) => {
                let is_ours = authority.host().eq_ignore_ascii_case(&self.host)
                    && authority.port_u16().is_none_or(|port| port == self.port);
                if !is_ours || !self.has(asked.path()) {
                    return Err(below());
                }
                (
                    path.to_owned(),
                    Form::Absolute(format!("{scheme}://{authority}")),
                )
            }
            (None, None) => (format!("{}{path}", self.path), Form::Origin),
            _ => return Err(below()),
        };
        let url = format!("{}{path}", self.origin);
        url.parse().map(|url| (url, form)).map_err(|_| below())
    }

    fn has(&self, path: &str) -> bool {
        let rest = path.strip_prefix(&self.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// A `Location` of the provider as the program can follow it; nothing if it may stay as it is.
    pub(crate) fn relocated(&self, location: &str, form: &Form) -> Option<String> {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(['/', '?', '#']);
        let own = location
            .strip_prefix(&self.origin)
            .filter(|rest| ends(rest));
        match form {
            Form::Absolute(origin) => own.map(|rest| format!("{origin}{rest}")),
            Form::Origin => {
                let path = Some(location).filter(|it| it.starts_with('/') && !it.starts_with("//"));
                let rest = own
                    .or(path)?
                    .strip_prefix(&self.path)
                    .filter(|rest| ends(rest))?;
                match rest.starts_with('/') {
                    true => Some(rest.to_owned()),
                    false => Some(format!("/{rest}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Base {
        Base::of("https://provider.example/weather/").unwrap()
    }

    fn leads(base: &Base, asked: &str) -> Option<String> {
        let (uri, _) = base.target(&asked.parse().unwrap()).ok()?;
        Some(uri.to_string())
    }

    #[test]
    fn programs_ask_as_of_a_proxy_or_as_of_the_service() {
        for (asked, url) in [
            (
                "http://provider.example/weather/today?unit=c",
                "https://provider.example/weather/today?unit=c",
            ),
            (
                "http://Provider.Example:443/weather",
                "https://provider.example/weather",
            ),
            (
                "/today?unit=c",
                "https://provider.example/weather/today?unit=c",
            ),
            ("/", "https://provider.example/weather/"),
        ] {
            assert_eq!(leads(&base(), asked).as_deref(), Some(url), "{asked}");
        }
        for asked in [
            "http://other.example/weather/today",
            "http://provider.example:80/weather/today",
            "http://provider.example/weatherman",
            "http://provider.example/",
            "provider.example:443",
            "*",
        ] {
            assert_eq!(leads(&base(), asked), None, "{asked}");
        }
        let whole = Base::of("http://10.0.0.1:8080").unwrap();
        assert_eq!(
            leads(&whole, "http://10.0.0.1:8080/a").as_deref(),
            Some("http://10.0.0.1:8080/a")
        );
        assert_eq!(
            leads(&whole, "/a").as_deref(),
            Some("http://10.0.0.1:8080/a")
        );
        let six = Base::of("http://[2001:db8::1]:8080/x").unwrap();
        assert_eq!(
            leads(&six, "http://[2001:db8::1]:8080/x/y").as_deref(),
            Some("http://[2001:db8::1]:8080/x/y")
        );
        assert_eq!(Base::of("udp://10.0.0.1:5000"), None);
    }

    #[test]
    fn redirects_come_back_here() {
        let absolute = Form::Absolute("http://provider.example".into());
        for (location, there, here) in [
            (
                "https://provider.example/weather/b",
                Some("http://provider.example/weather/b"),
                Some("/b"),
            ),
            (
                "https://provider.example/weather",
                Some("http://provider.example/weather"),
                Some("/"),
            ),
            (
                "https://provider.example/other",
                Some("http://provider.example/other"),
                None,
            ),
            ("/weather/b?c", None, Some("/b?c")),
            ("/weather?c", None, Some("/?c")),
            ("//evil.example/weather/", None, None),
            ("https://provider.example.evil/weather", None, None),
            ("b", None, None),
        ] {
            assert_eq!(
                base().relocated(location, &absolute).as_deref(),
                there,
                "{location}"
            );
            assert_eq!(
                base().relocated(location, &Form::Origin).as_deref(),
                here,
                "{location}"
            );
        }
    }
}
