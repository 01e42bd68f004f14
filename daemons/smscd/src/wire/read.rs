//! Reading: views that borrow from a frame.

use tollwire_smpp::pdu::{Address, DestAddresses};
use tollwire_smpp::tlv::Tlvs;
use tollwire_smpp::{COctetString, Frame, Pdu, decode, status};

/// Why a PDU does not do: the `command_status` of the answer.
pub type Status = u32;

/// What `submit_sm`, `submit_multi`, `deliver_sm` and `data_sm` say.
#[derive(Debug, Clone, Copy)]
pub struct Submission<'a> {
    /// `service_type`
    pub service_type: COctetString<'a>,
    /// `source_addr`
    pub source: Address<'a>,
    /// `destination_addr`; empty for `submit_multi`.
    pub destination: Address<'a>,
    /// `dest_address(es)` of `submit_multi`.
    pub destinations: DestAddresses<'a>,
    /// `esm_class`
    pub esm_class: u8,
    /// `protocol_id`
    pub protocol_id: u8,
    /// `priority_flag`
    pub priority_flag: u8,
    /// `schedule_delivery_time`
    pub schedule_delivery_time: COctetString<'a>,
    /// `validity_period`
    pub validity_period: COctetString<'a>,
    /// `registered_delivery`
    pub registered_delivery: u8,
    /// `replace_if_present_flag`
    pub replace_if_present_flag: u8,
    /// `data_coding`
    pub data_coding: u8,
    /// `sm_default_msg_id`
    pub sm_default_msg_id: u8,
    /// `short_message`
    pub short_message: &'a [u8],
    /// Optional parameters.
    pub tlvs: Tlvs<'a>,
}

/// The fields that the three PDUs with a `short_message` share.
macro_rules! submission {
    ($pdu:ident, $destination:expr, $destinations:expr) => {
        Submission {
            service_type: $pdu.service_type,
            source: $pdu.source,
            destination: $destination,
            destinations: $destinations,
            esm_class: $pdu.esm_class,
            protocol_id: $pdu.protocol_id,
            priority_flag: $pdu.priority_flag,
            schedule_delivery_time: $pdu.schedule_delivery_time,
            validity_period: $pdu.validity_period,
            registered_delivery: $pdu.registered_delivery,
            replace_if_present_flag: $pdu.replace_if_present_flag,
            data_coding: $pdu.data_coding,
            sm_default_msg_id: $pdu.sm_default_msg_id,
            short_message: $pdu.short_message,
            tlvs: $pdu.tlvs,
        }
    };
}

/// Reads a request that submits, or that an upstream delivers.
///
/// # Errors
/// The status for the answer.
pub fn submission(frame: &Frame) -> Result<Submission<'_>, Status> {
    Ok(match pdu(frame)? {
        Pdu::SubmitSm(pdu) => submission!(pdu, pdu.destination, DestAddresses::default()),
        Pdu::DeliverSm(pdu) => submission!(pdu, pdu.destination, DestAddresses::default()),
        Pdu::SubmitMulti(pdu) => submission!(pdu, Address::default(), pdu.dest_addresses),
        Pdu::DataSm(pdu) => Submission {
            service_type: pdu.service_type,
            source: pdu.source,
            destination: pdu.destination,
            destinations: DestAddresses::default(),
            esm_class: pdu.esm_class,
            protocol_id: 0,
            priority_flag: 0,
            schedule_delivery_time: COctetString::default(),
            validity_period: COctetString::default(),
            registered_delivery: pdu.registered_delivery,
            replace_if_present_flag: 0,
            data_coding: pdu.data_coding,
            sm_default_msg_id: 0,
            short_message: &[],
            tlvs: pdu.tlvs,
        },
        _ => return Err(status::ESME_RINVCMDID),
    })
}

/// Reads a PDU.
///
/// # Errors
/// The status for the answer.
pub fn pdu(frame: &Frame) -> Result<Pdu<'_>, Status> {
    decode(frame).map_err(|refusal| refusal.command_status)
}

/// `message_id` of a `submit_sm_resp` or `data_sm_resp`; empty if it has none.
pub fn message_id(frame: &Frame) -> COctetString<'_> {
    match decode(frame) {
        Ok(Pdu::SubmitSmResp(resp) | Pdu::DataSmResp(resp)) => resp.message_id,
        _ => COctetString::default(),
    }
}
