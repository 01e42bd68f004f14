//! What is checked of a service request: pure.

use std::net::IpAddr;

use tollwire_peer::{Policies, Refusal, ServiceRequest, Word};

/// What a request wants of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be passed on to the service.
    Serve,
    /// To open the session, for a service that is not HTTP.
    Open,
    /// To end it.
    End,
}

impl Purpose {
    /// Whether it is one of the requests that are counted.
    pub fn counts(self) -> bool {
        self == Self::Serve
    }

    /// Whether it needs something to be left of the grant.
    pub fn serves(self) -> bool {
        self != Self::End
    }
}

/// A request as it came.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its target: path and query.
    pub target: &'a str,
    /// Where it came from.
    pub source: IpAddr,
    /// The service whose path it is below; none for what concerns the session alone.
    pub service: Option<&'a str>,
    /// What for.
    pub purpose: Purpose,
}

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// It is refused.
    Refused(Refusal),
    /// What was granted is used up, and more may come.
    Wait,
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Whether a service request, verified with its session's key, is for what was asked, now (`now_unix` seconds).
///
/// # Errors
/// The first thing that is wrong.
pub fn request(
    request: &ServiceRequest,
    asked: &Asked<'_>,
    now_unix: i64,
    skew_seconds: i64,
) -> Result<(), Refusal> {
    request.is_for(asked.method, asked.target)?;
    request.request.nonce.check(now_unix, skew_seconds)?;
    Ok(())
}

/// Whether a session's policies allow a request from there, now (`now_unix` seconds). How much was used is not asked.
///
/// # Errors
/// The first that does not. A session may be ended at any time.
pub fn policies(
    policies: &Policies,
    user_address: IpAddr,
    asked: &Asked<'_>,
    now_unix: i64,
) -> Result<(), Refusal> {
    let refused = |detail: &str| Err(Refusal::new(Word::Policy, detail));
    if asked.purpose != Purpose::End {
        if asked
            .service
            .is_some_and(|service| service != policies.service)
        {
            return refused("service: the credential is for another");
        }
        policies.timely(now_unix)?;
    }
    match policies.address_change || asked.source.to_canonical() == user_address.to_canonical() {
        true => Ok(()),
        false => {
            refused("address_change: requests have to come from the address that the manager saw")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollwire_peer::{Data, Identifier, Measure, Nonce, Target, TimeOfDay};

    /// 2026-11-21T14:00:00Z, a Saturday.
    const NOW: i64 = 1_795_269_600;
    const HERE: [u8; 4] = [192, 0, 2, 7];

    fn asked(purpose: Purpose) -> Asked<'static> {
        Asked {
            method: "GET",
            target: "/weather/today?unit=c",
            source: HERE.into(),
            service: (purpose == Purpose::Serve).then_some("weather"),
            purpose,
        }
    }

    fn example() -> Policies {
        Policies {
            service: "weather".into(),
            not_before: NOW - 10,
            not_after: NOW + 10,
            times_of_day: Vec::new(),
            max_requests: None,
            address_change: false,
            collect: vec![Measure::Octets],
            max_seconds_between_messages: 60,
            granted: Data::default(),
        }
    }

    fn signed(method: &str, target: &str, made: i64) -> ServiceRequest {
        ServiceRequest {
            accounting_session_id: Identifier::random().unwrap(),
            request: Target {
                method: method.into(),
                target: target.into(),
                nonce: Nonce::new(made).unwrap(),
            },
        }
    }

    #[test]
    fn a_service_request_is_for_one_request_of_now() {
        let target = "/weather/today?unit=c";
        let word = |signed: ServiceRequest| {
            request(&signed, &asked(Purpose::Serve), NOW, 60).map_err(|refusal| refusal.error)
        };
        assert_eq!(word(signed("GET", target, NOW)), Ok(()));
        assert_eq!(word(signed("GET", target, NOW - 60)), Ok(()));
        assert_eq!(word(signed("GET", target, NOW + 60)), Ok(()));
        for (method, target, made, error) in [
            ("POST", target, NOW, Word::Signature),
            ("get", target, NOW, Word::Signature),
            ("GET", "/weather/today", NOW, Word::Signature),
            ("GET", "/weather/today?unit=c&x", NOW, Word::Signature),
            ("GET", target, NOW - 61, Word::Skew),
            ("GET", target, NOW + 61, Word::Skew),
        ] {
            assert_eq!(
                word(signed(method, target, made)),
                Err(error),
                "{method} {target}"
            );
        }
    }

    /// What of its policies does not allow a request, by the first word of the detail.
    fn denied(
        change: impl FnOnce(&mut Policies, &mut Asked<'_>),
        purpose: Purpose,
    ) -> Option<String> {
        let (mut policies_of, mut asked) = (example(), asked(purpose));
        change(&mut policies_of, &mut asked);
        let refusal = policies(&policies_of, HERE.into(), &asked, NOW).err()?;
        assert_eq!(refusal.error, Word::Policy);
        Some(refusal.detail)
    }

    #[test]
    fn each_policy_denies_what_it_is_for() {
        let serve = Purpose::Serve;
        assert_eq!(denied(|_, _| {}, serve), None);
        let service = denied(|_, asked| asked.service = Some("other"), serve);
        assert!(service.unwrap().starts_with("service"));
        let early = denied(|it, _| it.not_before = NOW + 1, serve);
        assert!(early.unwrap().contains("has not begun"));
        let late = denied(|it, _| it.not_after = NOW, serve);
        assert!(late.unwrap().contains("is over"));
        let hours = |from: &str| TimeOfDay {
            days: None,
            from: from.into(),
            to: "18:00".into(),
            time_zone: "UTC".into(),
        };
        let time = denied(|it, _| it.times_of_day = vec![hours("15:00")], serve);
        assert!(time.unwrap().contains("time of the day"));
        assert_eq!(
            denied(|it, _| it.times_of_day = vec![hours("13:00")], serve),
            None
        );
        let elsewhere = |asked: &mut Asked<'_>| asked.source = [192, 0, 2, 8].into();
        let moved = denied(|_, asked| elsewhere(asked), serve);
        assert!(moved.unwrap().starts_with("address_change"));
        let allowed = denied(
            |it, asked| {
                it.address_change = true;
                elsewhere(asked);
            },
            serve,
        );
        assert_eq!(allowed, None);
        let mapped = denied(
            |_, asked| asked.source = "::ffff:192.0.2.7".parse().unwrap(),
            serve,
        );
        assert_eq!(mapped, None);
    }

    #[test]
    fn a_session_may_be_ended_at_any_time_but_not_from_anywhere() {
        assert_eq!(denied(|it, _| it.not_after = NOW, Purpose::End), None);
        let opened = denied(|it, _| it.not_after = NOW, Purpose::Open);
        assert!(opened.is_some());
        let elsewhere = |asked: &mut Asked<'_>| asked.source = [192, 0, 2, 8].into();
        let denied = denied(|_, asked| elsewhere(asked), Purpose::End);
        assert!(denied.unwrap().starts_with("address_change"));
    }
}
