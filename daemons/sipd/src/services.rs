//! What the core needs of registrar and authentication.

use std::net::SocketAddr;
use tollwire_runtime::clock::Now;
use tollwire_sip::Message;
use tollwire_sip::transaction::{Flow, ServerTransactionId};

/// One place a request may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The new Request-URI.
    pub uri: Box<str>,
    /// Route values to put on top (RFC 3327).
    pub path: Vec<Box<str>>,
    /// Where the binding was registered from: used where the URI's own
    /// address cannot be reached.
    pub flow: Option<Flow>,
}

/// Who sent a request.
#[derive(Debug)]
pub enum Verdict {
    /// Known: this identity (a SIP URI or number) pays.
    Known {
        /// Subscription-Id for the charging system.
        identity: Box<str>,
    },
    /// Not known (yet): this response asks for credentials or refuses.
    Answer(Message),
}

/// Registrar, location and authentication as the proxy sees them.
pub trait Services {
    /// Checks the credentials of a request that is to be forwarded (407).
    fn authenticate(&mut self, now: Now, request: &Message, source: SocketAddr) -> Verdict;

    /// The bindings of an address-of-record: groups in order of preference,
    /// those of a group are tried at once.
    fn lookup(&mut self, now: Now, address_of_record: &str) -> Vec<Vec<Target>>;

    /// Takes a REGISTER. The answer, unless it comes later under `transaction`.
    fn register(
        &mut self,
        now: Now,
        transaction: ServerTransactionId,
        request: &Message,
        flow: Flow,
    ) -> Option<Message>;
}
