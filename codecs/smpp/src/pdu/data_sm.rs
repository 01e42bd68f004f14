use super::{Address, Part};
use crate::body::{Body, BodyWriter, LONG_DESTINATION, LONG_SOURCE, SERVICE_TYPE, Strictness};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `data_sm` (SMPP 3.4 section 4.7.1), in both directions. The user data is the TLV `message_payload`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataSm<'a> {
    /// `service_type`, up to 5 octets; empty is the default.
    pub service_type: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 64 octets).
    pub source: Address<'a>,
    /// `dest_addr_ton`, `dest_addr_npi` and `destination_addr` (up to 64 octets).
    pub destination: Address<'a>,
    /// `esm_class` (SMPP 3.4 section 5.2.12).
    pub esm_class: u8,
    /// `registered_delivery` (SMPP 3.4 section 5.2.17).
    pub registered_delivery: u8,
    /// `data_coding` (SMPP 3.4 section 5.2.19).
    pub data_coding: u8,
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for DataSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        let mut data_sm = Self {
            service_type: body.text(SERVICE_TYPE)?,
            source: body.address(LONG_SOURCE)?,
            destination: body.address(LONG_DESTINATION)?,
            esm_class: body.u8("esm_class")?,
            registered_delivery: body.u8("registered_delivery")?,
            data_coding: body.u8("data_coding")?,
            tlvs: Tlvs::EMPTY,
        };
        // A receipt or another report is no submission: it is read as deliver_sm is.
        let strictness = if data_sm.esm_class & 0x3C == 0 {
            Strictness::Lengths
        } else {
            Strictness::Stream
        };
        data_sm.tlvs = body.tlvs(strictness)?;
        Ok(data_sm)
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SERVICE_TYPE, self.service_type)?;
        writer.address(LONG_SOURCE, self.source)?;
        writer.address(LONG_DESTINATION, self.destination)?;
        writer.u8(self.esm_class);
        writer.u8(self.registered_delivery);
        writer.u8(self.data_coding);
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
