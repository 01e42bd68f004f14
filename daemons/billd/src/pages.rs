//! Pages, without the world.

mod passkeys;
mod refused;

use axum::http::StatusCode;
use iso_currency::Currency;
use maud::{Markup, html};
use tollwire_invoice::Invoice;
use tollwire_web::headers::origin;
use tollwire_web::page::form::{self, Field};
use tollwire_web::page::{Kind, alert, facts, link_button};
use tollwire_web::{Frame, Language, Page};

use crate::checks::Checked;
use crate::payment::{Onward, Payment, State};

pub use passkeys::passkey_script;
pub use refused::{Problem, refused};

/// What every page needs.
#[derive(Debug, Clone, Copy)]
pub struct Pages<'a> {
    /// The frame.
    pub frame: &'a Frame,
    /// The language.
    pub words: &'a Language,
    /// Our name.
    pub name: &'a str,
    /// Path below which our pages are.
    pub base: &'a str,
    /// Where a customer reads what he agrees to.
    pub terms_url: Option<&'a str>,
    /// Whether customers may pay with passkeys.
    pub passkeys: bool,
}

/// `host:port` of a URL, as customers are shown it.
pub fn host(url: &str) -> String {
    let origin = origin(url).unwrap_or_default();
    let host = origin.split_once("://").map_or("", |(_, host)| host);
    host.to_owned()
}

/// `2026-11-21 11:20` of seconds since 1970.
fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .map(|time| time.strftime("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default()
}

/// What of the sum is tax, micro-units: rounded half away from zero to the currency's minor unit, as on the customer's monthly
/// invoice.
fn contained_tax(invoice: &Invoice) -> i64 {
    let points = i128::from(invoice.tax_basis_points);
    let decimals = u32::from(invoice.currency.exponent().unwrap_or(2));
    let unit = 10_i128.pow(6_u32.saturating_sub(decimals));
    let whole = (10_000 + points) * unit;
    let units = (2 * i128::from(invoice.amount_micro) * points + whole) / (2 * whole);
    i64::try_from(units * unit).unwrap_or(0)
}

/// What a form is to be filled in with, and what is wrong with it.
#[derive(Debug, Clone, Default)]
pub struct Filled<'a> {
    /// Who the customer says he is.
    pub who: &'a str,
    /// What is wrong, by field; empty for the whole.
    pub problems: Vec<(&'a str, String)>,
}

impl Pages<'_> {
    fn page(&self, key: &str, content: Markup) -> Page {
        self.frame.page(self.words, self.words.text(key), content)
    }

    /// What this server is.
    pub fn home(&self) -> Page {
        let text = self.words.fill("home.text", &[("name", self.name)]);
        let content = html! {
            p { (text) }
            p { (self.words.text("home.fee")) }
        };
        self.page("home.title", content)
            .languages(&format!("{}/", self.base))
    }

    fn amount(&self, micro: i64, currency: Currency) -> String {
        self.words.money(micro, currency)
    }

    /// What is to be paid, to whom.
    fn summary(&self, checked: &Checked) -> Markup {
        let words = self.words;
        let invoice = &checked.invoice;
        let shop = host(&invoice.iss);
        let provider = match checked.agreed {
            true => checked.provider.to_string(),
            false => words.fill(
                "invoice.claimed",
                &[("name", &checked.provider), ("host", &shop)],
            ),
        };
        let until = words.fill("invoice.until", &[("time", &time(invoice.exp))]);
        html! {
            (facts([
                (words.text("invoice.provider"), html! { span id="provider" { (provider) } }),
                (words.text("invoice.for"), html! { span id="title" { (invoice.title) } }),
                (words.text("invoice.amount"), self.sum(invoice)),
                (words.text("invoice.shop"), html! { (shop) }),
                (words.text("invoice.order"), html! { (invoice.provider_reference) }),
            ]))
            p { (until) }
        }
    }

    fn sum(&self, invoice: &Invoice) -> Markup {
        let words = self.words;
        let amount = self.amount(invoice.amount_micro, invoice.currency);
        let points = i128::from(invoice.tax_basis_points);
        let tax = self.amount(contained_tax(invoice), invoice.currency);
        let rate = match invoice.tax_basis_points % 100 {
            0 => (invoice.tax_basis_points / 100).to_string(),
            rest => format!("{}.{rest:02}", invoice.tax_basis_points / 100),
        };
        html! {
            strong id="amount" { (amount) }
            @if points > 0 { " (" (words.fill("invoice.tax", &[("rate", &rate), ("amount", &tax)])) ")" }
        }
    }

    fn terms(&self) -> Markup {
        html! {
            @if let Some(url) = self.terms_url {
                p { a href=(url) rel="noopener" { (self.words.text("invoice.terms")) } }
            }
        }
    }

    /// The form, pre-filled with the invoice.
    pub fn invoice(
        &self,
        token: &str,
        checked: &Checked,
        fields: &[String],
        filled: &Filled<'_>,
    ) -> Page {
        let words = self.words;
        let problems: Vec<(&str, &str)> = filled
            .problems
            .iter()
            .map(|(field, problem)| (*field, problem.as_str()))
            .collect();
        let amount = self.amount(checked.invoice.amount_micro, checked.invoice.currency);
        let content = html! {
            (form::problems(words, &problems))
            (self.summary(checked))
            (form::form(&format!("{}/pay", self.base), html! {
                (form::hidden("invoice", token))
                (form::hidden("lang", words.tag()))
                @for field in fields { (self.field(field, filled)) }
                p { button type="submit" id="pay" { (words.fill("invoice.pay", &[("amount", &amount)])) } }
            }))
            (self.pay_with_passkey(token, &amount))
            (self.terms())
        };
        self.with_script(self.page("invoice.title", content))
    }

    fn field(&self, name: &str, filled: &Filled<'_>) -> Markup {
        let words = self.words;
        let label = format!("field.{name}");
        let problem = filled.problems.iter().find(|(field, _)| *field == name);
        let field = Field::new(name, words.text(&label))
            .required()
            .max_length(256)
            .problem(problem.map(|(_, problem)| problem.as_str()));
        let field = match name {
            "password" => field.kind("password").autocomplete("current-password"),
            "pin" => field.kind("password").autocomplete("off"),
            "phone-number" => field
                .kind("tel")
                .autocomplete("tel")
                .hint(words.text("field.phone-number-hint"))
                .value(filled.who),
            _ => field.autocomplete("username").value(filled.who),
        };
        field.render(words)
    }

    /// What a customer of the phone bill agrees to. `who` is his number, if he has one; `proof` goes back with the form.
    pub fn consent(
        &self,
        token: &str,
        checked: &Checked,
        number: Option<&str>,
        hidden: &[(&str, &str)],
    ) -> Page {
        let words = self.words;
        let amount = self.amount(checked.invoice.amount_micro, checked.invoice.currency);
        let text = match number {
            Some(number) => words.fill("consent.text", &[("number", number)]),
            None => words.text("consent.text_account").to_owned(),
        };
        let back = words.fill("consent.cancel", &[("host", &host(&checked.invoice.iss))]);
        let content = html! {
            p id="consent-text" { (text) }
            (self.summary(checked))
            (form::form(&format!("{}/consent", self.base), html! {
                (form::hidden("invoice", token))
                (form::hidden("lang", words.tag()))
                @for (name, value) in hidden { (form::hidden(name, value)) }
                p { button type="submit" id="consent" { (words.fill("consent.agree", &[("amount", &amount)])) } }
            }))
            p { a id="cancel" href=(checked.invoice.service_url) rel="noopener" { (back) } }
            (self.terms())
        };
        self.page("consent.title", content)
    }

    /// On to another billing server.
    pub fn forward(&self, checked: &Checked, onward: &Onward) -> Page {
        let words = self.words;
        let host = host(&onward.url);
        let values = [
            ("name", onward.name.as_str()),
            ("own", self.name),
            ("host", &host),
        ];
        let content = html! {
            p { (words.fill("forward.text", &values)) }
            (self.summary(checked))
            (form::form(&format!("{}/invoice", onward.url), html! {
                (form::hidden("invoice", &onward.invoice))
                (form::hidden("lang", words.tag()))
                p { button type="submit" id="pay" { (words.fill("forward.go", &values[..1])) } }
            }))
        };
        let title = words.fill("forward.title", &values[..1]);
        self.frame
            .page(words, &title, content)
            .form_action(&onward.url)
    }

    /// What became of a payment. `token` is the page's own.
    pub fn receipt(&self, payment: &Payment, quiet: bool) -> Page {
        let words = self.words;
        let order = &payment.order;
        let invoice = &order.invoice;
        let state = payment.state.name();
        let onward = order
            .onward
            .as_ref()
            .map_or(self.name, |onward| onward.name.as_str());
        let text = match payment.state {
            State::Forwarded => words.fill("receipt.forwarded_text", &[("name", onward)]),
            _ => words.text(&format!("receipt.{state}_text")).to_owned(),
        };
        let kind = match payment.state {
            State::Paid | State::Acknowledged => Kind::Success,
            State::Refused => Kind::Problem,
            _ => Kind::Note,
        };
        let when = time(payment.paid_ms.unwrap_or(payment.created_ms) / 1000);
        let host = host(&invoice.service_url);
        let go = words.fill("receipt.go", &[("host", &host)]);
        let title = words.text(&format!("receipt.{state}")).to_owned();
        let content = html! {
            div id="receipt" data-state=(state) {
                (alert(kind, html! { p { (text) } }))
                (facts([
                    (words.text("receipt.state"), html! { (title) }),
                    (words.text("invoice.provider"), html! { (invoice.provider) }),
                    (words.text("invoice.for"), html! { (invoice.title) }),
                    (words.text("invoice.amount"), self.sum(invoice)),
                    (words.text("receipt.when"), html! { (when) " UTC" }),
                    (words.text("invoice.order"), html! { (invoice.provider_reference) }),
                    (words.text("receipt.reference"), html! { (invoice.reference) }),
                ]))
                div id="service" { (link_button(&invoice.service_url, &go)) }
            }
        };
        let path = format!("{}/receipts/{}", self.base, order.token);
        let page = self.page("receipt.title", content).languages(&path);
        let waits = matches!(
            payment.state,
            State::Charging | State::Paid | State::Refunding | State::Forwarded
        );
        match waits && !quiet {
            true => page.refresh(5, &path, &format!("{path}?still=1")),
            false => page,
        }
    }

    /// There is no page of that address.
    pub fn nowhere(&self) -> Page {
        let content = html! { p { (self.words.text("home.missing")) } };
        self.page("home.title", content)
            .status(StatusCode::NOT_FOUND)
    }

    /// There is nothing of that name.
    pub fn missing(&self) -> Page {
        let content = html! { p { (self.words.text("receipt.missing")) } };
        self.page("receipt.title", content)
            .status(StatusCode::NOT_FOUND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tax_is_rounded_as_on_the_monthly_invoice() {
        let mut invoice = Invoice {
            iss: "https://shop.example".into(),
            aud: String::new(),
            provider: "Shop".into(),
            reference: String::new(),
            provider_reference: "1".into(),
            title: "A film".into(),
            amount_micro: 9_990_000,
            currency: Currency::EUR,
            tax_basis_points: 1_900,
            acknowledgement_url: String::new(),
            service_url: String::new(),
            iat: 0,
            exp: 1,
            via: Vec::new(),
        };
        // 1.59504...
        assert_eq!(contained_tax(&invoice), 1_600_000);
        invoice.currency = Currency::JPY;
        assert_eq!(contained_tax(&invoice), 2_000_000);
        invoice.tax_basis_points = 0;
        assert_eq!(contained_tax(&invoice), 0);
    }
}
