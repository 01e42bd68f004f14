//! `command_id` (SMPP 3.4 section 5.1.2.1, SMPP 5.0 section 4.7.5).

/// The bit that makes a response of a request.
pub const RESPONSE: u32 = 0x8000_0000;

macro_rules! commands {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        $(#[doc = concat!("`", $text, "`")] pub const $name: u32 = $value;)*

        /// Every command, by number.
        pub const ALL: &[(u32, &str)] = &[$(($name, $text)),*];

        /// The name of a command as the specification spells it; `None` if it has none.
        pub fn name(command_id: u32) -> Option<&'static str> {
            match command_id {
                $($name => Some($text),)*
                _ => None,
            }
        }
    };
}

commands! {
    BIND_RECEIVER = 0x0000_0001, "bind_receiver";
    BIND_TRANSMITTER = 0x0000_0002, "bind_transmitter";
    QUERY_SM = 0x0000_0003, "query_sm";
    SUBMIT_SM = 0x0000_0004, "submit_sm";
    DELIVER_SM = 0x0000_0005, "deliver_sm";
    UNBIND = 0x0000_0006, "unbind";
    REPLACE_SM = 0x0000_0007, "replace_sm";
    CANCEL_SM = 0x0000_0008, "cancel_sm";
    BIND_TRANSCEIVER = 0x0000_0009, "bind_transceiver";
    OUTBIND = 0x0000_000B, "outbind";
    ENQUIRE_LINK = 0x0000_0015, "enquire_link";
    SUBMIT_MULTI = 0x0000_0021, "submit_multi";
    ALERT_NOTIFICATION = 0x0000_0102, "alert_notification";
    DATA_SM = 0x0000_0103, "data_sm";
    BROADCAST_SM = 0x0000_0111, "broadcast_sm";
    QUERY_BROADCAST_SM = 0x0000_0112, "query_broadcast_sm";
    CANCEL_BROADCAST_SM = 0x0000_0113, "cancel_broadcast_sm";
    GENERIC_NACK = 0x8000_0000, "generic_nack";
    BIND_RECEIVER_RESP = 0x8000_0001, "bind_receiver_resp";
    BIND_TRANSMITTER_RESP = 0x8000_0002, "bind_transmitter_resp";
    QUERY_SM_RESP = 0x8000_0003, "query_sm_resp";
    SUBMIT_SM_RESP = 0x8000_0004, "submit_sm_resp";
    DELIVER_SM_RESP = 0x8000_0005, "deliver_sm_resp";
    UNBIND_RESP = 0x8000_0006, "unbind_resp";
    REPLACE_SM_RESP = 0x8000_0007, "replace_sm_resp";
    CANCEL_SM_RESP = 0x8000_0008, "cancel_sm_resp";
    BIND_TRANSCEIVER_RESP = 0x8000_0009, "bind_transceiver_resp";
    ENQUIRE_LINK_RESP = 0x8000_0015, "enquire_link_resp";
    SUBMIT_MULTI_RESP = 0x8000_0021, "submit_multi_resp";
    DATA_SM_RESP = 0x8000_0103, "data_sm_resp";
    BROADCAST_SM_RESP = 0x8000_0111, "broadcast_sm_resp";
    QUERY_BROADCAST_SM_RESP = 0x8000_0112, "query_broadcast_sm_resp";
    CANCEL_BROADCAST_SM_RESP = 0x8000_0113, "cancel_broadcast_sm_resp";
}

/// Whether it is a response, `generic_nack` among them.
pub const fn is_response(command_id: u32) -> bool {
    command_id & RESPONSE != 0
}

/// The response to a request: `None` for a response, and for `outbind` and `alert_notification`, which have none
/// (SMPP 3.4 sections 4.1.7 and 4.12). What is not a command at all is answered with `generic_nack` (section 4.3.1).
pub fn response_to(command_id: u32) -> Option<u32> {
    match command_id {
        OUTBIND | ALERT_NOTIFICATION => None,
        response if is_response(response) => None,
        request if name(request).is_some() => Some(request | RESPONSE),
        _ => Some(GENERIC_NACK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_but_two_has_a_response_of_its_own() {
        for (command_id, text) in ALL {
            match response_to(*command_id) {
                Some(response) => {
                    assert_eq!(response, command_id | RESPONSE);
                    assert_eq!(name(response).unwrap(), format!("{text}_resp"));
                }
                None => assert!(
                    is_response(*command_id) || matches!(*text, "outbind" | "alert_notification"),
                    "{text}"
                ),
            }
        }
        assert_eq!(response_to(0x0000_000A), Some(GENERIC_NACK));
        assert_eq!(response_to(0x8000_000A), None);
    }
}
