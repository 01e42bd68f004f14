use super::Part;
use crate::body::{Body, BodyWriter, PASSWORD, SYSTEM_ID};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `outbind` (SMPP 3.4 section 4.1.7): the message centre asks an ESME to bind as receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outbind<'a> {
    /// `system_id` of the message centre, up to 15 octets.
    pub system_id: COctetString<'a>,
    /// `password`, up to 8 octets.
    pub password: COctetString<'a>,
    /// Vendor-specific parameters; the specification has none.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for Outbind<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            system_id: body.text(SYSTEM_ID)?,
            password: body.text(PASSWORD)?,
            tlvs: body.extra_tlvs()?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SYSTEM_ID, self.system_id)?;
        writer.text(PASSWORD, self.password)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
