//! The branch of our Via: names the transaction, and shows loops (RFC 3261
//! 16.6 step 8, RFC 5393 4.2).

use sha2::{Digest, Sha256};
use tollwire_sip::{HeaderName, Message, Uri};

/// What a forwarded request is made of, as far as it decides where it goes:
/// a copy that comes back with the same value loops; with another it spirals.
pub fn loop_token(request: &Message) -> u64 {
    let mut hasher = Sha256::new();
    let mut add = |part: &[u8]| {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    };
    let uri = request.request_uri().unwrap_or_default();
    match Uri::parse(uri) {
        Ok(uri) => add(uri.address_of_record().as_bytes()),
        Err(_) => add(uri.as_bytes()),
    }
    for name in [HeaderName::From, HeaderName::To, HeaderName::CallId] {
        add(request.header(name).unwrap_or_default().as_bytes());
    }
    if let Ok(cseq) = request.cseq() {
        add(&cseq.number.to_be_bytes());
    }
    for name in [
        HeaderName::Route,
        HeaderName::ProxyRequire,
        HeaderName::ProxyAuthorization,
    ] {
        for value in request.header_fields(name) {
            add(value.as_bytes());
        }
        add(b"");
    }
    let digest = hasher.finalize();
    digest
        .as_chunks::<8>()
        .0
        .first()
        .map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

/// The branch of a copy.
pub fn branch(unique: u64, loop_token: u64) -> String {
    format!("z9hG4bK{unique:016x}.{loop_token:016x}")
}

/// Whether the request passed here before and nothing changed since.
/// `is_own` tells a Via's sent-by that is ours.
pub fn is_loop(
    request: &Message,
    token: u64,
    is_own: impl Fn(tollwire_sip::Host<'_>, u16) -> bool,
) -> bool {
    let token = format!("{token:016x}");
    request.vias().flatten().any(|via| {
        is_own(via.host, via.port_or_default())
            && via
                .branch()
                .and_then(|branch| branch.rsplit_once('.'))
                .is_some_and(|(_, seen)| seen == token)
    })
}
