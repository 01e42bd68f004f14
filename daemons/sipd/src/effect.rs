//! What the core wants done, in order.

use crate::calls::{CallNumber, CreditOrder, MediaOrder};
use crate::journal::Line;
use crate::supervision::Parties;
use bytes::Bytes;
use std::rc::Rc;
use tollwire_sip::transaction::Flow;

/// One thing for the driver.
#[derive(Debug)]
pub enum Effect {
    /// Send these octets.
    Send {
        /// Where.
        flow: Flow,
        /// What.
        bytes: Bytes,
    },
    /// Send a CCR.
    Credit {
        /// Whose.
        call: CallNumber,
        /// Who and when, for the record.
        parties: Rc<Parties>,
        /// What it says.
        order: CreditOrder,
    },
    /// Send an AAR or STR.
    Media {
        /// Whose.
        call: CallNumber,
        /// Who.
        parties: Rc<Parties>,
        /// What it says.
        order: MediaOrder,
    },
    /// Append to the journal before anything after this is sent.
    Journal(Box<Line>),
}
