//! The audit log: who changed what, and what came of it. Stored with the change itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::effect::{Mutation, Refusal, Reply};
use crate::event::Operation;
use crate::invoice::Keep;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When, milliseconds since 1970.
    pub unix_ms: i64,
    /// Who: `uid 0` at the Unix socket, `token NAME` or `certificate NAME` at the API.
    pub who: Box<str>,
    /// What: an operation's name.
    pub operation: Box<str>,
    /// The account, if it is of one.
    pub account: Box<str>,
    /// The operation's fields as JSON, secrets left out.
    pub detail: Box<str>,
    /// `done`, or why not.
    pub outcome: Box<str>,
}

/// Octets of the detail that are kept.
const LONGEST_DETAIL: usize = 8192;

/// What an operation is, before it is known what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    operation: Box<str>,
    account: Box<str>,
    detail: Box<str>,
}

impl Description {
    /// Of this; the codes and hashes of vouchers stay out.
    pub fn of(operation: &Operation) -> Self {
        let value = serde_json::to_value(operation).unwrap_or_default();
        let (name, mut fields) = match value {
            Value::Object(one) => one.into_iter().next().unwrap_or_default(),
            _ => Default::default(),
        };
        if let Some(fields) = fields.as_object_mut() {
            fields.remove("code");
            if let Some(hashes) = fields.remove("hashes") {
                let count = hashes.as_array().map_or(0, Vec::len);
                fields.insert("count".into(), count.into());
            }
        }
        let account = ["account", "name"]
            .into_iter()
            .find_map(|key| fields.get(key)?.as_str())
            .unwrap_or_default();
        let account = account.into();
        let detail = fields.to_string();
        Self {
            operation: name.into(),
            account,
            detail: match detail.len() > LONGEST_DETAIL {
                true => "{\"too_long\":true}".into(),
                false => detail.into(),
            },
        }
    }

    /// The account; empty if it is of none.
    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    /// With what came of it.
    pub fn outcome(self, unix_ms: i64, who: &str, result: &Result<Reply, Refusal>) -> Entry {
        let account = match result {
            // An identity's account is known afterwards.
            Ok(Reply::Account(view)) => view.account.name.clone(),
            _ => self.account,
        };
        Entry {
            unix_ms,
            who: who.into(),
            operation: self.operation,
            account,
            detail: self.detail,
            outcome: match result {
                Ok(_) => "done".into(),
                Err(refusal) => refusal.to_string().into(),
            },
        }
    }
}

/// The way into the log for what is changed beside the core.
#[derive(Clone)]
pub(crate) struct Log(mpsc::Sender<Keep>);

impl Log {
    pub(crate) fn new(keeps: mpsc::Sender<Keep>) -> Self {
        Self(keeps)
    }

    /// Whether the line is stored.
    pub(crate) async fn note(&self, entry: Entry) -> bool {
        let (done, kept) = std::sync::mpsc::sync_channel(1);
        let mutations = vec![Mutation::Audit(Box::new(entry))];
        if self.0.send(Keep { mutations, done }).await.is_err() {
            return false;
        }
        let kept = tokio::task::spawn_blocking(move || kept.recv()).await;
        matches!(kept, Ok(Ok(true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voucher::Code;

    #[test]
    fn secrets_are_left_out() {
        let code = Code::of([0x48; 20]);
        let redeem = Operation::RedeemVoucher {
            account: "alice".into(),
            code: code.clone(),
            reference: "r1".into(),
        };
        let refused = Err(Refusal::NotFound("no voucher has this code".into()));
        let entry = Description::of(&redeem).outcome(7, "uid 0", &refused);
        assert_eq!(
            entry,
            Entry {
                unix_ms: 7,
                who: "uid 0".into(),
                operation: "redeem-voucher".into(),
                account: "alice".into(),
                detail: r#"{"account":"alice","reference":"r1"}"#.into(),
                outcome: "no voucher has this code".into(),
            }
        );
        let issue = Operation::IssueVouchers {
            batch: "spring".into(),
            amount_micro: 5,
            currency: iso_currency::Currency::EUR,
            expires_unix_ms: 9,
            hashes: vec![code.hash(); 2],
        };
        let detail = Description::of(&issue).detail;
        assert_eq!(
            &*detail,
            r#"{"amount_micro":5,"batch":"spring","count":2,"currency":"EUR","expires_unix_ms":9}"#
        );
    }
}
