//! A record as an Accounting-Request.

use serde::Deserialize;
use tollwire_cdr::Timestamp;
use tollwire_diameter::accounting::{AccountingRecordType, AccountingRequest};
use tollwire_diameter::credit_control::{ImsInformation, ServiceInformation, TimeStamps};
use tollwire_diameter::{Identity, Time, dictionary};

use super::{Kind, SERVICE_CONTEXT, carrier, session_id};

/// Octets of text that stand beside the record: what is longer is in the record alone.
const LONGEST: usize = 1024;

/// What is read out of a record for other vendors' storages; a record that lacks it is sent all the same.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Facts {
    call_id: String,
    from: String,
    to: String,
    invite_time: Option<Timestamp>,
    answer_time: Option<Timestamp>,
    end_time: Option<Timestamp>,
    /// Of a call's record.
    event_time: Option<Timestamp>,
    session_id: String,
    record_type: String,
    number: u32,
    end_cause: Option<String>,
}

/// The request that carries record `number`, whose JSON is `json`.
pub(super) fn of(
    kind: Kind,
    identity: &Identity,
    server_realm: &str,
    number: u64,
    json: &str,
) -> AccountingRequest {
    let facts: Facts = serde_json::from_str(json).unwrap_or_default();
    let (session_id, record_type, record_number) = match facts.in_session(kind) {
        Some(record_type) => (facts.session_id.clone(), record_type, facts.number),
        None => (
            session_id(&identity.origin_host, number),
            AccountingRecordType::EventRecord,
            0,
        ),
    };
    AccountingRequest {
        session_id,
        origin_host: identity.origin_host.clone(),
        origin_realm: identity.origin_realm.clone(),
        destination_realm: server_realm.to_owned(),
        accounting_record_type: record_type,
        accounting_record_number: record_number,
        acct_application_id: Some(dictionary::APPLICATION_BASE_ACCOUNTING),
        event_timestamp: (facts.event_time.or(facts.end_time)).map(|at| Time::from_unix_ms(at.0)),
        service_context_id: Some(SERVICE_CONTEXT.into()),
        service_information: facts.service_information(),
        service_specific_infos: vec![carrier(kind, json.to_owned())],
        ..AccountingRequest::default()
    }
}

impl Facts {
    /// The type of a record that is one of several of its session.
    fn in_session(&self, kind: Kind) -> Option<AccountingRecordType> {
        if kind.is_whole() || self.session_id.is_empty() {
            return None;
        }
        match self.record_type.as_str() {
            "start" => Some(AccountingRecordType::StartRecord),
            "interim" => Some(AccountingRecordType::InterimRecord),
            "stop" => Some(AccountingRecordType::StopRecord),
            "event" => Some(AccountingRecordType::EventRecord),
            _ => None,
        }
    }

    /// What TS 32.299 has AVPs for: a SIP session's parties and times.
    fn service_information(&self) -> Option<ServiceInformation> {
        let short =
            |text: &str| (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned());
        let user_session_id = short(&self.call_id)?;
        Some(ServiceInformation {
            ims_information: Some(ImsInformation {
                user_session_id: Some(user_session_id),
                calling_party_addresses: short(&self.from).into_iter().collect(),
                called_party_address: short(&self.to),
                time_stamps: self.invite_time.map(|invite| {
                    TimeStamps::from_unix_ms(invite.0, self.answer_time.map(|answer| answer.0))
                }),
                // Cause-Code of TS 32.299 knows too few ways to end; the Reason (RFC 3326) carries ours by name.
                reason_headers: (self.end_cause.iter())
                    .map(|cause| format!("Tollwire;text=\"{cause}\""))
                    .collect(),
                ..ImsInformation::default()
            }),
            ..ServiceInformation::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounting::{carried, is_ours};
    use tollwire_diameter::Message;

    fn identity() -> Identity {
        Identity {
            origin_host: "records.smscd.example".into(),
            origin_realm: "example".into(),
        }
    }

    #[test]
    fn a_record_travels_whole_and_what_3gpp_knows_beside_it() {
        let json = r#"{"sequence_number":4294967298,"call_id":"c","from":"sip:a@x","to":"sip:b@x","invite_time":"2026-11-21T09:00:00.000Z","answer_time":"2026-11-21T09:00:01.500Z","end_time":"2026-11-21T09:01:00.000Z"}"#;
        let request = of(Kind::Charge, &identity(), "server", 4_294_967_298, json);
        assert_eq!(request.session_id, "records.smscd.example;1;2;record");
        let message = Message::decode(request.encode(1, 2).encode()).unwrap();
        let read = AccountingRequest::decode(&message).unwrap();
        assert_eq!(read, request);
        assert!(is_ours(&read));
        let carried = carried(&read.service_specific_infos).unwrap();
        assert_eq!((carried.kind, carried.json), (Kind::Charge, json));
        assert_eq!(carried.sequence_number, 4_294_967_298);
        let ims = read.service_information.unwrap().ims_information.unwrap();
        assert_eq!(ims.called_party_address.as_deref(), Some("sip:b@x"));
        let times = ims.time_stamps.unwrap();
        assert_eq!(times.response_unix_ms(), Some(1_795_251_601_500));
        assert_eq!(
            read.event_timestamp.map(|time| time.unix_ms()),
            Some(1_795_251_660_000)
        );
    }

    #[test]
    fn a_calls_records_are_of_its_session() {
        let json = r#"{"sequence_number":7,"session_id":"records.sipd.example;1;2;rf","record_type":"stop","number":3,"event_time":"2026-11-21T09:00:00.000Z","call_id":"c","end_cause":"caller-bye"}"#;
        let request = of(Kind::Call, &identity(), "server", 7, json);
        assert_eq!(request.session_id, "records.sipd.example;1;2;rf");
        assert_eq!(
            request.accounting_record_type,
            AccountingRecordType::StopRecord
        );
        assert_eq!(request.accounting_record_number, 3);
        let information = request
            .service_information
            .and_then(|it| it.ims_information);
        assert_eq!(
            information.map(|it| it.reason_headers),
            Some(vec!["Tollwire;text=\"caller-bye\"".to_owned()])
        );
        // Another kind's record has no session, whatever it says.
        let request = of(Kind::Charge, &identity(), "server", 7, json);
        assert_eq!(request.session_id, "records.smscd.example;0;7;record");
        assert_eq!(
            request.accounting_record_type,
            AccountingRecordType::EventRecord
        );
    }

    #[test]
    fn a_record_of_another_release_is_carried_all_the_same() {
        for json in [
            r#"{"sequence_number":1,"call_id":7}"#,
            r#"{"sequence_number":1}"#,
        ] {
            let request = of(Kind::Message, &identity(), "server", 1, json);
            assert_eq!(request.service_information, None);
            assert_eq!(
                carried(&request.service_specific_infos).map(|carried| carried.json),
                Some(json)
            );
        }
    }
}
