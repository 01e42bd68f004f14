//! What is sold.

use maud::{Markup, html};
use tollwire_web::Page;
use tollwire_web::page;

use super::{View, hidden};
use crate::catalogue::{Catalogue, Good, Kind};
use crate::words;

/// All goods.
pub fn goods(view: &View, catalogue: &Catalogue) -> Page {
    let language = view.words.tag();
    let content = html! {
        @if catalogue.goods().is_empty() { p { (view.text("goods.none")) } }
        @for good in catalogue.goods() {
            section {
                h2 { a href=(view.link(&format!("/goods/{}", good.id))) lang=[other(good, language)] { (good.title(language)) } }
                (price(view, good))
            }
        }
    };
    let title = view.text("goods.title");
    view.page("goods", title, content).languages("/")
}

/// One of them. `token` is for its form.
pub fn good(view: &View, good: &Good, token: &str) -> Page {
    let language = view.words.tag();
    let path = format!("/goods/{}", good.id);
    let amount = view.words.money(good.amount_micro, good.currency);
    let content = html! {
        @if !good.description(language).is_empty() { p { (good.description(language)) } }
        (page::facts([
            (view.text("goods.kind"), html! { (kind(view, &good.kind)) }),
            (view.text("goods.price"), price(view, good)),
        ]))
        form method="post" action={ (path) "/order" } {
            (hidden(view, token))
            p { button type="submit" id="buy" { (view.words.fill("goods.buy", &[("price", &amount)])) } }
        }
        p { a href=(view.link("/")) { (view.text("goods.back")) } }
    };
    view.page("good", good.title(language), content)
        .languages(&path)
}

fn price(view: &View, good: &Good) -> Markup {
    let percent = words::percent(&view.words, good.tax_basis_points);
    html! {
        p {
            (view.words.money(good.amount_micro, good.currency))
            @if good.tax_basis_points > 0 { " (" (view.words.fill("goods.tax", &[("percent", &percent)])) ")" }
        }
    }
}

fn kind(view: &View, kind: &Kind) -> String {
    match kind {
        Kind::File { .. } => view.text("goods.file").to_owned(),
        Kind::Stream { .. } => view.text("goods.stream").to_owned(),
        Kind::Service { seconds, .. } => {
            let time = words::time(&view.words, *seconds);
            view.words.fill("goods.service", &[("time", &time)])
        }
    }
}

/// The language of a good's title, where it is not the page's.
fn other<'a>(good: &'a Good, language: &str) -> Option<&'a str> {
    let there = |tag: &str| good.title.contains_key(tag);
    match there(language) {
        true => None,
        false if there("en") => Some("en"),
        false => good.title.keys().next().map(String::as_str),
    }
}
