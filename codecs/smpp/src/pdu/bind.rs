use super::{Address, Part};
use crate::body::{ADDRESS_RANGE, Body, BodyWriter, PASSWORD, SYSTEM_ID, SYSTEM_TYPE, Strictness};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `bind_transmitter`, `bind_receiver` and `bind_transceiver` (SMPP 3.4 sections 4.1.1, 4.1.3, 4.1.5).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Bind<'a> {
    /// `system_id`, up to 15 octets.
    pub system_id: COctetString<'a>,
    /// `password`, up to 8 octets.
    pub password: COctetString<'a>,
    /// `system_type`, up to 12 octets.
    pub system_type: COctetString<'a>,
    /// `interface_version`: 0x34, 0x50; 0x00 to 0x33 is version 3.3 or earlier.
    pub interface_version: u8,
    /// `addr_ton`, `addr_npi` and `address_range` (up to 40 octets).
    pub address_range: Address<'a>,
    /// Vendor-specific parameters; the specification has none.
    pub tlvs: Tlvs<'a>,
}

impl std::fmt::Debug for Bind<'_> {
    /// Without the password, which has no place in a log.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Bind")
            .field("system_id", &self.system_id)
            .field("system_type", &self.system_type)
            .field("interface_version", &self.interface_version)
            .field("address_range", &self.address_range)
            .field("tlvs", &self.tlvs)
            .finish_non_exhaustive()
    }
}

impl<'a> Part<'a> for Bind<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            system_id: body.text(SYSTEM_ID)?,
            password: body.text(PASSWORD)?,
            system_type: body.text(SYSTEM_TYPE)?,
            interface_version: body.u8("interface_version")?,
            address_range: body.address(ADDRESS_RANGE)?,
            tlvs: body.extra_tlvs()?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SYSTEM_ID, self.system_id)?;
        writer.text(PASSWORD, self.password)?;
        writer.text(SYSTEM_TYPE, self.system_type)?;
        writer.u8(self.interface_version);
        writer.address(ADDRESS_RANGE, self.address_range)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}

/// The responses to them (SMPP 3.4 sections 4.1.2, 4.1.4, 4.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BindResp<'a> {
    /// `system_id` of the message centre, up to 15 octets; empty if the body is missing, as it is when the bind failed.
    pub system_id: COctetString<'a>,
    /// `sc_interface_version`.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for BindResp<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self {
            system_id: body.text(SYSTEM_ID)?,
            tlvs: body.tlvs(Strictness::Stream)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SYSTEM_ID, self.system_id)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
