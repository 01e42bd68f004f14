//! From a ServiceCredentialRequest to both credentials.

use tollwire_peer::{Reason, Refusal, Word};

use super::{Change, Core, MOST_TAKING, Open, Work, busy, refuse, wait};
use crate::peer::effect::{Effect, Reply};
use crate::peer::event::{Begun, ClientId, CredentialRequest, Delivered};
use crate::peer::gate::{Counted, What};
use crate::peer::measure::Per;
use crate::peer::session::{Flags, Kind, Order, Revocation, Session, State};

/// How long after its request a credential may still be given out: who asked has gone, and comes again within that.
const PATIENCE_MS: i64 = 120_000;

impl Core {
    pub(super) fn request(
        &mut self,
        now: i64,
        client: ClientId,
        request: CredentialRequest,
        effects: &mut Vec<Effect>,
    ) {
        self.counters.requests += 1;
        let settings = self.settings.clone();
        let Some(offer) = settings.offers.get(&request.service) else {
            self.counters.refused += 1;
            let what = "no service of this name";
            return refuse(client, Word::UnknownService, what, effects);
        };
        let of_datagrams = offer.terms.gate.is_some() || offer.terms.address.starts_with("udp://");
        let fault = match request.udp_port {
            None if offer.terms.gate.is_some() => {
                Some("service.udp_port is missing: the port that you will send from")
            }
            Some(_) if !of_datagrams => Some("service.udp_port is for services of datagrams alone"),
            _ => None,
        };
        if let Some(what) = fault {
            self.counters.refused += 1;
            return refuse(client, Word::Malformed, what, effects);
        }
        let all = self.open.len().saturating_add(self.taking);
        if self.taking >= MOST_TAKING || all >= settings.max_sessions {
            let what = "as many sessions as there may be";
            return refuse(client, Word::TooMany, what, effects);
        }
        let of_user = self.of_user.get(&request.user);
        if of_user.is_some_and(|count| *count >= settings.max_sessions_per_user) {
            let what = "you have as many sessions as you may";
            return refuse(client, Word::TooMany, what, effects);
        }
        let session = Session {
            id: request.session,
            request_id: request.request_id,
            user: request.user,
            ip: request.ip,
            udp_port: request.udp_port,
            terms: offer.terms.clone(),
            began_ms: now,
            not_before: now / 1000,
            not_after: (now / 1000).saturating_add(offer.lifetime_seconds.into()),
            keys: Some(request.keys),
            state: State::Issuing,
            failure: None,
            order: Some(Order {
                kind: Kind::Initial,
                number: 0,
                charged: Per::default(),
                wanted: true,
                message: None,
            }),
            number: 1,
            sequence: 0,
            reported: Per::default(),
            charged: Per::default(),
            granted: Per::default(),
            last: false,
            cost_micro: 0,
            currency: 0,
            heard_ms: now,
            counted: Counted::default(),
            cause: None,
            ended_ms: None,
            flags: Flags::default(),
            revocation: None,
        };
        self.taking += 1;
        self.enter(&session.user);
        effects.push(Effect::Begin {
            client,
            session: Box::new(session),
            digest: request.digest,
            chain: request.chain,
            nonce: request.nonce,
            nonce_until_ms: request.nonce_until_ms,
        });
    }

    pub(super) fn begun(
        &mut self,
        now: i64,
        client: ClientId,
        session: Session,
        outcome: Option<Begun>,
        effects: &mut Vec<Effect>,
    ) {
        self.taking = self.taking.saturating_sub(1);
        if outcome != Some(Begun::Stored) {
            self.leave(&session.user);
        }
        match outcome {
            None => effects.push(Effect::Reply {
                client,
                reply: busy(),
            }),
            Some(Begun::Stored) => {
                let id = session.id.clone();
                let mut open = Open::new(session, now);
                open.waiting.push(client);
                self.open.insert(id.clone(), open);
                self.go_on(now, &id, effects);
            }
            Some(Begun::Known(session, answer)) => match self.open.get_mut(&session.id) {
                // Answered it is when its provider has acknowledged.
                Some(open)
                    if matches!(
                        open.session.state,
                        State::Issuing | State::Granted | State::Failing
                    ) =>
                {
                    wait(&mut open.waiting, client, effects);
                }
                known => {
                    // One that has just failed, and what was read of it is older.
                    let old = known.is_none() && session.state != State::Closed;
                    let reply = match (session.failure, answer) {
                        (Some(failure), _) => Reply::Refused(failure),
                        (None, Some(answer)) if !old => Reply::Token(answer),
                        (None, _) => busy(),
                    };
                    effects.push(Effect::Reply { client, reply });
                }
            },
            Some(Begun::Replayed) => {
                self.counters.refused += 1;
                let what = "request_id or nonce was used by another request";
                refuse(client, Word::Replayed, what, effects);
            }
        }
    }

    /// The session does not come about: what is held goes back, and the user hears why.
    /// `told`: whether its provider may have heard of it.
    pub(super) fn fail(
        &mut self,
        id: &str,
        failure: Refusal,
        told: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let mut session = open.session.clone();
        if told {
            session.revocation = Some(Revocation {
                reason: Reason::Operator,
                taken: false,
            });
        }
        session.state = State::Failing;
        session.failure = Some(failure);
        session.give_order(Kind::Terminate, session.charged, None);
        self.store(Change::of(session), effects);
    }

    /// The credit is held: the gate is opened, and the provider told.
    pub(super) fn deliver(&mut self, now: i64, id: &str, effects: &mut Vec<Effect>) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        let session = &open.session;
        // Begun long ago, by somebody who has not come again.
        let old = now.saturating_sub(session.began_ms) > PATIENCE_MS && open.waiting.is_empty();
        let Some(credentials) = open.credentials.as_ref().filter(|_| !old) else {
            let failure = Refusal::new(Word::Unavailable, "nobody waited for the credential");
            return self.fail(id, failure, true, effects);
        };
        if let Some(order) = session.gate_order()
            && !open.gate_open
        {
            open.work = Work::Opening;
            let (what, order) = (What::Open, Box::new(order));
            return effects.push(Effect::Gate { what, order });
        }
        let credential = credentials.user_credential.clone();
        open.work = Work::Delivering;
        effects.push(Effect::Deliver {
            id: session.id.clone(),
            provider: session.terms.provider.clone(),
            url: session.terms.credentials_url.clone(),
            credential,
        });
    }

    pub(super) fn delivered(
        &mut self,
        now: i64,
        id: &str,
        result: Delivered,
        effects: &mut Vec<Effect>,
    ) {
        let Some(open) = self.open.get_mut(id) else {
            return;
        };
        if open.work != Work::Delivering {
            return;
        }
        open.work = Work::Idle;
        match result {
            Delivered::Acknowledged => {
                let mut session = open.session.clone();
                session.state = State::Open;
                session.heard_ms = now;
                open.heard_ms = now;
                self.store(Change::of(session), effects);
            }
            Delivered::Refused(why) | Delivered::Unreachable(why) => {
                tracing::warn!(
                    session = id, provider = %open.session.terms.provider, %why,
                    "a provider does not acknowledge a credential"
                );
                let what = "the provider did not acknowledge the credential; nothing was charged";
                let failure = Refusal::new(Word::ProviderUnreachable, what);
                // It may have it all the same.
                self.fail(id, failure, true, effects);
            }
        }
        self.go_on(now, id, effects);
    }
}
