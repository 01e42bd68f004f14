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
            } => {
                let code = ResultCode::REDIRECT_INDICATION;
                let mut answer = message.refuse(identity, code, None, None);
                answer.avps.extend([
                    Avp::new(&dictionary::REDIRECT_HOST, &format!("aaa://{active}")),
                    Avp::new(
                        &dictionary::REDIRECT_HOST_USAGE,
                        &RedirectHostUsage::DontCache,
                    ),
                ]);
                Some(answer)
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(role: &Role) -> Option<Message> {
        let identity = Identity {
            origin_host: "b.test".into(),
            origin_realm: "test".into(),
        };
        let request = Message {
            command_code: dictionary::command::CREDIT_CONTROL,
            application_id: dictionary::APPLICATION_CREDIT_CONTROL,
            ..Message::default()
        };
        role.refuse(&identity, &request)
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
        for role in [Role::Away, Role::Standby { active: None }] {
            let answer = refused(&role).unwrap();
            assert_eq!(answer.result_code(), Some(ResultCode::TOO_BUSY));
        }
    }
}
