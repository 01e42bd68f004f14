use super::Part;
use crate::body::{Body, BodyWriter, MESSAGE_ID, Strictness};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// The responses that give a `message_id`: `submit_sm_resp` (SMPP 3.4 section 4.4.2), `deliver_sm_resp` (4.6.2, where
/// it is unused and empty), `data_sm_resp` (4.7.2), `broadcast_sm_resp` and `query_broadcast_sm_resp` (SMPP 5.0
/// sections 4.4.1.2 and 4.6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageIdResp<'a> {
    /// `message_id`, up to 64 octets; empty if the body is missing, as it is in an error's.
    pub message_id: COctetString<'a>,
    /// `delivery_failure_reason`, `network_error_code`, `congestion_state`...
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for MessageIdResp<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: body.text(MESSAGE_ID)?,
            tlvs: body.tlvs(Strictness::Stream)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
