//! What the core hears.

use std::io;

use tollwire_diameter::rx::{AaRequest, RxSessionTerminationRequest};

use crate::nftables::{Reading, Standing};

/// One thing that happened.
#[derive(Debug)]
pub enum Event {
    /// The table was found with this in it at start.
    Adopted(Standing),
    /// AAR; its answer carries `token`.
    Authorise {
        /// The driver's name for the request.
        token: u64,
        /// The request.
        request: Box<AaRequest>,
    },
    /// STR; its answer carries `token`.
    Terminate {
        /// The driver's name for the request.
        token: u64,
        /// The request.
        request: Box<RxSessionTerminationRequest>,
    },
    /// A job the core asked for was carried out, or refused by the kernel.
    Done {
        /// The job's ticket.
        ticket: u64,
        /// What it asked for.
        result: io::Result<Reading>,
    },
    /// The client knows nothing of this session (RAA with DIAMETER_UNKNOWN_SESSION_ID).
    Disowned(String),
    /// The client could not be told of a lost bearer.
    Unheard(String),
    /// A deadline may have passed.
    Tick,
}
