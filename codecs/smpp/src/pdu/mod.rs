//! The PDUs, a file each: what SMPP 3.4 section 4 and SMPP 5.0 section 4 call their fields.
//!
//! Every value borrows, from a frame when it was read, from anything when it is to be written. The optional part
//! stays one run of octets ([`Tlvs`]).

mod address;
mod alert_notification;
mod bind;
mod broadcast_sm;
mod cancel_sm;
mod data_sm;
mod deliver_sm;
mod message_id;
mod outbind;
mod query_sm;
mod replace_sm;
mod submit_multi;
mod submit_multi_resp;
mod submit_sm;

pub use address::Address;
pub use alert_notification::AlertNotification;
pub use bind::{Bind, BindResp};
pub use broadcast_sm::{BroadcastSm, CancelBroadcastSm, QueryBroadcastSm};
pub use cancel_sm::CancelSm;
pub use data_sm::DataSm;
pub use deliver_sm::DeliverSm;
pub use message_id::MessageIdResp;
pub use outbind::Outbind;
pub use query_sm::{QuerySm, QuerySmResp};
pub use replace_sm::ReplaceSm;
pub use submit_multi::{DestAddress, DestAddresses, DestAddressesBuffer, SubmitMulti};
pub use submit_multi_resp::{SubmitMultiResp, UnsuccessSme, UnsuccessSmes, UnsuccessSmesBuffer};
pub use submit_sm::SubmitSm;

use crate::body::{Body, BodyWriter};
use crate::framing::Frame;
use crate::refusal::{Fault, Refusal, Unencodable, header};
use crate::tlv::Tlvs;
use crate::{command, status};

macro_rules! pdus {
    ($($command:ident => $variant:ident($type:ty);)*) => {
        /// A PDU. Those whose body is an optional part alone have no type of their own.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Pdu<'a> {
            $(#[doc = concat!("[`command::", stringify!($command), "`]")] $variant($type),)*
        }

        impl<'a> Pdu<'a> {
            /// Its `command_id`.
            pub fn command_id(&self) -> u32 {
                match self {
                    $(Self::$variant(_) => command::$command,)*
                }
            }

            fn read(frame: &'a Frame) -> Result<Self, Fault> {
                let mut body = Body::new(&frame.body);
                Ok(match frame.command_id {
                    $(command::$command => Self::$variant(Part::read(&mut body)?),)*
                    _ => {
                        return Err(Fault {
                            field: "command_id",
                            offset: 4,
                            command_status: status::ESME_RINVCMDID,
                        });
                    }
                })
            }

            fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
                match self {
                    $(Self::$variant(part) => part.write(writer),)*
                }
            }

            /// The optional part.
            pub fn tlvs(&self) -> Tlvs<'a> {
                match self {
                    $(Self::$variant(part) => Part::tlvs(part),)*
                }
            }
        }
    };
}

pdus! {
    BIND_RECEIVER => BindReceiver(Bind<'a>);
    BIND_TRANSMITTER => BindTransmitter(Bind<'a>);
    QUERY_SM => QuerySm(QuerySm<'a>);
    SUBMIT_SM => SubmitSm(SubmitSm<'a>);
    DELIVER_SM => DeliverSm(DeliverSm<'a>);
    UNBIND => Unbind(Tlvs<'a>);
    REPLACE_SM => ReplaceSm(ReplaceSm<'a>);
    CANCEL_SM => CancelSm(CancelSm<'a>);
    BIND_TRANSCEIVER => BindTransceiver(Bind<'a>);
    OUTBIND => Outbind(Outbind<'a>);
    ENQUIRE_LINK => EnquireLink(Tlvs<'a>);
    SUBMIT_MULTI => SubmitMulti(SubmitMulti<'a>);
    ALERT_NOTIFICATION => AlertNotification(AlertNotification<'a>);
    DATA_SM => DataSm(DataSm<'a>);
    BROADCAST_SM => BroadcastSm(BroadcastSm<'a>);
    QUERY_BROADCAST_SM => QueryBroadcastSm(QueryBroadcastSm<'a>);
    CANCEL_BROADCAST_SM => CancelBroadcastSm(CancelBroadcastSm<'a>);
    GENERIC_NACK => GenericNack(Tlvs<'a>);
    BIND_RECEIVER_RESP => BindReceiverResp(BindResp<'a>);
    BIND_TRANSMITTER_RESP => BindTransmitterResp(BindResp<'a>);
    QUERY_SM_RESP => QuerySmResp(QuerySmResp<'a>);
    SUBMIT_SM_RESP => SubmitSmResp(MessageIdResp<'a>);
    DELIVER_SM_RESP => DeliverSmResp(MessageIdResp<'a>);
    UNBIND_RESP => UnbindResp(Tlvs<'a>);
    REPLACE_SM_RESP => ReplaceSmResp(Tlvs<'a>);
    CANCEL_SM_RESP => CancelSmResp(Tlvs<'a>);
    BIND_TRANSCEIVER_RESP => BindTransceiverResp(BindResp<'a>);
    ENQUIRE_LINK_RESP => EnquireLinkResp(Tlvs<'a>);
    SUBMIT_MULTI_RESP => SubmitMultiResp(SubmitMultiResp<'a>);
    DATA_SM_RESP => DataSmResp(MessageIdResp<'a>);
    BROADCAST_SM_RESP => BroadcastSmResp(MessageIdResp<'a>);
    QUERY_BROADCAST_SM_RESP => QueryBroadcastSmResp(MessageIdResp<'a>);
    CANCEL_BROADCAST_SM_RESP => CancelBroadcastSmResp(Tlvs<'a>);
}

/// A body.
trait Part<'a>: Sized {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault>;
    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable>;
    fn tlvs(&self) -> Tlvs<'a>;
}

impl<'a> Part<'a> for Tlvs<'a> {
    fn read(body: &mut Body<'a>) -> Result<Self, Fault> {
        body.extra_tlvs()
    }

    fn write(&self, writer: &mut BodyWriter<'_>) -> Result<(), Unencodable> {
        writer.tlvs(*self);
        Ok(())
    }

    fn tlvs(&self) -> Tlvs<'a> {
        *self
    }
}

/// Gives a frame its meaning.
///
/// Requests that submit are held to the specification: a reserved value and a TLV of the wrong length are refused
/// with the status for it. What a message centre delivers and what answers a request of ours is only held to its
/// structure: refusing a receipt for a TLV that nobody reads would lose it.
///
/// # Errors
/// The answer, with the field and the octet at fault.
pub fn decode(frame: &Frame) -> Result<Pdu<'_>, Refusal> {
    Pdu::read(frame).map_err(|fault| Refusal {
        answer: command::response_to(frame.command_id),
        command_status: fault.command_status,
        sequence_number: frame.sequence_number,
        field: fault.field,
        offset: fault.offset,
    })
}

/// Appends a PDU to `out`.
///
/// A response whose `command_status` is not ESME_ROK goes without its body (SMPP 3.4 sections 4.1.2 and 4.4.2: "the
/// body is not returned if the command_status contains a non-zero value"), except when it has optional parameters,
/// which then say more about the error (SMPP 3.4 table 4-15), and except `submit_multi_resp` that lists destinations.
///
/// # Errors
/// A value that its field cannot hold; `out` is as it was.
pub fn encode(
    pdu: &Pdu<'_>,
    command_status: u32,
    sequence_number: u32,
    out: &mut Vec<u8>,
) -> Result<(), Unencodable> {
    let start = out.len();
    let command_id = pdu.command_id();
    header(command_id, command_status, sequence_number, out);
    let lists = matches!(pdu, Pdu::SubmitMultiResp(resp) if resp.unsuccess_smes.count() > 0);
    if command_status != status::ESME_ROK
        && command::is_response(command_id)
        && pdu.tlvs().is_empty()
        && !lists
    {
        return Ok(());
    }
    let written = pdu.write(&mut BodyWriter::new(out));
    let length = u32::try_from(out.len() - start).map_err(|_| Unencodable {
        field: "command_length",
    });
    match written.and(length) {
        Ok(length) => {
            if let Some(place) = out.get_mut(start..start + 4) {
                place.copy_from_slice(&length.to_be_bytes());
            }
            Ok(())
        }
        Err(unencodable) => {
            out.truncate(start);
            Err(unencodable)
        }
    }
}
