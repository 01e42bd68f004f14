use super::{Address, Part};
use crate::body::{
    Body, BodyWriter, DESTINATION, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE, Strictness,
    VALIDITY_PERIOD,
};
use crate::refusal::{Fault, Unencodable};
use crate::text::COctetString;
use crate::tlv::Tlvs;

/// `deliver_sm` (SMPP 3.4 section 4.6.1): a message or a receipt for an ESME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliverSm<'a> {
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
    /// `priority_flag` (SMPP 3.4 section 5.2.14).
    pub priority_flag: u8,
    /// `schedule_delivery_time`: unused in this direction, empty.
    pub schedule_delivery_time: COctetString<'a>,
    /// `validity_period`: unused in this direction, empty.
    pub validity_period: COctetString<'a>,
    /// `registered_delivery` (SMPP 3.4 section 5.2.17).
    pub registered_delivery: u8,
    /// `replace_if_present_flag`: unused in this direction, 0.
    pub replace_if_present_flag: u8,
    /// `data_coding` (SMPP 3.4 section 5.2.19).
    pub data_coding: u8,
    /// `sm_default_msg_id`: unused in this direction, 0.
    pub sm_default_msg_id: u8,
    /// `short_message`, up to 254 octets (255 in SMPP 5.0).
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for DeliverSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: body.text(SERVICE_TYPE)?,
            source: body.address(SOURCE)?,
            destination: body.address(DESTINATION)?,
            esm_class: body.u8("esm_class")?,
            protocol_id: body.u8("protocol_id")?,
            priority_flag: body.u8("priority_flag")?,
            schedule_delivery_time: body.time(SCHEDULE_DELIVERY_TIME)?,
            validity_period: body.time(VALIDITY_PERIOD)?,
            registered_delivery: body.u8("registered_delivery")?,
            replace_if_present_flag: body.u8("replace_if_present_flag")?,
            data_coding: body.u8("data_coding")?,
            sm_default_msg_id: body.u8("sm_default_msg_id")?,
            short_message: body.short_message()?,
            tlvs: body.tlvs(Strictness::Stream)?,
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
