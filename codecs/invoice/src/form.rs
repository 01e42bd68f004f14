//! The blank invoice form that a customer fills in.

use serde::{Deserialize, Serialize};

use crate::{BillingServer, LONGEST_TEXT, Refusal};

/// Fields of a form at the most.
const MOST_FIELDS: usize = 16;

/// Where the form comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormType {
    /// The billing server has a page of its own.
    Page,
    /// Whoever shows it makes it of the fields.
    Fields,
}

/// How a field is typed in: `type` of HTML's `input`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputType {
    /// In clear.
    Text,
    /// Hidden.
    Password,
    /// A telephone number.
    Tel,
}

/// What a customer gives to pay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormField {
    /// Its name in the form.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// How it is typed in.
    #[serde(rename = "type")]
    pub input: InputType,
    /// HTML's `autocomplete`.
    #[serde(default)]
    pub autocomplete: String,
    /// Whether it has to be there.
    #[serde(default)]
    pub required: bool,
}

impl FormField {
    /// A field by its name in the SLP attribute `invoice-fields`, in English.
    pub fn named(name: &str) -> Self {
        let (label, input, autocomplete) = match name {
            "account" => ("Account", InputType::Text, "username"),
            "password" => ("Password", InputType::Password, "current-password"),
            "pin" => ("PIN", InputType::Password, "off"),
            "phone-number" => ("Phone number", InputType::Tel, "tel"),
            other => (other, InputType::Text, "off"),
        };
        Self {
            name: name.into(),
            label: label.into(),
            input,
            autocomplete: autocomplete.into(),
            required: true,
        }
    }
}

/// The blank form, as a billing server serves it and as it is made of its attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// Where it is sent to once it is filled in.
    pub action: String,
    /// Where the billing server's own page is.
    pub page: String,
    /// Where customers fill it in.
    #[serde(rename = "type")]
    pub form_type: FormType,
    /// Beside the invoice itself.
    pub fields: Vec<FormField>,
    /// RFC 1766 tags of the languages that the labels are to be had in.
    #[serde(default)]
    pub languages: Vec<String>,
}

/// A name that is safe in a form: it cannot be mistaken for what the shop puts there.
fn is_name(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(plain) && name != "invoice"
}

impl Form {
    /// Made of what a billing server says of itself.
    pub fn of(server: &BillingServer) -> Self {
        Self {
            action: server.below("pay"),
            page: server.below("invoice"),
            form_type: server.form_type,
            fields: server
                .invoice_fields
                .iter()
                .map(|name| FormField::named(name))
                .collect(),
            languages: server.languages.clone(),
        }
    }

    /// A form that was fetched: sent to its own server alone, and of a bounded size.
    ///
    /// # Errors
    /// It is not a form that a customer of `server` may be shown.
    pub fn read(json: &[u8], server: &BillingServer) -> Result<Self, Refusal> {
        let refused = |field, problem| Refusal::Field { field, problem };
        let form: Self = serde_json::from_slice(json)
            .map_err(|_| refused("form", "is no JSON of a blank form"))?;
        for (field, url) in [("action", &form.action), ("page", &form.page)] {
            if !server.is_origin_of(url) {
                return Err(refused(field, "leads to another server"));
            }
        }
        if form.fields.len() > MOST_FIELDS {
            return Err(refused("fields", "are too many"));
        }
        for (index, field) in form.fields.iter().enumerate() {
            if !is_name(&field.name)
                || form
                    .fields
                    .iter()
                    .take(index)
                    .any(|it| it.name == field.name)
            {
                return Err(refused(
                    "fields",
                    "have a name that is not allowed, or stands twice",
                ));
            }
            if field.label.is_empty() || field.label.len() > 200 || field.autocomplete.len() > 64 {
                return Err(refused("fields", "have a label that is empty or too long"));
            }
        }
        if form.languages.iter().map(String::len).sum::<usize>() > LONGEST_TEXT {
            return Err(refused("languages", "are too many"));
        }
        Ok(form)
    }
}
