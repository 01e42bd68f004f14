//! Where a program's request leads, and where a redirect leads it.

use std::net::IpAddr;

use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Fetch Metadata: what a browser says of whose page asks.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

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

/// Whether a request that asks us as a server comes from a web page of somebody else: browsers let any page ask this host, by
/// its address, or by a name of the page's own that leads here. Whoever asks as of a proxy was told to.
pub(crate) fn is_of_a_page(asked: &Uri, headers: &HeaderMap) -> bool {
    if asked.scheme().is_some() {
        return false;
    }
    let text = |value: &HeaderValue| value.to_str().map(str::to_owned).unwrap_or_default();
    let site = headers.get(FETCH_SITE).map(text);
    let is_elsewhere = site.is_some_and(|site| site != "none" && site != "same-origin");
    let host = headers.get(HOST).map(text);
    let is_ours = |host: &String| {
        let authority = host.parse::<Authority>();
        authority.is_ok_and(|authority| {
            let host = authority
                .host()
                .trim_start_matches('[')
                .trim_end_matches(']');
            host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok()
        })
    };
    is_elsewhere || !host.as_ref().is_none_or(is_ours)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pages_of_others_do_not_spend() {
        let asks = |uri: &str, fields: &[(&'static str, &str)]| {
            let fields = fields.iter().map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            });
            is_of_a_page(&uri.parse().unwrap(), &fields.collect())
        };
        for host in [
            "127.0.0.1:8899",
            "[::1]:8899",
            "localhost:8899",
            "LOCALHOST",
            "10.0.0.1",
        ] {
            assert!(!asks("/a", &[("host", host)]), "{host}");
            assert!(
                asks("/a", &[("host", host), ("sec-fetch-site", "cross-site")]),
                "{host}"
            );
            assert!(
                !asks("/a", &[("host", host), ("sec-fetch-site", "same-origin")]),
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "evil.example:8899",
            "127.0.0.1.evil.example",
            "",
            "a b",
        ] {
            assert!(asks("/a", &[("host", host)]), "{host}");
        }
        assert!(!asks("/a", &[]));
        assert!(!asks(
            "http://provider.example/a",
            &[("host", "provider.example")]
        ));
    }

    proptest! {
        #[test]
        fn nothing_leads_elsewhere(asked in "(http://(provider\\.example|evil\\.example|x@provider\\.example)(:[0-9]{1,5})?)?[/@?#%.:a-w\\\\]{0,24}") {
            for (address, below) in [
                ("https://provider.example/weather/", "/weather"),
                ("http://provider.example:8080", ""),
            ] {
                let base = Base::of(address).unwrap();
                let Ok(asked) = asked.parse() else { continue };
                let Ok((url, _)) = base.target(&asked) else { continue };
                prop_assert_eq!(url.host(), Some("provider.example"));
                prop_assert_eq!(url.scheme_str(), address.split(':').next());
                prop_assert_eq!(url.port_u16(), address.strip_prefix("http://").map(|_| 8080));
                prop_assert!(url.path().starts_with(below));
            }
        }
    }

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
