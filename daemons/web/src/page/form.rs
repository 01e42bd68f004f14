//! Forms: every field has its label, and what is wrong is said above the form and at the field.

use maud::{Markup, html};

use crate::messages::Language;

/// A form that posts to `action`.
pub fn form(action: &str, content: Markup) -> Markup {
    html! { form method="post" action=(action) { (content) } }
}

/// Its button.
pub fn button(text: &str) -> Markup {
    html! { p { button type="submit" { (text) } } }
}

/// One of several buttons: the form then also sends `name=value`.
pub fn named_button(name: &str, value: &str, text: &str) -> Markup {
    html! { p { button type="submit" name=(name) value=(value) { (text) } } }
}

/// What the form sends and nobody sees.
pub fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

/// One line to fill in.
#[derive(Debug, Clone)]
#[must_use]
pub struct Field<'a> {
    name: &'a str,
    label: &'a str,
    kind: &'a str,
    value: &'a str,
    autocomplete: Option<&'a str>,
    hint: Option<&'a str>,
    problem: Option<&'a str>,
    max_length: Option<u32>,
    required: bool,
}

impl<'a> Field<'a> {
    /// A line of text that is sent as `name`.
    pub fn new(name: &'a str, label: &'a str) -> Self {
        Self {
            name,
            label,
            kind: "text",
            value: "",
            autocomplete: None,
            hint: None,
            problem: None,
            max_length: None,
            required: false,
        }
    }

    /// `text`, `password`, `tel`, `email`, `search`, `url`; anything else is text.
    pub fn kind(mut self, kind: &'a str) -> Self {
        let known = ["password", "tel", "email", "search", "url"].contains(&kind);
        self.kind = if known { kind } else { "text" };
        self
    }

    /// What stands in it already; never in a password.
    pub fn value(mut self, value: &'a str) -> Self {
        self.value = value;
        self
    }

    /// What browsers may fill in (HTML, "autofill field": `username`, `current-password`, `one-time-code`, `tel`, `off`).
    pub fn autocomplete(mut self, token: &'a str) -> Self {
        self.autocomplete = Some(token).filter(|token| !token.is_empty());
        self
    }

    /// A line below the label.
    pub fn hint(mut self, hint: &'a str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// What is wrong with what was sent.
    pub fn problem(mut self, problem: Option<&'a str>) -> Self {
        self.problem = problem;
        self
    }

    /// Characters at most.
    pub fn max_length(mut self, characters: u32) -> Self {
        self.max_length = Some(characters);
        self
    }

    /// It has to be filled in.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The field.
    pub fn render(&self, words: &Language) -> Markup {
        let id = id(self.name);
        let hint = self.hint.map(|_| format!("{id}-hint"));
        let problem = self.problem.map(|_| format!("{id}-problem"));
        let described: Vec<_> = hint.iter().chain(&problem).map(String::as_str).collect();
        let described = Some(described.join(" ")).filter(|it| !it.is_empty());
        let value = (self.kind != "password" && !self.value.is_empty()).then_some(self.value);
        html! {
            div class={ "field" @if self.problem.is_some() { " wrong" } } {
                label for=(id) {
                    (self.label)
                    @if self.required { " " span class="required" { "(" (words.text("frame.required")) ")" } }
                }
                @if let Some(id) = &hint { p class="hint" id=(id) { (self.hint.unwrap_or_default()) } }
                @if let Some(id) = &problem { p class="wrong" id=(id) { (self.problem.unwrap_or_default()) } }
                input id=(id) name=(self.name) type=(self.kind) value=[value]
                    autocomplete=[self.autocomplete] maxlength=[self.max_length]
                    aria-describedby=[described] aria-invalid=[self.problem.map(|_| "true")]
                    required[self.required];
            }
        }
    }
}

/// One of several, each with its label; `chosen` is the value that is chosen already.
pub fn choice(
    name: &str,
    legend: &str,
    options: &[(&str, Markup)],
    chosen: Option<&str>,
) -> Markup {
    html! {
        fieldset {
            legend { (legend) }
            @for (at, (value, label)) in options.iter().enumerate() {
                @let id = format!("{}-{at}", id(name));
                div class="choice" {
                    input type="radio" id=(id) name=(name) value=(value) required checked[chosen == Some(*value)];
                    label for=(id) { (label) }
                }
            }
        }
    }
}

/// A box to tick; the form sends `name=on` if it is.
pub fn tick(name: &str, label: Markup, required: bool) -> Markup {
    let id = id(name);
    html! {
        div class="choice" {
            input type="checkbox" id=(id) name=(name) required[required];
            label for=(id) { (label) }
        }
    }
}

/// What is wrong, above the form, with a link to each field (its name; empty for none): first in the page, so that it
/// is read first. Nothing if nothing is wrong.
pub fn problems(words: &Language, problems: &[(&str, &str)]) -> Markup {
    if problems.is_empty() {
        return html! {};
    }
    html! {
        div class="alert problem" role="alert" {
            h2 { (words.text("frame.problems")) }
            ul {
                @for (name, problem) in problems {
                    li {
                        @if name.is_empty() { (problem) }
                        @else { a href={ "#" (id(name)) } { (problem) } }
                    }
                }
            }
        }
    }
}

/// The id of the field that is sent as `name`: letters, digits and hyphens, whatever the name has.
pub fn id(name: &str) -> String {
    let plain = |it: char| if it.is_ascii_alphanumeric() { it } else { '-' };
    let name: String = name.chars().map(plain).collect();
    format!("field-{name}")
}
