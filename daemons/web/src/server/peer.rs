//! Who asks.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;

use crate::limit::{Limit, source};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Addresses of `X-Forwarded-For` that are looked at, from the last.
const MOST_HOPS: usize = 16;

/// Who asks, as a handler's argument: `async fn handler(peer: Peer) -> Page`.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The client's address, behind known proxies too; 127.0.0.1 where a Unix socket tells none.
    pub address: IpAddr,
    /// What counts as one source: see [`source`].
    pub source: IpAddr,
    /// It came over TLS, to us or to a known proxy.
    pub secure: bool,
    /// The certificate that it showed to us, if it had to.
    pub certificate: Option<Arc<CertificateDer<'static>>>,
    pub(super) rate: Option<Arc<Rate>>,
}

impl Peer {
    /// Takes what so many requests take from what this source may ask: for a wrong password or token.
    pub fn penalty(&self, requests: u32) {
        if let Some(rate) = &self.rate {
            rate.penalty(self.source, requests);
        }
    }

    /// A client at `address`, for tests of handlers.
    pub fn at(address: IpAddr) -> Self {
        Self {
            address,
            source: source(address),
            secure: false,
            certificate: None,
            rate: None,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    /// Without a [`Server`](super::Server) (in tests) it is 127.0.0.1.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| Self::at(Ipv4Addr::LOCALHOST.into())))
    }
}

/// What each source may ask.
#[derive(Debug)]
pub(super) struct Rate {
    limit: Mutex<Limit>,
    began: Instant,
}

impl Rate {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            limit: Mutex::new(Limit::new(per_second, burst)),
            began: Instant::now(),
        }
    }

    pub(super) fn change(&self, per_second: u32, burst: u32) {
        if let Ok(mut limit) = self.limit.lock() {
            *limit = Limit::new(per_second, burst);
        }
    }

    /// Seconds to wait, if it was too much.
    pub(super) fn request(&self, source: IpAddr) -> Result<(), u64> {
        let now = self.now_ms();
        let mut limit = self.limit.lock().map_err(|_| 1u64)?;
        limit.request(source, now)
    }

    fn penalty(&self, source: IpAddr, requests: u32) {
        let now = self.now_ms();
        if let Ok(mut limit) = self.limit.lock() {
            limit.penalty(source, requests, now);
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The client's address and whether it speaks TLS, as a proxy tells: the last address that is not of a proxy itself.
/// `None` where it tells nothing that can be read.
pub(super) fn forwarded(headers: &HeaderMap, proxies: &[IpNet]) -> Option<IpAddr> {
    let mut told = None;
    let mut hops = 0;
    // Several lines are one list (RFC 9110 5.3).
    for line in headers.get_all(FORWARDED_FOR).iter().rev() {
        for hop in line.to_str().ok()?.rsplit(',') {
            let address = address(hop.trim())?;
            told = Some(address);
            hops += 1;
            if hops == MOST_HOPS || !is_of(address, proxies) {
                return told;
            }
        }
    }
    told
}

pub(super) fn forwarded_secure(headers: &HeaderMap) -> bool {
    let last = headers.get_all(FORWARDED_PROTO).iter().next_back();
    last.map(HeaderValue::as_bytes) == Some(b"https")
}

pub(super) fn is_of(address: IpAddr, networks: &[IpNet]) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    (bare.unwrap_or(text).parse().ok())
        .or_else(|| text.parse().ok().map(|it: std::net::SocketAddr| it.ip()))
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        let proxies = ["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        forwarded(&headers, &proxies).map(|address| address.to_string())
    }

    #[test]
    fn the_last_that_is_no_proxy_is_the_client() {
        assert_eq!(told(&["192.0.2.1"]).unwrap(), "192.0.2.1");
        assert_eq!(told(&["198.51.100.7, 192.0.2.1"]).unwrap(), "192.0.2.1");
        assert_eq!(told(&["192.0.2.1, 10.0.0.1, ::1"]).unwrap(), "192.0.2.1");
        assert_eq!(
            told(&["192.0.2.9", "192.0.2.1,10.0.0.1"]).unwrap(),
            "192.0.2.1"
        );
        assert_eq!(told(&["192.0.2.9", "10.0.0.1"]).unwrap(), "192.0.2.9");
        assert_eq!(told(&["10.0.0.1"]).unwrap(), "10.0.0.1");
        assert_eq!(told(&["[2001:db8::1]:443"]).unwrap(), "2001:db8::1");
        assert_eq!(told(&["::ffff:192.0.2.1"]).unwrap(), "192.0.2.1");
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["192.0.2.1, unknown"]), None);
        assert_eq!(told(&["unknown, 192.0.2.1"]).unwrap(), "192.0.2.1");
    }
}
