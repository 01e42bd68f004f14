//! What is read out of an Accounting-Request, before anything is known of it.

use sha2::{Digest, Sha256};
use tollwire_diameter::accounting::{AccountingRecordType, AccountingRequest};
use tollwire_diameter::{Avp, DecodeError, Fault, Message, dictionary};
use tollwire_runtime::accounting;

/// Octets of the longest Session-Id, and of the longest Origin-Host.
const LONGEST_NAME: usize = 1024;

/// What names a record (RFC 6733 9.4, 9.8.3, 9.8.6 and appendix C).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    /// Origin-Host, in lower case: who made the record.
    pub element: Box<str>,
    /// Session-Id.
    pub session_id: Box<str>,
    /// Accounting-Record-Type.
    pub record_type: AccountingRecordType,
    /// Accounting-Record-Number.
    pub number: u32,
    /// Accounting-Sub-Session-Id.
    pub sub_session_id: Option<u64>,
}

/// A record that came, and has not been judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its name.
    pub key: Key,
    /// Origin-Realm.
    pub realm: Box<str>,
    /// Service-Context-Id, if it was given.
    pub service_context: Option<Box<str>>,
    /// User-Name, if it was given.
    pub user_name: Option<Box<str>>,
    /// Event-Timestamp, milliseconds since 1970.
    pub event_unix_ms: Option<i64>,
    /// Its place in the element's spool, if it is one of Tollwire's.
    pub sequence_number: Option<u64>,
    /// Whether the sequence number alone names it: then another content under the same name is another record.
    pub is_whole: bool,
    /// What it says, in short: the same for a repetition.
    pub digest: [u8; 16],
    /// The whole message as it came.
    pub message: Box<[u8]>,
}

impl Arrival {
    /// Reads `message`, and gives back what its answer needs.
    ///
    /// AVPs that are not the base protocol's are not judged: the storage keeps the message whole, and so understands
    /// every mandatory AVP as far as it has to.
    ///
    /// # Errors
    /// As [`AccountingRequest::decode`] and [`AccountingRequest::application_id`].
    pub fn read(message: &Message) -> Result<(Self, AccountingRequest), DecodeError> {
        let base = Message {
            avps: message
                .avps
                .iter()
                .filter(|avp| is_base(avp))
                .cloned()
                .collect(),
            ..message.clone()
        };
        let request = AccountingRequest::decode(&base)?;
        request.application_id()?;
        for (definition, name) in [
            (&dictionary::SESSION_ID, &request.session_id),
            (&dictionary::ORIGIN_HOST, &request.origin_host),
        ] {
            // An index holds no longer ones, and PostgreSQL's text no NUL.
            if (name.len() > LONGEST_NAME || name.contains('\0'))
                && let Some(offender) = message.find(definition)
            {
                return Err(Fault::InvalidAvpValue(offender.clone()).into());
            }
        }
        // Only what says that it is of ours has to be well-formed as such.
        let infos: Vec<_> = if accounting::is_ours(&request) {
            message
                .avps
                .iter()
                .filter(|avp| avp.is(&dictionary::SERVICE_SPECIFIC_INFO))
                .filter_map(|avp| avp.value().ok())
                .collect()
        } else {
            Vec::new()
        };
        let carried = accounting::carried(&infos).filter(|carried| carried.sequence_number > 0);
        let is_whole = carried.as_ref().is_some_and(|carried| {
            carried.kind.is_whole()
                && request.accounting_record_type == AccountingRecordType::EventRecord
        });
        let digest = match &carried {
            Some(carried) if is_whole => digest([carried.json.as_bytes()].into_iter()),
            _ => digest_of(message),
        };
        let sequence_number = carried.map(|carried| carried.sequence_number);
        let arrival = Self {
            key: Key {
                element: request.origin_host.to_ascii_lowercase().into(),
                session_id: request.session_id.as_str().into(),
                record_type: request.accounting_record_type,
                number: request.accounting_record_number,
                sub_session_id: request.accounting_sub_session_id,
            },
            realm: request.origin_realm.as_str().into(),
            service_context: request.service_context_id.as_deref().map(Into::into),
            user_name: request.user_name.as_deref().map(Into::into),
            event_unix_ms: request.event_timestamp.map(|time| time.unix_ms()),
            sequence_number,
            is_whole,
            digest,
            message: message.encode().as_ref().into(),
        };
        Ok((arrival, request))
    }
}

/// Whether the request's own struct is to judge the AVP.
fn is_base(avp: &Avp) -> bool {
    let judged_elsewhere =
        avp.is(&dictionary::SERVICE_INFORMATION) || avp.is(&dictionary::SERVICE_SPECIFIC_INFO);
    !judged_elsewhere && dictionary::lookup(avp.code, avp.vendor_id).is_some()
}

/// Of all that a repetition has in common with the first: agents on the way change the rest.
fn digest_of(message: &Message) -> [u8; 16] {
    let mut octets = Vec::new();
    for avp in &message.avps {
        if ![
            &dictionary::PROXY_INFO,
            &dictionary::ROUTE_RECORD,
            &dictionary::DESTINATION_HOST,
            &dictionary::ORIGIN_STATE_ID,
        ]
        .iter()
        .any(|definition| avp.is(definition))
        {
            octets.push(avp.code.to_be_bytes().to_vec());
            octets.push(avp.data.to_vec());
        }
    }
    digest(octets.iter().map(Vec::as_slice))
}

fn digest<'a>(parts: impl Iterator<Item = &'a [u8]>) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        // Its length in front: no two lists of parts look alike.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let whole = hash.finalize();
    let mut short = [0; 16];
    short
        .iter_mut()
        .zip(whole.iter())
        .for_each(|(to, from)| *to = *from);
    short
}
