//! What customers see. Every page works without scripts; what stands in it comes as arguments.

mod delivery;
mod goods;
mod methods;
mod pay;

pub use delivery::{order, spent};
pub use goods::{good, goods};
pub use methods::{Finding, methods};
pub use pay::pay;

use axum::http::StatusCode;
use maud::{Markup, html};
use tollwire_web::page::{self, Kind};
use tollwire_web::{Frame, Language, Page};

/// What every page is made with.
#[derive(Debug, Clone)]
pub struct View {
    /// The frame around it.
    pub frame: Frame,
    /// Its words.
    pub words: Language,
    /// The language that its address asks for: links to other pages ask for it too.
    pub asked: Option<String>,
}

impl View {
    /// A path of this shop, in the language that was asked for.
    pub fn link(&self, path: &str) -> String {
        match &self.asked {
            Some(_) => format!("{path}?lang={}", self.words.tag()),
            None => path.to_owned(),
        }
    }

    fn text<'a>(&'a self, key: &'a str) -> &'a str {
        self.words.text(key)
    }

    fn page(&self, state: &str, title: &str, content: Markup) -> Page {
        self.frame.page(&self.words, title, content).state(state)
    }

    /// A page that says what is wrong.
    pub fn problem(&self, status: StatusCode, key: &str) -> Page {
        let content = html! {
            (page::alert(Kind::Problem, html! { p { (self.text(key)) } }))
            p { a href=(self.link("/")) { (self.text("goods.back")) } }
        };
        self.page("problem", self.text("problem.title"), content)
            .status(status)
    }
}

/// What a form of ours carries beside its fields.
fn hidden(view: &View, token: &str) -> Markup {
    html! {
        input type="hidden" name="token" value=(token);
        @if view.asked.is_some() { input type="hidden" name="lang" value=(view.words.tag()); }
    }
}
