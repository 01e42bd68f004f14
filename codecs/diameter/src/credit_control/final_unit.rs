use bytes::Bytes;

use crate::credit_control::{FinalUnitAction, RedirectAddressType};
use crate::fields::grouped;
use crate::ip_filter_rule::IpFilterRule;
use crate::value::Address;

grouped! {
    /// Final-Unit-Indication (RFC 8506 8.34): the grant beside it holds the last units.
    pub struct FinalUnitIndication {
        /// What to do when they are used.
        final_unit_action: FinalUnitAction = FINAL_UNIT_ACTION,
        /// What stays allowed with RESTRICT_ACCESS.
        restriction_filter_rules: Vec<IpFilterRule> = RESTRICTION_FILTER_RULE,
        /// Names of filters that the client has.
        filter_ids: Vec<String> = FILTER_ID,
        /// Where to with REDIRECT.
        redirect_server: Option<RedirectServer> = REDIRECT_SERVER,
    }

    /// Redirect-Server (RFC 8506 8.37).
    pub struct RedirectServer {
        /// The kind of address.
        redirect_address_type: RedirectAddressType = REDIRECT_ADDRESS_TYPE,
        /// The address.
        redirect_server_address: String = REDIRECT_SERVER_ADDRESS,
    }

    /// QoS-Final-Unit-Indication (RFC 8506 8.68).
    pub struct QosFinalUnitIndication {
        /// What to do when the last units are used.
        final_unit_action: FinalUnitAction = FINAL_UNIT_ACTION,
        /// Filter-Rule groups (RFC 5777 3.2), not interpreted.
        filter_rules: Vec<Bytes> = FILTER_RULE,
        /// Names of filters that the client has.
        filter_ids: Vec<String> = FILTER_ID,
        /// Where to with REDIRECT.
        redirect_server_extension: Option<RedirectServerExtension> = REDIRECT_SERVER_EXTENSION,
    }

    /// Redirect-Server-Extension (RFC 8506 8.64).
    pub struct RedirectServerExtension {
        /// As an IP address.
        redirect_address_ip_address: Option<Address> = REDIRECT_ADDRESS_IPADDRESS,
        /// As a URL.
        redirect_address_url: Option<String> = REDIRECT_ADDRESS_URL,
        /// As a SIP URI.
        redirect_address_sip_uri: Option<String> = REDIRECT_ADDRESS_SIP_URI,
    }
}
