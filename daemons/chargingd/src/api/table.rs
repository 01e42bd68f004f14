//! Which routes there are, and who may use each. What does not stand here is not served, and `openapi.json` describes
//! exactly what does.

use axum::extract::Query;
use axum::http::Uri;
use axum::response::Response;
use tollwire_runtime::admin::Problem;

use crate::caller::{Caller, OfAccount, Right};

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Everybody who gets this far.
    Nothing,
    /// Whoever is known.
    Known,
    /// Operators and readers.
    Read,
    /// They, and the customer whose account the path names after `/v1/accounts/`.
    OwnPath,
    /// They, and the customer whose account the query names.
    OwnQuery,
    /// They, and the customer whose account the answer is of, as it says itself.
    OwnAnswer,
    /// Operators.
    Operate,
    /// The route itself looks at what is to be changed: [`Caller::may`].
    Change,
}

/// Method, path and who may.
pub(super) type Route = (&'static str, &'static str, Need);

/// Every route.
pub(super) const ROUTES: &[Route] = &[
    ("GET", "/v1/openapi.json", Need::Nothing),
    ("GET", "/v1/health", Need::Known),
    ("GET", "/v1/accounts", Need::Read),
    ("GET", "/v1/accounts/{name}", Need::OwnPath),
    ("POST", "/v1/operations", Need::Change),
    ("GET", "/v1/sessions", Need::Read),
    ("GET", "/v1/tariffs", Need::Read),
    ("GET", "/v1/calling-groups", Need::Read),
    ("GET", "/v1/records", Need::OwnQuery),
    ("GET", "/v1/ledger", Need::OwnQuery),
    ("GET", "/v1/trial-balance", Need::Read),
    ("GET", "/v1/notifications", Need::Read),
    ("GET", "/v1/vouchers", Need::Read),
    ("POST", "/v1/vouchers", Need::Change),
    ("GET", "/v1/audit", Need::Read),
    ("GET", "/v1/invoices", Need::OwnQuery),
    ("GET", "/v1/invoices/{file}", Need::OwnAnswer),
    ("GET", "/v1/invoices/preview", Need::OwnQuery),
    ("GET", "/v1/invoices/periods", Need::Read),
    ("POST", "/v1/invoices/close", Need::Operate),
    ("GET", "/v1/settlements/{file}", Need::Read),
    ("GET", "/v1/peers/sessions", Need::Read),
    ("GET", "/v1/peers/sessions/{id}", Need::Read),
    ("POST", "/v1/peers/sessions/{id}/close", Need::Operate),
];

/// Who may use a route, by its method and its path as it stands in the table.
pub(super) fn need(method: &str, path: &str) -> Option<Need> {
    let found = ROUTES
        .iter()
        .find(|(its_method, its_path, _)| *its_method == method && *its_path == path);
    found.map(|(_, _, need)| *need)
}

/// Whether `caller` may use it for `uri`.
///
/// # Errors
/// 403; or 404 for another's account, as if there were none.
pub(super) fn allow(need: Need, caller: &Caller, uri: &Uri) -> Result<(), Problem> {
    let own = match (caller.right(), need) {
        (Right::Operate, _) => return Ok(()),
        (Right::Read, Need::Operate) => return Err(caller.forbidden()),
        (Right::Read, _) => return Ok(()),
        (Right::Customer(own), _) => own,
    };
    let asked = match need {
        Need::Nothing | Need::Known | Need::Change | Need::OwnAnswer => return Ok(()),
        Need::Read | Need::Operate => return Err(caller.forbidden()),
        // Compared as it is written: a name has no character that would have to be escaped.
        Need::OwnPath => uri.path().split('/').nth(3).map(str::to_owned),
        Need::OwnQuery => of_query(uri),
    };
    match asked {
        None => Err(caller.forbidden()),
        Some(asked) if is_own(&asked, own) => Ok(()),
        Some(asked) => Err(Problem::not_found(format!("no account {asked}"))),
    }
}

/// Whether he may have this answer.
///
/// # Errors
/// 404 for what is another's, and for what there is not, alike.
pub(super) fn allow_answer(
    need: Need,
    caller: &Caller,
    response: &Response,
) -> Result<(), Problem> {
    match (need, caller.right()) {
        (Need::OwnAnswer, Right::Customer(own))
            if response.extensions().get() != Some(&OfAccount(own.clone())) =>
        {
            Err(Problem::not_found("there is none, or it is another's"))
        }
        _ => Ok(()),
    }
}

/// The customer's account or one of his service accounts.
fn is_own(asked: &str, own: &str) -> bool {
    asked == own
        || asked
            .strip_prefix(own)
            .is_some_and(|rest| rest.starts_with('/'))
}

/// The one `account` of the query.
fn of_query(uri: &Uri) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let mut named = pairs.into_iter().filter(|(key, _)| key == "account");
    let (_, account) = named.next()?;
    named.next().is_none().then_some(account)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_description_describes_the_routes_and_no_others() {
        let description: Value = serde_json::from_str(super::super::OPENAPI).unwrap();
        let mut described = BTreeSet::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                described.insert((method.to_uppercase(), path.clone()));
            }
        }
        let served: BTreeSet<(String, String)> = ROUTES
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(described, served);
        assert_eq!(served.len(), ROUTES.len(), "one stands twice");
    }

    #[test]
    fn a_customer_sees_his_own_account_alone() {
        let alice = Caller::new("token alice", Right::Customer("alice".into()));
        let status = |need, uri: &str| match allow(need, &alice, &uri.parse().unwrap()) {
            Ok(()) => 200,
            Err(problem) => problem.status,
        };
        for (need, uri, expected) in [
            (Need::OwnPath, "/v1/accounts/alice", 200),
            (Need::OwnPath, "/v1/accounts/bob", 404),
            (Need::OwnPath, "/v1/accounts/alicent", 404),
            (Need::OwnPath, "/v1/accounts/al%69ce", 404),
            (Need::OwnQuery, "/v1/ledger?account=alice", 200),
            (Need::OwnQuery, "/v1/ledger?account=alice/gprs", 200),
            (
                Need::OwnQuery,
                "/v1/ledger?account=alice%2Fgprs&limit=1",
                200,
            ),
            (Need::OwnQuery, "/v1/ledger?account=bob", 404),
            (Need::OwnQuery, "/v1/ledger?account=alicent", 404),
            (Need::OwnQuery, "/v1/ledger?account=alice&account=bob", 403),
            (Need::OwnQuery, "/v1/ledger?account=bob&account=alice", 403),
            (Need::OwnQuery, "/v1/ledger", 403),
            (Need::Read, "/v1/accounts", 403),
            (Need::Operate, "/v1/invoices/close", 403),
            (Need::OwnAnswer, "/v1/invoices/1.pdf", 200),
            (Need::Known, "/v1/health", 200),
        ] {
            assert_eq!(status(need, uri), expected, "{uri}");
        }
        let reader = Caller::new("token reports", Right::Read);
        for need in [Need::Read, Need::OwnPath, Need::OwnQuery] {
            assert!(allow(need, &reader, &"/v1/ledger".parse().unwrap()).is_ok());
        }
        assert!(allow(Need::Operate, &reader, &"/".parse().unwrap()).is_err());
        let mut answer = Response::default();
        for (of, right) in [(None, false), (Some("bob"), false), (Some("alice"), true)] {
            if let Some(of) = of {
                answer.extensions_mut().insert(OfAccount(of.into()));
            }
            assert_eq!(
                allow_answer(Need::OwnAnswer, &alice, &answer).is_ok(),
                right
            );
            assert!(allow_answer(Need::OwnAnswer, &reader, &answer).is_ok());
        }
    }
}
