use bytes::Bytes;

use crate::credit_control::SubscriptionId;
use crate::fields::grouped;
use crate::value::{Address, Time, enumerated};

enumerated! {
    /// Role-Of-Node (TS 32.299 7.2).
    open RoleOfNode {
        /// Serves the calling party.
        OriginatingRole = 0,
        /// Serves the called party.
        TerminatingRole = 1,
        /// Neither.
        ProxyRole = 2,
        /// Both legs are its own.
        B2buaRole = 3,
    }

    /// Node-Functionality (TS 32.299 7.2).
    open NodeFunctionality {
        /// Serving call session control function.
        SCscf = 0,
        /// Proxy call session control function.
        PCscf = 1,
        /// Interrogating call session control function.
        ICscf = 2,
        /// Media resource function controller.
        Mrfc = 3,
        /// Media gateway control function.
        Mgcf = 4,
        /// Breakout gateway control function.
        Bgcf = 5,
        /// Application server.
        ApplicationServer = 6,
        /// Interconnection border control function.
        Ibcf = 7,
    }

    /// Cause-Code (TS 32.299 7.2); a final SIP status from 300 on stands for itself.
    open CauseCode {
        /// The session ended normally.
        NormalEndOfSession = 0,
        /// An error that has no code.
        UnspecifiedError = 1,
        /// The session never began.
        UnsuccessfulSessionSetup = 2,
        /// An error of the node's own.
        InternalError = 3,
        /// A transaction outside a session went well.
        SuccessfulTransaction = -1,
        /// A SUBSCRIBE dialog ended.
        EndOfSubscribeDialog = -2,
        /// A REGISTER dialog ended.
        EndOfRegisterDialog = -3,
    }
}

grouped! {
    /// Service-Information (TS 32.299 7.2): what the service was.
    pub struct ServiceInformation {
        /// Whose account; some clients say it here, some in the request, some in both.
        subscription_ids: Vec<SubscriptionId> = SUBSCRIPTION_ID,
        /// Of a SIP session.
        ims_information: Option<ImsInformation> = IMS_INFORMATION,
    }

    /// IMS-Information (TS 32.299 7.2): what a charge record says of a SIP session.
    pub struct ImsInformation {
        /// What made the node charge.
        event_type: Option<EventType> = EVENT_TYPE,
        /// Which side the node serves.
        role_of_node: Option<RoleOfNode> = ROLE_OF_NODE,
        /// What the node is. Required by the grammar, not asked for here.
        node_functionality: Option<NodeFunctionality> = NODE_FUNCTIONALITY,
        /// Call-ID of the SIP session.
        user_session_id: Option<String> = USER_SESSION_ID,
        /// Call-ID of the other leg of a back-to-back user agent.
        outgoing_session_id: Option<String> = OUTGOING_SESSION_ID,
        /// Addresses of the calling party: SIP or tel URIs.
        calling_party_addresses: Vec<String> = CALLING_PARTY_ADDRESS,
        /// Address of the called party: a SIP or tel URI.
        called_party_address: Option<String> = CALLED_PARTY_ADDRESS,
        /// Address first called, before it was translated.
        requested_party_address: Option<String> = REQUESTED_PARTY_ADDRESS,
        /// When the request came and when it was answered.
        time_stamps: Option<TimeStamps> = TIME_STAMPS,
        /// The operators on both sides.
        inter_operator_identifiers: Vec<InterOperatorIdentifier> = INTER_OPERATOR_IDENTIFIER,
        /// IMS charging identifier (ICID).
        ims_charging_identifier: Option<String> = IMS_CHARGING_IDENTIFIER,
        /// Lines of the SDP before its first `m=`.
        sdp_session_descriptions: Vec<String> = SDP_SESSION_DESCRIPTION,
        /// The media.
        sdp_media_components: Vec<SdpMediaComponent> = SDP_MEDIA_COMPONENT,
        /// Address of the party the node serves.
        served_party_ip_address: Option<Address> = SERVED_PARTY_IP_ADDRESS,
        /// Why the session ended.
        cause_code: Option<CauseCode> = CAUSE_CODE,
        /// Reason header fields of the message that ended the session.
        reason_headers: Vec<String> = REASON_HEADER,
        /// P-Access-Network-Info.
        access_network_informations: Vec<Bytes> = ACCESS_NETWORK_INFORMATION,
        /// The From header field.
        from_address: Option<String> = FROM_ADDRESS,
    }

    /// Event-Type (TS 32.299 7.2).
    pub struct EventType {
        /// SIP method that made the node charge.
        sip_method: Option<String> = TGPP_SIP_METHOD,
        /// Event header field.
        event: Option<String> = EVENT,
        /// Expires header field in seconds.
        expires: Option<u32> = EXPIRES,
    }

    /// Time-Stamps (TS 32.299 7.2).
    pub struct TimeStamps {
        /// When the initial request was received.
        sip_request_timestamp: Option<Time> = SIP_REQUEST_TIMESTAMP,
        /// When its final response was.
        sip_response_timestamp: Option<Time> = SIP_RESPONSE_TIMESTAMP,
        /// Milliseconds of the first.
        sip_request_timestamp_fraction: Option<u32> = SIP_REQUEST_TIMESTAMP_FRACTION,
        /// Milliseconds of the second.
        sip_response_timestamp_fraction: Option<u32> = SIP_RESPONSE_TIMESTAMP_FRACTION,
    }

    /// Inter-Operator-Identifier (TS 32.299 7.2).
    pub struct InterOperatorIdentifier {
        /// The operator the session comes from.
        originating_ioi: Option<String> = ORIGINATING_IOI,
        /// The operator it goes to.
        terminating_ioi: Option<String> = TERMINATING_IOI,
    }

    /// SDP-Media-Component (TS 32.299 7.2).
    pub struct SdpMediaComponent {
        /// The `m=` line.
        sdp_media_name: Option<String> = SDP_MEDIA_NAME,
        /// The lines behind it.
        sdp_media_descriptions: Vec<String> = SDP_MEDIA_DESCRIPTION,
    }
}

impl TimeStamps {
    /// The moments in milliseconds since 1970, with their fractions.
    pub fn from_unix_ms(request: i64, response: Option<i64>) -> Self {
        let fraction = |unix_ms: i64| u32::try_from(unix_ms.rem_euclid(1000)).ok();
        Self {
            sip_request_timestamp: Some(Time::from_unix_ms(request)),
            sip_response_timestamp: response.map(Time::from_unix_ms),
            sip_request_timestamp_fraction: fraction(request),
            sip_response_timestamp_fraction: response.and_then(fraction),
            extra: Vec::new(),
        }
    }

    /// When the request was received, in milliseconds since 1970.
    pub fn request_unix_ms(&self) -> Option<i64> {
        unix_ms(
            self.sip_request_timestamp?,
            self.sip_request_timestamp_fraction,
        )
    }

    /// When the response was received, in milliseconds since 1970.
    pub fn response_unix_ms(&self) -> Option<i64> {
        unix_ms(
            self.sip_response_timestamp?,
            self.sip_response_timestamp_fraction,
        )
    }
}

fn unix_ms(time: Time, fraction: Option<u32>) -> Option<i64> {
    let fraction = fraction.filter(|fraction| *fraction < 1000).unwrap_or(0);
    time.unix_ms().checked_add(i64::from(fraction))
}
