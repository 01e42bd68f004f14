//! Commands and groups of the base protocol (RFC 6733 5 and 8).

mod abort_session;
mod capabilities_exchange;
mod device_watchdog;
mod disconnect_peer;
mod error_answer;
mod groups;
mod re_auth;
mod session_termination;
mod types;

pub use abort_session::{AbortSessionAnswer, AbortSessionRequest};
pub use capabilities_exchange::{CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest};
pub use device_watchdog::{DeviceWatchdogAnswer, DeviceWatchdogRequest};
pub use disconnect_peer::{DisconnectPeerAnswer, DisconnectPeerRequest};
pub use error_answer::ErrorAnswer;
pub use groups::{ExperimentalResult, FailedAvp, ProxyInfo, VendorSpecificApplicationId};
pub use re_auth::{ReAuthAnswer, ReAuthRequest};
pub use session_termination::{SessionTerminationAnswer, SessionTerminationRequest};
pub use types::{
    AuthSessionState, DisconnectCause, ReAuthRequestType, RedirectHostUsage, TerminationCause,
};
