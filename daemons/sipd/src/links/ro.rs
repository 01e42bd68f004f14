//! Credit control (RFC 8506, 3GPP TS 32.299).

use tollwire_diameter::base::TerminationCause;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlAnswer, CreditControlFailureHandling, CreditControlRequest,
    ImsInformation, MultipleServicesCreditControl, MultipleServicesIndicator, RequestedServiceUnit,
    RoleOfNode, SdpMediaComponent, ServiceInformation, SubscriptionId, SubscriptionIdType,
    TimeStamps, UsedServiceUnit,
};
use tollwire_diameter::{CommandFlags, Message, ResultCode, Time, dictionary};

use super::session_id;
use crate::calls::{CreditAnswer, CreditOrder, CreditOrderKind, EndCause, FailureHandling};
use crate::policy::Policy;
use crate::supervision::Parties;

/// The CCR of an order.
pub fn request(policy: &Policy, parties: &Parties, order: &CreditOrder) -> Message {
    let is_last = order.kind == CreditOrderKind::Terminate;
    let used = UsedServiceUnit {
        cc_time: Some(order.used_seconds),
        cc_total_octets: Some(
            order
                .octets_from_caller
                .saturating_add(order.octets_to_caller),
        ),
        cc_input_octets: Some(order.octets_from_caller),
        cc_output_octets: Some(order.octets_to_caller),
        ..UsedServiceUnit::default()
    };
    let service = MultipleServicesCreditControl {
        requested_service_unit: (!is_last).then(|| RequestedServiceUnit {
            cc_time: Some(policy.requested_seconds),
            ..RequestedServiceUnit::default()
        }),
        used_service_units: match order.kind {
            CreditOrderKind::Initial => Vec::new(),
            CreditOrderKind::Update | CreditOrderKind::Terminate => vec![used],
        },
        rating_group: policy.rating_group,
        ..MultipleServicesCreditControl::default()
    };
    let identity = &*parties.identity;
    let kind = if identity.starts_with("sip") {
        SubscriptionIdType::EndUserSipUri
    } else {
        SubscriptionIdType::EndUserE164
    };
    let request = CreditControlRequest {
        session_id: session_id(&policy.origin_host, parties, "ro"),
        origin_host: policy.origin_host.to_string(),
        origin_realm: policy.origin_realm.to_string(),
        destination_realm: policy.charging_realm.to_string(),
        auth_application_id: dictionary::APPLICATION_CREDIT_CONTROL,
        service_context_id: policy.service_context_id.to_string(),
        cc_request_type: match order.kind {
            CreditOrderKind::Initial => CcRequestType::InitialRequest,
            CreditOrderKind::Update => CcRequestType::UpdateRequest,
            CreditOrderKind::Terminate => CcRequestType::TerminationRequest,
        },
        cc_request_number: order.number,
        destination_host: None,
        user_name: None,
        cc_sub_session_id: None,
        acct_multi_session_id: None,
        origin_state_id: None,
        event_timestamp: (order.ending).map(|ending| Time::from_unix_ms(ending.end_unix_ms)),
        subscription_ids: vec![SubscriptionId::new(kind, identity)],
        subscription_id_extensions: Vec::new(),
        service_identifier: None,
        termination_cause: order.ending.map(|ending| termination_cause(ending.cause)),
        requested_service_unit: None,
        requested_action: None,
        used_service_units: Vec::new(),
        multiple_services_indicator: (order.kind == CreditOrderKind::Initial)
            .then_some(MultipleServicesIndicator::MultipleServicesSupported),
        multiple_services_credit_controls: vec![service],
        service_parameter_infos: Vec::new(),
        cc_correlation_id: None,
        user_equipment_info: None,
        user_equipment_info_extension: None,
        service_information: Some(ServiceInformation {
            ims_information: Some(call_information(parties, order)),
            ..ServiceInformation::default()
        }),
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
        extra: Vec::new(),
    };
    let mut message = request.encode(0, 0);
    if order.repeated {
        // RFC 6733 3: it may have been sent before.
        message.flags = message.flags.with(CommandFlags::RETRANSMITTED);
    }
    message
}

/// What the charge record says of the call. Cause-Code of TS 32.299 knows too few ways to end; the Reason
/// (RFC 3326) carries ours by name.
fn call_information(parties: &Parties, order: &CreditOrder) -> ImsInformation {
    let address = |address: Option<std::net::IpAddr>| SdpMediaComponent {
        sdp_media_name: Some(
            address
                .map(|address| address.to_string())
                .unwrap_or_default(),
        ),
        ..SdpMediaComponent::default()
    };
    ImsInformation {
        role_of_node: Some(RoleOfNode::OriginatingRole),
        user_session_id: Some(parties.call_id.to_string()),
        calling_party_addresses: vec![parties.calling.to_string()],
        called_party_address: Some(parties.called.to_string()),
        time_stamps: Some(TimeStamps::from_unix_ms(
            parties.invite_unix_ms,
            order.answer_unix_ms,
        )),
        sdp_media_components: vec![
            address(Some(parties.caller_address)),
            address(parties.callee_address),
        ],
        reason_headers: order
            .ending
            .map(|ending| format!("Tollwire;text=\"{}\"", ending.cause.name()))
            .into_iter()
            .collect(),
        ..ImsInformation::default()
    }
}

/// What a CCA says. One that cannot be read counts as its result code alone.
pub fn answer(message: &Message) -> CreditAnswer {
    let bare = |result_code: u32| CreditAnswer {
        result_code,
        granted_seconds: None,
        granted_octets: None,
        final_unit: false,
        validity_seconds: None,
        failure_handling: None,
    };
    let overall = message
        .result_code()
        .map_or(ResultCode::UNABLE_TO_COMPLY.0, |code| code.0);
    let Ok(answer) = CreditControlAnswer::decode(message) else {
        return bare(if ResultCode(overall).is_success() {
            ResultCode::UNABLE_TO_COMPLY.0
        } else {
            overall
        });
    };
    let service = answer.multiple_services_credit_controls.first();
    let (granted, final_unit, validity, own_result) = match service {
        Some(service) => (
            service.granted_service_unit.as_ref(),
            service.final_unit_indication.as_ref(),
            service.validity_time,
            service.result_code,
        ),
        None => (
            answer.granted_service_unit.as_ref(),
            answer.final_unit_indication.as_ref(),
            answer.validity_time,
            None,
        ),
    };
    let result_code = match own_result {
        Some(own) if ResultCode(overall).is_success() => own.0,
        _ => overall,
    };
    CreditAnswer {
        granted_seconds: granted.and_then(|units| units.cc_time),
        granted_octets: granted.and_then(|units| units.cc_total_octets),
        final_unit: final_unit.is_some(),
        validity_seconds: validity,
        failure_handling: answer.credit_control_failure_handling.map(|handling| {
            if handling == CreditControlFailureHandling::Continue {
                FailureHandling::Continue
            } else {
                FailureHandling::Terminate
            }
        }),
        ..bare(result_code)
    }
}

pub(super) fn termination_cause(cause: EndCause) -> TerminationCause {
    match cause {
        EndCause::CallerBye | EndCause::CalleeBye => TerminationCause::Logout,
        EndCause::Cancelled | EndCause::Rejected | EndCause::NoAnswer => {
            TerminationCause::ServiceNotProvided
        }
        EndCause::OperatorBlock => TerminationCause::Administrative,
        EndCause::CreditExhausted | EndCause::SessionExpired | EndCause::SupervisionExpired => {
            TerminationCause::AuthExpired
        }
        EndCause::LossOfBearer | EndCause::NetworkFailure => TerminationCause::LinkBroken,
    }
}
