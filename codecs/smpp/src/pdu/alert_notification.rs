use super::{Address, Part};
use crate::body::{Body, BodyWriter, ESME, LONG_SOURCE, Strictness};
use crate::refusal::{Fault, Unencodable};
use crate::tlv::Tlvs;

/// `alert_notification` (SMPP 3.4 section 4.12): a mobile that was away is there again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AlertNotification<'a> {
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 64 octets).
    pub source: Address<'a>,
    /// `esme_addr_ton`, `esme_addr_npi` and `esme_addr` (up to 64 octets).
    pub esme: Address<'a>,
    /// `ms_availability_status`.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for AlertNotification<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            source: body.address(LONG_SOURCE)?,
            esme: body.address(ESME)?,
            tlvs: body.tlvs(Strictness::Stream)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.address(LONG_SOURCE, self.source)?;
        writer.address(ESME, self.esme)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
