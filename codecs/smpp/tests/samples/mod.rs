//! A PDU of every command, with every field set and every parameter its section names.
#![allow(dead_code, reason = "each test file uses its part")]

use tollwire_smpp::pdu::*;
use tollwire_smpp::{COctetString, Pdu, TlvBuffer, Tlvs, encode, status, tlv};

/// An encoded PDU.
pub struct Sample {
    pub name: &'static str,
    pub command_id: u32,
    pub command_status: u32,
    pub sequence_number: u32,
    pub octets: Vec<u8>,
}

#[derive(Default)]
struct Samples(Vec<Sample>);

impl Samples {
    fn add(&mut self, pdu: Pdu<'_>) {
        self.add_with(pdu, status::ESME_ROK);
    }

    fn add_with(&mut self, pdu: Pdu<'_>, command_status: u32) {
        let sequence_number = 0x0100_0000 + u32::try_from(self.0.len()).unwrap();
        let mut octets = Vec::new();
        encode(&pdu, command_status, sequence_number, &mut octets).unwrap();
        self.0.push(Sample {
            name: tollwire_smpp::command::name(pdu.command_id()).unwrap(),
            command_id: pdu.command_id(),
            command_status,
            sequence_number,
            octets,
        });
    }
}

/// Parameters with values that their definitions allow.
pub fn tlvs(tags: &[u16]) -> TlvBuffer {
    let mut buffer = TlvBuffer::new();
    for tag in tags {
        buffer.push(*tag, value_of(*tag)).unwrap();
    }
    buffer
}

fn value_of(tag: u16) -> &'static [u8] {
    match tag {
        tlv::DEST_TELEMATICS_ID | tlv::SMS_SIGNAL => b"\x00\x08",
        tlv::QOS_TIME_TO_LIVE => b"\x00\x00\x0e\x10",
        tlv::ADDITIONAL_STATUS_INFO_TEXT => b"no such subscriber\0",
        tlv::RECEIPTED_MESSAGE_ID => b"18446744073709551615\0",
        tlv::SOURCE_SUBADDRESS | tlv::DEST_SUBADDRESS => b"\x80\x12\x34",
        tlv::USER_MESSAGE_REFERENCE => b"\x12\x34",
        tlv::SOURCE_PORT | tlv::DESTINATION_PORT => b"\x0b\x84",
        tlv::SAR_MSG_REF_NUM => b"\x00\x09",
        tlv::SAR_TOTAL_SEGMENTS => b"\x03",
        tlv::SC_INTERFACE_VERSION => b"\x50",
        tlv::CALLBACK_NUM => b"\x01\x01\x0149170",
        tlv::CALLBACK_NUM_ATAG => b"\x00shop",
        tlv::NETWORK_ERROR_CODE => b"\x03\x00\x0b",
        tlv::MESSAGE_PAYLOAD => b"a longer text than the rest",
        tlv::MESSAGE_STATE => b"\x02",
        tlv::CONGESTION_STATE => b"\x32",
        tlv::MS_AVAILABILITY_STATUS => b"\x00",
        tlv::BROADCAST_CONTENT_TYPE => b"\x00\x00\x20",
        tlv::BROADCAST_CONTENT_TYPE_INFO => b"info",
        tlv::BROADCAST_FREQUENCY_INTERVAL => b"\x08\x00\x01",
        tlv::BROADCAST_AREA_IDENTIFIER => b"\x00Here",
        tlv::BROADCAST_ERROR_STATUS => b"\x00\x00\x01\x0d",
        tlv::BROADCAST_END_TIME => b"260301120000000+\0",
        tlv::BROADCAST_SERVICE_GROUP => b"\x01",
        tlv::BILLING_IDENTIFICATION => b"\x80abc",
        tlv::SOURCE_NETWORK_ID | tlv::DEST_NETWORK_ID => b"26202DEU1\0",
        tlv::SOURCE_NODE_ID | tlv::DEST_NODE_ID => b"012345",
        tlv::DEST_ADDR_NP_INFORMATION => b"1234567890",
        tlv::DEST_ADDR_NP_COUNTRY => b"\x31",
        tlv::ITS_SESSION_INFO => b"\x01\x02",
        0x1403 => b"150",
        0x3FFF => b"",
        _ => b"\x01",
    }
}

/// The parameters of `submit_sm`, SMPP 3.4 table 4-10 and SMPP 5.0, and two of vendors.
pub const OF_SUBMISSION: &[u16] = &[
    tlv::USER_MESSAGE_REFERENCE,
    tlv::SOURCE_PORT,
    tlv::SOURCE_ADDR_SUBUNIT,
    tlv::DESTINATION_PORT,
    tlv::DEST_ADDR_SUBUNIT,
    tlv::SAR_MSG_REF_NUM,
    tlv::SAR_TOTAL_SEGMENTS,
    tlv::SAR_SEGMENT_SEQNUM,
    tlv::MORE_MESSAGES_TO_SEND,
    tlv::PAYLOAD_TYPE,
    tlv::PRIVACY_INDICATOR,
    tlv::CALLBACK_NUM,
    tlv::CALLBACK_NUM_PRES_IND,
    tlv::CALLBACK_NUM_ATAG,
    tlv::SOURCE_SUBADDRESS,
    tlv::DEST_SUBADDRESS,
    tlv::USER_RESPONSE_CODE,
    tlv::DISPLAY_TIME,
    tlv::SMS_SIGNAL,
    tlv::MS_VALIDITY,
    tlv::MS_MSG_WAIT_FACILITIES,
    tlv::NUMBER_OF_MESSAGES,
    tlv::ALERT_ON_MESSAGE_DELIVERY,
    tlv::LANGUAGE_INDICATOR,
    tlv::ITS_REPLY_TYPE,
    tlv::ITS_SESSION_INFO,
    tlv::USSD_SERVICE_OP,
    tlv::BILLING_IDENTIFICATION,
    tlv::SOURCE_NETWORK_ID,
    tlv::DEST_NETWORK_ID,
    tlv::SOURCE_NODE_ID,
    tlv::DEST_NODE_ID,
    tlv::DEST_ADDR_NP_RESOLUTION,
    tlv::DEST_ADDR_NP_INFORMATION,
    tlv::DEST_ADDR_NP_COUNTRY,
    0x1403,
    0x3FFF,
];

const OF_DATA: &[u16] = &[
    tlv::SOURCE_NETWORK_TYPE,
    tlv::SOURCE_BEARER_TYPE,
    tlv::DEST_NETWORK_TYPE,
    tlv::DEST_BEARER_TYPE,
    tlv::DEST_TELEMATICS_ID,
    tlv::QOS_TIME_TO_LIVE,
    tlv::SET_DPF,
    tlv::RECEIPTED_MESSAGE_ID,
    tlv::MESSAGE_STATE,
    tlv::NETWORK_ERROR_CODE,
    tlv::MESSAGE_PAYLOAD,
    0x1403,
];

const SERVICE_TYPE: COctetString<'_> = COctetString(b"CMT");
const MESSAGE_ID: COctetString<'_> = COctetString(b"18446744073709551615");
const TIME: COctetString<'_> = COctetString(b"260301120000000+");
const PERIOD: COctetString<'_> = COctetString(b"000002000000000R");
const SOURCE: Address<'_> = Address {
    ton: 5,
    npi: 0,
    digits: COctetString(b"Tollwire"),
};
const DESTINATION: Address<'_> = Address {
    ton: 1,
    npi: 1,
    digits: COctetString(b"491701234567"),
};

/// Every sample.
pub fn all() -> Vec<Sample> {
    let mut samples = Samples::default();
    sessions(&mut samples);
    submissions(&mut samples);
    deliveries(&mut samples);
    operations(&mut samples);
    broadcasts(&mut samples);
    samples.0
}

fn sessions(samples: &mut Samples) {
    let bind = Bind {
        system_id: "esme".into(),
        password: "secret08".into(),
        system_type: "SUBMIT1".into(),
        interface_version: 0x50,
        address_range: Address {
            ton: 1,
            npi: 1,
            digits: "^4917".into(),
        },
        tlvs: Tlvs::EMPTY,
    };
    samples.add(Pdu::BindReceiver(bind));
    samples.add(Pdu::BindTransmitter(bind));
    samples.add(Pdu::BindTransceiver(bind));
    let version = tlvs(&[tlv::SC_INTERFACE_VERSION]);
    let resp = BindResp {
        system_id: "tollwire".into(),
        tlvs: version.as_tlvs(),
    };
    samples.add(Pdu::BindReceiverResp(resp));
    samples.add(Pdu::BindTransmitterResp(resp));
    samples.add(Pdu::BindTransceiverResp(resp));
    samples.add_with(
        Pdu::BindTransceiverResp(BindResp::default()),
        status::ESME_RINVPASWD,
    );
    samples.add(Pdu::Outbind(Outbind {
        system_id: "tollwire".into(),
        password: "secret08".into(),
        tlvs: Tlvs::EMPTY,
    }));
    samples.add(Pdu::Unbind(Tlvs::EMPTY));
    samples.add(Pdu::UnbindResp(Tlvs::EMPTY));
    samples.add(Pdu::EnquireLink(Tlvs::EMPTY));
    samples.add(Pdu::EnquireLinkResp(Tlvs::EMPTY));
    samples.add_with(Pdu::GenericNack(Tlvs::EMPTY), status::ESME_RINVCMDID);
}

fn submissions(samples: &mut Samples) {
    let optional = tlvs(OF_SUBMISSION);
    samples.add(Pdu::SubmitSm(SubmitSm {
        service_type: SERVICE_TYPE,
        source: SOURCE,
        destination: DESTINATION,
        esm_class: 3,
        protocol_id: 1,
        priority_flag: 1,
        schedule_delivery_time: TIME,
        validity_period: PERIOD,
        registered_delivery: 0x11,
        replace_if_present_flag: 1,
        data_coding: 8,
        sm_default_msg_id: 7,
        short_message: b"\x00h\x00i",
        tlvs: optional.as_tlvs(),
    }));
    samples.add(Pdu::SubmitSm(SubmitSm::default()));
    let mut dest_addresses = DestAddressesBuffer::new();
    for destination in [
        DestAddress::Sme(DESTINATION),
        DestAddress::DistributionList("friends".into()),
        DestAddress::Sme(Address::default()),
    ] {
        dest_addresses.push(destination).unwrap();
    }
    samples.add(Pdu::SubmitMulti(SubmitMulti {
        service_type: SERVICE_TYPE,
        source: SOURCE,
        dest_addresses: dest_addresses.as_dest_addresses(),
        esm_class: 0,
        protocol_id: 1,
        priority_flag: 1,
        schedule_delivery_time: TIME,
        validity_period: PERIOD,
        registered_delivery: 1,
        replace_if_present_flag: 0,
        data_coding: 0,
        sm_default_msg_id: 0,
        short_message: b"to all of you",
        tlvs: optional.as_tlvs(),
    }));
    let data = tlvs(OF_DATA);
    samples.add(Pdu::DataSm(DataSm {
        service_type: SERVICE_TYPE,
        source: SOURCE,
        destination: DESTINATION,
        esm_class: 0,
        registered_delivery: 1,
        data_coding: 0,
        tlvs: data.as_tlvs(),
    }));
    let resp = MessageIdResp {
        message_id: MESSAGE_ID,
        tlvs: Tlvs::EMPTY,
    };
    samples.add(Pdu::SubmitSmResp(resp));
    samples.add_with(Pdu::SubmitSmResp(resp), status::ESME_RTHROTTLED);
    samples.add(Pdu::DataSmResp(resp));
    let reason = tlvs(&[
        tlv::DELIVERY_FAILURE_REASON,
        tlv::NETWORK_ERROR_CODE,
        tlv::ADDITIONAL_STATUS_INFO_TEXT,
        tlv::DPF_RESULT,
    ]);
    samples.add_with(
        Pdu::DataSmResp(MessageIdResp {
            message_id: MESSAGE_ID,
            tlvs: reason.as_tlvs(),
        }),
        status::ESME_RDELIVERYFAILURE,
    );
    let mut unsuccess_smes = UnsuccessSmesBuffer::new();
    for error_status_code in [status::ESME_RINVDSTADR, status::ESME_RTHROTTLED] {
        unsuccess_smes
            .push(UnsuccessSme {
                destination: DESTINATION,
                error_status_code,
            })
            .unwrap();
    }
    samples.add(Pdu::SubmitMultiResp(SubmitMultiResp {
        message_id: MESSAGE_ID,
        unsuccess_smes: unsuccess_smes.as_unsuccess_smes(),
        tlvs: Tlvs::EMPTY,
    }));
}

fn deliveries(samples: &mut Samples) {
    let optional = tlvs(&[
        tlv::RECEIPTED_MESSAGE_ID,
        tlv::MESSAGE_STATE,
        tlv::NETWORK_ERROR_CODE,
        tlv::USER_MESSAGE_REFERENCE,
        0x1403,
    ]);
    samples.add(Pdu::DeliverSm(DeliverSm {
        service_type: SERVICE_TYPE,
        source: DESTINATION,
        destination: SOURCE,
        esm_class: 4,
        protocol_id: 0,
        priority_flag: 0,
        schedule_delivery_time: COctetString::default(),
        validity_period: COctetString::default(),
        registered_delivery: 0,
        replace_if_present_flag: 0,
        data_coding: 0,
        sm_default_msg_id: 0,
        short_message: b"id:1 sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:DELIVRD err:000 text:hi",
        tlvs: optional.as_tlvs(),
    }));
    samples.add(Pdu::DeliverSmResp(MessageIdResp::default()));
    samples.add_with(
        Pdu::DeliverSmResp(MessageIdResp::default()),
        status::ESME_RX_T_APPN,
    );
    let available = tlvs(&[tlv::MS_AVAILABILITY_STATUS]);
    samples.add(Pdu::AlertNotification(AlertNotification {
        source: DESTINATION,
        esme: SOURCE,
        tlvs: available.as_tlvs(),
    }));
}

fn operations(samples: &mut Samples) {
    samples.add(Pdu::QuerySm(QuerySm {
        message_id: MESSAGE_ID,
        source: SOURCE,
        tlvs: Tlvs::EMPTY,
    }));
    samples.add(Pdu::QuerySmResp(QuerySmResp {
        message_id: MESSAGE_ID,
        final_date: TIME,
        message_state: 2,
        error_code: 0,
        tlvs: Tlvs::EMPTY,
    }));
    samples.add(Pdu::CancelSm(CancelSm {
        service_type: SERVICE_TYPE,
        message_id: MESSAGE_ID,
        source: SOURCE,
        destination: DESTINATION,
        tlvs: Tlvs::EMPTY,
    }));
    samples.add(Pdu::CancelSmResp(Tlvs::EMPTY));
    samples.add(Pdu::ReplaceSm(ReplaceSm {
        message_id: MESSAGE_ID,
        source: SOURCE,
        schedule_delivery_time: TIME,
        validity_period: PERIOD,
        registered_delivery: 1,
        sm_default_msg_id: 0,
        short_message: b"another text",
        tlvs: Tlvs::EMPTY,
    }));
    samples.add(Pdu::ReplaceSmResp(Tlvs::EMPTY));
}

fn broadcasts(samples: &mut Samples) {
    let mut optional = tlvs(&BroadcastSm::MANDATORY);
    for tag in [
        tlv::BROADCAST_CHANNEL_INDICATOR,
        tlv::BROADCAST_CONTENT_TYPE_INFO,
        tlv::BROADCAST_MESSAGE_CLASS,
        tlv::BROADCAST_SERVICE_GROUP,
        tlv::MESSAGE_PAYLOAD,
    ] {
        optional.push(tag, value_of(tag)).unwrap();
    }
    samples.add(Pdu::BroadcastSm(BroadcastSm {
        service_type: SERVICE_TYPE,
        source: SOURCE,
        message_id: COctetString::default(),
        priority_flag: 1,
        schedule_delivery_time: TIME,
        validity_period: PERIOD,
        replace_if_present_flag: 0,
        data_coding: 0,
        sm_default_msg_id: 0,
        tlvs: optional.as_tlvs(),
    }));
    let failed = tlvs(&[tlv::BROADCAST_ERROR_STATUS, tlv::BROADCAST_AREA_IDENTIFIER]);
    samples.add(Pdu::BroadcastSmResp(MessageIdResp {
        message_id: MESSAGE_ID,
        tlvs: failed.as_tlvs(),
    }));
    let reference = tlvs(&[tlv::USER_MESSAGE_REFERENCE]);
    samples.add(Pdu::QueryBroadcastSm(QueryBroadcastSm {
        message_id: MESSAGE_ID,
        source: SOURCE,
        tlvs: reference.as_tlvs(),
    }));
    let state = tlvs(&[
        tlv::MESSAGE_STATE,
        tlv::BROADCAST_AREA_IDENTIFIER,
        tlv::BROADCAST_AREA_SUCCESS,
        tlv::BROADCAST_END_TIME,
        tlv::USER_MESSAGE_REFERENCE,
    ]);
    samples.add(Pdu::QueryBroadcastSmResp(MessageIdResp {
        message_id: MESSAGE_ID,
        tlvs: state.as_tlvs(),
    }));
    let content = tlvs(&[tlv::BROADCAST_CONTENT_TYPE, tlv::USER_MESSAGE_REFERENCE]);
    samples.add(Pdu::CancelBroadcastSm(CancelBroadcastSm {
        service_type: SERVICE_TYPE,
        message_id: MESSAGE_ID,
        source: SOURCE,
        tlvs: content.as_tlvs(),
    }));
    samples.add(Pdu::CancelBroadcastSmResp(Tlvs::EMPTY));
}
