//! JSON, HTML, PDF and CSV against files that were looked at, and against poppler and qpdf.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use chargingd::invoice::{Invoice, Settlement};

use crate::made;

/// Compares with a file of `golden/`; with `TOLLWIRE_GOLDEN=write` it writes the file instead.
fn golden(name: &str, found: &[u8]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/invoice/golden")
        .join(name);
    if std::env::var_os("TOLLWIRE_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, found).unwrap();
        return;
    }
    let expected = std::fs::read(&path).unwrap();
    assert!(
        expected == found,
        "{} differs; TOLLWIRE_GOLDEN=write writes it anew. Found:\n{}",
        path.display(),
        String::from_utf8_lossy(found)
    );
}

/// A file that is gone with its test.
struct Kept(PathBuf);

impl Kept {
    fn new(name: &str, octets: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("tollwire-{}-{name}", std::process::id()));
        std::fs::File::create(&path)
            .unwrap()
            .write_all(octets)
            .unwrap();
        Self(path)
    }

    fn judged_by(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        for argument in arguments {
            match *argument {
                "FILE" => command.arg(&self.0),
                argument => command.arg(argument),
            };
        }
        let output = command.stdin(Stdio::null()).output();
        let output =
            output.unwrap_or_else(|error| panic!("{program}: {error}; run tests/packages.sh"));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success(),
            "{program}: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        text
    }

    /// The text with single spaces.
    fn text(&self) -> String {
        let text = self.judged_by("pdftotext", &["-layout", "FILE", "-"]);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn the_json_is_as_agreed_and_reads_back() {
    let invoice = made::invoice();
    let json = invoice.to_json().unwrap();
    golden("invoice.json", json.as_bytes());
    assert_eq!(serde_json::from_str::<Invoice>(&json).unwrap(), invoice);
    let settlement = made::settlement();
    let json = settlement.to_json().unwrap();
    golden("settlement.json", json.as_bytes());
    assert_eq!(
        serde_json::from_str::<Settlement>(&json).unwrap(),
        settlement
    );
}

#[test]
fn the_html_is_as_agreed_in_both_languages() {
    let mut invoice = made::invoice();
    golden("invoice.en.html", invoice.to_html().as_bytes());
    invoice.language = "de-DE".into();
    golden("invoice.de.html", invoice.to_html().as_bytes());
    golden(
        "settlement.en.html",
        Settlement::to_html(&[made::settlement()], "en").as_bytes(),
    );
}

#[test]
fn hostile_names_stay_text() {
    let mut invoice = made::invoice();
    let hostile = "\"><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}&amp;";
    invoice.customer = hostile.into();
    invoice.account = hostile.into();
    invoice.number = Some(hostile.into());
    invoice.time_zone = hostile.into();
    invoice.issuer.address = hostile.into();
    invoice.issuer.tax_id = hostile.into();
    invoice.issuer.bank = hostile.into();
    invoice.issuer.terms = hostile.into();
    invoice.lines[0].service = hostile.into();
    invoice.lines[0].provider = hostile.into();
    invoice.payments[0].reference = hostile.into();
    invoice.others[0].account = hostile.into();
    let html = invoice.to_html();
    for tag in ["<script", "<img", "\u{202e}"] {
        assert!(!html.contains(tag), "{tag}");
    }
    assert_eq!(html.matches("&lt;script&gt;").count(), 14);
    assert!(html.contains("&amp;amp;"));
    let mut settlement = made::settlement();
    settlement.provider = hostile.into();
    settlement.lines[0].service = hostile.into();
    let html = Settlement::to_html(&[settlement], "en");
    assert!(
        !html.contains("<script") && html.matches("&lt;script&gt;").count() == 3,
        "{html}"
    );
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let html = made::invoice().to_html();
    for word in ["http", "url(", "src=", "<link", "@import", "<script"] {
        assert!(!html.contains(word), "{word}");
    }
}

#[test]
fn independent_programs_read_the_pdf() {
    let invoice = made::invoice();
    let pdf = invoice.to_pdf().unwrap();
    assert_eq!(pdf, invoice.to_pdf().unwrap(), "the same octets each time");
    let file = Kept::new("invoice.pdf", &pdf);
    file.judged_by("qpdf", &["--check", "FILE"]);
    let about = file.judged_by("pdfinfo", &["FILE"]);
    for (name, value) in [
        ("Title", "Invoice 2026-000042"),
        ("Pages", "1"),
        ("Page size", "595.28 x 841.89 pts (A4)"),
    ] {
        let found = about
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        assert_eq!(found.map(str::trim), Some(value), "{about}");
    }
    let fonts = file.judged_by("pdffonts", &["FILE"]);
    for line in fonts.lines().skip(2) {
        // Embedded, cut down to what is used, and with a way back to the letters.
        assert!(line.contains("yes yes yes"), "{fonts}");
    }
    assert_eq!(fonts.lines().count(), 4, "{fonts}");
    let text = file.text();
    for part in [
        "Überland Netze GmbH",
        "Алиса Παπαδοπούλου-Müller",
        "Łódź 7",
        "Invoice 2026-000042",
        "Due date 2026-11-17",
        "2026-10-01 – 2026-10-31 (Europe/Berlin)",
        "<b>Spiel</b> & \"Spaß\"",
        "Игры ООО",
        "Tax ID DE123456789",
        "Amount due 6.29 EUR",
        "Please pay 6.29 EUR by 2026-11-17.",
        "IBAN DE02 1203 0000 0000 2020 51",
        "bank 77",
        "Expired balance 0.25 EUR",
        "Page 1 of 1",
        "carried forward to the next invoice",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_german_customer_reads_german() {
    let mut invoice = made::invoice();
    invoice.language = "de".into();
    let file = Kept::new("rechnung.pdf", &invoice.to_pdf().unwrap());
    let text = file.text();
    for part in [
        "Rechnung 2026-000042",
        "Zu zahlender Betrag 6,29 EUR",
        "Bitte zahlen Sie 6,29 EUR bis zum 17.11.2026.",
        "01.10.2026 – 31.10.2026",
        "19 %",
        "Fällig am",
        "Verfallenes Guthaben",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn a_long_invoice_has_pages_with_a_heading_each() {
    let mut invoice = made::invoice();
    let line = invoice.lines[0].clone();
    for number in 0..200 {
        let mut line = line.clone();
        // Some are longer than their column, one is longer than a page, one has letters that the font does not have.
        line.service = match number {
            7 => "unbroken".repeat(800).into(),
            8 => "電話 \u{1f4de} service-8".into(),
            _ => format!("service-{number} {}", "of many words ".repeat(number % 9)).into(),
        };
        invoice.lines.push(line);
    }
    let file = Kept::new("long.pdf", &invoice.to_pdf().unwrap());
    file.judged_by("qpdf", &["--check", "FILE"]);
    let text = file.text();
    for number in (0..200).filter(|number| *number != 7) {
        assert!(text.contains(&format!("service-{number} ")), "{number}");
    }
    assert!(
        text.contains("\u{fffd}\u{fffd} \u{fffd} service-8"),
        "{text}"
    );
    let unbroken = text.replace(' ', "");
    assert!(unbroken.matches("unbroken").count() > 300);
    let about = file.judged_by("pdfinfo", &["FILE"]);
    let pages = about
        .lines()
        .find_map(|line| line.strip_prefix("Pages:"))
        .unwrap();
    let pages: usize = pages.trim().parse().unwrap();
    assert!(pages > 5, "{about}");
    assert!(text.contains(&format!("Page {pages} of {pages}")));
    assert!(text.matches("Tax rate").count() >= pages);
    // A column of long names leaves room for the others.
    assert!(text.contains("Service Provider Number"), "{text}");
}

#[test]
fn providers_get_their_settlement() {
    let settlement = made::settlement();
    golden(
        "settlement.csv",
        &Settlement::to_csv(std::slice::from_ref(&settlement)).unwrap(),
    );
    let pdf = Settlement::to_pdf(&[settlement.clone(), settlement], "de").unwrap();
    let file = Kept::new("settlement.pdf", &pdf);
    file.judged_by("qpdf", &["--check", "FILE"]);
    let text = file.text();
    for part in [
        "Abrechnung 2026-10 Datum",
        "Anbieter Игры ООО",
        "Provisionssatz",
        "Auszahlungsbetrag 3,55 EUR",
    ] {
        assert_eq!(text.matches(part).count(), 2, "{part:?} in {text}");
    }
}
