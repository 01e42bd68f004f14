//! What the server is to customers, and to whom it hands on.

use std::net::IpAddr;

use ipnet::IpNet;
use iso_currency::Currency;
use serde::Deserialize;
use tollwire_invoice::{Fee, FormType};
use tollwire_runtime::config::Invalid;
use tollwire_slp::Filter;

use crate::passkeys::Party;

/// Who pays the provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum Settling {
    /// We.
    #[default]
    #[serde(rename = "self")]
    Itself,
    /// Another billing server.
    #[serde(rename = "proxy")]
    Proxy,
}

/// What customers pay from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccountType {
    /// An account with money in it.
    Prepaid,
    /// An account for a kind of service.
    ServiceAccount,
    /// The monthly bill.
    PhoneBill,
    /// A credit.
    Credit,
    /// A bank account.
    BankAccount,
}

impl From<AccountType> for tollwire_invoice::AccountType {
    fn from(account: AccountType) -> Self {
        match account {
            AccountType::Prepaid => Self::Prepaid,
            AccountType::ServiceAccount => Self::ServiceAccount,
            AccountType::PhoneBill => Self::PhoneBill,
            AccountType::Credit => Self::Credit,
            AccountType::BankAccount => Self::BankAccount,
        }
    }
}

/// `[billing]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Billing {
    /// Where customers and shops reach us.
    pub url: String,
    /// As customers know us.
    pub name: String,
    /// Who runs it.
    pub operator_name: Option<String>,
    /// Where a customer reads what he agrees to.
    pub terms_url: Option<String>,
    /// Whether shops need an agreement.
    pub agreement_required: bool,
    /// Of each payment for us, hundredths of a percent.
    pub fee_basis_points: u16,
    /// And micro-units.
    pub fee_fixed_micro: i64,
    /// What is taken.
    pub currencies: Vec<Currency>,
    /// The least invoice.
    pub minimum_micro: i64,
    /// The largest; 0 is no limit.
    pub maximum_micro: i64,
    /// Where the form is filled in.
    pub form_type: FormType,
    /// What customers give.
    pub fields: Vec<String>,
    /// What they pay from.
    pub account_types: Vec<AccountType>,
    /// Whether customers may pay with passkeys; without it, if the URL's host is a name.
    pub passkeys: Option<bool>,
    /// Who pays the provider.
    #[serde(rename = "settles")]
    pub settling: Settling,
    /// Languages that are advertised.
    pub languages: Vec<String>,
    /// Further languages of pages, or others in the place of ours: a folder.
    pub messages: Option<std::path::PathBuf>,
}

impl Default for Billing {
    fn default() -> Self {
        Self {
            url: "https://localhost:8443/pay".into(),
            name: "Tollwire".into(),
            operator_name: None,
            terms_url: None,
            agreement_required: false,
            fee_basis_points: 250,
            fee_fixed_micro: 0,
            currencies: vec![Currency::EUR],
            minimum_micro: 0,
            maximum_micro: 500_000_000,
            form_type: FormType::Fields,
            fields: vec!["account".into(), "password".into()],
            account_types: vec![AccountType::Prepaid],
            passkeys: None,
            settling: Settling::Itself,
            languages: vec!["en".into(), "de".into()],
            messages: None,
        }
    }
}

const FIELDS: [&str; 4] = ["account", "password", "pin", "phone-number"];

impl Billing {
    /// What we keep.
    pub fn fee(&self) -> Fee {
        Fee {
            basis_points: self.fee_basis_points,
            fixed_micro: self.fee_fixed_micro,
        }
    }

    /// Path of the URL, without a slash at its end: below it all pages are.
    pub fn path(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        let path = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("");
        path.trim_end_matches('/')
    }

    /// Who we are to authenticators, if customers may pay with passkeys: for that they need an account and a secret.
    pub fn party(&self) -> Option<Party> {
        let wanted = self.passkeys.unwrap_or(true) && !self.fields.is_empty();
        let here = self.settling == Settling::Itself;
        (wanted && here).then(|| Party::of(&self.url)).flatten()
    }

    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let refuse = |key: &str, what: &str| Err(Invalid::new(format!("billing.{key}"), what));
        let plain = |octet: u8| {
            octet.is_ascii_graphic()
                && !matches!(octet, b'?' | b'#' | b'"' | b'@' | b'{' | b'}' | b'*')
        };
        let host = self.url.strip_prefix("https://").unwrap_or("");
        if host.is_empty()
            || host.starts_with('/')
            || !self.url.bytes().all(plain)
            || self.url.len() > 512
        {
            return refuse(
                "url",
                "an https URL without query: https://bank.example:8443/pay",
            );
        }
        if self.passkeys == Some(true) && Party::of(&self.url).is_none() {
            return refuse(
                "passkeys",
                "they are made for a name: `url` needs one instead of an address, or set this to false",
            );
        }
        if self.name.trim().is_empty()
            || self.name.len() > 128
            || self.name.chars().any(char::is_control)
        {
            return refuse("name", "1 to 128 characters");
        }
        if self.fee_basis_points > 10_000 || self.fee_fixed_micro < 0 {
            return refuse(
                "fee_basis_points",
                "0 to 10000, and `fee_fixed_micro` 0 or more",
            );
        }
        if self.currencies.is_empty() {
            return refuse("currencies", "one at least");
        }
        // SLP's integers have 32 bits; what is above is a template's problem, and shops would read another number.
        let fits = |micro: i64| (0..=i64::from(i32::MAX)).contains(&micro);
        if !fits(self.minimum_micro) || !fits(self.maximum_micro) || !fits(self.fee_fixed_micro) {
            return refuse(
                "maximum_micro",
                "0 to 2147483647 (2147 units), and so are `minimum_micro` and `fee_fixed_micro`: SLP has no larger integers. 0 is no limit",
            );
        }
        if self.maximum_micro > 0 && self.maximum_micro < self.minimum_micro {
            return refuse("maximum_micro", "0, or not below `minimum_micro`");
        }
        if let Some(field) = self
            .fields
            .iter()
            .find(|field| !FIELDS.contains(&field.as_str()))
        {
            return refuse(
                "fields",
                &format!("{field:?} is none of account, password, pin, phone-number"),
            );
        }
        let who = self
            .fields
            .iter()
            .filter(|field| matches!(field.as_str(), "account" | "phone-number"))
            .count();
        let secret = self.fields.len() - who;
        if self.form_type == FormType::Fields && (who != 1 || secret != 1) {
            return refuse(
                "fields",
                "of `account` and `phone-number` one, and of `password` and `pin` one; or form_type = \"page\"",
            );
        }
        if !self.fields.is_empty() && (who != 1 || secret != 1) {
            return refuse(
                "fields",
                "of `account` and `phone-number` one, and of `password` and `pin` one; or none",
            );
        }
        if self.account_types.is_empty() {
            return refuse("account_types", "one at least");
        }
        if self
            .terms_url
            .as_deref()
            .is_some_and(|url| !url.starts_with("https://"))
        {
            return refuse("terms_url", "an https URL");
        }
        Ok(())
    }
}

/// Another billing server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Operator {
    /// By its name.
    pub name: Option<String>,
    /// By an LDAPv3 filter over its attributes.
    pub predicate: Option<String>,
    /// By the thumbprint of its key: no other one is asked.
    pub key: Option<String>,
    /// The account at our charging system that its payments are debited to.
    pub account: String,
}

impl Operator {
    fn validate(&self, table: &str) -> Result<(), Invalid> {
        if self.account.trim().is_empty() {
            return Err(Invalid::new(
                format!("{table}.account"),
                "the account at the charging system that stands for what the other billing server owes us",
            ));
        }
        if let Some(predicate) = &self.predicate
            && let Err(error) = Filter::parse(predicate)
        {
            return Err(Invalid::new(
                format!("{table}.predicate"),
                error.to_string(),
            ));
        }
        Ok(())
    }
}

/// `[proxy]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// The other billing server: its name; any if absent.
    pub name: Option<String>,
    /// An LDAPv3 filter over its attributes.
    pub predicate: Option<String>,
    /// The thumbprint of its key.
    pub key: Option<String>,
    /// The account at our charging system that its payments are debited to.
    pub account: String,
    /// The name that we are paid under there.
    pub provider: Option<String>,
    /// How long a search may take.
    pub search_seconds: u32,
}

impl Default for Proxy {
    fn default() -> Self {
        Self {
            name: None,
            predicate: None,
            key: None,
            account: String::new(),
            provider: None,
            search_seconds: 10,
        }
    }
}

impl Proxy {
    /// Whom to hand on to.
    pub fn operator(&self) -> Operator {
        Operator {
            name: self.name.clone(),
            predicate: self.predicate.clone(),
            key: self.key.clone(),
            account: self.account.clone(),
        }
    }

    pub(super) fn validate(&self, billing: &Billing) -> Result<(), Invalid> {
        if !(1..=60).contains(&self.search_seconds) {
            return Err(Invalid::new("proxy.search_seconds", "1 to 60"));
        }
        match billing.settling {
            Settling::Itself => Ok(()),
            Settling::Proxy => self.operator().validate("proxy"),
        }
    }
}

/// `[[phone_bill.networks]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhoneNetwork {
    /// Addresses of customers.
    pub network: IpNet,
    /// The account that pays for all of them.
    #[serde(default)]
    pub account: Option<String>,
    /// The number that does.
    #[serde(default)]
    pub number: Option<String>,
    /// Whose customers they are, if not ours.
    #[serde(default)]
    pub operator: Option<Operator>,
}

/// `[[phone_bill.prefixes]]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PhonePrefix {
    /// Digits from the country code on.
    pub prefix: String,
    /// Whose customers they are, if not ours.
    #[serde(default)]
    pub operator: Option<Operator>,
}

/// `[phone_bill]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhoneBill {
    /// Customers by address.
    pub networks: Vec<PhoneNetwork>,
    /// Customers by number.
    pub prefixes: Vec<PhonePrefix>,
}

impl PhoneBill {
    /// The entry of the narrowest network that has the address.
    pub fn network(&self, address: IpAddr) -> Option<&PhoneNetwork> {
        let address = address.to_canonical();
        let networks = self.networks.iter();
        networks
            .filter(|entry| entry.network.contains(&address))
            .max_by_key(|entry| entry.network.prefix_len())
    }

    /// The entry of the longest prefix of the number.
    pub fn prefix(&self, number: &str) -> Option<&PhonePrefix> {
        let digits = number.strip_prefix('+').unwrap_or(number);
        let prefixes = self.prefixes.iter();
        prefixes
            .filter(|entry| digits.starts_with(&entry.prefix))
            .max_by_key(|entry| entry.prefix.len())
    }

    pub(super) fn advertised_prefixes(&self) -> Vec<String> {
        let own = self
            .prefixes
            .iter()
            .filter(|entry| entry.operator.is_none());
        own.map(|entry| entry.prefix.clone()).collect()
    }

    pub(super) fn advertised_networks(&self) -> Vec<IpNet> {
        let own = self
            .networks
            .iter()
            .filter(|entry| entry.operator.is_none());
        own.map(|entry| entry.network).collect()
    }

    pub(super) fn validate(&self, billing: &Billing) -> Result<(), Invalid> {
        let any = !self.networks.is_empty() || !self.prefixes.is_empty();
        if any && !billing.account_types.contains(&AccountType::PhoneBill) {
            return Err(Invalid::new(
                "billing.account_types",
                "needs \"phone-bill\" where there is a [phone_bill]",
            ));
        }
        for entry in &self.networks {
            let whose = [
                entry.account.is_some(),
                entry.number.is_some(),
                entry.operator.is_some(),
            ];
            if whose.iter().filter(|it| **it).count() != 1 {
                return Err(Invalid::new(
                    "phone_bill.networks",
                    format!(
                        "{}: one of `account`, `number` and `operator`",
                        entry.network
                    ),
                ));
            }
            if let Some(operator) = &entry.operator {
                operator.validate("phone_bill.networks.operator")?;
            }
        }
        for entry in &self.prefixes {
            if !(1..=15).contains(&entry.prefix.len())
                || !entry.prefix.bytes().all(|it| it.is_ascii_digit())
            {
                return Err(Invalid::new(
                    "phone_bill.prefixes",
                    format!(
                        "{:?}: 1 to 15 digits, from the country code on",
                        entry.prefix
                    ),
                ));
            }
            if let Some(operator) = &entry.operator {
                operator.validate("phone_bill.prefixes.operator")?;
            }
        }
        Ok(())
    }
}
