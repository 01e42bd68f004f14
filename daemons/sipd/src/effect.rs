//! What the core wants done, in order.

use crate::calls::{CallNumber, CreditOrder, MediaOrder, Report};
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
    /// Put an accounting record on disk; [`crate::event::Event::Accounted`] follows.
    Account {
        /// Whose.
        call: CallNumber,
        /// Who takes part.
        parties: Rc<Parties>,
        /// What it says.
        report: Report,
    },
    /// The call changed: [`crate::core::Core::journal_line`] goes to the journal before anything of this turn is sent.
    Journal(CallNumber),
    /// The call owes nothing any more: the journal may forget it when all of this turn was sent.
    Closed(CallNumber),
}
