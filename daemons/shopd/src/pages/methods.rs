//! How an order can be paid.

use maud::{Markup, html};
use tollwire_invoice::{AccountType, BillingServer, FormType};
use tollwire_web::page::{self, Kind};
use tollwire_web::{Language, Page};

use super::{View, hidden};
use crate::order::Order;
use crate::servers::{Offer, is_named};

/// How often a page without any method looks again, seconds.
const AGAIN: u32 = 10;

/// What became of what the customer asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// The name that he typed.
    pub name: String,
    /// What is wrong with it, or with the method that he chose: a key of the messages.
    pub problem: Option<&'static str>,
    /// Whether the page looks again by itself while there is no method.
    pub looks_again: bool,
    /// Whether he may have others looked for.
    pub can_find: bool,
}

/// The methods, in their order. `token` is for the forms.
pub fn methods(
    view: &View,
    order: &Order,
    offers: &[Offer],
    finding: &Finding,
    token: &str,
) -> Page {
    let path = format!("/orders/{}", order.token);
    let typed = !finding.name.is_empty();
    let named = |offer: &&Offer| typed && is_named(&offer.known.server, &finding.name);
    // Those that the customer asked for come first.
    let (found, others): (Vec<&Offer>, Vec<&Offer>) = offers.iter().partition(named);
    let name: &[(&str, &str)] = &[("name", &finding.name)];
    let problem = match finding.problem {
        Some(key) => Some(view.text(key).to_owned()),
        None if typed && found.is_empty() => Some(view.words.fill("methods.not_found", name)),
        None => None,
    };
    let amount = (view.words).money(order.bought.amount_micro, order.bought.currency);
    let number = order.number.to_string();
    let facts = [
        ("number", number.as_str()),
        ("title", &order.bought.title),
        ("price", &amount),
    ];
    let content = html! {
        p { (view.words.fill("methods.order", &facts)) }
        @if let Some(problem) = &problem { (page::alert(Kind::Problem, html! { p { (problem) } })) }
        @if !found.is_empty() {
            (page::alert(Kind::Success, html! { p { (view.words.fill("methods.found", name)) } }))
        }
        @if offers.is_empty() { p { (view.text("methods.none")) } }
        @for offer in found.into_iter().chain(others) {
            (method(view, order, offer, &path, token))
        }
        @if finding.can_find { (find(view, &path, &finding.name, token)) }
    };
    let page = view
        .page("methods", view.text("methods.title"), content)
        .languages(&path);
    match offers.is_empty() && finding.looks_again {
        true => page.refresh(AGAIN, &view.link(&path), &format!("{path}/stopped")),
        false => page,
    }
}

fn method(view: &View, order: &Order, offer: &Offer, path: &str, token: &str) -> Markup {
    let server = &offer.known.server;
    let fee = view.words.money(offer.fee_micro, order.bought.currency);
    html! {
        section class="method" {
            h2 { (server.name) }
            ul {
                @if offer.is_own_operator { li { strong { (view.text("methods.own")) } } }
                @if server.account_types.contains(&AccountType::PhoneBill) { li { (view.text("methods.phone_bill")) } }
                li {
                    @if offer.fee_micro == 0 { (view.text("methods.free")) }
                    @else { (view.words.fill("methods.fee", &[("fee", &fee)])) }
                }
                li { (needs(&view.words, server)) }
                @if let Some(operator) = &server.operator_name {
                    li { (view.words.fill("methods.operator", &[("name", operator)])) }
                }
                @if let Some(terms) = &server.terms_url {
                    li { a href=(terms) rel="noreferrer" { (view.text("methods.terms")) " (" (server.name) ")" } }
                }
            }
            form method="post" action={ (path) "/method" } {
                (hidden(view, token))
                input type="hidden" name="server" value=(server.acknowledgement_key);
                p {
                    button type="submit" data-server=(server.acknowledgement_key) {
                        (view.words.fill("methods.pay", &[("name", &server.name)]))
                    }
                }
            }
        }
    }
}

/// What a customer needs to pay there.
fn needs(words: &Language, server: &BillingServer) -> String {
    if server.form_type == FormType::Page || server.invoice_fields.is_empty() {
        return words.text("methods.own_page").to_owned();
    }
    let names = server.invoice_fields.iter();
    let names = names.map(|name| label(words, name, name));
    let fields = names.collect::<Vec<_>>().join(", ");
    words.fill("methods.needs", &[("fields", &fields)])
}

/// What a field is called: those of the template have a name in every language.
pub(super) fn label(words: &Language, name: &str, otherwise: &str) -> String {
    match name {
        "account" => words.text("field.account"),
        "password" => words.text("field.password"),
        "pin" => words.text("field.pin"),
        "phone-number" => words.text("field.phone_number"),
        _ => otherwise,
    }
    .to_owned()
}

fn find(view: &View, path: &str, name: &str, token: &str) -> Markup {
    html! {
        section {
            h2 { (view.text("methods.find_title")) }
            form method="post" action={ (path) "/method" } {
                (hidden(view, token))
                div class="field" {
                    label for="name" { (view.text("methods.find")) }
                    p class="hint" id="name-hint" { (view.text("methods.find_hint")) }
                    input type="text" id="name" name="name" value=(name) required maxlength="64" autocomplete="off"
                        aria-describedby="name-hint";
                }
                p { button type="submit" id="find" { (view.text("methods.find_button")) } }
            }
        }
    }
}
