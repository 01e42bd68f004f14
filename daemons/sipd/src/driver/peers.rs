//! The links to charging and limiter.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollwire_diameter::rx::RxReAuthRequest;
use tollwire_diameter::{Message, ResultCode, dictionary};
use tollwire_runtime::clock::Now;
use tollwire_runtime::diameter::{Failure, NodeEvent, PeerId, ReplyTo};

use super::{Asked, Driver};
use crate::calls::LinkFailure;
use crate::config::LIMITER;
use crate::effect::Effect;
use crate::event::Event;
use crate::links::{call_of, ro, rx};

/// How long the start waits for charging and limiter; without them every call is refused.
const PATIENCE: Duration = Duration::from_secs(3);

impl Driver {
    /// Calls of an earlier run are ended or renewed as soon as both peers are there.
    pub(super) async fn wait_for_peers(&mut self, events: &mut mpsc::Receiver<NodeEvent>) {
        let until = Instant::now() + PATIENCE;
        while self.open_peers.len() < 2 {
            let Ok(Some(event)) = tokio::time::timeout_at(until.into(), events.recv()).await else {
                self.core.set_limiter(self.open_peers.contains(LIMITER));
                tracing::warn!(open = ?self.open_peers, "charging or limiter is not there; calls are refused until it is");
                return;
            };
            self.node_event(event, &mut Vec::new());
        }
    }

    pub(super) fn node_event(&mut self, event: NodeEvent, effects: &mut Vec<Effect>) {
        match event {
            NodeEvent::PeerOpen { peer, .. } => {
                self.open_peers.insert(peer.as_str().to_owned());
                self.core.set_limiter(self.open_peers.contains(LIMITER));
            }
            NodeEvent::PeerClosed { peer } => {
                tracing::warn!(%peer, "the Diameter peer is gone");
                self.open_peers.remove(peer.as_str());
                self.core.set_limiter(self.open_peers.contains(LIMITER));
            }
            NodeEvent::Answer { token, message } => {
                let event = match self.asked.remove(&token) {
                    Some(Asked::Credit(call)) => Event::Credit {
                        call,
                        answer: ro::answer(&message),
                    },
                    Some(Asked::Authorise(call)) => Event::Media {
                        call,
                        answer: rx::authorised(&message),
                    },
                    Some(Asked::Close(call)) => Event::MediaClosed {
                        call,
                        usage: rx::closed(&message),
                    },
                    None => return,
                };
                self.core.handle(Now::read(), event, effects);
            }
            NodeEvent::Failed { token, why } => {
                if let Some(asked) = self.asked.remove(&token) {
                    let failure = match why {
                        Failure::Stopped => LinkFailure::Unreachable,
                        Failure::Timeout | Failure::BadAnswer => LinkFailure::Timeout,
                    };
                    self.core
                        .handle(Now::read(), failed(asked, failure), effects);
                }
            }
            NodeEvent::Request {
                reply_to, message, ..
            } => self.peer_request(reply_to, &message, effects),
        }
    }

    /// Sends a request; the event of its failure, if it cannot be sent.
    pub(super) fn ask_peer(
        &mut self,
        peer: PeerId,
        message: Message,
        asked: Asked,
    ) -> Option<Event> {
        let token = self.next_token();
        match self.node.send_request(&peer, token, message) {
            Ok(()) => {
                self.asked.insert(token, asked);
                None
            }
            Err(_) => Some(failed(asked, LinkFailure::Unreachable)),
        }
    }

    /// RAR and ASR: charging or limiter speaks first.
    fn peer_request(&mut self, reply_to: ReplyTo, message: &Message, effects: &mut Vec<Effect>) {
        let call = message
            .session_id()
            .and_then(call_of)
            .filter(|call| self.core.has_call(*call));
        let is_rx = message.application_id == dictionary::APPLICATION_RX;
        let event = match (message.command_code, call) {
            (_, None) => None,
            (dictionary::command::ABORT_SESSION, Some(call)) if is_rx => {
                Some(Event::LimiterEnd(call))
            }
            (dictionary::command::ABORT_SESSION, Some(call)) => Some(Event::OperatorEnd(call)),
            (dictionary::command::RE_AUTH, Some(_)) if is_rx => RxReAuthRequest::decode(message)
                .ok()
                .and_then(|request| rx::report(&request)),
            (dictionary::command::RE_AUTH, Some(call)) => Some(Event::Reauthorise(call)),
            (_, Some(_)) => None,
        };
        let result = match (message.command_code, call) {
            (dictionary::command::ABORT_SESSION | dictionary::command::RE_AUTH, Some(_)) => {
                ResultCode::SUCCESS
            }
            (dictionary::command::ABORT_SESSION | dictionary::command::RE_AUTH, None) => {
                ResultCode::UNKNOWN_SESSION_ID
            }
            _ => ResultCode::COMMAND_UNSUPPORTED,
        };
        // An answer that says no more than its result.
        let answer = message.refuse(self.node.identity(), result, None, None);
        self.node.answer(reply_to, &answer);
        if let Some(event) = event {
            self.core.handle(Now::read(), event, effects);
        }
    }
}

fn failed(asked: Asked, failure: LinkFailure) -> Event {
    match asked {
        Asked::Credit(call) => Event::CreditFailed { call, failure },
        Asked::Authorise(call) | Asked::Close(call) => Event::MediaFailed { call, failure },
    }
}
