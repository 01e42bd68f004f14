//! A CCR as this server reads it.

use tollwire_cdr::EndCause;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CauseCode, CreditControlRequest, MultipleServicesIndicator, RequestedServiceUnit,
    SubscriptionIdType, TariffChangeUsage, UsedServiceUnit,
};

use crate::account::canonical_identity;
use crate::peer::ro::service_of;
use crate::rating::{Measure, Used};
use crate::session::{Facts, ServiceOutcome, Session, plus};

/// Characters of the longest text that a record carries.
const LONGEST_TEXT: usize = 512;

/// What is asked of one service.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// Rating-Group.
    pub(super) rating_group: Option<u32>,
    /// Service-Identifiers.
    pub(super) service_identifiers: Vec<u32>,
    /// Whether a new grant is wanted, and how much if the client named it.
    pub(super) wanted: Option<Wanted>,
    /// Whether there was a report.
    pub(super) reported: bool,
    /// Used since the last report.
    pub(super) used: Used,
    /// Of that, behind the tariff change (Tariff-Change-Usage, RFC 8506 8.27).
    pub(super) after: Used,
    /// Octets from the calling party since the last report.
    pub(super) octets_from_caller: u64,
    /// Octets to the calling party since the last report.
    pub(super) octets_to_caller: u64,
}

/// Requested-Service-Unit: what the client named of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    seconds: Option<u32>,
    octets: Option<u64>,
    events: Option<u64>,
}

impl Wanted {
    fn of_units(units: &RequestedServiceUnit) -> Self {
        let either = [units.cc_input_octets, units.cc_output_octets];
        let sum = either
            .into_iter()
            .flatten()
            .reduce(|one, other| one.saturating_add(other));
        Self {
            seconds: units.cc_time,
            octets: units.cc_total_octets.or(sum),
            events: units.cc_service_specific_units,
        }
    }

    /// Units of this measure.
    pub(super) fn of(self, measure: Measure) -> Option<u64> {
        match measure {
            Measure::Time | Measure::Combined => self.seconds.map(u64::from),
            Measure::Volume => self.octets,
            Measure::Events => self.events,
        }
    }
}

impl Asked {
    /// Each service of a request, in its order.
    pub(super) fn all(request: &CreditControlRequest) -> Vec<Self> {
        if request.multiple_services_credit_controls.is_empty() {
            // A client of several services may begin and end without naming one (RFC 8506 5.1.2).
            let several = request.multiple_services_indicator
                == Some(MultipleServicesIndicator::MultipleServicesSupported);
            let names_none =
                request.requested_service_unit.is_none() && request.used_service_units.is_empty();
            if several && names_none {
                return Vec::new();
            }
            return vec![Self::of(
                (None, request.service_identifier.into_iter().collect()),
                request.requested_service_unit.as_ref(),
                &request.used_service_units,
            )];
        }
        let mut all: Vec<Self> = Vec::new();
        for service in &request.multiple_services_credit_controls {
            let asked = Self::of(
                (service.rating_group, service.service_identifiers.clone()),
                service.requested_service_unit.as_ref(),
                &service.used_service_units,
            );
            let same = |known: &&mut Self| {
                known.rating_group == asked.rating_group
                    && known.service_identifiers == asked.service_identifiers
            };
            match all.iter_mut().find(same) {
                // Named twice it is still one, and is granted once.
                Some(known) => known.add(asked),
                None => all.push(asked),
            }
        }
        all
    }

    /// [`Asked::all`] of a request in this session: if it has but one service, that is the one, however the request names it.
    pub(super) fn of_session(session: &Session, request: &CreditControlRequest) -> Vec<Self> {
        let all = Self::all(request).into_iter();
        if session.multiple_services {
            return all.collect();
        }
        let one = all.reduce(|mut one, more| {
            one.add(more);
            one
        });
        one.into_iter().collect()
    }

    fn add(&mut self, more: Self) {
        self.wanted = self.wanted.or(more.wanted);
        self.reported |= more.reported;
        self.used = plus(self.used, more.used);
        self.after = plus(self.after, more.after);
        self.octets_from_caller = (self.octets_from_caller).saturating_add(more.octets_from_caller);
        self.octets_to_caller = (self.octets_to_caller).saturating_add(more.octets_to_caller);
    }

    fn of(
        (rating_group, service_identifiers): (Option<u32>, Vec<u32>),
        requested: Option<&RequestedServiceUnit>,
        used: &[UsedServiceUnit],
    ) -> Self {
        let sum = |units: fn(&UsedServiceUnit) -> Option<u64>| {
            used.iter()
                .filter_map(units)
                .fold(0u64, u64::saturating_add)
        };
        let octets_from_caller = sum(|units| units.cc_input_octets);
        let octets_to_caller = sum(|units| units.cc_output_octets);
        let (mut all, mut after) = (Used::default(), Used::default());
        for units in used {
            let part = used_by(units);
            all = plus(all, part);
            if units.tariff_change_usage == Some(TariffChangeUsage::UnitAfterTariffChange) {
                after = plus(after, part);
            }
        }
        Self {
            rating_group,
            service_identifiers,
            wanted: requested.map(Wanted::of_units),
            reported: !used.is_empty(),
            used: all,
            after,
            octets_from_caller,
            octets_to_caller,
        }
    }

    /// A result for the service, and nothing else.
    pub(super) fn outcome(&self, code: ResultCode) -> ServiceOutcome {
        ServiceOutcome::of(self.rating_group, &self.service_identifiers, code.0)
    }
}

fn used_by(units: &UsedServiceUnit) -> Used {
    // CC-Total-Octets is the sum of the others, where they are there besides (RFC 8506 8.23).
    let parts = units
        .cc_input_octets
        .into_iter()
        .chain(units.cc_output_octets);
    let octets = units
        .cc_total_octets
        .or_else(|| parts.reduce(u64::saturating_add));
    Used {
        seconds: units.cc_time.unwrap_or(0).into(),
        octets: octets.unwrap_or(0),
        events: units.cc_service_specific_units.unwrap_or(0),
    }
}

/// The identities that the request wants charged, the first that is known counts.
pub(crate) fn identities(request: &CreditControlRequest) -> Vec<Box<str>> {
    let plain = request.subscription_ids.iter().map(|id| {
        let data = id.subscription_id_data.as_str();
        match id.subscription_id_type {
            // Its digits are no telephone number.
            SubscriptionIdType::EndUserImsi => format!("imsi:{data}").into(),
            _ => canonical_identity(data),
        }
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
    plain.chain(extended.map(canonical_identity)).collect()
}

/// Adds what the request says of the call; later requests know more.
pub(super) fn learn(facts: &mut Facts, request: &CreditControlRequest) {
    if let Some(service) = service_of(request) {
        facts.service = service.chars().take(LONGEST_TEXT).collect();
    }
    let Some(call) = request
        .service_information
        .as_ref()
        .and_then(|information| information.ims_information.as_ref())
    else {
        return;
    };
    let text = |place: &mut String, value: Option<&String>| {
        if let Some(value) = value {
            // A URI of more is cut, not refused.
            *place = value.chars().take(LONGEST_TEXT).collect();
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
