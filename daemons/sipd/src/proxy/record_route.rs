//! Our own Route and Record-Route entries.

use crate::calls::CallNumber;
use crate::core::Core;
use crate::listeners::Listener;
use crate::services::Services;
use tollwire_sip::transaction::{Flow, Transport};
use tollwire_sip::{HeaderName, Message, NameAddr, Uri};

/// URI parameter with the number of the call the entry was made for.
const CALL: &str = "tw-call";
/// URI parameter that shows that an entry for another dialog is ours.
const PROOF: &str = "tw-dialog";

/// What an entry of ours says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnRoute {
    /// It brings requests of this call.
    Call(CallNumber),
    /// It brings requests of a dialog that is no call.
    Dialog(u64),
    /// It only names this proxy: a preloaded route.
    Plain,
}

impl<S: Services> Core<S> {
    /// Reads a Route or Record-Route value if it is ours.
    pub(crate) fn own_route(&self, value: &str) -> Option<OwnRoute> {
        let address = NameAddr::parse(value).ok()?;
        self.own_uri(address.uri)
    }

    /// Reads a URI if it is one of ours.
    pub(crate) fn own_uri(&self, text: &str) -> Option<OwnRoute> {
        let uri = Uri::parse(text).ok()?;
        let uri = uri.sip()?;
        let named = match uri.host {
            tollwire_sip::Host::Name(name) => self.policy.is_local_domain(name),
            host => self.listeners.is_own(host, uri.port_or_default()),
        };
        if !named || uri.user.is_some() {
            return None;
        }
        if let Some(number) = uri.params.value(CALL) {
            return CallNumber::parse(number).map(OwnRoute::Call);
        }
        if let Some(proof) = uri.params.value(PROOF) {
            return u64::from_str_radix(proof, 16).ok().map(OwnRoute::Dialog);
        }
        Some(OwnRoute::Plain)
    }

    /// Puts our entry on top of a copy that leaves by `out`: two where the
    /// request changes transport or address on its way through (RFC 5658 5).
    pub(crate) fn record_route(
        &self,
        copy: &mut Message,
        came: &Flow,
        out: &Listener,
        call: Option<CallNumber>,
    ) {
        let mark = match call {
            Some(number) => format!("{CALL}={number}"),
            None => {
                let proof = self
                    .tokens
                    .proof(copy.header(HeaderName::CallId).unwrap_or_default());
                format!("{PROOF}={proof:016x}")
            }
        };
        if let Some(inbound) = self.listeners.of(came)
            && (inbound.transport, inbound.advertised) != (out.transport, out.advertised)
        {
            copy.push_front(HeaderName::RecordRoute, &entry(inbound, &mark));
        }
        copy.push_front(HeaderName::RecordRoute, &entry(out, &mark));
    }

    /// Whether a Dialog entry was made here for this Call-ID.
    pub(crate) fn is_proven(&self, proof: u64, request: &Message) -> bool {
        request
            .header(HeaderName::CallId)
            .is_some_and(|call_id| self.tokens.proof(call_id) == proof)
    }
}

fn entry(listener: &Listener, mark: &str) -> String {
    let transport = match listener.transport {
        Transport::Udp => "",
        Transport::Tcp => ";transport=tcp",
        Transport::Tls => ";transport=tls",
    };
    format!("<sip:{}{transport};lr;{mark}>", listener.advertised)
}
