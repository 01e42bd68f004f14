use std::net::SocketAddr;

use bytes::Bytes;

use crate::credit_control::{FinalUnitAction, GrantedServiceUnit, UsedServiceUnit};
use crate::fields::grouped;
use crate::ip_filter_rule::{FilterDirection, FilterEndpoint, IpFilterRule};
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

const UDP: u8 = 17;

impl MediaSubComponent {
    /// UDP between two transport addresses, both ways; uplink is from the offerer. `symmetric`: datagrams leave from the
    /// port they are received at (RFC 4961). Otherwise they come from any port, and only the limiter's policy says what
    /// to do.
    pub fn udp(
        flow_number: u32,
        offerer: SocketAddr,
        answerer: SocketAddr,
        symmetric: bool,
    ) -> Self {
        let exact = |end: SocketAddr| FilterEndpoint::exact(end.ip(), end.port());
        let rule = |direction, from: SocketAddr, to| IpFilterRule {
            direction,
            protocol: Some(UDP),
            source: if symmetric {
                exact(from)
            } else {
                FilterEndpoint::host(from.ip())
            },
            destination: exact(to),
            ..IpFilterRule::default()
        };
        Self {
            flow_number,
            flow_descriptions: vec![
                rule(FilterDirection::In, offerer, answerer),
                rule(FilterDirection::Out, answerer, offerer),
            ],
            ..Self::default()
        }
    }
}

impl SponsoredConnectivityData {
    /// A quota: octets that the session may pass in all, since it began.
    pub fn granting(octets: u64) -> Self {
        Self {
            granted_service_unit: Some(GrantedServiceUnit {
                cc_total_octets: Some(octets),
                ..GrantedServiceUnit::default()
            }),
            ..Self::default()
        }
    }

    /// Octets that have passed from and to the offerer, if they are told.
    pub fn octets(&self) -> Option<(u64, u64)> {
        let used = self.used_service_unit.as_ref()?;
        used.cc_input_octets.zip(used.cc_output_octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_is_two_filters_and_a_source_is_a_port_only_if_media_are_symmetric() {
        let (a, b) = ("192.0.2.1:4000", "198.51.100.2:5000");
        let rules = |symmetric| {
            let flow = MediaSubComponent::udp(1, a.parse().unwrap(), b.parse().unwrap(), symmetric);
            let rules = flow.flow_descriptions.iter();
            rules.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            rules(true),
            [
                "permit in 17 from 192.0.2.1 4000 to 198.51.100.2 5000",
                "permit out 17 from 198.51.100.2 5000 to 192.0.2.1 4000"
            ]
        );
        assert_eq!(
            rules(false),
            [
                "permit in 17 from 192.0.2.1 to 198.51.100.2 5000",
                "permit out 17 from 198.51.100.2 to 192.0.2.1 4000"
            ]
        );
    }

    #[test]
    fn what_is_not_told_is_not_zero() {
        assert_eq!(SponsoredConnectivityData::granting(7).octets(), None);
        let used = UsedServiceUnit {
            cc_input_octets: Some(1),
            cc_output_octets: Some(2),
            ..UsedServiceUnit::default()
        };
        let told = SponsoredConnectivityData {
            used_service_unit: Some(used),
            ..SponsoredConnectivityData::default()
        };
        assert_eq!(told.octets(), Some((1, 2)));
    }
}
