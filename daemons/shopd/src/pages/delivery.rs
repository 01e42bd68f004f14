//! An order that is being paid, is paid, or is over.

use maud::{Markup, html};
use tollwire_web::Page;
use tollwire_web::page::{self, Kind};

use super::{View, hidden};
use crate::catalogue;
use crate::order::{Order, State};
use crate::words;

/// How often a waiting page looks again, seconds.
const AGAIN: u32 = 5;

/// The page of an order for which a method of payment was chosen, `name`; while it waits it looks again by itself, if
/// it should. `lost`: see [`spent`].
pub fn order(
    view: &View,
    order: &Order,
    name: &str,
    looks_again: bool,
    lost: Option<&str>,
) -> Page {
    match order.state {
        State::Open | State::Invoiced => waiting(view, order, name, looks_again),
        State::Paid | State::Delivering => paid(view, order),
        State::Delivered => spent(view, order, lost),
        State::Expired => over(
            view,
            order,
            "delivery.expired_title",
            "delivery.expired",
            None,
        ),
    }
}

fn waiting(view: &View, order: &Order, name: &str, looks_again: bool) -> Page {
    let path = format!("/orders/{}", order.token);
    let number = order.number.to_string();
    let reference = order
        .invoices
        .last()
        .map_or("", |invoice| &invoice.reference);
    let content = html! {
        p { (view.words.fill("waiting.text", &[("name", name), ("number", &number)])) }
        p class="actions" {
            a href=(view.link(&format!("{path}/pay/{reference}"))) { (view.text("waiting.form")) }
            " "
            a href=(view.link(&format!("{path}/methods"))) { (view.text("pay.other")) }
        }
    };
    let page = view
        .page("waiting", view.text("waiting.title"), content)
        .languages(&path);
    match looks_again {
        true => page.refresh(AGAIN, &view.link(&path), &format!("{path}/stopped")),
        false => page,
    }
}

fn paid(view: &View, order: &Order) -> Page {
    let path = format!("/orders/{}", order.token);
    let once = || view.text("delivery.once").to_owned();
    let (link, target, hint) = match &order.bought.kind {
        catalogue::Kind::File { .. } => ("delivery.download", "goods", once()),
        catalogue::Kind::Stream { .. } => ("delivery.listen", "goods", once()),
        catalogue::Kind::Service { seconds, .. } => {
            let time = words::time(&view.words, *seconds);
            let hint = view.words.fill("delivery.until", &[("time", &time)]);
            ("delivery.enter", "goods/", hint)
        }
    };
    let begun = order.state == State::Delivering;
    let content = html! {
        (page::alert(Kind::Success, html! { p { (told(view, order, "delivery.text")) } }))
        p { a class="button" id="download" href={ (path) "/" (target) } { (view.text(link)) } }
        p { (hint) }
        @if begun { p { (view.text("delivery.begun")) } }
    };
    view.page(order.state.name(), view.text("delivery.title"), content)
        .languages(&path)
}

/// What was paid for went out. `lost` is the token of the form by which the customer may say that it did not arrive.
pub fn spent(view: &View, order: &Order, lost: Option<&str>) -> Page {
    over(view, order, "delivery.spent_title", "delivery.spent", lost)
}

fn over(view: &View, order: &Order, title: &str, text: &str, lost: Option<&str>) -> Page {
    let path = format!("/orders/{}", order.token);
    let content = html! {
        (page::alert(Kind::Note, html! { p { (told(view, order, text)) } }))
        @if let Some(token) = lost {
            form method="post" action={ (path) "/lost" } {
                (hidden(view, token))
                p { (view.text("delivery.lost")) }
                p { button type="submit" id="lost" { (view.text("delivery.lost_button")) } }
            }
        }
        p { a href=(view.link(&format!("/goods/{}", order.bought.id))) { (view.text("delivery.again")) } }
    };
    view.page(order.state.name(), view.text(title), content)
        .languages(&path)
}

fn told(view: &View, order: &Order, key: &str) -> Markup {
    let number = order.number.to_string();
    let values = [("number", number.as_str()), ("title", &order.bought.title)];
    html! { (view.words.fill(key, &values)) }
}
