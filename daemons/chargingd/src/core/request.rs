//! A CCR as this server reads it.

use tollwire_cdr::EndCause;
use tollwire_diameter::credit_control::{
    CauseCode, CreditControlRequest, SubscriptionIdType, UsedServiceUnit,
};

use crate::account::canonical_identity;
use crate::session::Facts;

/// What is asked of one service. Clients with several services in one session are refused elsewhere.
pub(super) struct Asked {
    /// Rating-Group of the Multiple-Services-Credit-Control.
    pub(super) rating_group: Option<u32>,
    /// Whether there was one.
    pub(super) multiple_services: bool,
    /// Whether a new grant is wanted; the seconds, if the client named them.
    pub(super) wanted: Option<Option<u32>>,
    /// Seconds used since the last report.
    pub(super) used_seconds: u64,
    /// Octets from the calling party since the last report.
    pub(super) octets_from_caller: u64,
    /// Octets to the calling party since the last report.
    pub(super) octets_to_caller: u64,
}

impl Asked {
    pub(super) fn of(request: &CreditControlRequest) -> Self {
        let service = request.multiple_services_credit_controls.first();
        let (requested, used): (_, &[UsedServiceUnit]) = match service {
            Some(service) => (&service.requested_service_unit, &service.used_service_units),
            None => (&request.requested_service_unit, &request.used_service_units),
        };
        let sum = |units: fn(&UsedServiceUnit) -> Option<u64>| {
            used.iter()
                .filter_map(units)
                .fold(0u64, u64::saturating_add)
        };
        Self {
            rating_group: service.and_then(|service| service.rating_group),
            multiple_services: service.is_some(),
            wanted: requested.as_ref().map(|units| units.cc_time),
            used_seconds: sum(|units| units.cc_time.map(u64::from)),
            octets_from_caller: sum(|units| units.cc_input_octets),
            octets_to_caller: sum(|units| units.cc_output_octets),
        }
    }
}

/// The identities that the request wants charged, the first that is known counts.
pub(super) fn identities(request: &CreditControlRequest) -> Vec<Box<str>> {
    let plain = request.subscription_ids.iter().filter_map(|id| {
        let kind = id.subscription_id_type;
        let usable = matches!(
            kind,
            SubscriptionIdType::EndUserE164
                | SubscriptionIdType::EndUserSipUri
                | SubscriptionIdType::EndUserNai
                | SubscriptionIdType::EndUserPrivate
        );
        usable.then_some(id.subscription_id_data.as_str())
    });
    let extended = request.subscription_id_extensions.iter().flat_map(|id| {
        [
            id.subscription_id_e164.as_deref(),
            id.subscription_id_sip_uri.as_deref(),
            id.subscription_id_nai.as_deref(),
            id.subscription_id_private.as_deref(),
        ]
        .into_iter()
        .flatten()
    });
    plain.chain(extended).map(canonical_identity).collect()
}

/// Adds what the request says of the call; later requests know more.
pub(super) fn learn(facts: &mut Facts, request: &CreditControlRequest) {
    let Some(call) = request
        .service_information
        .as_ref()
        .and_then(|information| information.ims_information.as_ref())
    else {
        return;
    };
    let text = |place: &mut String, value: Option<&String>| {
        if let Some(value) = value {
            // The longest that a record carries; a URI of more is cut, not refused.
            *place = value.chars().take(512).collect();
        }
    };
    text(&mut facts.call_id, call.user_session_id.as_ref());
    text(&mut facts.from, call.calling_party_addresses.first());
    text(&mut facts.to, call.called_party_address.as_ref());
    let media = |index: usize| {
        (call.sdp_media_components.get(index))
            .and_then(|component| component.sdp_media_name.as_ref())
    };
    text(&mut facts.caller_address, media(0));
    text(&mut facts.callee_address, media(1));
    if let Some(times) = &call.time_stamps {
        facts.invite_unix_ms = times.request_unix_ms().or(facts.invite_unix_ms);
        facts.answer_unix_ms = times.response_unix_ms().or(facts.answer_unix_ms);
    }
    let named = call
        .reason_headers
        .iter()
        .find_map(|reason| end_cause(reason));
    let coded = call.cause_code.map(|code| match code {
        CauseCode::NormalEndOfSession => EndCause::CallerBye,
        CauseCode::UnsuccessfulSessionSetup => EndCause::Rejected,
        _ => EndCause::NetworkFailure,
    });
    facts.end_cause = named.or(facts.end_cause).or(coded);
}

/// The cause in a Reason header field (RFC 3326) of ours: `Tollwire;text="credit-exhausted"`.
fn end_cause(reason: &str) -> Option<EndCause> {
    let text = reason
        .strip_prefix("Tollwire")?
        .split("text=\"")
        .nth(1)?
        .split('"')
        .next()?;
    match EndCause::from_name(text) {
        EndCause::Unknown => None,
        cause => Some(cause),
    }
}
