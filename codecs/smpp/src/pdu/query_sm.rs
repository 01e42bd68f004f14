use super::{Address, Part};
use crate::body::{Body, BodyWriter, FINAL_DATE, MESSAGE_ID, SOURCE, Strictness};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `query_sm` (SMPP 3.4 section 4.8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySm<'a> {
    /// `message_id`, up to 64 octets.
    pub message_id: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// Vendor-specific parameters; the specification has none.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for QuerySm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: body.text(MESSAGE_ID)?,
            source: body.address(SOURCE)?,
            tlvs: body.extra_tlvs()?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.address(SOURCE, self.source)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}

/// `query_sm_resp` (SMPP 3.4 section 4.8.2). All is empty if the body is missing, as it is in an error's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QuerySmResp<'a> {
    /// `message_id`, up to 64 octets.
    pub message_id: COctetString<'a>,
    /// `final_date`: empty, or 16 characters ([`crate::time`]).
    pub final_date: COctetString<'a>,
    /// `message_state` (SMPP 3.4 table 5-6).
    pub message_state: u8,
    /// `error_code`, the network's own.
    pub error_code: u8,
    /// SMPP 5.0: `congestion_state`.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for QuerySmResp<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            message_id: body.text(MESSAGE_ID)?,
            final_date: body.time(FINAL_DATE)?,
            message_state: body.u8("message_state")?,
            error_code: body.u8("error_code")?,
            tlvs: body.tlvs(Strictness::Stream)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.time(FINAL_DATE, self.final_date)?;
        writer.u8(self.message_state);
        writer.u8(self.error_code);
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
