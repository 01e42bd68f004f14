//! `command_id`, SMPP 3.4 section 5.1.2.1.

/// `generic_nack`
pub const GENERIC_NACK: u32 = 0x8000_0000;
/// `bind_receiver`
pub const BIND_RECEIVER: u32 = 0x0000_0001;
/// `bind_transmitter`
pub const BIND_TRANSMITTER: u32 = 0x0000_0002;
/// `query_sm`
pub const QUERY_SM: u32 = 0x0000_0003;
/// `submit_sm`
pub const SUBMIT_SM: u32 = 0x0000_0004;
/// `deliver_sm`
pub const DELIVER_SM: u32 = 0x0000_0005;
/// `unbind`
pub const UNBIND: u32 = 0x0000_0006;
/// `replace_sm`
pub const REPLACE_SM: u32 = 0x0000_0007;
/// `cancel_sm`
pub const CANCEL_SM: u32 = 0x0000_0008;
/// `bind_transceiver`
pub const BIND_TRANSCEIVER: u32 = 0x0000_0009;
/// `outbind`
pub const OUTBIND: u32 = 0x0000_000B;
/// `enquire_link`
pub const ENQUIRE_LINK: u32 = 0x0000_0015;
/// `submit_multi`
pub const SUBMIT_MULTI: u32 = 0x0000_0021;
/// `alert_notification`
pub const ALERT_NOTIFICATION: u32 = 0x0000_0102;
/// `data_sm`
pub const DATA_SM: u32 = 0x0000_0103;
/// The bit that makes a response of a request.
pub const RESPONSE: u32 = 0x8000_0000;
