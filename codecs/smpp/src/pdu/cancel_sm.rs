use super::{Address, Part};
use crate::body::{Body, BodyWriter, DESTINATION, MESSAGE_ID, SERVICE_TYPE, SOURCE};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `cancel_sm` (SMPP 3.4 section 4.9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CancelSm<'a> {
    /// `service_type`, up to 5 octets; empty is the default.
    pub service_type: COctetString<'a>,
    /// `message_id`, up to 64 octets; empty if every message of these addresses is meant.
    pub message_id: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `dest_addr_ton`, `dest_addr_npi` and `destination_addr` (up to 20 octets).
    pub destination: Address<'a>,
    /// Vendor-specific parameters; the specification has none.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for CancelSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: body.text(SERVICE_TYPE)?,
            message_id: body.text(MESSAGE_ID)?,
            source: body.address(SOURCE)?,
            destination: body.address(DESTINATION)?,
            tlvs: body.extra_tlvs()?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SERVICE_TYPE, self.service_type)?;
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.address(SOURCE, self.source)?;
        writer.address(DESTINATION, self.destination)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
