//! Answers and reports on the wire.

use tollwire_diameter::base::ExperimentalResult;
use tollwire_diameter::credit_control::UsedServiceUnit;
use tollwire_diameter::rx::{
    AaAnswer, RxReAuthRequest, RxSessionTerminationAnswer, SpecificAction,
    SponsoredConnectivityData,
};
use tollwire_diameter::{Identity, Message, ResultCode, Time, dictionary};

use crate::core::units;
use crate::effect::{Answer, Code, Report};

/// 3GPP's Experimental-Result-Codes (TS 29.214 5.5).
const INVALID_SERVICE_INFORMATION: u32 = 5061;
const FILTER_RESTRICTIONS: u32 = 5062;
const REQUESTED_SERVICE_NOT_AUTHORIZED: u32 = 5063;

fn total(report: &Report) -> Option<SponsoredConnectivityData> {
    let used: UsedServiceUnit = units(report.uplink, report.downlink);
    Some(SponsoredConnectivityData {
        used_service_unit: Some(used),
        ..SponsoredConnectivityData::default()
    })
}

/// The AAA.
pub fn authorise(
    identity: &Identity,
    message: &Message,
    session_id: &str,
    session_timeout: Option<u32>,
    answer: &Answer,
) -> Message {
    let mut aaa = AaAnswer {
        session_id: session_id.to_owned(),
        auth_application_id: dictionary::APPLICATION_RX,
        origin_host: identity.origin_host.clone(),
        origin_realm: identity.origin_realm.clone(),
        result_code: Some(ResultCode::SUCCESS),
        experimental_result: None,
        supported_features: Vec::new(),
        sponsored_connectivity_data: None,
        media_component_descriptions: Vec::new(),
        session_timeout,
        classes: Vec::new(),
        error_message: None,
        error_reporting_host: None,
        failed_avps: Vec::new(),
        origin_state_id: None,
        redirect_hosts: Vec::new(),
        redirect_host_usage: None,
        redirect_max_cache_time: None,
        extra: Vec::new(),
    };
    match answer {
        Answer::Success { report, .. } => {
            aaa.sponsored_connectivity_data = total(report);
            aaa.media_component_descriptions
                .clone_from(&report.components);
        }
        Answer::Refused {
            code,
            message: text,
        } => {
            let Some(experimental) = experimental(*code) else {
                return message.refuse(identity, plain(*code), None, Some(text));
            };
            aaa.result_code = None;
            aaa.experimental_result = Some(experimental);
            aaa.error_message = Some(text.clone());
        }
    }
    aaa.answer(message)
}

/// The STA.
pub fn terminate(
    identity: &Identity,
    message: &Message,
    session_id: &str,
    answer: &Answer,
) -> Message {
    match answer {
        Answer::Refused {
            code,
            message: text,
        } => message.refuse(identity, plain(*code), None, Some(text)),
        Answer::Success {
            report,
            last_packet_unix_ms,
        } => RxSessionTerminationAnswer {
            session_id: session_id.to_owned(),
            origin_host: identity.origin_host.clone(),
            origin_realm: identity.origin_realm.clone(),
            result_code: Some(ResultCode::SUCCESS),
            experimental_result: None,
            sponsored_connectivity_data: total(report),
            media_component_descriptions: report.components.clone(),
            event_timestamp: last_packet_unix_ms.map(Time::from_unix_ms),
            classes: Vec::new(),
            error_message: None,
            error_reporting_host: None,
            failed_avps: Vec::new(),
            origin_state_id: None,
            redirect_hosts: Vec::new(),
            redirect_host_usage: None,
            redirect_max_cache_time: None,
            extra: Vec::new(),
        }
        .answer(message),
    }
}

/// The RAR.
pub fn report(
    identity: &Identity,
    session_id: String,
    origin_host: String,
    origin_realm: String,
    action: SpecificAction,
    last_packet_unix_ms: Option<i64>,
    report: Report,
) -> Message {
    RxReAuthRequest {
        session_id,
        auth_application_id: dictionary::APPLICATION_RX,
        origin_host: identity.origin_host.clone(),
        origin_realm: identity.origin_realm.clone(),
        destination_realm: origin_realm,
        destination_host: origin_host,
        specific_actions: vec![action],
        flows: Vec::new(),
        abort_cause: None,
        sponsored_connectivity_data: total(&report),
        media_component_descriptions: report.components,
        event_timestamp: last_packet_unix_ms.map(Time::from_unix_ms),
        classes: Vec::new(),
        origin_state_id: None,
        proxy_infos: Vec::new(),
        route_records: Vec::new(),
        extra: Vec::new(),
    }
    .encode(0, 0)
}

fn experimental(code: Code) -> Option<ExperimentalResult> {
    let code = match code {
        Code::InvalidServiceInformation => INVALID_SERVICE_INFORMATION,
        Code::FilterRestrictions => FILTER_RESTRICTIONS,
        Code::NotAuthorized => REQUESTED_SERVICE_NOT_AUTHORIZED,
        Code::UnknownSession | Code::UnableToComply | Code::TooBusy => return None,
    };
    Some(ExperimentalResult {
        vendor_id: dictionary::VENDOR_3GPP,
        experimental_result_code: ResultCode(code),
        extra: Vec::new(),
    })
}

fn plain(code: Code) -> ResultCode {
    match code {
        Code::UnknownSession => ResultCode::UNKNOWN_SESSION_ID,
        Code::TooBusy => ResultCode::TOO_BUSY,
        _ => ResultCode::UNABLE_TO_COMPLY,
    }
}
