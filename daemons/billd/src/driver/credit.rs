//! The link to charging.

use std::collections::HashMap;

use tollwire_diameter::{ResultCode, dictionary};
use tollwire_runtime::diameter::{NodeEvent, NodeHandle, PeerId};

use crate::config::CHARGING;
use crate::effect::CreditOrder;
use crate::event::{CreditAction, CreditResult, Event};
use crate::payment::PaymentId;
use crate::ro::{self, Parties};

struct Asked {
    id: PaymentId,
    attempt: u32,
    action: CreditAction,
    repeated: bool,
}

/// Requests and their answers.
pub(super) struct Credit {
    node: NodeHandle,
    parties: Parties,
    peer: PeerId,
    token: u64,
    asked: HashMap<u64, Asked>,
}

impl Credit {
    pub(super) fn new(node: NodeHandle, parties: Parties) -> Self {
        Self {
            node,
            parties,
            peer: PeerId::new(CHARGING),
            token: 0,
            asked: HashMap::new(),
        }
    }

    /// Sends a CCR; what follows at once, if it cannot be sent.
    pub(super) fn ask(&mut self, order: CreditOrder) -> Option<Event> {
        self.token += 1;
        let asked = Asked {
            id: order.order.id.clone(),
            attempt: order.attempt,
            action: order.action,
            repeated: order.repeated,
        };
        let message = ro::request(&self.parties, &order);
        match self.node.send_request(&self.peer, self.token, message) {
            Ok(()) => {
                self.asked.insert(self.token, asked);
                None
            }
            Err(error) => {
                tracing::debug!(payment = %asked.id, %error, "the charging system is not asked");
                Some(answered(asked, CreditResult::NotSent))
            }
        }
    }

    /// What a message of the node means for the core.
    pub(super) fn event(&mut self, event: NodeEvent) -> Option<Event> {
        match event {
            NodeEvent::Answer { token, message } => {
                let asked = self.asked.remove(&token)?;
                let result = ro::answer(asked.repeated, &message);
                if !matches!(result, CreditResult::Granted) {
                    tracing::info!(payment = %asked.id, ?result, "the charging system does not grant");
                }
                Some(answered(asked, result))
            }
            NodeEvent::Failed { token, .. } => {
                let asked = self.asked.remove(&token)?;
                Some(answered(asked, CreditResult::Unknown))
            }
            NodeEvent::Request {
                reply_to, message, ..
            } => {
                // An event is over before billing could want to change it.
                let result = match message.command_code {
                    dictionary::command::ABORT_SESSION | dictionary::command::RE_AUTH => {
                        ResultCode::UNKNOWN_SESSION_ID
                    }
                    _ => ResultCode::COMMAND_UNSUPPORTED,
                };
                let answer = message.refuse(self.node.identity(), result, None, None);
                self.node.answer(reply_to, &answer);
                None
            }
            NodeEvent::PeerOpen { peer, .. } => {
                tracing::info!(%peer, "the charging system is there");
                None
            }
            NodeEvent::PeerClosed { peer } => {
                tracing::warn!(%peer, "the charging system is gone; nobody can pay");
                None
            }
        }
    }

    pub(super) async fn shutdown(self) {
        self.node.shutdown().await;
    }
}

fn answered(asked: Asked, result: CreditResult) -> Event {
    Event::Credit {
        id: asked.id,
        attempt: asked.attempt,
        action: asked.action,
        result,
    }
}
