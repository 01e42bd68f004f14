//! Pages for passkeys. What they do needs a script; without one they say so, or show nothing.

use maud::{Markup, html};
use tollwire_web::Page;
use tollwire_web::page::form;
use tollwire_web::page::{Asset, Kind, alert};

use super::{Filled, Pages};

/// The script of these pages, below the path `base`.
pub fn passkey_script(base: &str) -> Asset {
    let kind = "text/javascript; charset=utf-8";
    Asset::new(base, "passkeys.js", kind, include_str!("passkeys.js"))
}

impl Pages<'_> {
    /// The page with the script, if there are passkeys.
    pub(super) fn with_script(&self, page: Page) -> Page {
        match self.passkeys {
            true => page.script(&passkey_script(self.base)),
            false => page,
        }
    }

    /// The other way to pay an invoice; it is seen where it works.
    pub(super) fn pay_with_passkey(&self, token: &str, amount: &str) -> Markup {
        let words = self.words;
        let at = |path: &str| format!("{}/passkeys{path}", self.base);
        html! {
            @if self.passkeys {
                form id="passkey" method="post" action=(at("/pay")) hidden data-challenge=(at("/challenge")) {
                    (form::hidden("invoice", token))
                    (form::hidden("lang", words.tag()))
                    (form::hidden("credential", ""))
                    p { button type="submit" id="pay-passkey" { (words.fill("passkey.pay", &[("amount", amount)])) } }
                    p role="alert" data-failed=(words.text("passkey.failed")) {}
                    p { a href=(format!("{}?lang={}", at(""), words.tag())) { (words.text("passkey.more")) } }
                }
            }
        }
    }

    /// Who wants a passkey?
    pub fn passkeys(&self, fields: &[String], filled: &Filled<'_>) -> Page {
        let words = self.words;
        let problems: Vec<(&str, &str)> = filled
            .problems
            .iter()
            .map(|(field, problem)| (*field, problem.as_str()))
            .collect();
        let action = format!("{}/passkeys", self.base);
        let content = html! {
            (form::problems(words, &problems))
            p { (words.text("passkey.text")) }
            (form::form(&action, html! {
                (form::hidden("lang", words.tag()))
                @for field in fields { (self.field(field, filled)) }
                (form::button(words.text("passkey.begin")))
            }))
            noscript { p { (words.text("passkey.no_script")) } }
        };
        self.page("passkey.title", content).languages(&action)
    }

    /// The browser is asked for a passkey: `options` is what for.
    pub fn make_passkey(&self, options: &str) -> Page {
        let words = self.words;
        let content = html! {
            p { (words.fill("passkey.make_text", &[("name", self.name)])) }
            form id="passkey" method="post" action=(format!("{}/passkeys/new", self.base)) hidden data-options=(options) {
                (form::hidden("lang", words.tag()))
                (form::hidden("credential", ""))
                p { button type="submit" id="make-passkey" { (words.text("passkey.make")) } }
                p role="alert" data-failed=(words.text("passkey.failed")) {}
            }
            noscript { p { (words.text("passkey.no_script")) } }
        };
        self.with_script(self.page("passkey.make_title", content))
    }

    /// It is kept.
    pub fn made_passkey(&self) -> Page {
        let text = self.words.fill("passkey.made", &[("name", self.name)]);
        let content = html! { div id="made" { (alert(Kind::Success, html! { p { (text) } })) } };
        self.page("passkey.title", content)
    }

    /// It is not.
    pub fn passkey_problem(&self, key: &str) -> Page {
        let text = self.words.fill(key, &[("name", self.name)]);
        let again = format!("{}/passkeys?lang={}", self.base, self.words.tag());
        let content = html! {
            (alert(Kind::Problem, html! { p { (text) } }))
            p { a href=(again) { (self.words.text("passkey.title")) } }
        };
        self.page("passkey.title", content)
    }
}
