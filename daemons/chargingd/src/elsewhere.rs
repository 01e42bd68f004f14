//! Operators and customers that ask the instance of another part: 421 Misdirected Request (RFC 9110 15.5.20), with who
//! is active for the account's part. The caller asks there; this instance does not know what stands there.

use axum::extract::{Query, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Json, Response};
use serde::Serialize;
use tollwire_runtime::admin::Problem;

use crate::account::{canonical_identity, is_name};
use crate::audit::Description;
use crate::event::Operation;
use crate::part::{Overview, Whereabouts};

/// The answer about an account of another part.
#[derive(Debug, Serialize)]
struct Misdirected {
    error: String,
    /// The account's part.
    part: u32,
    /// Origin-Host of the instance that is active for it, if it is known.
    active: Option<String>,
}

/// Lets through what names no account, or one of this part: in `/accounts/{name}` or `?account=`.
pub(crate) async fn refuse(
    State(overview): State<Overview>,
    request: Request,
    next: Next,
) -> Response {
    match account(request.uri()).and_then(|account| misdirected(&overview, &account)) {
        Some(answer) => answer,
        None => next.run(request).await,
    }
}

/// Why an operation is not for this instance: its account is another part's, or one of its identities is.
pub(crate) async fn refuse_operation(
    overview: &Overview,
    operation: &Operation,
) -> Option<Response> {
    let account = Description::of(operation).account().to_owned();
    if let Some(answer) = misdirected(overview, &account) {
        return Some(answer);
    }
    let identities: Vec<Box<str>> = match operation {
        Operation::CreateAccount { identities, .. } => {
            identities.iter().map(|it| canonical_identity(it)).collect()
        }
        Operation::AddIdentity { identity, .. } => vec![canonical_identity(identity)],
        _ => return None,
    };
    let own = overview.division().part();
    match overview.find(identities).await {
        Whereabouts::Part(part) if part != own => {
            let what = format!("an identity of them belongs to an account of part {part}");
            Some(Problem::conflict(what).into_response())
        }
        Whereabouts::Part(_) | Whereabouts::Nowhere => None,
        Whereabouts::Unknown => {
            let what = "whether another part has the identity cannot be asked now: try again";
            Some(Problem::unavailable(what).into_response())
        }
    }
}

/// The account that a request names, a service account's customer.
fn account(uri: &Uri) -> Option<String> {
    let mut path = uri
        .path()
        .strip_prefix("/v1")
        .unwrap_or(uri.path())
        .split('/')
        .skip(1);
    if path.next() == Some("accounts") {
        return path.next().map(str::to_owned);
    }
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let (_, account) = pairs.into_iter().find(|(key, _)| key == "account")?;
    Some(account)
}

fn misdirected(overview: &Overview, account: &str) -> Option<Response> {
    let division = overview.division();
    let customer = account.split('/').next().unwrap_or_default();
    // Others than customers' have a book in every part.
    if !is_name(customer) || division.has(customer) {
        return None;
    }
    let part = division.of(customer);
    let active = overview.active(part);
    let whom = active.as_deref().unwrap_or("its active instance");
    let parts = division.parts();
    let error = format!(
        "account {customer} is of part {part} of {parts}, and this instance of part {}: ask {whom}",
        division.part()
    );
    let answer = Misdirected {
        error,
        part,
        active,
    };
    Some((StatusCode::MISDIRECTED_REQUEST, Json(answer)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_stands_in_the_path_or_in_the_query() {
        for (uri, expected) in [
            ("/accounts/alice", Some("alice")),
            ("/v1/accounts/alice", Some("alice")),
            ("/accounts", None),
            (
                "/v1/ledger?limit=3&account=alice%2Fgprs",
                Some("alice/gprs"),
            ),
            ("/records?account=alice&call_id=1", Some("alice")),
            ("/invoices/preview?account=bob&period=2026-10", Some("bob")),
            ("/trial-balance", None),
            ("/sessions", None),
        ] {
            let uri: Uri = uri.parse().unwrap();
            assert_eq!(account(&uri).as_deref(), expected, "{uri}");
        }
    }
}
