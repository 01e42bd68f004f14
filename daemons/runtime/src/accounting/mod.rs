//! Records on their way to accounting storage (RFC 6733 section 9); `docs/accounting.md` is the specification.
//!
//! ```text
//! record files --lines--> Spool --> Shipment (pure): window, retries --Accounting-Request--> Diameter node
//!                                       |    ^
//!                                     cursor +-------------Accounting-Answer------------------+
//! ```
//!
//! The files are the durable spool: a record leaves the [`Shipment`] when the storage has acknowledged it, and the
//! cursor, which says up to where, follows behind. What is sent again after a crash is known to the storage. [`stream`] is another reader
//! of the same files.

mod config;
mod cursor;
mod format;
mod request;
mod retention;
mod shipment;
mod shipper;
mod spool;
pub mod stream;

pub use config::Shipping;
pub use format::{Carried, Kind, SERVICE_CONTEXT, carried, carrier, is_ours, session_id};
pub use retention::{Janitor, Retention};
pub use shipment::{Course, Shipment};
pub use shipper::{Figures, GAUGE_ROWS, Shipper, Source};
