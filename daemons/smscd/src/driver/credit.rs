//! The link to charging.

use std::collections::HashMap;

use tollwire_diameter::{ResultCode, dictionary};
use tollwire_runtime::diameter::{NodeEvent, NodeHandle, PeerId};

use crate::config::CHARGING;
use crate::effect::CreditRequest;
use crate::event::{CreditAction, CreditAnswer, CreditResult, Event};
use crate::links::ro::{self, Parties};
use crate::message::MessageId;

struct Asked {
    message: MessageId,
    reservation: u32,
    action: CreditAction,
    amount_micro: i64,
}

/// Requests and their answers.
pub(super) struct Credit {
    /// Absent if no charging system is configured.
    node: Option<NodeHandle>,
    parties: Parties,
    peer: PeerId,
    token: u64,
    asked: HashMap<u64, Asked>,
}

impl Credit {
    pub(super) fn new(node: Option<NodeHandle>, parties: Parties) -> Self {
        Self {
            node,
            parties,
            peer: PeerId::new(CHARGING),
            token: 0,
            asked: HashMap::new(),
        }
    }

    /// Sends a CCR; the answer at once, if it cannot be sent.
    pub(super) fn ask(&mut self, order: CreditRequest) -> Option<Event> {
        self.token += 1;
        let asked = Asked {
            message: order.message.id,
            reservation: order.reservation,
            action: order.action,
            amount_micro: order.amount_micro,
        };
        let message = ro::request(&self.parties, &order);
        let sent = (self.node.as_ref())
            .is_some_and(|node| node.send_request(&self.peer, self.token, message).is_ok());
        if sent {
            self.asked.insert(self.token, asked);
            None
        } else {
            Some(answered(&asked, CreditResult::Unavailable))
        }
    }

    /// What a message of the node means for the core.
    pub(super) fn event(&mut self, event: NodeEvent) -> Option<Event> {
        match event {
            NodeEvent::Answer { token, message } => {
                let asked = self.asked.remove(&token)?;
                let result = ro::answer(asked.action, asked.amount_micro, &message);
                Some(answered(&asked, result))
            }
            NodeEvent::Failed { token, .. } => {
                let asked = self.asked.remove(&token)?;
                Some(answered(&asked, CreditResult::Unavailable))
            }
            NodeEvent::Request {
                reply_to, message, ..
            } => {
                // A reservation for one message is over before billing could want to change it.
                let result = match message.command_code {
                    dictionary::command::ABORT_SESSION | dictionary::command::RE_AUTH => {
                        ResultCode::UNKNOWN_SESSION_ID
                    }
                    _ => ResultCode::COMMAND_UNSUPPORTED,
                };
                if let Some(node) = &self.node {
                    let answer = message.refuse(node.identity(), result, None, None);
                    node.answer(reply_to, &answer);
                }
                None
            }
            NodeEvent::PeerOpen { peer, .. } => {
                tracing::info!(%peer, "the charging system is there");
                None
            }
            NodeEvent::PeerClosed { peer } => {
                tracing::warn!(%peer, "the charging system is gone; messages that it must pay for wait");
                None
            }
        }
    }

    pub(super) async fn shutdown(self) {
        if let Some(node) = self.node {
            node.shutdown().await;
        }
    }
}

fn answered(asked: &Asked, result: CreditResult) -> Event {
    Event::Credit(CreditAnswer {
        message: asked.message,
        reservation: asked.reservation,
        action: asked.action,
        result,
    })
}
