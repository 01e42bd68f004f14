use bytes::Bytes;

use crate::credit_control::{FinalUnitAction, GrantedServiceUnit, UsedServiceUnit};
use crate::fields::grouped;
use crate::ip_filter_rule::IpFilterRule;
use crate::rx::{FlowStatus, FlowUsage, MediaType};

grouped! {
    /// Media-Component-Description (TS 29.214 5.3): one `m=` line.
    pub struct MediaComponentDescription {
        /// Its ordinal number in the SDP, from 1.
        media_component_number: u32 = MEDIA_COMPONENT_NUMBER,
        /// Its flows.
        media_sub_components: Vec<MediaSubComponent> = MEDIA_SUB_COMPONENT,
        /// The service it is for.
        af_application_identifier: Option<Bytes> = AF_APPLICATION_IDENTIFIER,
        /// Its kind.
        media_type: Option<MediaType> = MEDIA_TYPE,
        /// Bit/s from the offerer, IP and UDP headers included.
        max_requested_bandwidth_ul: Option<u32> = MAX_REQUESTED_BANDWIDTH_UL,
        /// Bit/s to the offerer, IP and UDP headers included.
        max_requested_bandwidth_dl: Option<u32> = MAX_REQUESTED_BANDWIDTH_DL,
        /// Which directions are open.
        flow_status: Option<FlowStatus> = FLOW_STATUS,
        /// RTCP bit/s of receivers.
        rr_bandwidth: Option<u32> = RR_BANDWIDTH,
        /// RTCP bit/s of senders.
        rs_bandwidth: Option<u32> = RS_BANDWIDTH,
        /// Codecs: `uplink\noffer\n` and lines of SDP (TS 29.214 5.3).
        codec_data: Vec<String> = CODEC_DATA,
    }

    /// Media-Sub-Component (TS 29.214 5.3): one flow, such as RTP or RTCP.
    pub struct MediaSubComponent {
        /// Its ordinal number within the component, from 1.
        flow_number: u32 = FLOW_NUMBER,
        /// Uplink and downlink filter, at most two (TS 29.214 5.3).
        flow_descriptions: Vec<IpFilterRule> = FLOW_DESCRIPTION,
        /// Which directions are open; overrides the component's.
        flow_status: Option<FlowStatus> = FLOW_STATUS,
        /// What it is used for; absent is NO_INFORMATION.
        flow_usage: Option<FlowUsage> = FLOW_USAGE,
        /// Bit/s from the offerer; overrides the component's.
        max_requested_bandwidth_ul: Option<u32> = MAX_REQUESTED_BANDWIDTH_UL,
        /// Bit/s to the offerer; overrides the component's.
        max_requested_bandwidth_dl: Option<u32> = MAX_REQUESTED_BANDWIDTH_DL,
        /// What passed so far: octets in all, from and to the offerer, packets as service-specific
        /// units. An extension of ours (`*[ AVP ]`).
        used_service_unit: Option<UsedServiceUnit> = USED_SERVICE_UNIT,
    }

    /// Flows (TS 29.214 5.3): which flows a report is about.
    pub struct Flows {
        /// The component.
        media_component_number: u32 = MEDIA_COMPONENT_NUMBER,
        /// Its flows; none named is all.
        flow_numbers: Vec<u32> = FLOW_NUMBER,
        /// What happens to them when the credit is gone.
        final_unit_action: Option<FinalUnitAction> = FINAL_UNIT_ACTION,
    }

    /// Sponsored-Connectivity-Data (TS 29.214 5.3): an octet quota out, the use back.
    pub struct SponsoredConnectivityData {
        /// Who sponsors.
        sponsor_identity: Option<String> = SPONSOR_IDENTITY,
        /// Who provides the service.
        application_service_provider_identity: Option<String> = APPLICATION_SERVICE_PROVIDER_IDENTITY,
        /// The quota.
        granted_service_unit: Option<GrantedServiceUnit> = GRANTED_SERVICE_UNIT,
        /// The use.
        used_service_unit: Option<UsedServiceUnit> = USED_SERVICE_UNIT,
    }

    /// Supported-Features (TS 29.229 6.3.29).
    pub struct SupportedFeatures {
        /// Whose features.
        vendor_id: u32 = VENDOR_ID,
        /// Which list.
        feature_list_id: u32 = FEATURE_LIST_ID,
        /// Its bits.
        feature_list: u32 = FEATURE_LIST,
    }
}
