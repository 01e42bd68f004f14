//! What this server asks of a credit-control client.

use tollwire_diameter::base::{AbortSessionRequest, ReAuthRequest, ReAuthRequestType};
use tollwire_diameter::{Avp, Identity, Message, dictionary};

/// What is asked.
pub(crate) enum What<'a> {
    /// To end the session (ASR).
    Abort,
    /// To come back for a service, or for those of a pool, with a CCR-Update (RAR, RFC 8506 5.5).
    ReAuthorize {
        /// G-S-U-Pool-Identifier.
        pool: Option<u32>,
        /// Rating-Group.
        rating_group: Option<u32>,
        /// Service-Identifiers.
        service_identifiers: &'a [u32],
    },
}

/// The request to the client with this Origin-Host and Origin-Realm.
pub(crate) fn request(
    identity: &Identity,
    session_id: &str,
    (origin_host, origin_realm): (&str, &str),
    what: What<'_>,
) -> Message {
    let session_id = session_id.to_owned();
    let (destination_host, destination_realm) = (origin_host.to_owned(), origin_realm.to_owned());
    let Identity {
        origin_host,
        origin_realm,
        ..
    } = identity.clone();
    let auth_application_id = dictionary::APPLICATION_CREDIT_CONTROL;
    match what {
        What::Abort => AbortSessionRequest {
            session_id,
            origin_host,
            origin_realm,
            destination_realm,
            destination_host,
            auth_application_id,
            user_name: None,
            origin_state_id: None,
            proxy_infos: Vec::new(),
            route_records: Vec::new(),
            extra: Vec::new(),
        }
        .encode(0, 0),
        What::ReAuthorize {
            pool,
            rating_group,
            service_identifiers,
        } => {
            let pool = pool
                .iter()
                .map(|pool| Avp::new(&dictionary::G_S_U_POOL_IDENTIFIER, pool));
            let group = rating_group
                .iter()
                .map(|group| Avp::new(&dictionary::RATING_GROUP, group));
            let identifiers = service_identifiers
                .iter()
                .map(|identifier| Avp::new(&dictionary::SERVICE_IDENTIFIER, identifier));
            ReAuthRequest {
                session_id,
                origin_host,
                origin_realm,
                destination_realm,
                destination_host,
                auth_application_id,
                re_auth_request_type: ReAuthRequestType::AuthorizeOnly,
                user_name: None,
                origin_state_id: None,
                proxy_infos: Vec::new(),
                route_records: Vec::new(),
                extra: pool.chain(group).chain(identifiers).collect(),
            }
            .encode(0, 0)
        }
    }
}
