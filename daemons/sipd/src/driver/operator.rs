//! What the operator asks.

use serde_json::{Value, json};
use tollwire_runtime::admin::Problem;
use tollwire_runtime::clock::Now;
use tollwire_sip::Uri;

use super::{Driver, Storing, printed};
use crate::admin::{Ask, NewSubscriber, Reply, SubscriberView};
use crate::auth::{Secrets, Subscriber};
use crate::calls::CallNumber;
use crate::config::{CHARGING, LIMITER};
use crate::effect::Effect;
use crate::event::Event;
use crate::links::session_id;
use crate::store::Change;

/// The longest user name and password, octets.
const MAX_NAME: usize = 128;

impl Driver {
    pub(super) fn operator(&mut self, ask: Ask, reply: Reply, effects: &mut Vec<Effect>) {
        let answer = match ask {
            Ask::Health => Ok(json!({
                "charging": self.open_peers.contains(CHARGING),
                "limiter": self.open_peers.contains(LIMITER),
            })),
            Ask::Calls => Ok(self.calls()),
            Ask::Bindings => Ok(self.bindings()),
            Ask::Subscribers => Ok(self.subscribers()),
            Ask::EndCall(id) => {
                match CallNumber::parse(&id).filter(|call| self.core.has_call(*call)) {
                    Some(call) => {
                        self.core
                            .handle(Now::read(), Event::OperatorEnd(call), effects);
                        Ok(json!({ "id": id }))
                    }
                    None => Err(Problem::not_found(format!("no call {id}"))),
                }
            }
            Ask::PutSubscriber(username, subscriber) => {
                match self.new_subscriber(&username, subscriber) {
                    Ok(subscriber) => {
                        let view = json!(view(&subscriber));
                        self.keep(reply, view, Change::PutSubscriber(subscriber));
                        return;
                    }
                    Err(problem) => Err(problem),
                }
            }
            Ask::RemoveSubscriber(username) => {
                if self
                    .core
                    .services_mut()
                    .subscribers
                    .contains_key(&*username)
                {
                    let view = json!({ "username": username });
                    self.keep(reply, view, Change::RemoveSubscriber(username.into()));
                    return;
                }
                Err(Problem::not_found(format!("no subscriber {username}")))
            }
        };
        let _ = reply.send(answer);
    }

    fn keep(&mut self, reply: Reply, value: Value, change: Change) {
        let token = self.next_token();
        if self.store.submit(token, change.clone()).is_err() {
            let _ = reply.send(Err(Problem::unavailable("the store does not keep up")));
            return;
        }
        self.storing
            .insert(token, Storing::Operator(reply, value, Box::new(change)));
    }

    /// A change is on disk, or will never be: memory follows.
    pub(super) fn changed(&mut self, stored: bool, reply: Reply, value: Value, change: Change) {
        if !stored {
            let _ = reply.send(Err(Problem::unavailable(
                "not stored: the disk is full or failing; see the log",
            )));
            return;
        }
        let subscribers = &mut self.core.services_mut().subscribers;
        match change {
            Change::PutSubscriber(subscriber) => {
                subscribers.insert(subscriber.username.clone(), subscriber);
            }
            Change::RemoveSubscriber(username) => {
                subscribers.remove(&username);
            }
            Change::Bindings { .. } | Change::Expire(_) => {}
        }
        let _ = reply.send(Ok(value));
    }

    fn new_subscriber(
        &mut self,
        username: &str,
        new: NewSubscriber,
    ) -> Result<Subscriber, Problem> {
        let printable = |text: &str| {
            (1..=MAX_NAME).contains(&text.len())
                && !text
                    .chars()
                    .any(|character| character.is_control() || matches!(character, '"' | ':'))
        };
        if !printable(username) {
            return Err(Problem::bad_request(
                "a user name has 1 to 128 octets, without quotes, colons and control characters",
            ));
        }
        let services = self.core.services_mut();
        let uri = Uri::parse(&new.identity)
            .ok()
            .filter(|uri| uri.sip().is_some_and(|sip| sip.user.is_some()))
            .ok_or_else(|| {
                Problem::bad_request(format!("{} is no SIP URI with a user", new.identity))
            })?;
        let identity = services.canonical(&uri);
        let old = services.subscribers.get(username);
        let secrets = match (new.password, old) {
            (Some(password), _) if password.is_empty() || password.len() > MAX_NAME => {
                return Err(Problem::bad_request("a password has 1 to 128 octets"));
            }
            (Some(password), _) => Secrets::derive(username, &self.realm, &password),
            (None, Some(old)) => old.secrets,
            (None, None) => return Err(Problem::bad_request("a new subscriber needs a password")),
        };
        Ok(Subscriber {
            username: username.into(),
            secrets,
            identity: identity.into(),
            enabled: new.enabled,
        })
    }

    fn subscribers(&mut self) -> Value {
        let mut all: Vec<&Subscriber> = self.core.services_mut().subscribers.values().collect();
        all.sort_by(|one, other| one.username.cmp(&other.username));
        all.into_iter()
            .map(|subscriber| json!(view(subscriber)))
            .collect()
    }

    fn bindings(&mut self) -> Value {
        let now = Now::read().unix_ms;
        self.core
            .services_mut()
            .registrar
            .location
            .iter()
            .map(|(address, binding)| {
                json!({
                    "address_of_record": address,
                    "contact": binding.contact,
                    "expires": binding.seconds_left(now),
                    "received": binding.received,
                })
            })
            .collect()
    }

    fn calls(&self) -> Value {
        let origin_host = &self.core.policy().origin_host;
        self.core
            .calls()
            .iter()
            .map(|entry| {
                let parties = &entry.parties;
                json!({
                    "id": entry.call.number().to_string(),
                    "session_id": session_id(origin_host, parties, "ro"),
                    "call_id": parties.call_id,
                    "identity": parties.identity,
                    "from": parties.calling,
                    "to": parties.called,
                    "phase": format!("{:?}", entry.call.phase()).to_ascii_lowercase(),
                    "invite_unix_ms": parties.invite_unix_ms,
                    "answer_unix_ms": entry.call.answered().map(|answered| answered.unix_ms),
                    "caller": printed(&entry.caller_flow),
                    "callee": entry.callee_flow.as_ref().map(printed),
                })
            })
            .collect()
    }
}

fn view(subscriber: &Subscriber) -> SubscriberView<'_> {
    SubscriberView {
        username: &subscriber.username,
        identity: &subscriber.identity,
        enabled: subscriber.enabled,
    }
}
