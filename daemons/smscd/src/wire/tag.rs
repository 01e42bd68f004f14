//! Tags of optional parameters in use here, SMPP 3.4 table 5-7.

/// `qos_time_to_live`
pub const QOS_TIME_TO_LIVE: u16 = 0x0017;
/// `receipted_message_id`
pub const RECEIPTED_MESSAGE_ID: u16 = 0x001E;
/// `sc_interface_version`
pub const SC_INTERFACE_VERSION: u16 = 0x0210;
/// `sar_total_segments`
pub const SAR_TOTAL_SEGMENTS: u16 = 0x020E;
/// `user_message_reference`
pub const USER_MESSAGE_REFERENCE: u16 = 0x0204;
/// `network_error_code`
pub const NETWORK_ERROR_CODE: u16 = 0x0423;
/// `message_payload`
pub const MESSAGE_PAYLOAD: u16 = 0x0424;
/// `message_state`
pub const MESSAGE_STATE: u16 = 0x0427;
