//! Pages: what they say to browsers, readers aloud and those who attack them.

use tollwire_web::maud::html;
use tollwire_web::page::form::{self, Field};
use tollwire_web::page::{Asset, Frame, Kind, Page, alert, facts, link_button, table};
use tollwire_web::{Language, Messages};

fn words(tag: &str) -> (Messages, Language) {
    let messages = Messages::load(&[("en", ""), ("de", "")], None, "en").unwrap();
    let words = messages.choose(Some(tag), &Default::default());
    (messages, words)
}

/// A page with one of each.
fn page() -> Page {
    let (messages, words) = words("de");
    let links = [("Impressum".to_owned(), "/imprint".to_owned())];
    let frame = Frame::new("Bank", "/pay", &messages).footer(&links);
    let script = Asset::new(
        "/pay",
        "a.js",
        "text/javascript; charset=utf-8",
        "\"use strict\";",
    );
    let problems = [("pin", "Falsche Geheimzahl"), ("", "Noch zwei Versuche")];
    let content = html! {
        (form::problems(&words, &problems))
        (alert(Kind::Note, html! { p { "a" } }))
        (alert(Kind::Success, html! { p { "b" } }))
        (facts([("Betrag", html! { "12,50 €" }), ("An", html! { "<Laden>" })]))
        (form::form("/pay/pay", html! {
            (form::hidden("invoice", "\"><script>alert(1)</script>"))
            (Field::new("user", "Name").autocomplete("username").hint("wie im Vertrag").value("<b>").render(&words))
            (Field::new("pin", "Geheimzahl").kind("password").autocomplete("current-password")
                .value("never").problem(Some("falsch")).hint("vier Ziffern").max_length(4).required().render(&words))
            (form::choice("method", "Wie", &[("a", html! { "A" }), ("b", html! { "B" })], Some("b")))
            (form::tick("agree", html! { "Ja" }, true))
            (form::button("Zahlen"))
            (form::named_button("action", "other", "Anders zahlen"))
        }))
        (table("Zahlungen", &["Wann", "Betrag"], &[vec![html! { "heute" }, html! { "1" }]], &[1]))
        (link_button("/pay/", "Weiter"))
    };
    (frame.page(&words, "Zahlen", content))
        .languages("/pay/invoice")
        .script(&script)
        .refresh(5, "/pay/a", "/pay/a?refresh=off")
}

#[test]
fn a_page_can_be_read_by_all() {
    let page = page().html();
    for part in [
        "<!DOCTYPE html><html lang=\"de\">",
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
        "<title>Zahlen - Bank</title>",
        "<a class=\"skip\" href=\"#content\">Zum Inhalt springen</a>",
        "<main id=\"content\" tabindex=\"-1\"><h1>Zahlen</h1>",
        "<nav aria-label=\"Sprache\"><ul><li><a lang=\"en\" hreflang=\"en\" href=\"/pay/invoice?lang=en\">English</a>",
        "<div class=\"alert problem\" role=\"alert\"><h2>Etwas stimmt nicht</h2>",
        "<a href=\"#field-pin\">Falsche Geheimzahl</a>",
        "<label for=\"field-pin\">Geheimzahl <span class=\"required\">(Pflichtfeld)</span></label>",
        "aria-describedby=\"field-pin-hint field-pin-problem\" aria-invalid=\"true\" required>",
        "<p class=\"hint\" id=\"field-pin-hint\">vier Ziffern</p>",
        "name=\"method\" value=\"b\" required checked>",
        "Diese Seite sieht alle 5 Sekunden nach.",
        "<a href=\"/pay/a?refresh=off\">Nicht mehr nachsehen</a>",
        "<section class=\"scroll\" aria-label=\"Zahlungen\" tabindex=\"0\"><table>",
        "<th scope=\"col\" class=\"number\">Betrag</th>",
        "<footer><ul><li><a href=\"/imprint\">Impressum</a>",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let ids: Vec<_> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|it| it.split('"').next())
        .collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
}

#[test]
fn what_others_wrote_stays_text_and_secrets_are_not_sent_back() {
    let page = page().html();
    assert!(page.contains("&lt;Laden&gt;") && page.contains("value=\"&lt;b&gt;\""));
    assert!(
        !page.contains("<script>") && !page.contains("never"),
        "{page}"
    );
    // The policy allows neither inline scripts nor styles: there are none.
    assert!(!page.contains(" style=") && !page.contains("<style") && !page.contains(" on"));
    assert_eq!(page.matches("<script").count(), 1);
}

/// The ratio of WCAG 2.2 (relative luminance) between two colours of the style sheet, `#rgb` or `#rrggbb`.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let digits = colour.trim_start_matches('#');
        let width = digits.len() / 3;
        let part = |at: usize| {
            let digits = digits[at * width..(at + 1) * width].repeat(3 - width);
            let value = f64::from(u8::from_str_radix(&digits, 16).unwrap()) / 255.0;
            match value <= 0.04045 {
                true => value / 12.92,
                false => ((value + 0.055) / 1.055).powf(2.4),
            }
        };
        0.2126 * part(0) + 0.7152 * part(1) + 0.0722 * part(2)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn colours_are_told_apart_in_every_scheme() {
    assert!((contrast("#fff", "#000000") - 21.0).abs() < 0.01);
    let style = include_str!("../src/page/style.css");
    let schemes = style
        .split(":root {")
        .skip(1)
        .map(|it| it.split('}').next().unwrap());
    let mut current = std::collections::HashMap::new();
    let mut count = 0;
    for (at, scheme) in schemes.enumerate() {
        for (name, value) in scheme
            .lines()
            .filter_map(|line| line.trim().split_once(": #"))
        {
            current.insert(name, value.trim_end_matches(';'));
        }
        // WCAG AA wants 4.5 of text (1.4.3) and 3 of lines that tell where a field is (1.4.11); more where more is
        // asked for.
        let (text, line) = if at < 2 { (4.5, 3.0) } else { (7.0, 4.5) };
        let pairs = [
            ("--ink", "--paper", text),
            ("--ink", "--soft", text),
            ("--quiet", "--paper", text),
            ("--link", "--paper", text),
            ("--link", "--soft", text),
            ("--problem", "--paper", text),
            ("--on-action", "--action", text),
            ("--line", "--paper", line),
            ("--line", "--soft", line),
            ("--success", "--soft", line),
        ];
        for (one, other, least) in pairs {
            let ratio = contrast(current[one], current[other]);
            assert!(ratio >= least, "scheme {at}: {one} on {other}: {ratio:.2}");
        }
        count += 1;
    }
    assert_eq!(count, 4);
}
