use super::{Address, Part};
use crate::body::{
    Body, BodyWriter, MESSAGE_ID, SCHEDULE_DELIVERY_TIME, SERVICE_TYPE, SOURCE, Strictness,
    VALIDITY_PERIOD,
};
use crate::refusal::{Fault, Unencodable};
use crate::status;
use crate::text::COctetString;
use crate::tlv::{self, Tlvs};

/// `broadcast_sm` (SMPP 5.0 section 4.4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BroadcastSm<'a> {
    /// `service_type`, up to 5 octets; empty is the default.
    pub service_type: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `message_id` of the broadcast that this one replaces, up to 64 octets.
    pub message_id: COctetString<'a>,
    /// `priority_flag`
    pub priority_flag: u8,
    /// `schedule_delivery_time`: empty, or 16 characters ([`crate::time`]).
    pub schedule_delivery_time: COctetString<'a>,
    /// `validity_period`: empty, or 16 characters ([`crate::time`]).
    pub validity_period: COctetString<'a>,
    /// `replace_if_present_flag`
    pub replace_if_present_flag: u8,
    /// `data_coding`
    pub data_coding: u8,
    /// `sm_default_msg_id`
    pub sm_default_msg_id: u8,
    /// Optional parameters; [`Self::MANDATORY`] are there.
    pub tlvs: Tlvs<'a>,
}

impl BroadcastSm<'_> {
    /// The parameters that SMPP 5.0 table 4-34 wants.
    pub const MANDATORY: [u16; 4] = [
        tlv::BROADCAST_AREA_IDENTIFIER,
        tlv::BROADCAST_CONTENT_TYPE,
        tlv::BROADCAST_REP_NUM,
        tlv::BROADCAST_FREQUENCY_INTERVAL,
    ];
}

impl<'a> Part<'a> for BroadcastSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        let broadcast_sm = Self {
            service_type: body.text(SERVICE_TYPE)?,
            source: body.address(SOURCE)?,
            message_id: body.text(MESSAGE_ID)?,
            priority_flag: body.u8("priority_flag")?,
            schedule_delivery_time: body.time(SCHEDULE_DELIVERY_TIME)?,
            validity_period: body.time(VALIDITY_PERIOD)?,
            replace_if_present_flag: body.u8("replace_if_present_flag")?,
            data_coding: body.u8("data_coding")?,
            sm_default_msg_id: body.u8("sm_default_msg_id")?,
            tlvs: body.tlvs(Strictness::Lengths)?,
        };
        let missing = |tag: &&u16| broadcast_sm.tlvs.find(**tag).is_none();
        match Self::MANDATORY.iter().find(missing) {
            None => Ok(broadcast_sm),
            Some(tag) => Err(Fault {
                field: tlv::name(*tag).unwrap_or("optional parameter"),
                offset: body.offset(),
                command_status: status::ESME_RMISSINGTLV,
            }),
        }
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SERVICE_TYPE, self.service_type)?;
        writer.address(SOURCE, self.source)?;
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.u8(self.priority_flag);
        writer.time(SCHEDULE_DELIVERY_TIME, self.schedule_delivery_time)?;
        writer.time(VALIDITY_PERIOD, self.validity_period)?;
        writer.u8(self.replace_if_present_flag);
        writer.u8(self.data_coding);
        writer.u8(self.sm_default_msg_id);
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}

/// `query_broadcast_sm` (SMPP 5.0 section 4.6.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QueryBroadcastSm<'a> {
    /// `message_id`, up to 64 octets.
    pub message_id: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `user_message_reference`.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for QueryBroadcastSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            message_id: body.text(MESSAGE_ID)?,
            source: body.address(SOURCE)?,
            tlvs: body.tlvs(Strictness::Lengths)?,
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

/// `cancel_broadcast_sm` (SMPP 5.0 section 4.6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CancelBroadcastSm<'a> {
    /// `service_type`, up to 5 octets; empty is the default.
    pub service_type: COctetString<'a>,
    /// `message_id`, up to 64 octets.
    pub message_id: COctetString<'a>,
    /// `source_addr_ton`, `source_addr_npi` and `source_addr` (up to 20 octets).
    pub source: Address<'a>,
    /// `broadcast_content_type`, `user_message_reference`.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Part<'a> for CancelBroadcastSm<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        Ok(Self {
            service_type: body.text(SERVICE_TYPE)?,
            message_id: body.text(MESSAGE_ID)?,
            source: body.address(SOURCE)?,
            tlvs: body.tlvs(Strictness::Lengths)?,
        })
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.text(SERVICE_TYPE, self.service_type)?;
        writer.text(MESSAGE_ID, self.message_id)?;
        writer.address(SOURCE, self.source)?;
        writer.tlvs(self.tlvs);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        self.tlvs
    }
}
