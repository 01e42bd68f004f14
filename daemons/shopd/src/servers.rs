//! Billing servers that are known, and which of them a customer is offered.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use iso_currency::Currency;
use tollwire_invoice::{BillingServer, Unusable};
use tollwire_slp::text::{self, Context};

/// Characters of a name that a customer types.
const LONGEST_NAME: usize = 64;
/// Octets of an attribute list.
const LARGEST: usize = 16 * 1024;

/// Whom we know a billing server from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The configuration.
    Configured,
    /// Discovery: it is there until we are told that it is gone.
    Watched,
    /// A question by name: it is there until then, milliseconds since 1970.
    Found {
        /// Milliseconds since 1970.
        until_ms: i64,
    },
}

/// A billing server that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What it says of itself.
    pub server: BillingServer,
    /// Its service URL and its attribute list.
    pub registration: (String, String),
    /// Whom we know it from.
    pub origin: Origin,
}

/// Whom we deal with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Thumbprints of acknowledgement keys. If there is one, or a name, nobody else is dealt with.
    pub thumbprints: Vec<String>,
    /// Names. Anybody may take a name: where that matters, thumbprints do.
    pub names: Vec<String>,
    /// Thumbprints, or names, of those that we have an agreement with.
    pub agreements: Vec<String>,
    /// Above this fee we do not deal, hundredths of a percent.
    pub most_basis_points: u16,
    /// Servers that are remembered.
    pub most: usize,
}

/// Why a billing server is not dealt with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// It says nonsense of itself.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It is not on the list.
    #[error("neither its key nor its name is one of [trust]")]
    Unlisted,
    /// It wants too much.
    #[error("its fee is above trust.max_fee_basis_points")]
    TooDear,
    /// It needs an agreement.
    #[error("it needs an agreement, and is not in trust.agreements")]
    NoAgreement,
    /// It says too much.
    #[error("its attributes are too large")]
    TooLarge,
    /// There are too many.
    #[error("there are as many billing servers as are remembered")]
    TooMany,
}

impl Trust {
    fn check(&self, server: &BillingServer) -> Result<(), Untrusted> {
        let key = &server.acknowledgement_key;
        let is_named = |names: &[String]| names.iter().any(|name| text::equal(name, &server.name));
        let open = self.thumbprints.is_empty() && self.names.is_empty();
        if !open && !self.thumbprints.contains(key) && !is_named(&self.names) {
            return Err(Untrusted::Unlisted);
        }
        if server.fee.basis_points > self.most_basis_points {
            return Err(Untrusted::TooDear);
        }
        if server.agreement_required
            && !self.agreements.contains(key)
            && !is_named(&self.agreements)
        {
            return Err(Untrusted::NoAgreement);
        }
        Ok(())
    }
}

/// A method of payment for one order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The billing server.
    pub known: Arc<Known>,
    /// What it keeps of this amount, micro-units.
    pub fee_micro: i64,
    /// The customer's address is in one of its networks.
    pub is_own_operator: bool,
}

/// The billing servers, by the URLs of their registrations.
#[derive(Debug, Clone, Default)]
pub struct Servers {
    trust: Trust,
    known: BTreeMap<String, Arc<Known>>,
}

impl Servers {
    /// None yet.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            known: BTreeMap::new(),
        }
    }

    /// Takes in a registration, or what it is now.
    ///
    /// # Errors
    /// Why it is not dealt with; whatever was known of this URL is forgotten then.
    pub fn add(&mut self, url: &str, attributes: &str, origin: Origin) -> Result<(), Untrusted> {
        let checked = self.check(url, attributes);
        let server = checked.inspect_err(|_| {
            self.known.remove(url);
        })?;
        if !self.known.contains_key(url) && self.known.len() >= self.trust.most {
            return Err(Untrusted::TooMany);
        }
        // What is there by configuration, or watched, is not forgotten when an answer's lifetime is over.
        let origin = match (self.known.get(url).map(|known| known.origin), origin) {
            (Some(Origin::Configured), _) => Origin::Configured,
            (Some(Origin::Watched), Origin::Found { .. }) => Origin::Watched,
            (_, origin) => origin,
        };
        let known = Known {
            server,
            registration: (url.into(), attributes.into()),
            origin,
        };
        self.known.insert(url.into(), Arc::new(known));
        Ok(())
    }

    fn check(&self, url: &str, attributes: &str) -> Result<BillingServer, Untrusted> {
        if url.len().saturating_add(attributes.len()) > LARGEST {
            return Err(Untrusted::TooLarge);
        }
        let server = BillingServer::read(url, attributes)?;
        self.trust.check(&server)?;
        Ok(server)
    }

    /// A registration that was watched is gone.
    pub fn remove(&mut self, url: &str) {
        if (self.known.get(url)).is_some_and(|known| known.origin != Origin::Configured) {
            self.known.remove(url);
        }
    }

    /// Forgets those that were found by name, and whose lifetime is over.
    pub fn expire(&mut self, now_ms: i64) {
        self.known.retain(|_, known| match known.origin {
            Origin::Found { until_ms } => until_ms > now_ms,
            _ => true,
        });
    }

    /// Deals with others from now on. What is configured is told anew after this.
    pub fn set_trust(&mut self, trust: Trust) {
        self.trust = trust;
        let known = std::mem::take(&mut self.known);
        for (url, known) in known {
            if known.origin != Origin::Configured {
                // Those that no longer fit go.
                let _ = self.add(&url, &known.registration.1, known.origin);
            }
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Known>> {
        self.known.values()
    }

    /// The one whose key has this thumbprint. Of several that say so the first registration counts.
    pub fn by_thumbprint(&self, thumbprint: &str) -> Option<&Arc<Known>> {
        let all = self.known.values();
        all.into_iter()
            .find(|known| known.server.acknowledgement_key == thumbprint)
    }

    /// Those that take this much, the customer's own operator first, then by fee and name.
    pub fn offers(&self, amount_micro: i64, currency: Currency, client: IpAddr) -> Vec<Offer> {
        let mut keys = std::collections::HashSet::new();
        let mut offers: Vec<Offer> = (self.known.values())
            .filter(|known| known.server.takes(amount_micro, currency))
            .filter(|known| keys.insert(known.server.acknowledgement_key.clone()))
            .map(|known| Offer {
                fee_micro: known.server.fee.of(amount_micro),
                is_own_operator: (known.server.client_networks.iter())
                    .any(|network| network.contains(&client)),
                known: Arc::clone(known),
            })
            .collect();
        offers.sort_by(|left, right| {
            let of = |offer: &Offer| (!offer.is_own_operator, offer.fee_micro);
            let names = || {
                let name = |offer: &Offer| text::fold(&offer.known.server.name).into_owned();
                name(left).cmp(&name(right))
            };
            of(left).cmp(&of(right)).then_with(names)
        });
        offers
    }
}

/// Whether a server's name has what a customer typed.
pub fn is_named(server: &BillingServer, typed: &str) -> bool {
    text::fold(&server.name).contains(text::fold(typed).as_ref())
}

/// What a customer typed, as a name to look for; nothing where it is none.
pub fn typed_name(text: &str) -> Option<&str> {
    let name = text.trim();
    let fits = !name.is_empty()
        && name.chars().count() <= LONGEST_NAME
        && !name.chars().any(char::is_control);
    fits.then_some(name)
}

/// The predicate that finds servers by a part of their name: `(name=*bank*)`.
///
/// RFC 2608 8.1 with RFC 2254 4: what is reserved is escaped, so that a name stays a name whatever is in it.
pub fn predicate(name: &str) -> String {
    format!("(name=*{}*)", text::escape(name, Context::Attribute))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tollwire_slp::{AttributeList, Filter};

    const KEYS: [&str; 3] = [
        "NzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs",
        "OzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs",
        "PzbLsXh8uDCcd-6MNwXF4W-7noWXFZAfHkxZsRGC9Xs",
    ];

    fn url(number: usize) -> String {
        format!("service:billing:https://bank{number}.example:8443/pay")
    }

    fn attributes(number: usize, more: &str) -> String {
        format!(
            "(name=Bank {number}),(protocol=https),(agreement-required=false),(fee-basis-points={}),(currency=EUR),\
             (invoice-form-type=fields),(invoice-fields=account,pin),(acknowledgement-key={}){more}",
            300 - number * 100,
            KEYS[number]
        )
    }

    fn trust() -> Trust {
        Trust {
            most_basis_points: 10_000,
            most: 10,
            ..Trust::default()
        }
    }

    fn three() -> Servers {
        let mut servers = Servers::new(trust());
        for number in 0..3 {
            let added = servers.add(&url(number), &attributes(number, ""), Origin::Watched);
            added.unwrap();
        }
        servers
    }

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn names(servers: &Servers, amount: i64) -> Vec<String> {
        let offers = servers.offers(amount, Currency::EUR, CLIENT);
        let name = |offer: &Offer| offer.known.server.name.clone();
        offers.iter().map(name).collect()
    }

    #[test]
    fn the_cheapest_comes_first_and_the_own_operator_before_it() {
        let mut servers = three();
        assert_eq!(names(&servers, 1_000_000), ["Bank 2", "Bank 1", "Bank 0"]);
        let own = attributes(0, ",(client-networks=198.51.100.0/24,192.0.2.0/24)");
        servers.add(&url(0), &own, Origin::Watched).unwrap();
        assert_eq!(names(&servers, 1_000_000), ["Bank 0", "Bank 2", "Bank 1"]);
        let offers = servers.offers(1_000_000, Currency::EUR, CLIENT);
        let own: Vec<bool> = offers.iter().map(|offer| offer.is_own_operator).collect();
        assert_eq!(own, [true, false, false]);
        assert_eq!(offers[0].fee_micro, 30_000);
    }

    #[test]
    fn only_those_that_take_it_are_offered() {
        let mut servers = three();
        assert!(servers.offers(1_000_000, Currency::USD, CLIENT).is_empty());
        let bounded = attributes(2, ",(minimum-micro=500),(maximum-micro=1000)");
        servers.add(&url(2), &bounded, Origin::Watched).unwrap();
        for (amount, offered) in [(499, 2), (500, 3), (1_000, 3), (1_001, 2)] {
            assert_eq!(names(&servers, amount).len(), offered, "{amount}");
        }
    }

    #[test]
    fn whom_we_deal_with() {
        let try_with = |trust: Trust, more: &str| {
            let attributes = attributes(1, "").replace("(agreement-required=false)", more);
            Servers::new(trust).add(&url(1), &attributes, Origin::Watched)
        };
        let (open, closed) = ("(agreement-required=false)", "(agreement-required=true)");
        assert_eq!(try_with(trust(), open), Ok(()));
        assert_eq!(try_with(trust(), closed), Err(Untrusted::NoAgreement));
        for agreement in [KEYS[1], "bank 1"] {
            let with = Trust {
                agreements: vec![agreement.into()],
                ..trust()
            };
            assert_eq!(try_with(with, closed), Ok(()));
        }
        let listed = |thumbprint: &str, name: &str| {
            let list = |text: &str| match text {
                "" => Vec::new(),
                text => vec![text.to_owned()],
            };
            Trust {
                thumbprints: list(thumbprint),
                names: list(name),
                ..trust()
            }
        };
        assert_eq!(try_with(listed(KEYS[1], ""), open), Ok(()));
        assert_eq!(try_with(listed("", "BANK 1"), open), Ok(()));
        assert_eq!(
            try_with(listed(KEYS[0], "Bank 0"), open),
            Err(Untrusted::Unlisted)
        );
        // SLP compares without case; keys are compared octet for octet.
        let folded = KEYS[1].to_lowercase();
        assert_eq!(
            try_with(listed(&folded, ""), open),
            Err(Untrusted::Unlisted)
        );
        let cheap = Trust {
            most_basis_points: 199,
            ..trust()
        };
        assert_eq!(try_with(cheap, open), Err(Untrusted::TooDear));
        assert!(matches!(
            try_with(trust(), "(agreement-required=maybe)"),
            Err(Untrusted::Unusable(_))
        ));
    }

    #[test]
    fn they_come_and_go() {
        let mut servers = three();
        servers.remove(&url(1));
        assert_eq!(names(&servers, 1_000).len(), 2);
        let until = Origin::Found { until_ms: 1_000 };
        servers.add(&url(1), &attributes(1, ""), until).unwrap();
        // Found again by name, one that is watched stays.
        servers.add(&url(0), &attributes(0, ""), until).unwrap();
        servers.expire(999);
        assert_eq!(names(&servers, 1_000).len(), 3);
        servers.expire(1_000);
        assert_eq!(names(&servers, 1_000), ["Bank 2", "Bank 0"]);
        // What it says of itself now is nonsense.
        assert!(servers.add(&url(2), "(name=x)", Origin::Watched).is_err());
        assert_eq!(names(&servers, 1_000), ["Bank 0"]);
    }

    #[test]
    fn what_is_configured_stays() {
        let mut servers = three();
        let added = servers.add(&url(0), &attributes(0, ""), Origin::Configured);
        added.unwrap();
        servers
            .add(&url(0), &attributes(0, ""), Origin::Watched)
            .unwrap();
        servers.remove(&url(0));
        assert_eq!(names(&servers, 1_000).len(), 3);
        // Until the configuration is read again.
        servers.set_trust(Trust {
            thumbprints: vec![KEYS[2].into()],
            ..trust()
        });
        assert_eq!(names(&servers, 1_000), ["Bank 2"]);
    }

    #[test]
    fn a_second_registration_of_a_key_is_not_offered_and_there_is_an_end() {
        let mut servers = Servers::new(Trust { most: 2, ..trust() });
        for number in 0..2 {
            let added = servers.add(&url(number), &attributes(1, ""), Origin::Watched);
            added.unwrap();
        }
        assert_eq!(servers.offers(1_000, Currency::EUR, CLIENT).len(), 1);
        let third = servers.add(&url(2), &attributes(2, ""), Origin::Watched);
        assert_eq!(third, Err(Untrusted::TooMany));
        let changed = servers.add(&url(1), &attributes(2, ""), Origin::Watched);
        assert_eq!(changed, Ok(()));
    }

    #[test]
    fn names_that_customers_type() {
        assert_eq!(typed_name("  Bank of Example "), Some("Bank of Example"));
        for text in ["", "  ", "a\nb", "a\u{0}b", &"x".repeat(65)] {
            assert_eq!(typed_name(text), None, "{text:?}");
        }
        assert_eq!(predicate("bank"), "(name=*bank*)");
        assert_eq!(
            predicate("*)(currency=*"),
            r"(name=*\2a\29\28currency\3d\2a*)"
        );
    }

    proptest! {
        /// Whatever is typed, the predicate asks for names that have it, and for nothing else.
        #[test]
        fn a_typed_name_is_only_ever_a_name(typed in "[ -~äöü€*()\\\\!<>=~,;+]{1,64}") {
            prop_assume!(typed_name(&typed).is_some());
            let name = typed_name(&typed).unwrap_or_default();
            let filter = Filter::parse(&predicate(name)).map_err(|error| TestCaseError::fail(error.to_string()))?;
            let list = |name: &str| {
                let attributes = format!("(name={}),(currency=EUR)", text::escape(name, Context::Attribute));
                AttributeList::parse(&attributes).expect("attributes")
            };
            prop_assert!(filter.matches(&list(&format!("The {name} bank"))), "{}", predicate(name));
            prop_assert!(!filter.matches(&list("another one")) || "another one".contains(&text::fold(name).into_owned()));
        }
    }
}
