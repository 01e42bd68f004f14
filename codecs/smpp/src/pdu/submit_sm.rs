use super::{Address, Part};
use crate::body::{
    Body, BodyWriter, DESTINATION, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE, Strictness,
    VALIDITY_PERIOD,
};
use crate::refusal::{Fault, Unencodable};
use crate::status;
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `submit_sm` (SMPP 3.4 section 4.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmitSm<'a> {
    /// `service_type`, up to 5 octets; empty is the default.
    pub service_type: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `dest_addr_ton`, `dest_addr_npi` and `destination_addr` (up to 20 octets).
    pub destination: Address<'a>,
    /// `esm_class` (SMPP 3.4 section 5.2.12).
    pub esm_class: u8,
    /// `protocol_id`, the network's own.
    pub protocol_id: u8,
    /// `priority_flag`, 0 to 4 (SMPP 3.4 section 5.2.14, SMPP 5.0 section 4.7.19).
    pub priority_flag: u8,
    /// `schedule_delivery_time`: empty, or 16 characters ([`crate::time`]).
    pub schedule_delivery_time: COctetString<'a>,
    /// `validity_period`: empty, or 16 characters ([`crate::time`]).
    pub validity_period: COctetString<'a>,
    /// `registered_delivery` (SMPP 3.4 section 5.2.17).
    pub registered_delivery: u8,
    /// `replace_if_present_flag`, 0 or 1.
    pub replace_if_present_flag: u8,
    /// `data_coding` (SMPP 3.4 section 5.2.19).
    pub data_coding: u8,
    /// `sm_default_msg_id`: a message that the message centre knows, 0 for none.
    pub sm_default_msg_id: u8,
    /// `short_message`, up to 254 octets (255 in SMPP 5.0).
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for SubmitSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: body.text(SERVICE_TYPE)?,
            source: body.address(SOURCE)?,
            destination: body.address(DESTINATION)?,
            esm_class: esm_class(body)?,
            protocol_id: body.u8("protocol_id")?,
            priority_flag: priority_flag(body)?,
            schedule_delivery_time: body.time(SCHEDULE_DELIVERY_TIME)?,
            validity_period: body.time(VALIDITY_PERIOD)?,
            registered_delivery: registered_delivery(body)?,
            replace_if_present_flag: replace_if_present_flag(body)?,
            data_coding: body.u8("data_coding")?,
            sm_default_msg_id: body.u8("sm_default_msg_id")?,
            short_message: body.short_message()?,
            tlvs: body.tlvs(Strictness::Lengths)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SERVICE_TYPE, self.service_type)?;
        writer.address(SOURCE, self.source)?;
        writer.address(DESTINATION, self.destination)?;
        writer.u8(self.esm_class);
        writer.u8(self.protocol_id);
        writer.u8(self.priority_flag);
        writer.time(SCHEDULE_DELIVERY_TIME, self.schedule_delivery_time)?;
        writer.time(VALIDITY_PERIOD, self.validity_period)?;
        writer.u8(self.registered_delivery);
        writer.u8(self.replace_if_present_flag);
        writer.u8(self.data_coding);
        writer.u8(self.sm_default_msg_id);
        writer.short_message(self.short_message)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}

// What the specification reserves. A bit that is merely unusual passes: the message centre decides.

/// Bits 5 to 2 are a message type: none, an acknowledgement of the ESME's or the user's, conversation abort (SMPP 3.4
/// section 5.2.12), or a receipt or a notification that is passed on (SMPP 5.0 section 4.7.12).
pub(super) fn esm_class(body: &mut Body<'_>) -> Result<u8, Fault> {
    body.checked_u8("esm_class", status::ESME_RINVESMCLASS, |octet| {
        matches!(octet & 0x3C, 0x00 | 0x04 | 0x08 | 0x10 | 0x18 | 0x20)
    })
}

pub(super) fn priority_flag(body: &mut Body<'_>) -> Result<u8, Fault> {
    body.checked_u8("priority_flag", status::ESME_RINVPRTFLG, |octet| octet <= 4)
}

/// Bits 7 to 5 are reserved; the receipt's value 3 is SMPP 5.0's, "on success only".
pub(super) fn registered_delivery(body: &mut Body<'_>) -> Result<u8, Fault> {
    let command_status = status::ESME_RINVREGDLVFLG;
    body.checked_u8("registered_delivery", command_status, |octet| octet < 0x20)
}

pub(super) fn replace_if_present_flag(body: &mut Body<'_>) -> Result<u8, Fault> {
    let command_status = status::ESME_RINVREPFLAG;
    body.checked_u8("replace_if_present_flag", command_status, |octet| {
        octet <= 1
    })
}
