//! A call's dialog as the record-routing proxy between its parties sees it:
//! enough to address requests to either of them in the other's name.

use crate::calls::Side;
use serde::{Deserialize, Serialize};
use tollwire_sip::{HeaderName, Message, Method, RequestBuilder};

/// More requests than a party sends between two journal lines of its call.
const UNSEEN_REQUESTS: u32 = 1000;

/// Route values kept per side.
const MAX_ROUTES: usize = 16;

/// One party.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Its From or To value, tag included.
    pub address: Box<str>,
    /// Its tag.
    pub tag: Box<str>,
    /// Its Contact URI: the remote target of requests to it.
    pub target: Box<str>,
    /// Proxies between us and it, in the order a request to it passes them.
    pub routes: Vec<Box<str>>,
    /// Highest CSeq of its own requests.
    pub sequence: u32,
}

/// A confirmed dialog.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: Box<str>,
    /// Who sent the INVITE.
    pub caller: Party,
    /// Who answered.
    pub callee: Party,
    /// CSeq of the INVITE.
    pub invite_sequence: u32,
}

impl Dialog {
    /// The dialog a 2xx makes. `request` as it reached us; `response` as it
    /// came from the branch, our Via removed or not; `is_own` tells our own
    /// Record-Route entries.
    pub fn from_answer(
        request: &Message,
        response: &Message,
        is_own: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let sequence = response.cseq().ok()?.number;
        let from = response.from().ok()?;
        let to = response.to().ok()?;
        let record_routes: Vec<&str> = response.headers(HeaderName::RecordRoute).collect();
        // Above our entry: those the request passed after us, the last on top.
        let own = record_routes.iter().position(|value| is_own(value));
        let mut towards_callee: Vec<Box<str>> = record_routes
            .get(..own.unwrap_or(0))
            .unwrap_or_default()
            .iter()
            .map(|value| (*value).into())
            .take(MAX_ROUTES)
            .collect();
        towards_callee.reverse();
        let towards_caller = request
            .headers(HeaderName::RecordRoute)
            .map(Box::from)
            .take(MAX_ROUTES)
            .collect();
        Some(Self {
            call_id: response.call_id().ok()?.into(),
            invite_sequence: sequence,
            caller: Party {
                address: response.header(HeaderName::From)?.into(),
                tag: from.tag().unwrap_or_default().into(),
                target: contact(request).unwrap_or_else(|| from.uri.into()),
                routes: towards_caller,
                sequence,
            },
            callee: Party {
                address: response.header(HeaderName::To)?.into(),
                tag: to.tag().unwrap_or_default().into(),
                target: contact(response).unwrap_or_else(|| to.uri.into()),
                routes: towards_callee,
                sequence: 0,
            },
        })
    }

    /// One party.
    pub fn party(&self, side: Side) -> &Party {
        match side {
            Side::Caller => &self.caller,
            Side::Callee => &self.callee,
        }
    }

    fn party_mut(&mut self, side: Side) -> &mut Party {
        match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        }
    }

    /// A request of `from` passes.
    pub fn note_request(&mut self, from: Side, request: &Message) {
        let Ok(sequence) = request.cseq() else {
            return;
        };
        let party = self.party_mut(from);
        if *request.method() != Method::Ack {
            party.sequence = party.sequence.max(sequence.number);
        }
        if refreshes_target(request.method())
            && let Some(target) = contact(request)
        {
            party.target = target;
        }
    }

    /// The journal that this dialog was read from does not tell of each request (INFO, say): our next
    /// CSeq is above theirs. Gaps are allowed (RFC 3261 12.2.2).
    pub fn pass_over_unseen_requests(&mut self) {
        for party in [&mut self.caller, &mut self.callee] {
            party.sequence = party.sequence.saturating_add(UNSEEN_REQUESTS);
        }
    }

    /// A response of `from` passes.
    pub fn note_response(&mut self, from: Side, response: &Message) {
        let is_success = response
            .status()
            .is_some_and(|status| (200..300).contains(&status));
        if is_success
            && refreshes_target(response.method())
            && let Some(target) = contact(response)
        {
            self.party_mut(from).target = target;
        }
    }

    /// A BYE to `to` in the other's name, without Via. Uses up a CSeq number.
    pub fn bye(&mut self, to: Side, reason: Option<&str>) -> Message {
        let sender = self.party_mut(to.other());
        sender.sequence = sender.sequence.saturating_add(1);
        let sequence = sender.sequence;
        let builder = self.request(Method::Bye, to, sequence);
        match reason {
            Some(reason) => builder.header(HeaderName::Reason, reason).build(),
            None => builder.build(),
        }
    }

    /// The ACK of the callee's 2xx in the caller's name, without Via.
    pub fn ack(&self) -> Message {
        self.request(Method::Ack, Side::Callee, self.invite_sequence)
            .build()
    }

    fn request(&self, method: Method, to: Side, sequence: u32) -> RequestBuilder {
        let recipient = self.party(to);
        let sender = self.party(to.other());
        let cseq = format!("{sequence} {method}");
        let mut builder = RequestBuilder::new(method, &recipient.target);
        for route in &recipient.routes {
            builder = builder.header(HeaderName::Route, route);
        }
        builder
            .header(HeaderName::MaxForwards, "70")
            .header(HeaderName::From, &sender.address)
            .header(HeaderName::To, &recipient.address)
            .header(HeaderName::CallId, &self.call_id)
            .header(HeaderName::CSeq, &cseq)
    }
}

/// RFC 3261 12.2, RFC 3311 5.1: target refresh requests.
fn refreshes_target(method: &Method) -> bool {
    matches!(method, Method::Invite | Method::Update)
}

fn contact(message: &Message) -> Option<Box<str>> {
    message.contact().ok().map(|contact| contact.uri.into())
}
