//! How a billing server describes itself by SLP: docs/service-billing.md.

use ipnet::IpNet;
use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use tollwire_slp::attributes::{Attribute, AttributeList, Meaning};
use tollwire_slp::text::{Context, escape};
use url::Url;

use crate::form::FormType;
use crate::invoice::{https, is_thumbprint};
use crate::{Fee, LONGEST_TEXT};

/// The service type that billing servers of this protocol have.
pub const SERVICE_TYPE: &str = "service:billing:https";

/// What customers pay from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountType {
    /// An account with money in it.
    Prepaid,
    /// An account for a kind of service.
    ServiceAccount,
    /// The monthly bill for telephone calls.
    PhoneBill,
    /// A credit.
    Credit,
    /// A bank account.
    BankAccount,
}

/// Who pays the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Settles {
    /// The billing server itself.
    #[serde(rename = "self")]
    Itself,
    /// Another one, which it hands the invoice on to.
    Proxy,
}

const ACCOUNT_TYPES: [(&str, AccountType); 5] = [
    ("prepaid", AccountType::Prepaid),
    ("service-account", AccountType::ServiceAccount),
    ("phone-bill", AccountType::PhoneBill),
    ("credit", AccountType::Credit),
    ("bank-account", AccountType::BankAccount),
];
const SETTLES: [(&str, Settles); 2] = [("self", Settles::Itself), ("proxy", Settles::Proxy)];
const FORM_TYPES: [(&str, FormType); 2] = [("page", FormType::Page), ("fields", FormType::Fields)];

/// A billing server, as it advertises itself. All of it is a claim but the thumbprint, which its acknowledgements prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BillingServer {
    /// Its https URL, without a slash at the end.
    pub url: String,
    /// As a customer knows it.
    pub name: String,
    /// Whether a provider needs an agreement with it.
    pub agreement_required: bool,
    /// What it keeps.
    pub fee: Fee,
    /// Currencies that it takes.
    pub currencies: Vec<Currency>,
    /// The least invoice, micro-units.
    pub minimum_micro: i64,
    /// The largest invoice, micro-units; zero is no limit.
    pub maximum_micro: i64,
    /// Where its form is filled in.
    pub form_type: FormType,
    /// What a customer gives to pay.
    pub invoice_fields: Vec<String>,
    /// What customers pay from.
    pub account_types: Vec<AccountType>,
    /// Numbers whose operator this is, from the country code on, digits alone.
    pub phone_prefixes: Vec<String>,
    /// Networks of customers whose operator this is.
    pub client_networks: Vec<IpNet>,
    /// Thumbprint (RFC 7638) of the key that signs its acknowledgements.
    pub acknowledgement_key: String,
    /// Where that key is, as a JWK Set.
    pub acknowledgement_key_url: String,
    /// Who pays the provider.
    pub settles: Vec<Settles>,
    /// RFC 1766 tags.
    pub languages: Vec<String>,
    /// Who runs it, if that is not its name.
    pub operator_name: Option<String>,
    /// Where a customer reads what he agrees to.
    pub terms_url: Option<String>,
}

/// Why an advertisement is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{attribute}: {problem}")]
pub struct Unusable {
    /// The attribute, or `url`.
    pub attribute: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

fn unusable(attribute: &'static str, problem: impl ToString) -> Unusable {
    Unusable {
        attribute,
        problem: problem.to_string(),
    }
}

/// Reads attributes by name.
struct Reader(AttributeList);

impl Reader {
    fn texts(&self, tag: &'static str) -> Vec<String> {
        let plain = |attribute: &Attribute| {
            let values = attribute.values.iter();
            values.map(|value| value.plain().into_owned()).collect()
        };
        self.0.get(tag).map(plain).unwrap_or_default()
    }

    fn text(&self, tag: &'static str) -> Result<Option<String>, Unusable> {
        match self.texts(tag).as_slice() {
            [] => Ok(None),
            [one] if !one.is_empty() && one.len() <= LONGEST_TEXT => Ok(Some(one.clone())),
            _ => Err(unusable(tag, "is not one text")),
        }
    }

    fn integer(&self, tag: &'static str) -> Result<Option<i64>, Unusable> {
        let meanings = |attribute: &Attribute| -> Vec<Meaning> {
            attribute
                .values
                .iter()
                .map(|value| value.meaning.clone())
                .collect()
        };
        match self.0.get(tag).map(meanings).as_deref() {
            None => Ok(None),
            Some([Meaning::Integer(integer)]) if *integer >= 0 => Ok(Some((*integer).into())),
            Some(_) => Err(unusable(tag, "is not one integer of zero or more")),
        }
    }

    fn boolean(&self, tag: &'static str) -> Result<Option<bool>, Unusable> {
        match self.0.get(tag).map(|attribute| attribute.values.as_slice()) {
            None => Ok(None),
            Some([value]) => match value.meaning {
                Meaning::Boolean(boolean) => Ok(Some(boolean)),
                _ => Err(unusable(tag, "is neither true nor false")),
            },
            Some(_) => Err(unusable(tag, "is neither true nor false")),
        }
    }

    /// Those of the values that are known.
    fn known<T: Copy>(&self, tag: &'static str, names: &[(&str, T)]) -> Vec<T> {
        let of = |text: &String| {
            let same = |(name, _): &&(&str, T)| name.eq_ignore_ascii_case(text);
            names.iter().find(same).map(|(_, value)| *value)
        };
        self.texts(tag).iter().filter_map(of).collect()
    }
}

fn required<T>(tag: &'static str, value: Option<T>) -> Result<T, Unusable> {
    value.ok_or_else(|| unusable(tag, "is missing"))
}

fn name_of<T: PartialEq>(value: &T, names: &[(&'static str, T)]) -> &'static str {
    let found = names.iter().find(|(_, named)| named == value);
    found.map_or("", |(name, _)| *name)
}

impl BillingServer {
    /// A service URL (`service:billing:https://...`) and its attributes.
    ///
    /// # Errors
    /// It cannot be used: what is required is missing, or makes no sense.
    pub fn read(service_url: &str, attributes: &str) -> Result<Self, Unusable> {
        let url = service_url.get("service:billing:".len()..).filter(|_| {
            service_url
                .get(.."service:billing:".len())
                .is_some_and(|start| start.eq_ignore_ascii_case("service:billing:"))
        });
        let url = url
            .and_then(https)
            .filter(|url| url.query().is_none())
            .ok_or_else(|| unusable("url", "is not service:billing: and an https URL"))?;
        let url = url.as_str().trim_end_matches('/').to_owned();
        let list = AttributeList::parse(attributes).map_err(|error| unusable("url", error))?;
        let read = Reader(list);
        let basis_points = required("fee-basis-points", read.integer("fee-basis-points")?)?;
        let fee = Fee {
            basis_points: u16::try_from(basis_points)
                .ok()
                .filter(|points| *points <= 10_000)
                .ok_or_else(|| unusable("fee-basis-points", "is above a hundred percent"))?,
            fixed_micro: read.integer("fee-fixed-micro")?.unwrap_or(0),
        };
        let currencies: Vec<Currency> = read
            .texts("currency")
            .iter()
            .filter_map(|code| Currency::from_code(&code.to_ascii_uppercase()))
            .collect();
        if currencies.is_empty() {
            return Err(unusable("currency", "has none of ISO 4217"));
        }
        let key = required("acknowledgement-key", read.text("acknowledgement-key")?)?;
        if !is_thumbprint(&key) {
            return Err(unusable(
                "acknowledgement-key",
                "is no thumbprint (RFC 7638)",
            ));
        }
        let form_type = required(
            "invoice-form-type",
            read.known("invoice-form-type", &FORM_TYPES)
                .first()
                .copied(),
        )?;
        let key_url = match read.text("acknowledgement-key-url")? {
            Some(url) if https(&url).is_some() => url,
            Some(_) => return Err(unusable("acknowledgement-key-url", "is no https URL")),
            None => format!("{url}/keys.json"),
        };
        let or_default = |values: Vec<String>, default: &str| match values.is_empty() {
            true => vec![default.to_owned()],
            false => values,
        };
        let mut settles = read.known("settles", &SETTLES);
        if settles.is_empty() {
            settles.push(Settles::Itself);
        }
        let mut account_types = read.known("account-type", &ACCOUNT_TYPES);
        if account_types.is_empty() {
            account_types.push(AccountType::Prepaid);
        }
        Ok(Self {
            name: required("name", read.text("name")?)?,
            agreement_required: required(
                "agreement-required",
                read.boolean("agreement-required")?,
            )?,
            fee,
            currencies,
            minimum_micro: read.integer("minimum-micro")?.unwrap_or(0),
            maximum_micro: read.integer("maximum-micro")?.unwrap_or(0),
            form_type,
            invoice_fields: read.texts("invoice-fields"),
            account_types,
            phone_prefixes: read
                .texts("phone-prefixes")
                .iter()
                .filter_map(|prefix| prefix.strip_prefix(['p', 'P']))
                .filter(|digits| !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit()))
                .map(str::to_owned)
                .collect(),
            client_networks: read
                .texts("client-networks")
                .iter()
                .filter_map(|network| network.parse().ok())
                .collect(),
            acknowledgement_key: key,
            acknowledgement_key_url: key_url,
            settles,
            languages: or_default(read.texts("languages"), "en"),
            operator_name: read.text("operator-name")?,
            terms_url: read.text("terms-url")?.filter(|url| https(url).is_some()),
            url,
        })
    }

    /// The URL that it registers.
    pub fn service_url(&self) -> String {
        format!("service:billing:{}", self.url)
    }

    /// The attributes that it registers.
    pub fn to_attributes(&self) -> String {
        let mut out: Vec<String> = Vec::new();
        let mut put = |tag: &str, values: Vec<String>| {
            if !values.is_empty() {
                let values: Vec<String> = values
                    .iter()
                    .map(|value| escape(value, Context::Attribute))
                    .collect();
                out.push(format!("({tag}={})", values.join(",")));
            }
        };
        let one = |value: &dyn ToString| vec![value.to_string()];
        put("name", one(&self.name));
        put("protocol", one(&"https"));
        put("agreement-required", one(&self.agreement_required));
        put("fee-basis-points", one(&self.fee.basis_points));
        put("fee-fixed-micro", one(&self.fee.fixed_micro));
        let codes = self
            .currencies
            .iter()
            .map(|currency| currency.code().to_owned());
        put("currency", codes.collect());
        put("minimum-micro", one(&self.minimum_micro));
        put("maximum-micro", one(&self.maximum_micro));
        put(
            "invoice-form-type",
            one(&name_of(&self.form_type, &FORM_TYPES)),
        );
        put("invoice-fields", self.invoice_fields.clone());
        let types = self.account_types.iter();
        put(
            "account-type",
            types
                .map(|it| name_of(it, &ACCOUNT_TYPES).to_owned())
                .collect(),
        );
        let prefixes = self.phone_prefixes.iter();
        put(
            "phone-prefixes",
            prefixes.map(|digits| format!("p{digits}")).collect(),
        );
        put(
            "client-networks",
            self.client_networks
                .iter()
                .map(ToString::to_string)
                .collect(),
        );
        put("acknowledgement-key", one(&self.acknowledgement_key));
        put(
            "acknowledgement-key-url",
            one(&self.acknowledgement_key_url),
        );
        let settles = self.settles.iter();
        put(
            "settles",
            settles.map(|it| name_of(it, &SETTLES).to_owned()).collect(),
        );
        put("languages", self.languages.clone());
        put(
            "operator-name",
            self.operator_name.iter().cloned().collect(),
        );
        put("terms-url", self.terms_url.iter().cloned().collect());
        out.join(",")
    }

    /// A URL below its own.
    pub fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.url)
    }

    /// Whether `url` is https, and of the same scheme, host and port.
    pub fn is_origin_of(&self, url: &str) -> bool {
        let own = Url::parse(&self.url).map(|own| own.origin());
        https(url).is_some_and(|url| Ok(url.origin()) == own)
    }

    /// Whether it takes an invoice over so much.
    pub fn takes(&self, amount_micro: i64, currency: Currency) -> bool {
        self.currencies.contains(&currency)
            && amount_micro >= self.minimum_micro
            && (self.maximum_micro == 0 || amount_micro <= self.maximum_micro)
    }
}
