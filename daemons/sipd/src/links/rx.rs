//! Media authorisation (3GPP TS 29.214).

use tollwire_diameter::base::TerminationCause;
use tollwire_diameter::rx::{
    AaAnswer, AaRequest, FlowStatus, FlowUsage, MediaComponentDescription, MediaSubComponent,
    MediaType, RxReAuthRequest, RxRequestType, RxSessionTerminationAnswer,
    RxSessionTerminationRequest, SpecificAction, SponsoredConnectivityData,
};
use tollwire_diameter::{Message, ResultCode, dictionary};

use super::session_id;
use crate::calls::{Component, Endpoint, Gate, MediaAnswer, MediaKind, MediaOrder, MediaUsage};
use crate::event::Event;
use crate::policy::Policy;
use crate::supervision::Parties;

/// The AAR or STR of an order.
pub fn request(policy: &Policy, parties: &Parties, order: &MediaOrder) -> Message {
    let session_id = session_id(&policy.origin_host, parties, "rx");
    match order {
        MediaOrder::Close => RxSessionTerminationRequest {
            session_id,
            origin_host: policy.origin_host.to_string(),
            origin_realm: policy.origin_realm.to_string(),
            destination_realm: policy.limiter_realm.to_string(),
            auth_application_id: dictionary::APPLICATION_RX,
            termination_cause: TerminationCause::Logout,
            destination_host: None,
            classes: Vec::new(),
            origin_state_id: None,
            proxy_infos: Vec::new(),
            route_records: Vec::new(),
            extra: Vec::new(),
        }
        .encode(0, 0),
        MediaOrder::Authorise {
            initial,
            components,
            timeout_seconds,
            octet_quota,
        } => AaRequest {
            session_id,
            auth_application_id: dictionary::APPLICATION_RX,
            origin_host: policy.origin_host.to_string(),
            origin_realm: policy.origin_realm.to_string(),
            destination_realm: policy.limiter_realm.to_string(),
            destination_host: None,
            af_application_identifier: None,
            media_component_descriptions: components
                .iter()
                .map(|component| describe(component, policy.symmetric_rtp))
                .collect(),
            service_info_status: None,
            af_charging_identifier: Some(parties.call_id.as_bytes().to_vec().into()),
            sip_forking_indication: None,
            specific_actions: if *initial {
                vec![
                    SpecificAction::IndicationOfLossOfBearer,
                    SpecificAction::IndicationOfOutOfCredit,
                ]
            } else {
                Vec::new()
            },
            subscription_ids: Vec::new(),
            supported_features: Vec::new(),
            framed_ip_address: None,
            framed_ipv6_prefix: None,
            called_station_id: None,
            service_urn: None,
            sponsored_connectivity_data: octet_quota.map(SponsoredConnectivityData::granting),
            rx_request_type: Some(if *initial {
                RxRequestType::InitialRequest
            } else {
                RxRequestType::UpdateRequest
            }),
            session_timeout: Some(*timeout_seconds),
            event_timestamp: None,
            origin_state_id: None,
            proxy_infos: Vec::new(),
            route_records: Vec::new(),
            extra: Vec::new(),
        }
        .encode(0, 0),
    }
}

/// RTP as flow 1, RTCP as flow 2. The caller is the offerer: uplink is from him.
fn describe(component: &Component, symmetric: bool) -> MediaComponentDescription {
    let status = match component.gate {
        Gate::Both => FlowStatus::Enabled,
        Gate::FromCaller => FlowStatus::EnabledUplink,
        Gate::FromCallee => FlowStatus::EnabledDownlink,
        Gate::Shut => FlowStatus::Disabled,
        Gate::Removed => FlowStatus::Removed,
    };
    let mut flows = Vec::new();
    if let (Some(caller), Some(callee)) = (component.caller, component.callee)
        && component.gate != Gate::Removed
    {
        flows.push(MediaSubComponent::udp(1, caller.rtp, callee.rtp, symmetric));
        let control = |endpoint: Endpoint| endpoint.rtcp;
        if let (Some(caller), Some(callee)) = (control(caller), control(callee)) {
            // TS 29.214 4.4.1: control flows whichever way the media does, also on hold.
            flows.push(MediaSubComponent {
                flow_status: Some(FlowStatus::Enabled),
                flow_usage: Some(FlowUsage::Rtcp),
                ..MediaSubComponent::udp(2, caller, callee, symmetric)
            });
        }
    }
    let bandwidth = component
        .bandwidth_kbit
        .map(|kbit| kbit.saturating_mul(1000));
    MediaComponentDescription {
        media_component_number: component.number,
        media_sub_components: flows,
        media_type: Some(match component.kind {
            MediaKind::Audio => MediaType::Audio,
            MediaKind::Video => MediaType::Video,
            MediaKind::Application => MediaType::Application,
            MediaKind::Text => MediaType::Text,
            MediaKind::Message => MediaType::Message,
            MediaKind::Other => MediaType::OtherMedia,
        }),
        max_requested_bandwidth_ul: bandwidth,
        max_requested_bandwidth_dl: bandwidth,
        flow_status: Some(status),
        ..MediaComponentDescription::default()
    }
}

/// What an AAA says.
pub fn authorised(message: &Message) -> MediaAnswer {
    let result_code = message
        .result_code()
        .unwrap_or(ResultCode::UNABLE_TO_COMPLY)
        .0;
    let usage = AaAnswer::decode(message)
        .map(|answer| usage(answer.sponsored_connectivity_data.as_ref()))
        .unwrap_or_default();
    MediaAnswer { result_code, usage }
}

/// What an STA says: the final counts. An unknown session has none.
pub fn closed(message: &Message) -> MediaUsage {
    RxSessionTerminationAnswer::decode(message)
        .map(|answer| usage(answer.sponsored_connectivity_data.as_ref()))
        .unwrap_or_default()
}

/// The event that an RAR tells of.
pub fn report(request: &RxReAuthRequest) -> Option<Event> {
    let call = super::call_of(&request.session_id)?;
    let is = |action| request.specific_actions.contains(&action);
    if is(SpecificAction::IndicationOfOutOfCredit) {
        return Some(Event::OutOfCredit {
            call,
            usage: usage(request.sponsored_connectivity_data.as_ref()),
        });
    }
    let lost = is(SpecificAction::IndicationOfLossOfBearer)
        || is(SpecificAction::IndicationOfReleaseOfBearer);
    lost.then(|| Event::BearerLost {
        call,
        last_packet_unix_ms: request.event_timestamp.map(|time| time.unix_ms()),
    })
}

fn usage(data: Option<&SponsoredConnectivityData>) -> MediaUsage {
    let octets = data.and_then(SponsoredConnectivityData::octets);
    let (from_caller, to_caller) = octets.unwrap_or_default();
    MediaUsage {
        from_caller,
        to_caller,
    }
}
