//! What matches a message to its transaction.

use crate::{Message, Method};

/// RFC 3261 17.1.3: the branch of the topmost Via, and the method of CSeq.
pub(super) fn client(branch: &str, method: &Method) -> Box<str> {
    let class = match method {
        Method::Invite => 'I',
        Method::Cancel => 'C',
        _ => 'N',
    };
    let mut key = String::with_capacity(branch.len() + 1);
    key.push(class);
    key.push_str(branch);
    key.into()
}

/// RFC 3261 17.2.3: branch, sent-by and method, an ACK standing for its INVITE. Requests without the
/// magic cookie are matched by what RFC 2543 has, which is everything in the topmost Via and the dialog.
pub(super) fn server(request: &Message, method: &Method) -> Option<Box<str>> {
    let method = match method {
        Method::Ack => "INVITE",
        other => other.as_str(),
    };
    let via = request.via().ok()?;
    let port = via.port.unwrap_or(0);
    let key = match via.transaction_branch() {
        Some(branch) => format!("{branch} {method} {}:{port}", via.host),
        None => format!(
            "{} {} {} {method} {}:{port};{}",
            request.call_id().ok()?,
            request.from().ok()?.tag().unwrap_or_default(),
            request.cseq().ok()?.number,
            via.host,
            via.branch().unwrap_or_default(),
        ),
    };
    Some(key.into())
}
