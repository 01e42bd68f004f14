//! The invoice form, pre-filled, which goes to the billing server and never comes here.

use maud::{Markup, html};
use tollwire_invoice::{BillingServer, Form, FormField, FormType, InputType};
use tollwire_web::Page;
use tollwire_web::headers::origin;
use tollwire_web::page;

use super::View;
use super::methods::label;
use crate::order::{Issued, Order};

/// The form of an invoice.
pub fn pay(
    view: &View,
    order: &Order,
    invoice: &Issued,
    server: &BillingServer,
    form: &Form,
    provider: &str,
) -> Page {
    let path = format!("/orders/{}", order.token);
    let bought = &order.bought;
    let amount = view.words.money(bought.amount_micro, bought.currency);
    let names: &[(&str, &str)] = &[("name", &server.name)];
    let host = origin(&form.action).unwrap_or_default();
    let facts = page::facts([
        (view.text("pay.good"), html! { (bought.title) }),
        (view.text("pay.amount"), html! { (amount) }),
        (view.text("pay.provider"), html! { (provider) }),
        (view.text("pay.order"), html! { (order.number) }),
        (
            view.text("pay.reference"),
            html! { span id="reference" { (invoice.reference) } },
        ),
    ]);
    // Without fields there is nothing to fill in here.
    let on_page = form.form_type == FormType::Page || form.fields.is_empty();
    let content = html! {
        section aria-labelledby="facts" {
            h2 id="facts" { (view.text("pay.facts")) }
            (facts)
        }
        @if on_page {
            p { (view.words.fill("pay.page", names)) }
            form method="post" action=(form.page) {
                input type="hidden" name="invoice" value=(invoice.jws);
                input type="hidden" name="lang" value=(view.words.tag());
                p { button type="submit" id="pay" { (view.words.fill("pay.page_button", names)) } }
            }
        } @else {
            p { (view.words.fill("pay.to", &[("host", host.trim_start_matches("https://"))])) }
            form method="post" action=(form.action) {
                input type="hidden" name="invoice" value=(invoice.jws);
                @for field in &form.fields { (line(view, field)) }
                p { button type="submit" id="pay" { (view.words.fill("pay.button", &[("price", &amount)])) } }
            }
        }
        p { a href=(view.link(&format!("{path}/methods"))) { (view.text("pay.other")) } }
    };
    let title = view.words.fill("pay.title", names);
    let target = if on_page { &form.page } else { &form.action };
    view.page("form", &title, content)
        .form_action(target)
        .languages(&format!("{path}/pay/{}", invoice.reference))
}

fn line(view: &View, field: &FormField) -> Markup {
    let kind = match field.input {
        InputType::Text => "text",
        InputType::Password => "password",
        InputType::Tel => "tel",
    };
    let autocomplete = (!field.autocomplete.is_empty()).then_some(&field.autocomplete);
    html! {
        div class="field" {
            label for=(field.name) {
                (label(&view.words, &field.name, &field.label))
                @if field.required { " " span class="required" { "(" (view.text("frame.required")) ")" } }
            }
            input id=(field.name) name=(field.name) type=(kind) autocomplete=[autocomplete] required[field.required];
        }
    }
}
