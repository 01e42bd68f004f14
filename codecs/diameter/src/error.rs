use bytes::Bytes;
use thiserror::Error;

use crate::avp::Avp;
use crate::dictionary::{self, Definition};
use crate::result_code::ResultCode;

/// Why a message, or a part of it, could not be read; knows the answer it deserves.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}{}", within_text(.groups))]
pub struct DecodeError {
    /// What is wrong.
    pub fault: Fault,
    /// Headers of the grouped AVPs the offender stands in, innermost first.
    groups: Vec<Avp>,
}

/// What is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The first octet is not 1.
    #[error("version {0} instead of 1")]
    UnsupportedVersion(u8),
    /// The Message Length field is below the header's, no multiple of 4, above the limit, or not
    /// the number of octets at hand.
    #[error("message length {length} is impossible here")]
    InvalidMessageLength {
        /// The field's value in octets.
        length: usize,
    },
    /// The E bit in a request (RFC 6733 3).
    #[error("command flags {0:#04x} contradict each other")]
    InvalidHeaderBits(u8),
    /// The command code or its R bit is not the one asked for.
    #[error("command {code} is not expected here")]
    UnexpectedCommand {
        /// The command code received.
        code: u32,
    },
    /// An AVP with the M bit that the dictionary does not know.
    #[error("mandatory AVP {} (vendor {:?}) is unknown", .0.code, .0.vendor_id)]
    AvpUnsupported(Avp),
    /// An AVP whose data is outside its type's values.
    #[error("AVP {} (vendor {:?}) has an invalid value", .0.code, .0.vendor_id)]
    InvalidAvpValue(Avp),
    /// An AVP that the command or the group requires is absent.
    #[error("{} is missing", .0.name)]
    MissingAvp(&'static Definition),
    /// An AVP that may stand once stands again.
    #[error("AVP {} (vendor {:?}) occurs too many times", .0.code, .0.vendor_id)]
    AvpOccursTooManyTimes(Avp),
    /// An AVP whose length is impossible for its header, its surroundings or its type.
    #[error("AVP {} (vendor {:?}) has an invalid length", .0.code, .0.vendor_id)]
    InvalidAvpLength(Avp),
    /// More than [`crate::avp::MAX_AVPS`] AVPs on one level.
    #[error("too many AVPs")]
    TooManyAvps,
    /// More than [`crate::avp::MAX_DEPTH`] groups inside one another.
    #[error("grouped AVPs nest too deeply")]
    TooDeep,
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        Self {
            fault,
            groups: Vec::new(),
        }
    }
}

impl DecodeError {
    /// The Result-Code of the answer: the one place where faults become codes (RFC 6733 7.1).
    pub fn result_code(&self) -> ResultCode {
        match &self.fault {
            Fault::UnsupportedVersion(_) => ResultCode::UNSUPPORTED_VERSION,
            Fault::InvalidMessageLength { .. } => ResultCode::INVALID_MESSAGE_LENGTH,
            Fault::InvalidHeaderBits(_) => ResultCode::INVALID_HDR_BITS,
            Fault::UnexpectedCommand { .. } => ResultCode::COMMAND_UNSUPPORTED,
            Fault::AvpUnsupported(_) => ResultCode::AVP_UNSUPPORTED,
            Fault::InvalidAvpValue(_) => ResultCode::INVALID_AVP_VALUE,
            Fault::MissingAvp(_) => ResultCode::MISSING_AVP,
            Fault::AvpOccursTooManyTimes(_) => ResultCode::AVP_OCCURS_TOO_MANY_TIMES,
            Fault::InvalidAvpLength(_) => ResultCode::INVALID_AVP_LENGTH,
            Fault::TooManyAvps | Fault::TooDeep => ResultCode::UNABLE_TO_COMPLY,
        }
    }

    /// The member of Failed-AVP (RFC 6733 7.5): the offender inside the groups it stands in.
    pub fn failed_avp(&self) -> Option<Avp> {
        let offender = match &self.fault {
            Fault::AvpUnsupported(avp)
            | Fault::InvalidAvpValue(avp)
            | Fault::AvpOccursTooManyTimes(avp) => avp.clone(),
            // 7.1.5: the header and a zero-filled payload of the type's least length suffice.
            Fault::InvalidAvpLength(avp) => {
                let least = dictionary::lookup(avp.code, avp.vendor_id)
                    .map_or(0, |definition| definition.data_type.least_length());
                Avp {
                    data: Bytes::from(vec![0; least]),
                    ..avp.clone()
                }
            }
            // 7.1.5: an example of the missing AVP, of the least length and zeros.
            Fault::MissingAvp(definition) => Avp::with_data(
                definition,
                Bytes::from(vec![0; definition.data_type.least_length()]),
            ),
            Fault::UnsupportedVersion(_)
            | Fault::InvalidMessageLength { .. }
            | Fault::InvalidHeaderBits(_)
            | Fault::UnexpectedCommand { .. }
            | Fault::TooManyAvps
            | Fault::TooDeep => return None,
        };
        Some(self.groups.iter().fold(offender, |member, group| Avp {
            data: crate::avp::encode_avps(&[member]),
            ..group.clone()
        }))
    }

    pub(crate) fn within(mut self, group: &Avp) -> Self {
        self.groups.push(Avp {
            data: Bytes::new(),
            ..group.clone()
        });
        self
    }
}

/// What a type finds wrong with an AVP's data; the AVP itself is known one level up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataFault {
    /// The data is longer or shorter than the type allows.
    Length,
    /// The data is not one of the type's values.
    Value,
    /// A member of the group is at fault.
    Member(DecodeError),
}

impl DataFault {
    pub(crate) fn in_avp(self, avp: &Avp) -> DecodeError {
        match self {
            Self::Length => Fault::InvalidAvpLength(avp.clone()).into(),
            Self::Value => Fault::InvalidAvpValue(avp.clone()).into(),
            Self::Member(error) => error.within(avp),
        }
    }
}

impl From<DecodeError> for DataFault {
    fn from(error: DecodeError) -> Self {
        Self::Member(error)
    }
}

fn within_text(groups: &[Avp]) -> String {
    groups
        .iter()
        .map(|group| format!(" in AVP {}", group.code))
        .collect()
}
