//! The frame of every page: valid HTML that is read on a phone, aloud, in the dark and without scripts.
//!
//! ```
//! use tollwire_web::{Frame, Messages, maud::html, page::form::{self, Field}};
//! let messages = Messages::load(&[("en", "[pay]\nname = \"Your name\"\n")], None, "en").unwrap();
//! let words = messages.default_language();
//! let frame = Frame::new("The bank", "/pay", &messages);
//! let page = frame
//!     .page(&words, "Pay", html! {
//!         (form::form("/pay/pay", html! {
//!             (Field::new("name", words.text("pay.name")).required().render(&words))
//!             (form::button("Pay"))
//!         }))
//!     })
//!     .form_action("https://bank.example");
//! assert!(page.html().starts_with("<!DOCTYPE html><html lang=\"en\">"));
//! ```

pub mod asset;
pub mod form;
mod parts;

use std::sync::Arc;

use axum::Router;
use axum::http::header::{CONTENT_LANGUAGE, CONTENT_TYPE, REFRESH, VARY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::headers::Content;
use crate::messages::{Language, Messages};

pub use asset::Asset;
pub use parts::{Kind, alert, facts, link_button, table};

/// What all pages of a server have in common; a clone is the same.
#[derive(Debug, Clone)]
pub struct Frame {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    home: String,
    style: Asset,
    languages: Vec<(String, String)>,
    footer: Vec<(String, String)>,
}

impl Frame {
    /// Of a server that is called `name`, below the path `base` (`/`, `/pay`), in these languages.
    pub fn new(name: &str, base: &str, messages: &Messages) -> Self {
        let languages = messages.languages().iter();
        Self {
            shared: Arc::new(Shared {
                name: name.to_owned(),
                home: format!("{}/", base.trim_end_matches('/')),
                style: Asset::new(
                    base,
                    "style.css",
                    "text/css; charset=utf-8",
                    include_str!("style.css"),
                ),
                languages: languages
                    .map(|it| (it.tag().to_owned(), it.name().to_owned()))
                    .collect(),
                footer: Vec::new(),
            }),
        }
    }

    /// With these links (text, URL) at the foot of each page: imprint, privacy.
    #[must_use]
    pub fn footer(self, links: &[(String, String)]) -> Self {
        let shared = &self.shared;
        Self {
            shared: Arc::new(Shared {
                name: shared.name.clone(),
                home: shared.home.clone(),
                style: shared.style.clone(),
                languages: shared.languages.clone(),
                footer: links.to_vec(),
            }),
        }
    }

    /// The route of the style sheet.
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        self.shared.style.route()
    }

    /// A page with this title and content; its heading is the title.
    pub fn page(&self, words: &Language, title: &str, content: Markup) -> Page {
        Page {
            frame: self.clone(),
            words: words.clone(),
            title: title.to_owned(),
            content,
            status: StatusCode::OK,
            policy: Content::default(),
            refresh: None,
            scripts: Vec::new(),
            address: None,
            state: None,
        }
    }
}

/// A page, which is an answer.
#[derive(Debug, Clone)]
#[must_use]
pub struct Page {
    frame: Frame,
    words: Language,
    title: String,
    content: Markup,
    status: StatusCode,
    policy: Content,
    refresh: Option<Refresh>,
    scripts: Vec<String>,
    address: Option<String>,
    state: Option<String>,
}

#[derive(Debug, Clone)]
struct Refresh {
    seconds: u32,
    again: String,
    stop: String,
}

impl Page {
    /// With this status instead of 200.
    pub fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Its forms may also post to the server of this URL: see [`Content::form_action`].
    pub fn form_action(mut self, url: &str) -> Self {
        self.policy = self.policy.form_action(url);
        self
    }

    /// It may also show images of the server of this URL.
    pub fn images(mut self, url: &str) -> Self {
        self.policy = self.policy.images(url);
        self
    }

    /// It runs this script file of ours: see [`Asset`].
    pub fn script(mut self, script: &Asset) -> Self {
        self.policy = self.policy.script();
        self.scripts.push(script.path().to_owned());
        self
    }

    /// What it shows, in a word that does not change with the language: `main` has it as `data-state`.
    pub fn state(mut self, state: &str) -> Self {
        self.state = Some(state.to_owned());
        self
    }

    /// Links to itself in the other languages: `path` is its own path, perhaps with a query; `lang=` is added.
    pub fn languages(mut self, path: &str) -> Self {
        self.address = Some(path.to_owned());
        self
    }

    /// Looks at `again` after so many seconds, without a script, and says so, with a link to `stop`, a page that does
    /// not (WCAG 2.2.1 and 2.2.2 want one).
    ///
    /// It is the header `Refresh` that does it (HTML, "shared declarative refresh steps"), not an element.
    pub fn refresh(mut self, seconds: u32, again: &str, stop: &str) -> Self {
        self.refresh = Some(Refresh {
            seconds,
            again: again.to_owned(),
            stop: stop.to_owned(),
        });
        self
    }

    /// The document.
    pub fn html(&self) -> String {
        let (words, shared) = (&self.words, &self.frame.shared);
        let markup = html! {
            (DOCTYPE)
            html lang=(words.tag()) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (self.title) " - " (shared.name) }
                    link rel="stylesheet" href=(shared.style.path());
                    @for script in &self.scripts { script src=(script) defer {} }
                }
                body {
                    a class="skip" href="#content" { (words.text("frame.skip")) }
                    header {
                        a class="site" href=(shared.home) { (shared.name) }
                        (self.language_links())
                    }
                    main id="content" tabindex="-1" data-state=[&self.state] {
                        h1 { (self.title) }
                        (self.content)
                        @if let Some(refresh) = &self.refresh {
                            (refresh.render(words))
                        }
                    }
                    @if !shared.footer.is_empty() {
                        footer {
                            ul { @for (text, url) in &shared.footer { li { a href=(url) { (text) } } } }
                        }
                    }
                }
            }
        };
        markup.into_string()
    }

    fn language_links(&self) -> Markup {
        let others: Vec<_> = (self.frame.shared.languages.iter())
            .filter(|(tag, _)| tag != self.words.tag())
            .collect();
        let Some(path) = self.address.as_ref().filter(|_| !others.is_empty()) else {
            return html! {};
        };
        let more = if path.contains('?') {
            "&lang="
        } else {
            "?lang="
        };
        html! {
            nav aria-label=(self.words.text("frame.languages")) {
                ul {
                    @for (tag, name) in others {
                        li { a lang=(tag) hreflang=(tag) href={ (path) (more) (tag) } { (name) } }
                    }
                }
            }
        }
    }
}

impl Refresh {
    fn render(&self, words: &Language) -> Markup {
        let seconds = self.seconds.to_string();
        html! {
            p { (words.fill("frame.refreshing", &[("seconds", &seconds)])) }
            p class="actions" {
                a href=(self.again) { (words.text("frame.refresh_now")) }
                " "
                a href=(self.stop) { (words.text("frame.refresh_stop")) }
            }
        }
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.html()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        headers.insert(VARY, HeaderValue::from_static("accept-language"));
        if let Ok(tag) = HeaderValue::from_str(self.words.tag()) {
            headers.insert(CONTENT_LANGUAGE, tag);
        }
        if let Some(refresh) = &self.refresh
            && let Ok(value) =
                HeaderValue::try_from(format!("{}; url={}", refresh.seconds, refresh.again))
        {
            headers.insert(REFRESH, value);
        }
        response.extensions_mut().insert(self.policy);
        response
    }
}
