//! Credit control (RFC 8506 5) for sessions of peers: one request for each order, one service for each measure.

use tollwire_cdr::EndCause;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlRequest, ImsInformation, MultipleServicesCreditControl,
    MultipleServicesIndicator, RequestedServiceUnit, SdpMediaComponent, ServiceInformation,
    ServiceParameterInfo, SubscriptionId, SubscriptionIdType, UsedServiceUnit,
};
use tollwire_diameter::{ResultCode, Time, dictionary};
use tollwire_peer::{Cause, Reason};

use super::event::Charged;
use super::measure::{Measure, Per};
use super::session::{Kind, Order, Session};
use crate::session::{Granted, Outcome};

/// The Service-Context-Id of sessions of peers: their charge records name the service that the request names.
pub const CONTEXT: &str = "peer@tollwire";
/// Service-Parameter-Type of the service's name.
pub const SERVICE: u32 = 1;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// Origin-Host.
    pub origin_host: String,
    /// Origin-Realm, and the server's.
    pub origin_realm: String,
}

impl Parties {
    /// Session-Id (RFC 6733 8.8).
    pub fn session_id(&self, session: &str) -> String {
        format!("{};peer;{session}", self.origin_host)
    }

    /// The session that a Session-Id of ours names.
    pub fn session_of<'a>(&self, session_id: &'a str) -> Option<&'a str> {
        let rest = session_id.strip_prefix(self.origin_host.as_str())?;
        rest.strip_prefix(";peer;")
    }

    /// The CCR for an order.
    pub fn request(&self, session: &Session, order: &Order) -> CreditControlRequest {
        let services = session.terms.rating_groups.all();
        let services = services.map(|(measure, rating_group)| {
            let used = (order.charged.of(measure)).saturating_sub(session.charged.of(measure));
            MultipleServicesCreditControl {
                rating_group: Some(rating_group),
                requested_service_unit: order.wanted.then(RequestedServiceUnit::default),
                used_service_units: match order.kind {
                    Kind::Initial => Vec::new(),
                    Kind::Update | Kind::Terminate => vec![used_units(measure, used)],
                },
                ..MultipleServicesCreditControl::default()
            }
        });
        let cause = order.message.as_ref().and_then(|message| message.cause);
        let ended = (order.kind == Kind::Terminate).then(|| end_cause(session, cause));
        let call = ImsInformation {
            user_session_id: Some(session.id.to_string()),
            calling_party_addresses: vec![session.user.to_string()],
            called_party_address: Some(session.terms.provider.to_string()),
            sdp_media_components: vec![SdpMediaComponent {
                sdp_media_name: Some(address(session)),
                ..SdpMediaComponent::default()
            }],
            reason_headers: (ended.map(|cause| format!("Tollwire;text=\"{}\"", cause.name())))
                .into_iter()
                .collect(),
            ..ImsInformation::default()
        };
        CreditControlRequest {
            session_id: self.session_id(&session.id),
            origin_host: self.origin_host.clone(),
            origin_realm: self.origin_realm.clone(),
            destination_realm: self.origin_realm.clone(),
            auth_application_id: dictionary::APPLICATION_CREDIT_CONTROL,
            service_context_id: CONTEXT.into(),
            cc_request_type: match order.kind {
                Kind::Initial => CcRequestType::InitialRequest,
                Kind::Update => CcRequestType::UpdateRequest,
                Kind::Terminate => CcRequestType::TerminationRequest,
            },
            cc_request_number: order.number,
            event_timestamp: Some(Time::from_unix_ms(session.heard_ms)),
            subscription_ids: vec![SubscriptionId::new(
                SubscriptionIdType::EndUserPrivate,
                &*session.user,
            )],
            multiple_services_indicator: Some(MultipleServicesIndicator::MultipleServicesSupported),
            multiple_services_credit_controls: services.collect(),
            service_parameter_infos: vec![ServiceParameterInfo {
                service_parameter_type: SERVICE,
                service_parameter_value: session.terms.service.as_bytes().to_vec().into(),
                ..ServiceParameterInfo::default()
            }],
            service_information: Some(ServiceInformation {
                ims_information: Some(call),
                ..ServiceInformation::default()
            }),
            ..CreditControlRequest::default()
        }
    }
}

fn address(session: &Session) -> String {
    match session.udp_port {
        Some(port) => std::net::SocketAddr::new(session.ip, port).to_string(),
        None => session.ip.to_string(),
    }
}

fn used_units(measure: Measure, used: i64) -> UsedServiceUnit {
    // What was charged never shrinks.
    let used = used.max(0).unsigned_abs();
    let mut units = UsedServiceUnit::default();
    match measure {
        Measure::Time => units.cc_time = Some(u32::try_from(used).unwrap_or(u32::MAX)),
        Measure::Octets => units.cc_total_octets = Some(used),
        Measure::Requests => units.cc_service_specific_units = Some(used),
    }
    units
}

/// Why it ended, as charge records say it.
fn end_cause(session: &Session, cause: Option<Cause>) -> EndCause {
    let revoked = session.revocation.map(|revocation| revocation.reason);
    match cause.or(session.cause) {
        _ if session.failure.is_some() => EndCause::Rejected,
        Some(Cause::User) => EndCause::CallerBye,
        Some(Cause::Provider) => EndCause::CalleeBye,
        Some(Cause::Lifetime | Cause::Policy) => EndCause::SessionExpired,
        Some(Cause::Credit) => EndCause::CreditExhausted,
        Some(Cause::Revoked) => match revoked {
            Some(Reason::Credit) => EndCause::CreditExhausted,
            _ => EndCause::OperatorBlock,
        },
        Some(Cause::Lost) if session.flags.silent => EndCause::SupervisionExpired,
        Some(Cause::Lost) => EndCause::LossOfBearer,
        None => EndCause::NetworkFailure,
    }
}

/// The service that a request of this context names.
pub fn service_of(request: &CreditControlRequest) -> Option<&str> {
    let infos = request.service_parameter_infos.iter();
    let mut named = infos.filter(|info| info.service_parameter_type == SERVICE);
    let name = std::str::from_utf8(&named.next()?.service_parameter_value).ok()?;
    (request.service_context_id == CONTEXT).then_some(name)
}

/// What the answer to an order of this session means.
pub fn answer(session: &Session, kind: Kind, outcome: &Outcome) -> Charged {
    let code = ResultCode(outcome.result_code);
    // Where services are named, what was used of them was debited, whatever they get; but nothing begins without credit.
    if !code.is_success() && (outcome.services.is_empty() || kind == Kind::Initial) {
        return Charged::Refused(code.0);
    }
    let mut granted = Per::default();
    let mut refused = None;
    let mut last = false;
    for service in &outcome.services {
        let groups = &session.terms.rating_groups;
        let measure = service.rating_group.and_then(|group| groups.measure(group));
        let units = match service.granted {
            Some(Granted::Seconds(seconds)) => Some(i64::from(seconds)),
            Some(Granted::Octets(units) | Granted::Units(units)) => i64::try_from(units).ok(),
            Some(Granted::Sum(_)) | None => None,
        };
        if !ResultCode(service.result_code).is_success() {
            refused = refused.or(Some(service.result_code));
        }
        last |= service.final_unit.is_some();
        if let Some(measure) = measure {
            granted.set(measure, units);
        }
    }
    Charged::Done {
        granted,
        refused,
        last,
        cost: outcome.cost,
    }
}
