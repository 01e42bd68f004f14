//! What customers read: texts by language and kind, with places for what differs.

use std::collections::BTreeMap;
use std::path::Path;

use iso_currency::Currency;
use serde::Deserialize;

use super::{Kind, Notification};

/// `conf/notifications.toml`: in force unless the configuration names another file.
const SHIPPED: &str = include_str!("../../../../conf/notifications.toml");
/// Characters of a text as it stands in the file.
const MAX_TEXT: usize = 1000;
/// Characters of a subject as it stands in the file.
const MAX_SUBJECT: usize = 150;
const LANGUAGES: usize = 100;

/// What a customer reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, for mail.
    pub subject: String,
    /// The text, for everything.
    pub text: String,
}

/// All texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Texts {
    language: Box<str>,
    languages: BTreeMap<Box<str>, BTreeMap<Kind, Template>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    subject: Vec<Part>,
    text: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Place(Place),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Account,
    Service,
    Balance,
    Amount,
    Unit,
    Id,
}

impl Place {
    const ALL: [(&str, Self); 6] = [
        ("account", Self::Account),
        ("service", Self::Service),
        ("balance", Self::Balance),
        ("amount", Self::Amount),
        ("unit", Self::Unit),
        ("id", Self::Id),
    ];
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    subject: String,
    text: String,
}

impl Texts {
    /// The texts in `file`, or the shipped ones; `language` is for who asked for none of those there are.
    ///
    /// # Errors
    /// File, place and what is wrong.
    pub fn load(file: Option<&Path>, language: &str) -> Result<Self, String> {
        match file {
            None => Self::parse(SHIPPED, language),
            Some(file) => std::fs::read_to_string(file)
                .map_err(|error| error.to_string())
                .and_then(|text| Self::parse(&text, language))
                .map_err(|error| format!("{}: {error}", file.display())),
        }
    }

    fn parse(text: &str, language: &str) -> Result<Self, String> {
        let written: BTreeMap<String, BTreeMap<Kind, Written>> =
            toml::from_str(text).map_err(|error| error.to_string())?;
        if written.len() > LANGUAGES {
            return Err(format!("more than {LANGUAGES} languages"));
        }
        let mut languages = BTreeMap::new();
        for (language, kinds) in written {
            let mut templates = BTreeMap::new();
            for kind in Kind::ALL {
                let Some(Written { subject, text }) = kinds.get(&kind) else {
                    return Err(format!("[{language}.{}] is missing", kind.as_str()));
                };
                let part = |name: &str, text: &str, most, lines| {
                    template(text, most, lines)
                        .map_err(|what| format!("{language}.{}.{name}: {what}", kind.as_str()))
                };
                let template = Template {
                    subject: part("subject", subject, MAX_SUBJECT, false)?,
                    text: part("text", text, MAX_TEXT, true)?,
                };
                templates.insert(kind, template);
            }
            languages.insert(language.to_ascii_lowercase().into(), templates);
        }
        let language: Box<str> = language.to_ascii_lowercase().into();
        if !languages.contains_key(&language) {
            return Err(format!(
                "there are no texts in the language {language:?}, which notifications.language names"
            ));
        }
        Ok(Self {
            language,
            languages,
        })
    }

    /// What the customer reads: in the account's language, else in that without its region (`de` for `de-AT`), else in
    /// the configured one.
    pub fn render(&self, notification: &Notification) -> Rendered {
        let wanted = notification.language.to_ascii_lowercase();
        let general = wanted.split(['-', '_']).next().unwrap_or_default();
        let found = [wanted.as_str(), general, &self.language]
            .into_iter()
            .find_map(|language| self.languages.get(language))
            .and_then(|kinds| kinds.get(&notification.kind));
        let Some(template) = found else {
            // Not reached: every language has every kind.
            return Rendered {
                subject: notification.kind.as_str().into(),
                text: notification.kind.as_str().into(),
            };
        };
        Rendered {
            subject: fill(&template.subject, notification),
            text: fill(&template.text, notification),
        }
    }
}

/// Cuts a text at its places.
fn template(text: &str, most: usize, lines: bool) -> Result<Vec<Part>, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > most {
        return Err(format!("1 to {most} characters"));
    }
    if text
        .chars()
        .any(|character| character.is_control() && !(lines && character == '\n'))
    {
        return Err("no control characters".into());
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after
            .split_once('}')
            .ok_or("a { without its }: places are {account} and the like")?;
        let (_, place) = Place::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .ok_or_else(|| {
                let known: Vec<_> = Place::ALL
                    .iter()
                    .map(|(name, _)| format!("{{{name}}}"))
                    .collect();
                format!("{{{name}}} is no place; there are {}", known.join(", "))
            })?;
        parts.push(Part::Literal(before.into()));
        parts.push(Part::Place(place));
        rest = after;
    }
    parts.push(Part::Literal(rest.into()));
    Ok(parts)
}

fn fill(parts: &[Part], notification: &Notification) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Place(place) => {
                // A name in an account may not end a line.
                let value = value(*place, notification);
                text.extend(value.chars().filter(|character| !character.is_control()));
            }
        }
    }
    text
}

fn value(place: Place, notification: &Notification) -> String {
    let unit = &*notification.unit;
    match place {
        Place::Account => notification.account.to_string(),
        Place::Service => {
            let subject = &*notification.subject;
            let service = subject
                .strip_prefix(&*notification.account)
                .and_then(|rest| rest.strip_prefix('/'));
            service.unwrap_or(subject).to_owned()
        }
        Place::Balance => amount(notification.balance, unit),
        Place::Amount => amount(notification.amount, unit),
        Place::Unit => unit.to_owned(),
        Place::Id => notification.id.to_string(),
    }
}

/// Micro-units of a currency with the decimals it has in daily use, and more if they are not zero; other units whole.
fn amount(value: i64, unit: &str) -> String {
    let Some(currency) = Currency::from_code(unit) else {
        return value.to_string();
    };
    let usual = usize::from(currency.exponent().unwrap_or(0)).min(6);
    let sign = if value < 0 { "-" } else { "" };
    let value = value.unsigned_abs();
    let mut decimals = format!("{:06}", value % 1_000_000);
    while decimals.len() > usual && decimals.ends_with('0') {
        decimals.pop();
    }
    let whole = value / 1_000_000;
    match decimals.is_empty() {
        true => format!("{sign}{whole}"),
        false => format!("{sign}{whole}.{decimals}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(kind: Kind, language: &str) -> Notification {
        Notification {
            id: 7,
            unix_ms: 0,
            account: "alice".into(),
            subject: "alice/gprs".into(),
            kind,
            balance: 1_500_000,
            unit: "EUR".into(),
            amount: 2_000_000,
            language: language.into(),
            contacts: Vec::new(),
        }
    }

    #[test]
    fn the_shipped_texts_are_good() {
        let texts = Texts::load(None, "en").unwrap();
        for kind in Kind::ALL {
            for language in ["en", "de"] {
                let rendered = texts.render(&notification(kind, language));
                assert!(!rendered.text.contains(['{', '}']), "{rendered:?}");
            }
        }
        let rendered = texts.render(&notification(Kind::ThresholdCrossed, "en"));
        assert!(rendered.text.contains("1.50 EUR"), "{rendered:?}");
        assert!(rendered.text.contains("gprs"), "{rendered:?}");
    }

    #[test]
    fn the_language_is_the_accounts_or_the_next_best() {
        let texts = Texts::load(None, "en").unwrap();
        let in_language = |language: &str| texts.render(&notification(Kind::Recharged, language));
        assert_ne!(in_language("de"), in_language("en"));
        assert_eq!(in_language("de-AT"), in_language("de"));
        assert_eq!(in_language("DE"), in_language("de"));
        assert_eq!(in_language("fi"), in_language("en"));
        assert_eq!(in_language(""), in_language("en"));
        let error = Texts::load(None, "fi").unwrap_err();
        assert!(error.contains("\"fi\""), "{error}");
    }

    #[test]
    fn money_has_the_decimals_it_needs() {
        for (value, unit, text) in [
            (1_500_000, "EUR", "1.50"),
            (-1_234_567, "EUR", "-1.234567"),
            (1_230_000, "EUR", "1.23"),
            (0, "EUR", "0.00"),
            (1_000_000, "JPY", "1"),
            (1_500_000, "JPY", "1.5"),
            (1_500_000, "KWD", "1.500"),
            (i64::MIN, "EUR", "-9223372036854.775808"),
            (1_500_000, "octets", "1500000"),
        ] {
            assert_eq!(amount(value, unit), text);
        }
    }

    #[test]
    fn what_is_wrong_with_a_text_is_named() {
        let wrong = |from: &str, to: &str| {
            let text = SHIPPED.replacen(from, to, 1);
            assert_ne!(text, SHIPPED, "{from} is not there");
            Texts::parse(&text, "en").unwrap_err()
        };
        let error = wrong("{balance} {unit} left", "{balanse} left");
        assert!(error.contains("{balanse} is no place"), "{error}");
        let error = wrong("{balance} {unit} left", "{balance");
        assert!(error.starts_with("en."), "{error}");
        let error = wrong("[en.test]", "[en.toast]");
        assert!(error.contains("toast"), "{error}");
        let error = wrong("[en.test]", "[fr.test]");
        assert!(error.contains("is missing"), "{error}");
        let error = wrong("subject = \"", "subject = \"a\\r\\nBcc: x");
        assert!(error.contains("control"), "{error}");
    }

    #[test]
    fn a_name_does_not_end_a_line() {
        let texts = Texts::load(None, "en").unwrap();
        let mut notification = notification(Kind::ThresholdCrossed, "en");
        notification.subject = "alice/x\r\nBcc: y".into();
        let rendered = texts.render(&notification);
        assert!(!rendered.subject.contains(['\r', '\n']), "{rendered:?}");
        assert!(!rendered.text.contains('\r'), "{rendered:?}");
    }
}
