use bytes::Bytes;
use thiserror::Error;
use tollwire_wire::{Reader, Writer};

use crate::avp::{self, Avp};
use crate::dictionary::{self, Definition};
use crate::error::{DecodeError, Fault};
use crate::flags::CommandFlags;
use crate::result_code::ResultCode;

/// Octets of the Diameter header.
pub const HEADER_LENGTH: usize = 20;

const VERSION: u8 = 1;

/// One Diameter message (RFC 6733 3): the header and the AVPs, none of them interpreted.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |    Version    |                 Message Length                |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// | Command Flags |                  Command Code                 |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                         Application-ID                        |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      Hop-by-Hop Identifier                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |                      End-to-End Identifier                    |
/// +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/// |  AVPs ...
/// +-+-+-+-+-+-+-+-+-+-+-+-+-
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// Command Flags.
    pub flags: CommandFlags,
    /// Command Code, 24 bits.
    pub command_code: u32,
    /// Application-ID.
    pub application_id: u32,
    /// Matches an answer to its request on one connection.
    pub hop_by_hop_id: u32,
    /// With Origin-Host, detects duplicates.
    pub end_to_end_id: u32,
    /// The AVPs in their order; groups are one AVP each.
    pub avps: Vec<Avp>,
}

/// Who answers: the Origin-Host and Origin-Realm of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm.
    pub origin_realm: String,
}

/// A frame that is no good message; what could be read of it is kept, so that it can be answered.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{error}")]
pub struct Malformed {
    /// The header, and the AVPs before the fault.
    pub received: Box<Message>,
    /// What is wrong.
    pub error: DecodeError,
}

/// The length in octets of the message at the front of `buffer`; `None` while its first four
/// octets are not all there.
///
/// # Errors
/// 5011 for another version; 5015 for a length below the header's, above `max`, or no multiple of
/// 4. Where the next message begins is then unknown: the connection cannot go on.
pub fn frame_length(buffer: &[u8], max: usize) -> Result<Option<usize>, DecodeError> {
    let mut reader = Reader::new(buffer);
    let Ok(version) = reader.u8() else {
        return Ok(None);
    };
    if version != VERSION {
        return Err(Fault::UnsupportedVersion(version).into());
    }
    let Ok(length) = reader.u24() else {
        return Ok(None);
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length < HEADER_LENGTH || length > max || !length.is_multiple_of(4) {
        return Err(Fault::InvalidMessageLength { length }.into());
    }
    Ok(Some(length))
}

impl Message {
    /// Reads one whole message, as [`frame_length`] delimits it; the AVPs' data are slices of `frame`.
    ///
    /// # Errors
    /// [`Malformed`] with 5011, 5015, 3008 (E bit in a request), 5014 or 5012.
    pub fn decode(frame: Bytes) -> Result<Self, Malformed> {
        let mut message = Self::default();
        match message.read(&frame) {
            Ok(()) => Ok(message),
            Err(error) => Err(Malformed {
                received: Box::new(message),
                error,
            }),
        }
    }

    fn read(&mut self, frame: &Bytes) -> Result<(), DecodeError> {
        let too_short = |_| Fault::InvalidMessageLength {
            length: frame.len(),
        };
        let mut reader = Reader::new(frame);
        let version = reader.u8().map_err(too_short)?;
        let length = reader.u24().map_err(too_short)?;
        self.flags = CommandFlags(reader.u8().map_err(too_short)?);
        self.command_code = reader.u24().map_err(too_short)?;
        self.application_id = reader.u32().map_err(too_short)?;
        self.hop_by_hop_id = reader.u32().map_err(too_short)?;
        self.end_to_end_id = reader.u32().map_err(too_short)?;
        if version != VERSION {
            return Err(Fault::UnsupportedVersion(version).into());
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length != frame.len() || !length.is_multiple_of(4) {
            return Err(Fault::InvalidMessageLength { length }.into());
        }
        avp::decode_avps_into(&frame.slice(HEADER_LENGTH..), &mut self.avps)?;
        // RFC 6733 3: "This bit MUST NOT be set in request messages."
        if self.is_request() && self.flags.contains(CommandFlags::ERROR) {
            return Err(Fault::InvalidHeaderBits(self.flags.0).into());
        }
        Ok(())
    }

    /// The message as one buffer.
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::with_capacity(self.encoded_len());
        self.write(&mut out);
        Bytes::from(out.into_vec())
    }

    /// Appends the message to a buffer that holds others before it.
    pub fn encode_into(&self, buffer: &mut Vec<u8>) {
        let mut out = Writer::from(std::mem::take(buffer));
        self.write(&mut out);
        *buffer = out.into_vec();
    }

    /// Appends the message to `out`.
    pub fn write(&self, out: &mut Writer) {
        let start = out.len();
        out.u8(VERSION);
        out.u24(0);
        out.u8(self.flags.0);
        out.u24(self.command_code);
        out.u32(self.application_id);
        out.u32(self.hop_by_hop_id);
        out.u32(self.end_to_end_id);
        for avp in &self.avps {
            avp.write(out);
        }
        let length = out.len() - start;
        out.patch_u24(start + 1, u32::try_from(length).unwrap_or(u32::MAX));
    }

    /// Octets on the wire.
    pub fn encoded_len(&self) -> usize {
        HEADER_LENGTH + self.avps.iter().map(Avp::encoded_len).sum::<usize>()
    }

    /// Whether the R bit is set.
    pub fn is_request(&self) -> bool {
        self.flags.contains(CommandFlags::REQUEST)
    }

    /// Whether the E bit is set: the answer need not have its command's AVPs (RFC 6733 7.2).
    pub fn is_error(&self) -> bool {
        self.flags.contains(CommandFlags::ERROR)
    }

    /// Whether the T bit is set.
    pub fn is_retransmitted(&self) -> bool {
        self.flags.contains(CommandFlags::RETRANSMITTED)
    }

    /// The first AVP of `definition`.
    pub fn find(&self, definition: &Definition) -> Option<&Avp> {
        self.avps.iter().find(|avp| avp.is(definition))
    }

    /// The first AVP of `definition` as text, if it is there and is UTF-8.
    pub fn text(&self, definition: &Definition) -> Option<&str> {
        self.find(definition)
            .and_then(|avp| std::str::from_utf8(&avp.data).ok())
    }

    /// Session-Id.
    pub fn session_id(&self) -> Option<&str> {
        self.text(&dictionary::SESSION_ID)
    }

    /// Origin-Host.
    pub fn origin_host(&self) -> Option<&str> {
        self.text(&dictionary::ORIGIN_HOST)
    }

    /// Result-Code, or else the code in Experimental-Result.
    pub fn result_code(&self) -> Option<ResultCode> {
        if let Some(avp) = self.find(&dictionary::RESULT_CODE) {
            return avp.value().ok();
        }
        let members = self
            .find(&dictionary::EXPERIMENTAL_RESULT)?
            .members()
            .ok()?;
        members
            .iter()
            .find(|avp| avp.is(&dictionary::EXPERIMENTAL_RESULT_CODE))?
            .value()
            .ok()
    }

    /// The frame of the answer to this request (RFC 6733 6.2): same command, application and
    /// identifiers, the P bit copied, no AVPs.
    pub fn answer_header(&self) -> Self {
        Self {
            flags: CommandFlags(self.flags.0 & CommandFlags::PROXIABLE.0),
            command_code: self.command_code,
            application_id: self.application_id,
            hop_by_hop_id: self.hop_by_hop_id,
            end_to_end_id: self.end_to_end_id,
            avps: Vec::new(),
        }
    }

    /// The Proxy-Info AVPs, which every answer returns in the same order (RFC 6733 6.2).
    pub fn proxy_info(&self) -> impl Iterator<Item = &Avp> {
        self.avps
            .iter()
            .filter(|avp| avp.is(&dictionary::PROXY_INFO))
    }

    /// The answer that refuses this request with `result_code` (RFC 6733 7.2); the E bit is set for
    /// a protocol error. Type and number of a credit-control request or an accounting record are
    /// returned if they were there, as the grammars of CCA and ACA ask.
    pub fn refuse(
        &self,
        identity: &Identity,
        result_code: ResultCode,
        failed_avp: Option<Avp>,
        error_message: Option<&str>,
    ) -> Self {
        let mut answer = self.answer_header();
        if result_code.is_protocol_error() {
            answer.flags = answer.flags.with(CommandFlags::ERROR);
        }
        let avps = &mut answer.avps;
        avps.extend(self.find(&dictionary::SESSION_ID).cloned());
        avps.push(Avp::new(&dictionary::RESULT_CODE, &result_code));
        avps.push(Avp::new(&dictionary::ORIGIN_HOST, &identity.origin_host));
        avps.push(Avp::new(&dictionary::ORIGIN_REALM, &identity.origin_realm));
        for definition in [
            &dictionary::AUTH_APPLICATION_ID,
            &dictionary::CC_REQUEST_TYPE,
            &dictionary::CC_REQUEST_NUMBER,
            &dictionary::ACCT_APPLICATION_ID,
            &dictionary::ACCOUNTING_RECORD_TYPE,
            &dictionary::ACCOUNTING_RECORD_NUMBER,
        ] {
            // Refusing with the value that was at fault would be refused in turn.
            let offender = failed_avp.as_ref().is_some_and(|avp| avp.is(definition));
            if !offender && self.application_id != dictionary::APPLICATION_COMMON_MESSAGES {
                avps.extend(self.find(definition).cloned());
            }
        }
        if let Some(text) = error_message {
            avps.push(Avp::new(&dictionary::ERROR_MESSAGE, &text.to_owned()));
        }
        if let Some(avp) = failed_avp {
            avps.push(Avp::grouped(&dictionary::FAILED_AVP, &[avp]));
        }
        avps.extend(self.proxy_info().cloned());
        answer
    }

    /// The answer to this request, which `error` kept from being read.
    pub fn refuse_undecodable(&self, identity: &Identity, error: &DecodeError) -> Self {
        self.refuse(
            identity,
            error.result_code(),
            error.failed_avp(),
            Some(&error.to_string()),
        )
    }
}

impl Malformed {
    /// The answer the frame deserves: `None` if it is itself an answer, or less than a header.
    pub fn answer(&self, identity: &Identity) -> Option<Message> {
        self.received
            .is_request()
            .then(|| self.received.refuse_undecodable(identity, &self.error))
    }
}
