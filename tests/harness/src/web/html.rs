//! Forms in pages, as somebody without a browser reads them.

/// A form: what it sends, and where to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// As it stands there.
    pub action: String,
    /// Names and what is in them already, in order. Of several buttons, and of several choices, none is there.
    pub fields: Vec<(String, String)>,
    /// Names and values of buttons and choices.
    pub choices: Vec<(String, String)>,
}

impl Form {
    /// Those of a page, in order.
    #[must_use]
    pub fn all(html: &str) -> Vec<Self> {
        let mut forms = Vec::new();
        for part in html.split("<form").skip(1) {
            let part = part.split("</form>").next().unwrap_or_default();
            let mut form = Self::default();
            for (at, tag) in part.split('<').enumerate() {
                let tag = tag.split('>').next().unwrap_or_default();
                if at == 0 {
                    form.action = attribute(tag, "action").unwrap_or_default();
                    continue;
                }
                let Some(name) = attribute(tag, "name") else {
                    continue;
                };
                let value = attribute(tag, "value").unwrap_or_default();
                let kind = attribute(tag, "type").unwrap_or_default();
                let is_chosen = matches!(kind.as_str(), "radio" | "checkbox" | "submit");
                if tag.starts_with("button") || (tag.starts_with("input") && is_chosen) {
                    form.choices.push((name, value));
                } else if tag.starts_with("input") {
                    form.fields.push((name, value));
                }
            }
            forms.push(form);
        }
        forms
    }

    /// With this in a field, whether it was there or not.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, there)) => value.clone_into(there),
            None => self.fields.push((name.into(), value.into())),
        }
        self
    }

    /// What is in a field.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.fields.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The value of an attribute of a tag; pages here have them in double quotes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let begin = format!(" {name}=\"");
    let from = tag.find(&begin)? + begin.len();
    let value = tag.get(from..)?.split('"').next()?;
    Some(plain(value))
}

/// Without HTML's escapes.
#[must_use]
pub fn plain(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_with_its_hidden_fields_and_its_choices() {
        let page = "<form method=\"post\" action=\"/a?b&amp;c\"><input type=\"hidden\" name=\"x\" value=\"1&amp;2\">\
            <input id=\"f\" name=\"pin\" type=\"password\" required><input type=\"radio\" name=\"r\" value=\"a\">\
            <button type=\"submit\" name=\"go\" value=\"on\">Go</button></form><form action=\"/b\"></form>";
        let forms = Form::all(page);
        assert_eq!(forms.len(), 2);
        assert_eq!(forms[0].action, "/a?b&c");
        assert_eq!(forms[0].value("x"), Some("1&2"));
        assert_eq!(forms[0].value("pin"), Some(""));
        let choices = [("r".into(), "a".into()), ("go".into(), "on".into())];
        assert_eq!(forms[0].choices, choices);
        assert_eq!(forms[0].clone().with("pin", "7").value("pin"), Some("7"));
    }
}
