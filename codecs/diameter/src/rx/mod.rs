//! Rx (3GPP TS 29.214): a call's media authorised, moved and ended at a limiter.
//!
//! Beside the grammars of TS 29.214 5.6 the structs name AVPs that their `*[ AVP ]` admits and
//! that a call gate needs: Session-Timeout and Event-Timestamp, and use per flow
//! (Used-Service-Unit in Media-Sub-Component).

mod aa;
mod abort_session;
mod media_component;
mod re_auth;
mod session_termination;
mod types;

pub use aa::{AaAnswer, AaRequest};
pub use abort_session::{RxAbortSessionAnswer, RxAbortSessionRequest};
pub use media_component::{
    Flows, MediaComponentDescription, MediaSubComponent, SponsoredConnectivityData,
    SupportedFeatures,
};
pub use re_auth::{RxReAuthAnswer, RxReAuthRequest};
pub use session_termination::{RxSessionTerminationAnswer, RxSessionTerminationRequest};
pub use types::{
    AbortCause, FlowStatus, FlowUsage, MediaType, RxRequestType, ServiceInfoStatus,
    SipForkingIndication, SpecificAction,
};

use crate::base::ExperimentalResult;
use crate::dictionary::VENDOR_3GPP;
use crate::result_code::ResultCode;

/// INVALID_SERVICE_INFORMATION (TS 29.214 5.5.3): the media description is no use.
pub const INVALID_SERVICE_INFORMATION: ResultCode = ResultCode(5061);
/// FILTER_RESTRICTIONS (TS 29.214 5.5.3): a Flow-Description breaks the restrictions of 5.3.8.
pub const FILTER_RESTRICTIONS: ResultCode = ResultCode(5062);
/// REQUESTED_SERVICE_NOT_AUTHORIZED (TS 29.214 5.5.3).
pub const REQUESTED_SERVICE_NOT_AUTHORIZED: ResultCode = ResultCode(5063);
/// DUPLICATED_AF_SESSION (TS 29.214 5.5.3).
pub const DUPLICATED_AF_SESSION: ResultCode = ResultCode(5064);
/// IP-CAN_SESSION_NOT_AVAILABLE (TS 29.214 5.5.3).
pub const IP_CAN_SESSION_NOT_AVAILABLE: ResultCode = ResultCode(5065);
/// REQUESTED_SERVICE_TEMPORARILY_NOT_AUTHORIZED (TS 29.214 5.5.4).
pub const REQUESTED_SERVICE_TEMPORARILY_NOT_AUTHORIZED: ResultCode = ResultCode(4261);

/// `code` as 3GPP's Experimental-Result.
pub fn experimental_result(code: ResultCode) -> ExperimentalResult {
    ExperimentalResult {
        vendor_id: VENDOR_3GPP,
        experimental_result_code: code,
        extra: Vec::new(),
    }
}
