//! Passkeys (Web Authentication level 3), as far as it is no matter of HTTP: what a browser is asked for, and whether what
//! it sends is that. The ceremonies themselves are `webauthn_rp`'s; here is what they are bound to.

use std::collections::VecDeque;
use std::net::IpAddr;

use url::{Host, Url};
use webauthn_rp::bin::{Decode, Encode};
use webauthn_rp::request::auth::AuthenticationVerificationOptions;
use webauthn_rp::request::register::{
    CredProtect, PublicKeyCredentialUserEntity, RegistrationVerificationOptions, UserHandle64,
    Username,
};
use webauthn_rp::request::{AsciiDomain, PublicKeyCredentialDescriptor, RpId};
use webauthn_rp::response::register::{CompressedPubKey, DynamicState, StaticState};
use webauthn_rp::response::{AuthTransports, CredentialId};
use webauthn_rp::{
    AuthenticatedCredential, DiscoverableAuthentication64, DiscoverableAuthenticationServerState,
    DiscoverableCredentialRequestOptions, PublicKeyCredentialCreationOptions, Registration,
    RegistrationServerState,
};

use crate::payment::PaymentId;

/// Passkeys of a customer, at the most.
pub const MOST: usize = 5;
/// How long a challenge is good, milliseconds; browsers are told the same.
const LIFETIME_MS: i64 = 300_000;
/// Challenges that are open, at the most.
const MOST_OPEN: usize = 4096;
/// Of those, of one source.
const MOST_OPEN_PER_SOURCE: usize = 32;

/// Octets of a user handle.
const HANDLE: usize = 64;
/// Octets of what changes with a passkey's use.
pub const DYNAMIC: usize = 7;

type PublicKey = CompressedPubKey<[u8; 32], [u8; 32], [u8; 48], Vec<u8>>;

/// A passkey as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// The credential's.
    pub id: Vec<u8>,
    /// What authenticators know the customer by: random, and the same in all of his.
    pub handle: Vec<u8>,
    /// Its public key, as `webauthn_rp` writes it.
    pub key: Vec<u8>,
    /// Its counter and flags, as `webauthn_rp` writes them.
    pub state: Vec<u8>,
}

/// Why something is refused: for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not what browsers send.
    #[error("it does not read: {0}")]
    Unreadable(String),
    /// The challenge is none of ours, was used, is too old, or was given for something else.
    #[error("the challenge is unknown, used, too old, or for something else")]
    Challenge,
    /// Nobody has this passkey.
    #[error("the passkey is unknown")]
    Unknown,
    /// Of a rule of Web Authentication.
    #[error("{0}")]
    Rule(String),
    /// The customer has as many as he may.
    #[error("the customer has {MOST} passkeys already")]
    Full,
    /// What is stored does not read.
    #[error("what is stored does not read")]
    Stored,
}

/// Whom a challenge was given to, and what for.
#[derive(Debug)]
pub enum Purpose {
    /// A customer who proved by his secret who he is makes a passkey.
    Enrol {
        /// Who.
        login: Box<str>,
        /// What is awaited.
        awaited: RegistrationServerState<HANDLE>,
    },
    /// Somebody pays this invoice.
    Pay {
        /// Which.
        id: PaymentId,
        /// What is awaited.
        awaited: DiscoverableAuthenticationServerState,
    },
}

struct Entry {
    challenge: u128,
    source: IpAddr,
    until_ms: i64,
    purpose: Purpose,
}

/// Challenges that wait for an answer: each is good once, and they are bounded. A source that asks for many loses its own
/// first. They are lost with the process.
#[derive(Default)]
pub struct Open(VecDeque<Entry>);

impl Open {
    /// Remembers one.
    pub fn add(&mut self, now_ms: i64, source: IpAddr, challenge: u128, purpose: Purpose) {
        self.0.retain(|entry| entry.until_ms > now_ms);
        let of_source = self.0.iter().filter(|entry| entry.source == source).count();
        if of_source >= MOST_OPEN_PER_SOURCE
            && let Some(at) = self.0.iter().position(|entry| entry.source == source)
        {
            self.0.remove(at);
        }
        if self.0.len() >= MOST_OPEN {
            self.0.pop_front();
        }
        self.0.push_back(Entry {
            challenge,
            source,
            until_ms: now_ms.saturating_add(LIFETIME_MS),
            purpose,
        });
    }

    /// Takes it away: what it was given for, if it is still good.
    pub fn take(&mut self, now_ms: i64, challenge: u128) -> Option<Purpose> {
        let at = self
            .0
            .iter()
            .position(|entry| entry.challenge == challenge)?;
        let entry = self.0.remove(at)?;
        (entry.until_ms > now_ms).then_some(entry.purpose)
    }
}

/// Who we are to authenticators.
#[derive(Debug)]
pub struct Party {
    id: RpId,
    origin: String,
}

impl Party {
    /// Of our URL: the relying party is its host, which has to be a name, and pages are of its origin alone.
    pub fn of(url: &str) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let Some(Host::Domain(name)) = url.host() else {
            return None;
        };
        (url.scheme() == "https").then_some(())?;
        let id = AsciiDomain::try_from(name.to_owned()).ok()?;
        Some(Self {
            id: RpId::Domain(id),
            origin: url.origin().ascii_serialization(),
        })
    }

    /// What a browser is asked for to make a passkey (`PublicKeyCredentialCreationOptionsJSON`), the challenge in it, and
    /// what is awaited. `known` are those that the customer has.
    pub fn enrol(&self, login: &str, known: &[Passkey]) -> Option<(String, u128, Purpose)> {
        let handle = match known.first() {
            Some(first) => handle(&first.handle)?,
            None => UserHandle64::new(),
        };
        let exclude = known.iter().filter_map(|passkey| {
            Some(PublicKeyCredentialDescriptor {
                id: CredentialId::decode(passkey.id.clone()).ok()?,
                transports: AuthTransports::decode(0).ok()?,
            })
        });
        // Names of other forms are not shown by browsers; the account is its customer's own.
        let name = Username::try_from(login).or_else(|_| Username::try_from("customer"));
        let user = PublicKeyCredentialUserEntity {
            name: name.ok()?,
            id: &handle,
            display_name: None,
        };
        let mut options =
            PublicKeyCredentialCreationOptions::passkey(&self.id, user, exclude.collect());
        // Every assertion has to be of a verified user; devices that cannot insist on it by themselves (credProtect) do as well.
        options.extensions.cred_protect = CredProtect::None;
        let challenge = options.challenge.as_data();
        let (awaited, asked) = options.start_ceremony().ok()?;
        let asked = serde_json::to_string(&asked).ok()?;
        let login = login.into();
        Some((asked, challenge, Purpose::Enrol { login, awaited }))
    }

    /// The passkey that a browser made (`RegistrationResponseJSON`), and whose it is.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn enrolled(
        &self,
        json: &str,
        take: impl FnOnce(u128) -> Option<Purpose>,
    ) -> Result<(Box<str>, Passkey), Refused> {
        let made = Registration::from_json_relaxed(json.as_bytes()).map_err(unreadable)?;
        let challenge = made.challenge_relaxed().map_err(unreadable)?;
        let Some(Purpose::Enrol { login, awaited }) = take(challenge.0) else {
            return Err(Refused::Challenge);
        };
        let options = RegistrationVerificationOptions::<&str, &str> {
            allowed_origins: &[self.origin.as_str()],
            ..RegistrationVerificationOptions::default()
        };
        let credential = awaited
            .verify(&self.id, &made, &options)
            .map_err(|error| Refused::Rule(error.to_string()))?;
        let (Ok(handle), Ok(key), Ok(state)) = (
            credential.user_id().encode(),
            credential.static_state().encode(),
            credential.dynamic_state().encode(),
        );
        let passkey = Passkey {
            id: credential.id().as_ref().to_vec(),
            handle: handle.to_vec(),
            key,
            state: state.to_vec(),
        };
        Ok((login, passkey))
    }

    /// What a browser is asked for to pay an invoice (`PublicKeyCredentialRequestOptionsJSON`).
    pub fn ask(&self, id: PaymentId) -> Option<(String, u128, Purpose)> {
        let options = DiscoverableCredentialRequestOptions::passkey(&self.id);
        let challenge = options.0.challenge.as_data();
        let (awaited, asked) = options.start_ceremony().ok()?;
        let asked = serde_json::to_string(&asked).ok()?;
        Some((asked, challenge, Purpose::Pay { id, awaited }))
    }

    /// What a browser answered (`AuthenticationResponseJSON`), to be [checked](Answer::check) against the passkey it names.
    ///
    /// # Errors
    /// Why it is not looked at.
    pub fn answered(
        &self,
        json: &str,
        invoice: &PaymentId,
        take: impl FnOnce(u128) -> Option<Purpose>,
    ) -> Result<Answer, Refused> {
        let response =
            DiscoverableAuthentication64::from_json_relaxed(json.as_bytes()).map_err(unreadable)?;
        let challenge = response.challenge_relaxed().map_err(unreadable)?;
        match take(challenge.0) {
            Some(Purpose::Pay { id, awaited }) if id == *invoice => {
                Ok(Answer { response, awaited })
            }
            _ => Err(Refused::Challenge),
        }
    }
}

/// An assertion, and what is awaited of it.
pub struct Answer {
    response: DiscoverableAuthentication64,
    awaited: DiscoverableAuthenticationServerState,
}

impl Answer {
    /// The passkey that it says it is of.
    pub fn id(&self) -> Vec<u8> {
        self.response.raw_id().as_ref().to_vec()
    }

    /// The passkey's state from now on, if it is of this passkey, of our pages, and the user was verified.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(self, party: &Party, passkey: &Passkey) -> Result<Vec<u8>, Refused> {
        let stored = |_| Refused::Stored;
        let handle = handle(&passkey.handle).ok_or(Refused::Stored)?;
        let state = <[u8; DYNAMIC]>::try_from(passkey.state.as_slice()).map_err(stored)?;
        let state = DynamicState::decode(state).map_err(|_| Refused::Stored)?;
        let key = StaticState::<PublicKey>::decode(&passkey.key).map_err(|_| Refused::Stored)?;
        let id = CredentialId::decode(passkey.id.as_slice()).map_err(|_| Refused::Stored)?;
        let mut credential =
            AuthenticatedCredential::new(id, &handle, key, state).map_err(|_| Refused::Stored)?;
        let options = AuthenticationVerificationOptions::<&str, &str> {
            allowed_origins: &[party.origin.as_str()],
            ..AuthenticationVerificationOptions::default()
        };
        self.awaited
            .verify(&party.id, &self.response, &mut credential, &options)
            .map_err(|error| Refused::Rule(error.to_string()))?;
        let Ok(state) = credential.dynamic_state().encode();
        Ok(state.to_vec())
    }
}

fn handle(octets: &[u8]) -> Option<UserHandle64> {
    let octets = <[u8; HANDLE]>::try_from(octets).ok()?;
    UserHandle64::decode(octets).ok()
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: serde_json::Error) -> Refused {
    Refused::Unreadable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(open: &mut Open, now_ms: i64, source: [u8; 4], invoice: &str) -> u128 {
        let party = Party::of("https://bank.example/pay").unwrap();
        let (asked, challenge, purpose) = party.ask(PaymentId::of(invoice)).unwrap();
        assert!(
            asked.contains("\"userVerification\":\"required\""),
            "{asked}"
        );
        open.add(now_ms, source.into(), challenge, purpose);
        challenge
    }

    #[test]
    fn the_relying_party_is_a_name() {
        let party = Party::of("https://Bank.example:8443/pay").unwrap();
        assert_eq!(party.origin, "https://bank.example:8443");
        assert_eq!(party.id.as_ref(), "bank.example");
        for url in [
            "https://192.0.2.1/pay",
            "https://[::1]/pay",
            "http://bank.example/",
            "nothing",
        ] {
            assert!(Party::of(url).is_none(), "{url}");
        }
    }

    #[test]
    fn a_challenge_is_good_once_and_for_five_minutes() {
        let mut all = Open::default();
        let one = open(&mut all, 0, [192, 0, 2, 1], "a");
        let two = open(&mut all, 0, [192, 0, 2, 1], "a");
        assert_ne!(one, two);
        assert!(all.take(LIFETIME_MS - 1, one).is_some());
        assert!(all.take(LIFETIME_MS - 1, one).is_none());
        assert!(all.take(LIFETIME_MS, two).is_none());
    }

    #[test]
    fn they_are_bounded_and_a_source_loses_its_own_first() {
        let mut all = Open::default();
        let first = open(&mut all, 0, [192, 0, 2, 1], "a");
        let greedy: Vec<u128> = (0..=MOST_OPEN_PER_SOURCE)
            .map(|_| open(&mut all, 0, [192, 0, 2, 2], "a"))
            .collect();
        assert_eq!(all.0.len(), 1 + MOST_OPEN_PER_SOURCE);
        assert!(all.take(1, greedy[0]).is_none());
        assert!(all.take(1, greedy[MOST_OPEN_PER_SOURCE]).is_some());
        assert!(all.take(1, first).is_some());
        for number in 0..5_000_u32 {
            let source = (0x0a00_0000 + number).to_be_bytes();
            let _ = open(&mut all, 1, source, "a");
        }
        assert_eq!(all.0.len(), MOST_OPEN);
    }
}
