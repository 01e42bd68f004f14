//! What is passed on to and from a server behind this one.

mod body;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, LOCATION, ORIGIN,
    REFERER, SET_COOKIE, STRICT_TRANSPORT_SECURITY, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, Uri};

pub use body::{Passing, Watch};

/// RFC 9110 7.6.1, and what old proxies know.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    EXPECT,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
];

/// Of the client, and not for those upstream: cookies are this server's, and its URLs may be a right by themselves.
const OURS: [HeaderName; 7] = [
    COOKIE,
    AUTHORIZATION,
    REFERER,
    ORIGIN,
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-proto"),
];

/// The length of a body, where it is told.
pub fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A client's request below `base` as it goes below `upstream`; nothing if its path leads elsewhere, or it is of a
/// method that is not passed on.
pub fn request(request: Request, base: &str, upstream: &str) -> Option<Request> {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return None;
    }
    let rest = request.uri().path().strip_prefix(base)?;
    if !stays_below(rest) {
        return None;
    }
    let query = request.uri().query().map(|query| format!("?{query}"));
    let uri: Uri = format!("{upstream}{rest}{}", query.unwrap_or_default())
        .parse()
        .ok()?;
    let (mut head, body) = request.into_parts();
    strip(&mut head.headers);
    for name in OURS.iter().chain([&HOST]) {
        head.headers.remove(name);
    }
    head.uri = uri;
    head.extensions.clear();
    Some(Request::from_parts(head, body))
}

/// Whether no part of a path is one that a server may take for a step up, however it is spelled.
fn stays_below(path: &str) -> bool {
    let plain = path
        .to_ascii_lowercase()
        .replace("%2e", ".")
        .replace("%2f", "/")
        .replace("%5c", "/")
        .replace('\\', "/");
    // What is encoded twice is decoded by nobody who is right, and by some.
    let is_step = |part: &str| matches!(part, "." | "..") || part.starts_with("..;");
    !plain.contains("%25") && !plain.split('/').any(is_step)
}

/// What came from upstream as it goes to the client.
pub fn answer(response: Response<Body>, base: &str, upstream: &str) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    strip(&mut head.headers);
    for name in [SET_COOKIE, STRICT_TRANSPORT_SECURITY] {
        head.headers.remove(name);
    }
    if let Some(location) = head.headers.remove(LOCATION)
        && let Some(location) = relocated(&location, base, upstream)
    {
        head.headers.insert(LOCATION, location);
    }
    head.extensions.clear();
    Response::from_parts(head, body)
}

/// A redirect within the service; nothing where it leads out of it.
fn relocated(location: &HeaderValue, base: &str, upstream: &str) -> Option<HeaderValue> {
    let location = location.to_str().ok()?;
    let upstream_uri: Uri = upstream.parse().ok()?;
    let is_relative = !location.contains(':') && !location.starts_with(['/', '\\']);
    let inside = |rest: &str| stays_below(rest.split(['?', '#']).next().unwrap_or_default());
    if is_relative {
        return inside(location).then(|| HeaderValue::try_from(location).ok())?;
    }
    let rest = location.strip_prefix(upstream).or_else(|| {
        // `//host` is no path.
        let path = Some(location).filter(|it| it.starts_with('/') && !it.starts_with("//"));
        path?.strip_prefix(upstream_uri.path())
    })?;
    inside(rest).then(|| HeaderValue::try_from(format!("{base}{rest}")).ok())?
}

/// Takes out what is of one connection alone (RFC 9110 7.6.1).
pub fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "/orders/t/goods/";
    const UPSTREAM: &str = "http://127.0.0.1:9000/app/";

    fn passed(path: &str) -> Option<String> {
        let request_of = axum::http::Request::get(format!("{BASE}{path}"));
        let request_of = request_of.body(Body::empty()).ok()?;
        request(request_of, BASE, UPSTREAM).map(|request| request.uri().to_string())
    }

    #[test]
    fn paths_stay_below_what_is_configured() {
        for (path, uri) in [
            ("", "http://127.0.0.1:9000/app/"),
            ("a/b?c=../d", "http://127.0.0.1:9000/app/a/b?c=../d"),
            ("a..b/...", "http://127.0.0.1:9000/app/a..b/..."),
            ("@evil.example/", "http://127.0.0.1:9000/app/@evil.example/"),
        ] {
            assert_eq!(passed(path).as_deref(), Some(uri), "{path}");
        }
        for path in [
            "..",
            "../admin",
            "a/../../admin",
            "%2e%2e/admin",
            "%2E./admin",
            "a%2f..%2fadmin",
            "..%5cadmin",
            "%252e%252e/admin",
            "./a",
            "..;/admin",
        ] {
            assert_eq!(passed(path), None, "{path}");
        }
    }

    #[test]
    fn headers_of_a_connection_and_of_the_client_stay_here() {
        let request_of = axum::http::Request::post(format!("{BASE}x"))
            .header("connection", "close, X-Secret")
            .header("x-secret", "1")
            .header("transfer-encoding", "chunked")
            .header("upgrade", "websocket")
            .header("cookie", "a=b")
            .header("authorization", "Basic x")
            .header("referer", "https://shop.example/orders/t")
            .header("accept", "text/plain")
            .header("range", "bytes=0-1")
            .body(Body::empty())
            .unwrap();
        let request = request(request_of, BASE, UPSTREAM).unwrap();
        let mut names: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "range"]);
    }

    #[test]
    fn redirects_lead_to_the_service_or_nowhere() {
        let to = |location: &str| {
            let location = HeaderValue::from_str(location).unwrap();
            let found = relocated(&location, BASE, UPSTREAM);
            found.map(|value| value.to_str().unwrap().to_owned())
        };
        for (location, found) in [
            ("http://127.0.0.1:9000/app/a", "/orders/t/goods/a"),
            ("/app/a?b", "/orders/t/goods/a?b"),
            ("next?a", "next?a"),
        ] {
            assert_eq!(to(location).as_deref(), Some(found), "{location}");
        }
        for location in [
            "https://evil.example/",
            "//evil.example/app/",
            "/admin",
            "/app/../admin",
            "http://127.0.0.1:9000/admin",
            "javascript:alert(1)",
            "\\\\evil.example",
            "../x",
        ] {
            assert_eq!(to(location), None, "{location}");
        }
    }
}
