use std::fmt;

/// Result-Code (RFC 6733 7.1, RFC 8506 9, TS 29.214 5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub struct ResultCode(pub u32);

macro_rules! result_codes {
    ($($name:ident = $code:literal),* $(,)?) => {
        impl ResultCode {
            $(
                #[doc = concat!("DIAMETER_", stringify!($name), " (", stringify!($code), ").")]
                pub const $name: Self = Self($code);
            )*

            /// The name the RFC gives the code, without its `DIAMETER_` prefix.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

result_codes! {
    MULTI_ROUND_AUTH = 1001,
    SUCCESS = 2001,
    LIMITED_SUCCESS = 2002,
    COMMAND_UNSUPPORTED = 3001,
    UNABLE_TO_DELIVER = 3002,
    REALM_NOT_SERVED = 3003,
    TOO_BUSY = 3004,
    LOOP_DETECTED = 3005,
    REDIRECT_INDICATION = 3006,
    APPLICATION_UNSUPPORTED = 3007,
    INVALID_HDR_BITS = 3008,
    INVALID_AVP_BITS = 3009,
    UNKNOWN_PEER = 3010,
    AUTHENTICATION_REJECTED = 4001,
    OUT_OF_SPACE = 4002,
    ELECTION_LOST = 4003,
    END_USER_SERVICE_DENIED = 4010,
    CREDIT_CONTROL_NOT_APPLICABLE = 4011,
    CREDIT_LIMIT_REACHED = 4012,
    AVP_UNSUPPORTED = 5001,
    UNKNOWN_SESSION_ID = 5002,
    AUTHORIZATION_REJECTED = 5003,
    INVALID_AVP_VALUE = 5004,
    MISSING_AVP = 5005,
    RESOURCES_EXCEEDED = 5006,
    CONTRADICTING_AVPS = 5007,
    AVP_NOT_ALLOWED = 5008,
    AVP_OCCURS_TOO_MANY_TIMES = 5009,
    NO_COMMON_APPLICATION = 5010,
    UNSUPPORTED_VERSION = 5011,
    UNABLE_TO_COMPLY = 5012,
    INVALID_BIT_IN_HEADER = 5013,
    INVALID_AVP_LENGTH = 5014,
    INVALID_MESSAGE_LENGTH = 5015,
    INVALID_AVP_BIT_COMBO = 5016,
    NO_COMMON_SECURITY = 5017,
    USER_UNKNOWN = 5030,
    RATING_FAILED = 5031,
}

impl ResultCode {
    /// Whether the request was carried out (2xxx).
    pub const fn is_success(self) -> bool {
        matches!(self.0, 2000..=2999)
    }

    /// Whether it is a protocol error (3xxx), whose answer carries the E bit (RFC 6733 7.1.3).
    pub const fn is_protocol_error(self) -> bool {
        matches!(self.0, 3000..=3999)
    }

    /// Whether the same request may succeed later (4xxx).
    pub const fn is_transient_failure(self) -> bool {
        matches!(self.0, 4000..=4999)
    }

    /// Whether the same request will fail again (5xxx).
    pub const fn is_permanent_failure(self) -> bool {
        matches!(self.0, 5000..=5999)
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "DIAMETER_{name} ({})", self.0),
            None => write!(formatter, "{}", self.0),
        }
    }
}
