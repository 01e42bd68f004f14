//! Orders as Rx (3GPP TS 29.214), and Rx as what is told.

use tollwire_diameter::base::TerminationCause;
use tollwire_diameter::rx::{
    AaAnswer, AaRequest, FlowStatus, MediaComponentDescription, MediaSubComponent, MediaType,
    RxReAuthRequest, RxRequestType, RxSessionTerminationAnswer, RxSessionTerminationRequest,
    SpecificAction, SponsoredConnectivityData,
};
use tollwire_diameter::{Identity, Message, ResultCode, dictionary};

use super::Order;

/// Limits of an order that has none: a limiter that is told of a quota refuses what it cannot count. The kernel's are signed.
const NO_LIMIT: u64 = 1 << 62;

/// What is asked of a limiter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// AAR: this gate is to stand.
    Authorise {
        /// The first time.
        initial: bool,
        /// Seconds from now.
        seconds: u32,
        /// Octets in all, as the limiter counts them; `None` is no limit.
        octets: Option<u64>,
    },
    /// STR: no more.
    Terminate,
}

/// What a limiter answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The gate stands.
    Stands {
        /// Octets that have passed.
        octets: u64,
        /// The counter has begun just now.
        begun: bool,
    },
    /// It is gone; octets that have passed.
    Gone(u64),
    /// No such session.
    Unknown,
    /// Refused, with the limiter's words.
    Refused(String),
}

/// Session-Id (RFC 6733 8.8).
pub(super) fn session_id(origin_host: &str, session: &str) -> String {
    format!("{origin_host};peer;{session}")
}

/// The session that a Session-Id of ours names.
pub(super) fn session_of<'a>(origin_host: &str, session_id: &'a str) -> Option<&'a str> {
    session_id.strip_prefix(origin_host)?.strip_prefix(";peer;")
}

/// The AAR or STR. The user is the offerer: uplink is from him.
pub(super) fn encode(
    identity: &Identity,
    destination_realm: &str,
    order: &Order,
    request: &Request,
) -> Message {
    let session_id = session_id(&identity.origin_host, &order.session);
    match request {
        Request::Terminate => RxSessionTerminationRequest {
            session_id,
            origin_host: identity.origin_host.clone(),
            origin_realm: identity.origin_realm.clone(),
            destination_realm: destination_realm.to_owned(),
            auth_application_id: dictionary::APPLICATION_RX,
            termination_cause: TerminationCause::Logout,
            ..RxSessionTerminationRequest::default()
        }
        .encode(0, 0),
        Request::Authorise {
            initial,
            seconds,
            octets,
        } => AaRequest {
            session_id,
            auth_application_id: dictionary::APPLICATION_RX,
            origin_host: identity.origin_host.clone(),
            origin_realm: identity.origin_realm.clone(),
            destination_realm: destination_realm.to_owned(),
            af_charging_identifier: Some(order.session.clone().into()),
            media_component_descriptions: vec![MediaComponentDescription {
                media_component_number: 1,
                media_sub_components: vec![MediaSubComponent::udp(
                    1,
                    order.user,
                    order.service,
                    true,
                )],
                media_type: Some(MediaType::Data),
                flow_status: Some(FlowStatus::Enabled),
                ..MediaComponentDescription::default()
            }],
            specific_actions: vec![SpecificAction::IndicationOfOutOfCredit],
            sponsored_connectivity_data: Some(SponsoredConnectivityData::granting(
                octets.unwrap_or(NO_LIMIT),
            )),
            rx_request_type: Some(if *initial {
                RxRequestType::InitialRequest
            } else {
                RxRequestType::UpdateRequest
            }),
            session_timeout: Some(*seconds),
            ..AaRequest::default()
        }
        .encode(0, 0),
    }
}

/// What an AAA says.
pub(super) fn authorised(message: &Message) -> Answer {
    let Ok(answer) = AaAnswer::decode(message) else {
        return refused(message, None);
    };
    let passed = octets(answer.sponsored_connectivity_data.as_ref());
    match (message.result_code(), passed) {
        (Some(ResultCode::SUCCESS), Some(octets)) => Answer::Stands {
            octets,
            begun: begun(&answer),
        },
        (Some(ResultCode::SUCCESS), None) => {
            Answer::Refused("the limiter does not count what passes".into())
        }
        _ => refused(message, answer.error_message.as_deref()),
    }
}

/// A limiter does not say of a flow what has passed while its counter has only begun.
fn begun(answer: &AaAnswer) -> bool {
    let components = answer.media_component_descriptions.iter();
    let flows = components.flat_map(|it| &it.media_sub_components);
    flows
        .into_iter()
        .any(|flow| flow.used_service_unit.is_none())
}

/// What an STA says.
pub(super) fn terminated(message: &Message) -> Answer {
    match message.result_code() {
        Some(ResultCode::UNKNOWN_SESSION_ID) => Answer::Unknown,
        Some(ResultCode::SUCCESS) => RxSessionTerminationAnswer::decode(message)
            .ok()
            .and_then(|answer| octets(answer.sponsored_connectivity_data.as_ref()))
            .map_or(Answer::Unknown, Answer::Gone),
        _ => refused(message, None),
    }
}

/// Octets that an RAR tells of, if it says that the gate is shut.
pub(super) fn spent(request: &RxReAuthRequest) -> Option<u64> {
    let action = SpecificAction::IndicationOfOutOfCredit;
    (request.specific_actions.contains(&action))
        .then(|| octets(request.sponsored_connectivity_data.as_ref()))
        .flatten()
}

fn octets(data: Option<&SponsoredConnectivityData>) -> Option<u64> {
    let (uplink, downlink) = data?.octets()?;
    Some(uplink.saturating_add(downlink))
}

fn refused(message: &Message, words: Option<&str>) -> Answer {
    let code = message.result_code().map_or(0, |code| code.0);
    Answer::Refused(match words {
        Some(words) => format!("{code}: {words}"),
        None => format!("the limiter answers {code}"),
    })
}
