//! Diameter accounting (RFC 6733 9), as 3GPP's Rf uses it too (TS 32.299 6.2).

mod answer;
mod request;
mod types;

pub use answer::AccountingAnswer;
pub use request::AccountingRequest;
pub use types::{AccountingRealtimeRequired, AccountingRecordType, ServiceSpecificInfo};
