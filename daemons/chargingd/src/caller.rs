//! Who asks, and what he may have done.

use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use tollwire_runtime::admin::{Peer, Problem};

use crate::event::Operation;

/// What a caller may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Right {
    /// Look at everything.
    Read,
    /// Change everything.
    Operate,
    /// Look at this account, and do what its customer may.
    Customer(Box<str>),
}

/// Stands in an answer whose account is known only then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfAccount(pub(crate) Box<str>);

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    who: Box<str>,
    right: Right,
}

impl Caller {
    /// This one.
    pub(crate) fn new(who: impl Into<Box<str>>, right: Right) -> Self {
        Self {
            who: who.into(),
            right,
        }
    }

    /// His name in the audit log.
    pub(crate) fn who(&self) -> &str {
        &self.who
    }

    /// What he may do.
    pub(crate) fn right(&self) -> &Right {
        &self.right
    }

    /// Whether he may have this done.
    ///
    /// # Errors
    /// 403; or 404 for another's account, as if there were none.
    pub(crate) fn may(&self, operation: &Operation) -> Result<(), Problem> {
        let own = match &self.right {
            Right::Operate => return Ok(()),
            Right::Read => return Err(self.forbidden()),
            Right::Customer(own) => own,
        };
        let account = match operation {
            Operation::SetProfile { account, .. }
            | Operation::SetServiceRules { account, .. }
            | Operation::CloseServiceAccount { account, .. }
            | Operation::Recharge { account, .. }
            | Operation::RedeemVoucher { account, .. } => account,
            _ => return Err(self.forbidden()),
        };
        match account == own {
            true => Ok(()),
            false => Err(Problem::not_found(format!("no account {account}"))),
        }
    }

    /// 403.
    pub(crate) fn forbidden(&self) -> Problem {
        let may = match &self.right {
            Right::Read => "read",
            Right::Operate => "operate",
            Right::Customer(_) => "see and manage his own account",
        };
        Problem::new(StatusCode::FORBIDDEN, format!("{} may {may}", self.who))
    }
}

/// Whoever may open the Unix socket is an operator; the kernel says who he is.
pub(crate) async fn of_socket(
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let who = match peer.uid {
        Some(uid) => format!("uid {uid}"),
        None => "uid unknown".into(),
    };
    let caller = Caller::new(who, Right::Operate);
    request.extensions_mut().insert(caller);
    next.run(request).await
}
