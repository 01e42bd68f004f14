//! What goes wrong, and what to do.

use axum::http::StatusCode;
use maud::html;
use tollwire_invoice::{Invoice, Refusal as NotTaken};
use tollwire_web::Page;
use tollwire_web::page::{Kind, alert, link_button};

use super::{Pages, host};
use crate::checks::Refusal;

/// Why a payment ends without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It has been paid.
    AlreadyPaid,
    /// It is being paid.
    BeingPaid,
    /// It is not known.
    Unknown,
    /// The form has expired, or is not ours.
    Form,
    /// Nobody to hand it on to.
    NoOperator,
    /// Too much to do.
    Busy,
    /// Too large a request.
    TooLarge,
    /// The charging system is not there.
    Again,
    /// The account has not enough.
    NotEnough,
    /// The account may not.
    Denied,
    /// The customer is blocked.
    Blocked,
}

impl Problem {
    fn key(self) -> (&'static str, StatusCode) {
        match self {
            Self::AlreadyPaid => ("problem.already", StatusCode::CONFLICT),
            Self::BeingPaid => ("problem.being_paid", StatusCode::CONFLICT),
            Self::Unknown => ("problem.unknown", StatusCode::SERVICE_UNAVAILABLE),
            Self::Form => ("problem.form", StatusCode::FORBIDDEN),
            Self::NoOperator => ("problem.no_operator", StatusCode::SERVICE_UNAVAILABLE),
            Self::Busy => ("problem.busy", StatusCode::SERVICE_UNAVAILABLE),
            Self::TooLarge => ("problem.invoice", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Again => ("problem.again", StatusCode::SERVICE_UNAVAILABLE),
            Self::NotEnough => ("problem.not_enough", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Denied => ("problem.denied", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Blocked => ("problem.blocked", StatusCode::FORBIDDEN),
        }
    }

    /// In words, and the status that goes with it.
    pub fn said(self, pages: &Pages<'_>) -> (String, StatusCode) {
        let (key, status) = self.key();
        let text = match self {
            Self::Denied | Self::Blocked => pages.words.fill(key, &[("name", pages.name)]),
            _ => pages.words.text(key).to_owned(),
        };
        (text, status)
    }
}

impl Pages<'_> {
    /// A page that says so, with the way back to the shop, if its invoice was good.
    pub fn problem(&self, problem: Problem, invoice: Option<&Invoice>) -> Page {
        let (text, status) = problem.said(self);
        self.said(&text, status, invoice)
    }

    fn said(&self, text: &str, status: StatusCode, invoice: Option<&Invoice>) -> Page {
        let content = html! {
            (alert(Kind::Problem, html! { p { (text) } }))
            @if let Some(invoice) = invoice {
                @let host = host(&invoice.service_url);
                (link_button(&invoice.service_url, &self.words.fill("problem.back", &[("host", &host)])))
            }
        };
        self.page("problem.title", content).status(status)
    }
}

/// The page of an invoice that is not taken.
pub fn refused(pages: &Pages<'_>, refusal: &Refusal) -> Page {
    let words = pages.words;
    let bad = StatusCode::UNPROCESSABLE_ENTITY;
    let (text, status) = match refusal {
        Refusal::Invoice(NotTaken::Expired) => {
            (words.text("problem.expired").to_owned(), StatusCode::GONE)
        }
        Refusal::Invoice(_) => (words.text("problem.invoice").to_owned(), bad),
        Refusal::TooSmall(micro, currency) => (
            words.fill(
                "problem.small",
                &[("amount", &words.money(*micro, *currency))],
            ),
            bad,
        ),
        Refusal::TooLarge(micro, currency) => (
            words.fill(
                "problem.large",
                &[("amount", &words.money(*micro, *currency))],
            ),
            bad,
        ),
        Refusal::Currency(currency) => (
            words.fill("problem.currency", &[("currency", currency.code())]),
            bad,
        ),
        Refusal::NoAgreement(_) => (
            words.fill("problem.agreement", &[("name", pages.name)]),
            StatusCode::FORBIDDEN,
        ),
        Refusal::Name(_) => (words.text("problem.name").to_owned(), StatusCode::FORBIDDEN),
    };
    pages.said(&text, status, None)
}
