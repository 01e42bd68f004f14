use super::submit_sm::registered_delivery;
use super::{Address, Part};
use crate::body::{
    Body, BodyWriter, MESSAGE_ID, SCHEDULE_DELIVERY_TIME, SOURCE, Strictness, VALIDITY_PERIOD,
};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `replace_sm` (SMPP 3.4 section 4.10.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplaceSm<'a> {
    /// `message_id`, up to 64 octets.
    pub message_id: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `schedule_delivery_time`: empty, or 16 characters ([`crate::time`]).
    pub schedule_delivery_time: COctetString<'a>,
    /// `validity_period`: empty, or 16 characters ([`crate::time`]).
    pub validity_period: COctetString<'a>,
    /// `registered_delivery` (SMPP 3.4 section 5.2.17).
    pub registered_delivery: u8,
    /// `sm_default_msg_id`: a message that the message centre knows, 0 for none.
    pub sm_default_msg_id: u8,
    /// `short_message`, up to 254 octets (255 in SMPP 5.0).
    pub short_message: &'a [u8],
    /// SMPP 5.0: `message_payload`.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for ReplaceSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: body.text(MESSAGE_ID)?,
            source: body.address(SOURCE)?,
            schedule_delivery_time: body.time(SCHEDULE_DELIVERY_TIME)?,
            validity_period: body.time(VALIDITY_PERIOD)?,
            registered_delivery: registered_delivery(body)?,
            sm_default_msg_id: body.u8("sm_default_msg_id")?,
            short_message: body.short_message()?,
            tlvs: body.tlvs(Strictness::Lengths)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.address(SOURCE, self.source)?;
        writer.time(SCHEDULE_DELIVERY_TIME, self.schedule_delivery_time)?;
        writer.time(VALIDITY_PERIOD, self.validity_period)?;
        writer.u8(self.registered_delivery);
        writer.u8(self.sm_default_msg_id);
        writer.short_message(self.short_message)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
