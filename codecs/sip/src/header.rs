//! Names of header fields: RFC 3261 20 and its extensions, with their compact forms (7.3.3).

use std::fmt;

macro_rules! header_names {
    ($($variant:ident $name:literal $compact:literal $kind:ident;)*) => {
        /// A header field's name. Names and compact forms are matched without regard to case.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
            /// A name that is not in this list; the text stands in the message.
            Extension,
        }

        static NAMES: &[(&str, u8, HeaderName, Kind)] =
            &[$(($name, $compact, HeaderName::$variant, Kind::$kind),)*];
    };
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// One value, whatever commas it holds.
    One,
    /// A comma-separated list (RFC 3261 7.3.1).
    Many,
}

header_names! {
    Via "Via" b'v' Many;
    From "From" b'f' One;
    To "To" b't' One;
    CallId "Call-ID" b'i' One;
    CSeq "CSeq" 0 One;
    MaxForwards "Max-Forwards" 0 One;
    Contact "Contact" b'm' Many;
    Route "Route" 0 Many;
    RecordRoute "Record-Route" 0 Many;
    ContentLength "Content-Length" b'l' One;
    ContentType "Content-Type" b'c' One;
    Expires "Expires" 0 One;
    Authorization "Authorization" 0 One;
    ProxyAuthorization "Proxy-Authorization" 0 One;
    WwwAuthenticate "WWW-Authenticate" 0 One;
    ProxyAuthenticate "Proxy-Authenticate" 0 One;
    AuthenticationInfo "Authentication-Info" 0 One;
    Require "Require" 0 Many;
    ProxyRequire "Proxy-Require" 0 Many;
    Supported "Supported" b'k' Many;
    Unsupported "Unsupported" 0 Many;
    Allow "Allow" 0 Many;
    AllowEvents "Allow-Events" b'u' Many;
    Accept "Accept" 0 Many;
    AcceptContact "Accept-Contact" b'a' Many;
    AcceptEncoding "Accept-Encoding" 0 Many;
    AcceptLanguage "Accept-Language" 0 Many;
    AlertInfo "Alert-Info" 0 Many;
    CallInfo "Call-Info" 0 Many;
    ContentDisposition "Content-Disposition" 0 One;
    ContentEncoding "Content-Encoding" b'e' Many;
    ContentLanguage "Content-Language" 0 Many;
    Date "Date" 0 One;
    Diversion "Diversion" 0 Many;
    ErrorInfo "Error-Info" 0 Many;
    Event "Event" b'o' One;
    Geolocation "Geolocation" 0 Many;
    HistoryInfo "History-Info" 0 Many;
    Identity "Identity" b'y' Many;
    IdentityInfo "Identity-Info" b'n' One;
    InReplyTo "In-Reply-To" 0 Many;
    Join "Join" 0 One;
    MimeVersion "MIME-Version" 0 One;
    MinExpires "Min-Expires" 0 One;
    MinSe "Min-SE" 0 One;
    Organization "Organization" 0 One;
    PAssertedIdentity "P-Asserted-Identity" 0 Many;
    PPreferredIdentity "P-Preferred-Identity" 0 Many;
    PChargingVector "P-Charging-Vector" 0 One;
    PChargingFunctionAddresses "P-Charging-Function-Addresses" 0 One;
    Path "Path" 0 Many;
    Priority "Priority" 0 One;
    Privacy "Privacy" 0 One;
    RAck "RAck" 0 One;
    RSeq "RSeq" 0 One;
    Reason "Reason" 0 Many;
    ReferTo "Refer-To" b'r' One;
    ReferredBy "Referred-By" b'b' One;
    RejectContact "Reject-Contact" b'j' Many;
    Replaces "Replaces" 0 One;
    ReplyTo "Reply-To" 0 One;
    RequestDisposition "Request-Disposition" b'd' Many;
    RetryAfter "Retry-After" 0 One;
    Server "Server" 0 One;
    ServiceRoute "Service-Route" 0 Many;
    SessionExpires "Session-Expires" b'x' One;
    SipETag "SIP-ETag" 0 One;
    SipIfMatch "SIP-If-Match" 0 One;
    Subject "Subject" b's' One;
    SubscriptionState "Subscription-State" 0 One;
    TargetDialog "Target-Dialog" 0 One;
    Timestamp "Timestamp" 0 One;
    UserAgent "User-Agent" 0 One;
    Warning "Warning" 0 Many;
}

const LONGEST: usize = 30;
const TABLE: usize = 128;

/// The names sorted by length, for a short search.
struct ByLength {
    /// Names of n octets stand at `starts[n]..starts[n + 1]`.
    starts: [u8; LONGEST + 2],
    /// The first letter of each, in lower case, and its place in `NAMES`.
    order: [(u8, u8); TABLE],
}

static BY_LENGTH: ByLength = by_length();

#[allow(clippy::indexing_slicing)] // evaluated by the compiler
const fn by_length() -> ByLength {
    let mut starts = [0; LONGEST + 2];
    let mut order = [(0, 0); TABLE];
    let mut filled = 0;
    let mut length = 0;
    while length <= LONGEST {
        starts[length] = filled;
        let mut index = 0;
        while index < NAMES.len() {
            let name = NAMES[index].0.as_bytes();
            if name.len() == length {
                order[filled as usize] = (name[0].to_ascii_lowercase(), index as u8);
                filled += 1;
            }
            index += 1;
        }
        length += 1;
    }
    starts[LONGEST + 1] = filled;
    assert!(filled as usize == NAMES.len());
    ByLength { starts, order }
}

impl HeaderName {
    /// The name spelled by `name`, long or compact; [`HeaderName::Extension`] if it is not known.
    pub fn from_bytes(name: &[u8]) -> Self {
        let Some(first) = name.first().map(u8::to_ascii_lowercase) else {
            return Self::Extension;
        };
        if name.len() == 1 {
            return NAMES
                .iter()
                .find(|entry| first != 0 && entry.1 == first)
                .map_or(Self::Extension, |entry| entry.2);
        }
        let ByLength { starts, order } = &BY_LENGTH;
        let (Some(&start), Some(&end)) = (starts.get(name.len()), starts.get(name.len() + 1))
        else {
            return Self::Extension;
        };
        order
            .get(usize::from(start)..usize::from(end))
            .unwrap_or_default()
            .iter()
            .filter(|(letter, _)| *letter == first)
            .filter_map(|(_, index)| NAMES.get(usize::from(*index)))
            .find(|entry| entry.0.as_bytes().eq_ignore_ascii_case(name))
            .map_or(Self::Extension, |entry| entry.2)
    }

    /// The long form, as RFC 3261 spells it; empty for [`HeaderName::Extension`].
    pub fn as_str(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |entry| entry.0)
    }

    /// The compact form (RFC 3261 7.3.3 and extensions), if the name has one.
    pub fn compact(self) -> Option<char> {
        NAMES
            .get(self as usize)
            .filter(|entry| entry.1 != 0)
            .map(|entry| char::from(entry.1))
    }

    /// Whether the value is a comma-separated list whose elements may also stand in
    /// header fields of their own (RFC 3261 7.3.1).
    pub fn is_list(self) -> bool {
        NAMES
            .get(self as usize)
            .is_some_and(|entry| entry.3 == Kind::Many)
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Extension => "extension-header",
            known => known.as_str(),
        })
    }
}
