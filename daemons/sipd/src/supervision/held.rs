//! Messages the supervision keeps back.

use crate::calls::{CallNumber, Held, Side};
use std::collections::HashMap;
use tollwire_sip::Message;
use tollwire_sip::transaction::{ClientTransactionId, Flow, ServerTransactionId};

/// One of them.
#[derive(Debug)]
pub enum HeldItem {
    /// A response on its way up, our Via removed.
    Response {
        /// The request's transaction.
        server: ServerTransactionId,
        /// The branch it came by.
        client: Option<ClientTransactionId>,
        /// Where it came from.
        flow: Option<Flow>,
        /// The response.
        message: Message,
    },
    /// The request of a context that was not forwarded yet.
    Request {
        /// Its transaction.
        server: ServerTransactionId,
    },
    /// An ACK, route preprocessing done.
    Ack {
        /// Of this call.
        call: CallNumber,
        /// Who sent it.
        from: Side,
        /// The ACK.
        message: Message,
    },
}

/// All of them, by token.
#[derive(Debug, Default)]
pub struct HeldMessages {
    next: u64,
    items: HashMap<Held, HeldItem>,
}

impl HeldMessages {
    /// Keeps a message.
    pub fn keep(&mut self, item: HeldItem) -> Held {
        self.next += 1;
        let held = Held(self.next);
        self.items.insert(held, item);
        held
    }

    /// Gives it back, once.
    pub fn take(&mut self, held: Held) -> Option<HeldItem> {
        self.items.remove(&held)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}
