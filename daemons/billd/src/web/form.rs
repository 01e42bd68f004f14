//! What a form sends.

use std::collections::HashMap;

/// Fields of a form, at the most: more are not looked at.
const MOST: usize = 32;

/// A form's fields; of one that stands there twice the first counts.
#[derive(Default)]
pub(crate) struct Form(HashMap<String, String>);

impl Form {
    /// Of a body or a query (URL Standard, application/x-www-form-urlencoded).
    pub(crate) fn read(octets: &[u8]) -> Self {
        let mut fields = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(octets).take(MOST) {
            fields
                .entry(name.into_owned())
                .or_insert_with(|| value.into_owned());
        }
        Self(fields)
    }

    /// A field; empty if it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// The language asked for.
    pub(crate) fn lang(&self) -> Option<&str> {
        self.0.get("lang").map(String::as_str)
    }

    /// What a field `account` or `phone-number` is looked up as.
    pub(crate) fn who(&self, field: &str) -> String {
        let text = self.get(field).trim();
        match field {
            "phone-number" => canonical_number(text),
            _ => text.to_owned(),
        }
    }
}

/// `+491234` of a telephone number as people write it.
pub(crate) fn canonical_number(text: &str) -> String {
    let digits: String = text
        .chars()
        .filter(|it| !matches!(it, ' ' | '-' | '/' | '.' | '(' | ')' | '+'))
        .take(32)
        .collect();
    let digits = match text.trim_start().starts_with('+') {
        true => digits.as_str(),
        false => digits.strip_prefix("00").unwrap_or(&digits),
    };
    format!("+{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for text in ["+49 30 1234", "0049 (30) 12-34", "49301234", " +49/30.1234"] {
            assert_eq!(canonical_number(text), "+49301234", "{text}");
        }
    }

    #[test]
    fn the_first_of_two_counts() {
        let form = Form::read(b"a=1&a=2&b=x%20y+z&lang=de");
        assert_eq!(
            (form.get("a"), form.get("b"), form.get("c")),
            ("1", "x y z", "")
        );
        assert_eq!(form.lang(), Some("de"));
    }
}
