//! SMPP 3.4 (Issue 1.2), and 5.0 where it adds: PDUs, sessions and the texts they carry, without I/O.
//!
//! Two levels: [`framing`] cuts the stream into [`Frame`]s by `command_length` alone; [`decode`] gives a frame its
//! meaning, a [`Pdu`] that borrows from it. A frame that has none is a [`Refusal`], which names the field, the octet
//! and the `command_status` of the answer, so that one bad PDU never costs the session.
//!
//! ```
//! use tollwire_smpp::{Framer, Pdu, command, decode, encode, pdu, status};
//!
//! let request = pdu::SubmitSm {
//!     source: pdu::Address { ton: 5, npi: 0, digits: "Tollwire".into() },
//!     destination: pdu::Address { ton: 1, npi: 1, digits: "491701234567".into() },
//!     short_message: b"hello",
//!     ..Default::default()
//! };
//! let mut stream = Vec::new();
//! encode(&Pdu::SubmitSm(request), status::ESME_ROK, 1, &mut stream)?;
//!
//! let mut framer = Framer::new(64 * 1024);
//! framer.push(&stream);
//! let frame = framer.next().expect("a whole PDU")?;
//! assert_eq!(frame.command_id, command::SUBMIT_SM);
//! assert_eq!(decode(&frame)?, Pdu::SubmitSm(request));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Text that is not ASCII
//! SMPP 3.4 section 3.1 calls a C-Octet String ASCII, but clients in the field put Latin-1 letters into alphanumeric
//! addresses and system types. Refusing such a message helps nobody, so any octet but NUL is accepted, kept and sent
//! on as it is ([`COctetString`]); where text is needed it is read as ISO 8859-1, which gives every octet one
//! character and so loses nothing ([`COctetString::to_text`], [`text::encode_latin1`]).
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )
)]

mod body;
pub mod command;
pub mod data_coding;
pub mod framing;
mod message_state;
pub mod pdu;
pub mod receipt;
mod refusal;
pub mod session;
pub mod status;
pub mod tariff;
pub mod text;
pub mod time;
pub mod tlv;

pub use framing::{Frame, Framer, FramingError, HEADER_LENGTH};
pub use message_state::MessageState;
pub use pdu::{Pdu, decode, encode};
pub use refusal::{Refusal, Unencodable};
pub use text::COctetString;
pub use tlv::{Tlv, TlvBuffer, Tlvs};
