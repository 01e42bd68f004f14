//! What this instance may do: several share one database, and one of them works.

use serde::Serialize;
use tollwire_diameter::base::RedirectHostUsage;
use tollwire_diameter::{Avp, Identity, Message, ResultCode, dictionary};

use crate::effect::Refusal;

/// What this instance may do; in JSON as the operator sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "role", rename_all = "kebab-case")]
pub(crate) enum Role {
    /// It works.
    Active,
    /// Another works, and this one takes its place when it is gone.
    Standby {
        /// The other's Origin-Host, if it is known.
        active: Option<String>,
    },
    /// Nothing can be stored now.
    #[default]
    Away,
}

impl Role {
    /// The answer to a request that this instance may not carry out.
    ///
    /// A client that knows the active instance is sent there (RFC 6733 6.12); it may be another one the next time, so
    /// the way there is not to be remembered (6.13).
    pub(crate) fn refuse(&self, identity: &Identity, message: &Message) -> Option<Message> {
        match self {
            Self::Active => None,
            Self::Standby {
                active: Some(active),
            } => Some(redirect(identity, message, active, None)),
            Self::Standby { active: None } | Self::Away => {
                Some(message.refuse(identity, ResultCode::TOO_BUSY, None, None))
            }
        }
    }

    /// Why an operator's change is not for this instance.
    pub(crate) fn refuse_operator(&self) -> Option<Refusal> {
        match self {
            Self::Active => None,
            Self::Standby { active } => Some(Refusal::Standby(
                active.clone().unwrap_or_else(|| "another instance".into()),
            )),
            Self::Away => Some(Refusal::NotStored),
        }
    }
}

/// How long a client may send a session's requests straight to where it was sent once: a call's usual length. A host
/// that cannot be reached is forgotten before (RFC 6733 6.14).
const REMEMBERED: u32 = 3600;

/// The answer to a request whose subscriber is of another part, where `active` is active.
///
/// All messages of the session go there (RFC 6733 6.13, ALL_SESSION): its subscriber stays in his part. Other sessions
/// of the client say nothing about it. If nobody is known to be active there, the client may try others, or later.
pub(crate) fn send_on(identity: &Identity, message: &Message, active: Option<&str>) -> Message {
    match active {
        Some(active) => redirect(identity, message, active, Some(REMEMBERED)),
        None => message.refuse(identity, ResultCode::TOO_BUSY, None, None),
    }
}

/// `session_seconds`: how long it counts for all requests of the session; without it, for this request alone.
fn redirect(
    identity: &Identity,
    message: &Message,
    host: &str,
    session_seconds: Option<u32>,
) -> Message {
    let code = ResultCode::REDIRECT_INDICATION;
    let mut answer = message.refuse(identity, code, None, None);
    let usage = match session_seconds {
        Some(_) => RedirectHostUsage::AllSession,
        None => RedirectHostUsage::DontCache,
    };
    answer.avps.extend([
        Avp::new(&dictionary::REDIRECT_HOST, &format!("aaa://{host}")),
        Avp::new(&dictionary::REDIRECT_HOST_USAGE, &usage),
    ]);
    // RFC 6733 6.14: it goes with every usage but DONT_CACHE.
    let time = session_seconds.map(|it| Avp::new(&dictionary::REDIRECT_MAX_CACHE_TIME, &it));
    answer.avps.extend(time);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        Identity {
            origin_host: "b.test".into(),
            origin_realm: "test".into(),
        }
    }

    fn request() -> Message {
        Message {
            command_code: dictionary::command::CREDIT_CONTROL,
            application_id: dictionary::APPLICATION_CREDIT_CONTROL,
            ..Message::default()
        }
    }

    fn refused(role: &Role) -> Option<Message> {
        role.refuse(&identity(), &request())
    }

    #[test]
    fn a_session_of_another_part_is_sent_there_as_a_whole() {
        let answer = send_on(&identity(), &request(), Some("c.test"));
        assert!(answer.is_error());
        assert_eq!(answer.result_code(), Some(ResultCode::REDIRECT_INDICATION));
        assert_eq!(
            answer.text(&dictionary::REDIRECT_HOST),
            Some("aaa://c.test")
        );
        let number = |definition| {
            let avp: &Avp = answer.find(definition).unwrap();
            u32::from_be_bytes(avp.data.as_ref().try_into().unwrap())
        };
        assert_eq!(number(&dictionary::REDIRECT_HOST_USAGE), 1);
        assert_eq!(number(&dictionary::REDIRECT_MAX_CACHE_TIME), REMEMBERED);
        let nobody = send_on(&identity(), &request(), None);
        assert_eq!(nobody.result_code(), Some(ResultCode::TOO_BUSY));
        assert_eq!(nobody.find(&dictionary::REDIRECT_HOST), None);
    }

    #[test]
    fn whoever_stands_by_sends_clients_to_the_active_instance() {
        assert_eq!(refused(&Role::Active), None);
        let answer = refused(&Role::Standby {
            active: Some("a.test".into()),
        })
        .unwrap();
        assert!(answer.is_error());
        assert_eq!(answer.result_code(), Some(ResultCode::REDIRECT_INDICATION));
        assert_eq!(
            answer.text(&dictionary::REDIRECT_HOST),
            Some("aaa://a.test")
        );
        // Who is active may change: it is not to be remembered, for no time.
        let usage = answer.find(&dictionary::REDIRECT_HOST_USAGE).unwrap();
        assert_eq!(usage.data.as_ref(), [0; 4]);
        assert_eq!(answer.find(&dictionary::REDIRECT_MAX_CACHE_TIME), None);
        for role in [Role::Away, Role::Standby { active: None }] {
            let answer = refused(&role).unwrap();
            assert_eq!(answer.result_code(), Some(ResultCode::TOO_BUSY));
        }
    }
}
