//! What goes out when it is stored.

use tokio::sync::{mpsc, oneshot};
use tollwire_diameter::{Message, ResultCode};
use tollwire_runtime::diameter::{NodeHandle, PeerId, ReplyTo};

use crate::effect::{Refusal, Reply};
use crate::notify::{Handle, Key, Notification};
use crate::peer::manager::Command;
use crate::session::Outcome;
use crate::store::After;

/// What waits for a commit.
pub(super) enum Waiting {
    Answer {
        node: NodeHandle,
        reply_to: ReplyTo,
        request: Message,
        answer: Message,
    },
    Reply {
        sender: oneshot::Sender<Result<Reply, Refusal>>,
        result: Result<Reply, Refusal>,
    },
    /// A request of ours to a client.
    Ask {
        node: NodeHandle,
        peer: PeerId,
        request: Message,
    },
    /// Customers are to be told.
    Tell(Handle, Box<Notification>),
    /// What became of telling one.
    Told(Handle, Key),
    /// A part of a period that is being closed.
    Kept(std::sync::mpsc::SyncSender<bool>),
    /// The accounting manager's request.
    Charged(oneshot::Sender<Outcome>, Outcome),
    /// A session of the accounting manager's.
    Peers(mpsc::UnboundedSender<Command>, Command),
}

impl After for Waiting {
    fn stored(self) {
        match self {
            Self::Answer {
                node,
                reply_to,
                answer,
                ..
            } => {
                // Gone with its connection: the client asks again, and gets this answer again.
                node.answer(reply_to, &answer);
            }
            Self::Reply { sender, result } => {
                let _ = sender.send(result);
            }
            Self::Ask {
                node,
                peer,
                request,
            } => {
                if let Err(error) = node.send_request(&peer, 0, request) {
                    tracing::warn!(%peer, %error, "a client could not be asked; its session goes on to the end of its grant");
                }
            }
            Self::Tell(handle, notification) => handle.made(notification),
            Self::Told(handle, key) => handle.stored(key),
            Self::Kept(done) => drop(done.send(true)),
            Self::Charged(answer, outcome) => drop(answer.send(outcome)),
            Self::Peers(manager, command) => drop(manager.send(command)),
        }
    }

    fn refused(self) {
        match self {
            Self::Answer {
                node,
                reply_to,
                request,
                ..
            } => {
                let busy = request.refuse(node.identity(), ResultCode::TOO_BUSY, None, None);
                node.answer(reply_to, &busy);
            }
            Self::Reply { sender, .. } => {
                let _ = sender.send(Err(Refusal::NotStored));
            }
            // Who waits for an answer hears that there is none.
            Self::Ask { .. } | Self::Tell(..) | Self::Charged(..) | Self::Peers(..) => {}
            Self::Told(handle, key) => handle.not_stored(key),
            Self::Kept(done) => drop(done.send(false)),
        }
    }
}
