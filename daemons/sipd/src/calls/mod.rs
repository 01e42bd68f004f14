//! Call supervision: one state machine per call, without I/O or clock.
//!
//! A call is a caller's INVITE and the one dialog that comes of it. The
//! machine hears what passes through the proxy, what the charging system (Ro)
//! and the limiter (Rx) answer, and time; it says what may pass, what is asked
//! of both, and when the call ends:
//!
//! ```text
//!            INVITE                 granted              2xx             limiter opened
//! (new) ---------------> Reserving --------> Proceeding -----> Answering --------------> Established
//!         CCR-Initial        | refused: 402/403/503  |  AAR, 2xx held |    2xx released      |
//!                            v                       v                v                      v
//!                         Closed <----- CCA-T ---- Ending: STR, then BYE to whom it is due, then CCR-Terminate
//! ```
//!
//! Messages the machine has not let pass yet are kept by its caller under a
//! [`Held`] token; each token is released, discarded or answered exactly once.

mod account;
mod call;
mod credit;
mod dialog;
mod effect;
mod ending;
mod event;
mod media;
mod negotiation;
mod session_timer;
mod settings;
mod setup;
mod snapshot;
mod types;

pub use account::{Report, ReportKind};
pub use call::{Call, Phase};
pub use credit::{Credit, CreditAnswer, CreditOrder, CreditOrderKind, FailureHandling};
pub use effect::CallEffect;
pub use event::{CallEvent, LinkFailure};
pub use media::{Media, MediaAnswer, MediaOrder, MediaUsage};
pub use negotiation::Negotiation;
pub use session_timer::SessionTimer;
pub use settings::{EarlyMedia, Settings};
pub use snapshot::CallSnapshot;
pub use types::{CallNumber, Component, EndCause, Endpoint, Gate, Held, MediaKind, Side};
