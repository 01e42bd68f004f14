//! The charge record and its file encodings, without I/O.
//!
//! A record ([`ChargeRecord`] of a call, [`CallRecord`] of a moment of one, [`MessageRecord`] of a short message) is one line: of JSON
//! ([`to_json_line`], [`from_json_line`]) or of CSV ([`Record::CSV_HEADER`], [`to_csv_line`], [`from_csv_line`]). Both carry the same fields
//! under the same names in the same order.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod call;
mod encoding;
mod message;
mod record;
mod time;

pub use call::CallRecord;
pub use encoding::{
    EncodingError, Record, from_csv_line, from_json_line, to_csv_line, to_json_line,
};
pub use message::MessageRecord;
pub use record::{ChargeRecord, EndCause, Payment};
pub use time::Timestamp;
