//! What a shop and a billing server say to each other, without I/O: invoices, acknowledgements, how a billing server describes
//! itself by SLP, and its blank form.
//!
//! ```text
//! shop              customer                 billing server
//!   | <-- SLP: BillingServer ------------------- |
//!   | Invoice, signed --> | form, filled in ---> | charges
//!   | <------------------------ Acknowledgement, signed
//! ```
//! An invoice is signed by the shop: what it asks for cannot be altered on the way. It names the one billing server that may take
//! it. An acknowledgement is signed by that server's key, which the shop knows by the thumbprint in the advertisement, and names the
//! invoice by its digest beside all that it is for. Neither knows the customer.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod acknowledgement;
mod fee;
mod form;
mod invoice;
mod refusal;
mod server;

pub use acknowledgement::{Acknowledgement, Awaited};
pub use fee::Fee;
pub use form::{Form, FormField, FormType, InputType};
pub use invoice::{Invoice, LONGEST_VALIDITY, MOST_VIA, Received};
pub use refusal::Refusal;
pub use server::{AccountType, BillingServer, SERVICE_TYPE, Settles, Unusable};

/// Seconds that two clocks may differ by.
pub const SKEW_SECONDS: i64 = 60;
/// Octets of a string at the most.
pub const LONGEST_TEXT: usize = 2048;
