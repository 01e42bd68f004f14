//! Offer and answer inside one dialog (RFC 3264, RFC 6337): which session
//! description answers which, in INVITE, PRACK, UPDATE and ACK.

use super::{Component, Endpoint, Gate, MediaKind, Side};
use smallvec::SmallVec;
use std::rc::Rc;
use tollwire_sip::Method;
use tollwire_sip::sdp::{self, SessionDescription};

/// Exchanges that may be open at once: an INVITE's beside a PRACK's or UPDATE's.
const MAX_EXCHANGES: usize = 4;

/// An offer that may still be answered.
#[derive(Debug, Clone)]
struct Exchange {
    /// Who sent the request the exchange belongs to.
    requester: Side,
    method: Method,
    sequence: u32,
    /// Who sent the offer: with an INVITE that carries none, the one answering it.
    offerer: Side,
    offer: Rc<SessionDescription>,
}

/// Open offers of a dialog.
#[derive(Debug, Clone, Default)]
pub struct Negotiation {
    exchanges: SmallVec<[Exchange; 1]>,
}

impl Negotiation {
    /// A dialog made by an INVITE of the caller.
    pub fn new(sequence: u32, offer: Option<Rc<SessionDescription>>) -> Self {
        let mut negotiation = Self::default();
        if let Some(offer) = offer {
            negotiation.open(Side::Caller, Method::Invite, sequence, Side::Caller, offer);
        }
        negotiation
    }

    /// A request passes. Returns the streams agreed if its body is an answer.
    pub fn request(
        &mut self,
        from: Side,
        method: &Method,
        sequence: u32,
        body: Option<Box<SessionDescription>>,
    ) -> Option<Vec<Component>> {
        let body = body?;
        match method {
            // An offer in a response to INVITE is answered in the ACK, or in
            // the PRACK of the reliable response that carried it (RFC 3261 13.2.1, RFC 3262 5).
            Method::Ack | Method::Prack => {
                let position = self.exchanges.iter().position(|exchange| {
                    exchange.requester == from
                        && exchange.method == Method::Invite
                        && exchange.offerer == from.other()
                        && (*method == Method::Prack || exchange.sequence == sequence)
                });
                if let Some(position) = position {
                    let exchange = self.exchanges.remove(position);
                    return Some(components(&exchange, &body));
                }
                if *method == Method::Prack {
                    self.open(from, Method::Prack, sequence, from, Rc::from(body));
                }
                None
            }
            Method::Invite | Method::Update => {
                self.open(from, method.clone(), sequence, from, Rc::from(body));
                None
            }
            _ => None,
        }
    }

    /// A response passes. Returns the streams agreed if its body is an answer.
    pub fn response(
        &mut self,
        from: Side,
        method: &Method,
        sequence: u32,
        status: u16,
        body: Option<Box<SessionDescription>>,
    ) -> Option<Vec<Component>> {
        let requester = from.other();
        let position = self.exchanges.iter().position(|exchange| {
            exchange.requester == requester
                && exchange.method == *method
                && exchange.sequence == sequence
        });
        if status >= 300 {
            // A refused request takes its offer back (RFC 3261 14.1, RFC 3311 5.2).
            if let Some(position) = position {
                self.exchanges.remove(position);
            }
            return None;
        }
        let Some(body) = body else {
            if status >= 200
                && let Some(position) = position
                && self
                    .exchanges
                    .get(position)
                    .is_some_and(|exchange| exchange.offerer == requester)
            {
                self.exchanges.remove(position);
            }
            return None;
        };
        let Some(exchange) = position.and_then(|at| self.exchanges.get_mut(at)) else {
            if *method == Method::Invite {
                self.open(requester, Method::Invite, sequence, from, Rc::from(body));
            }
            return None;
        };
        if exchange.offerer == from {
            exchange.offer = Rc::from(body);
            return None;
        }
        // The same answer may come in several provisional responses and again
        // in the 2xx: the offer stays until the final response.
        let agreed = components(exchange, &body);
        if status >= 200
            && let Some(position) = position
        {
            self.exchanges.remove(position);
        }
        Some(agreed)
    }

    fn open(
        &mut self,
        requester: Side,
        method: Method,
        sequence: u32,
        offerer: Side,
        offer: Rc<SessionDescription>,
    ) {
        self.exchanges.retain(|exchange| {
            !(exchange.requester == requester
                && exchange.method == method
                && exchange.sequence == sequence)
        });
        if self.exchanges.len() >= MAX_EXCHANGES {
            self.exchanges.remove(0);
        }
        self.exchanges.push(Exchange {
            requester,
            method,
            sequence,
            offerer,
            offer,
        });
    }
}

/// The agreed streams, seen from the caller.
fn components(exchange: &Exchange, answer: &SessionDescription) -> Vec<Component> {
    let by_caller = exchange.offerer == Side::Caller;
    // An answer that does not fit its offer opens nothing: the call goes on without media.
    sdp::flows(&exchange.offer, answer)
        .unwrap_or_default()
        .into_iter()
        .map(|flow| {
            let (caller, callee) = if by_caller {
                (flow.offerer, flow.answerer)
            } else {
                (flow.answerer, flow.offerer)
            };
            let (from_offerer, from_answerer) = if by_caller {
                (Gate::FromCaller, Gate::FromCallee)
            } else {
                (Gate::FromCallee, Gate::FromCaller)
            };
            let gate = match flow.direction {
                sdp::FlowDirection::Sendrecv => Gate::Both,
                sdp::FlowDirection::OffererToAnswerer => from_offerer,
                sdp::FlowDirection::AnswererToOfferer => from_answerer,
                sdp::FlowDirection::Inactive => Gate::Shut,
                sdp::FlowDirection::Removed => Gate::Removed,
            };
            Component {
                number: flow.number,
                kind: kind(&flow.kind),
                caller: endpoint(caller),
                callee: endpoint(callee),
                gate,
                bandwidth_kbit: (flow.bandwidth_to_offerer)
                    .max(flow.bandwidth_to_answerer)
                    .and_then(|kbit| u32::try_from(kbit).ok()),
            }
        })
        .collect()
}

fn kind(kind: &sdp::MediaKind) -> MediaKind {
    match kind {
        sdp::MediaKind::Audio => MediaKind::Audio,
        sdp::MediaKind::Video => MediaKind::Video,
        sdp::MediaKind::Text => MediaKind::Text,
        sdp::MediaKind::Application => MediaKind::Application,
        sdp::MediaKind::Message => MediaKind::Message,
        sdp::MediaKind::Image | sdp::MediaKind::Other(_) => MediaKind::Other,
    }
}

/// `None` for what is removed or held with an unspecified address.
fn endpoint(endpoint: sdp::Endpoint) -> Option<Endpoint> {
    let usable = !endpoint.rtp.ip().is_unspecified() && endpoint.rtp.port() != 0;
    usable.then_some(Endpoint {
        rtp: endpoint.rtp,
        rtcp: endpoint.rtcp,
    })
}
