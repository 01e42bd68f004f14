//! What must hold for any octets that are read as Diameter.

use bytes::Bytes;
use tollwire_diameter::accounting::{AccountingAnswer, AccountingRequest};
use tollwire_diameter::base::*;
use tollwire_diameter::credit_control::{CreditControlAnswer, CreditControlRequest};
use tollwire_diameter::rx::*;
use tollwire_diameter::{Identity, Message, frame_length};

/// One message: no panic; what reads is stable as a message and as its command; what does not is
/// answered with something that reads.
///
/// # Panics
/// A finding.
pub fn diameter_message(data: &[u8]) {
    if let Ok(Some(length)) = frame_length(data, 65_536) {
        assert!(length.is_multiple_of(4) && length <= 65_536);
    }
    match Message::decode(Bytes::copy_from_slice(data)) {
        Ok(message) => {
            let octets = message.encode();
            let again = Message::decode(octets.clone()).expect("what was encoded decodes");
            assert_eq!(again, message);
            assert_eq!(again.encode(), octets);
            commands(&message);
        }
        Err(malformed) => {
            let identity = Identity {
                origin_host: "fuzz.example".into(),
                origin_realm: "example".into(),
            };
            if let Some(answer) = malformed.answer(&identity) {
                Message::decode(answer.encode()).expect("the answer reads");
            }
        }
    }
}

macro_rules! request {
    ($message:ident, $($type:ty),* $(,)?) => {$(
        if let Ok(value) = <$type>::decode($message) {
            let again = value.encode($message.hop_by_hop_id, $message.end_to_end_id);
            assert_eq!(<$type>::decode(&again).as_ref(), Ok(&value));
        }
    )*};
}

macro_rules! answer {
    ($message:ident, $($type:ty),* $(,)?) => {$(
        if let Ok(value) = <$type>::decode($message) {
            let frame = Message { avps: Vec::new(), ..$message.clone() };
            assert_eq!(<$type>::decode(&value.answer(&frame)).as_ref(), Ok(&value));
        }
    )*};
}

/// What reads as a command is written and read again as the same value.
pub fn commands(message: &Message) {
    request!(
        message,
        CapabilitiesExchangeRequest,
        DeviceWatchdogRequest,
        DisconnectPeerRequest,
        ReAuthRequest,
        SessionTerminationRequest,
        AbortSessionRequest,
        AccountingRequest,
        CreditControlRequest,
        AaRequest,
        RxReAuthRequest,
        RxSessionTerminationRequest,
        RxAbortSessionRequest,
    );
    answer!(
        message,
        CapabilitiesExchangeAnswer,
        DeviceWatchdogAnswer,
        DisconnectPeerAnswer,
        ReAuthAnswer,
        SessionTerminationAnswer,
        AbortSessionAnswer,
        AccountingAnswer,
        CreditControlAnswer,
        AaAnswer,
        RxReAuthAnswer,
        RxSessionTerminationAnswer,
        RxAbortSessionAnswer,
    );
}
