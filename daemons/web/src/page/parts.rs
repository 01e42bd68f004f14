//! Parts of pages.

use maud::{Markup, html};

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To know.
    Note,
    /// Something was done.
    Success,
    /// Something is wrong: read aloud at once.
    Problem,
}

/// A box with a message.
pub fn alert(kind: Kind, content: Markup) -> Markup {
    match kind {
        Kind::Note => html! { div class="alert" { (content) } },
        Kind::Success => html! { div class="alert success" role="status" { (content) } },
        Kind::Problem => html! { div class="alert problem" role="alert" { (content) } },
    }
}

/// A table with a caption and headings, which scrolls by itself on a narrow screen. `numbers` are the columns, from 0,
/// that are set to the right.
pub fn table(caption: &str, headings: &[&str], rows: &[Vec<Markup>], numbers: &[usize]) -> Markup {
    let class = |at: usize| numbers.contains(&at).then_some("number");
    html! {
        section class="scroll" aria-label=(caption) tabindex="0" {
            table {
                caption { (caption) }
                thead { tr { @for (at, heading) in headings.iter().enumerate() {
                    th scope="col" class=[class(at)] { (heading) }
                } } }
                tbody { @for row in rows { tr { @for (at, cell) in row.iter().enumerate() {
                    td class=[class(at)] { (cell) }
                } } } }
            }
        }
    }
}

/// Names and their values.
pub fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Markup)>) -> Markup {
    html! {
        dl { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}

/// A link that is the next step.
pub fn link_button(url: &str, text: &str) -> Markup {
    html! { p { a class="button" href=(url) { (text) } } }
}
