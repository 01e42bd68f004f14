//! The forms in which invoices and settlements leave.

use std::str::FromStr;

use super::pdf::PdfError;
use super::{Invoice, Settlement, Sum, html, pdf};

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is stored.
    Json,
    /// One page without anything from elsewhere.
    Html,
    /// PDF/A-2u.
    Pdf,
    /// A table; of settlements alone.
    Csv,
}

impl Form {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Html => "text/html; charset=utf-8",
            Self::Pdf => "application/pdf",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "html" => Ok(Self::Html),
            "pdf" => Ok(Self::Pdf),
            "csv" => Ok(Self::Csv),
            _ => Err("a form is json, html, pdf, or csv for settlements".into()),
        }
    }
}

impl Invoice {
    /// The form in which it is stored.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// HTML in the customer's language.
    pub fn to_html(&self) -> String {
        html::document(&[self.sheet()])
    }

    /// PDF in the customer's language.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn to_pdf(&self) -> Result<Vec<u8>, PdfError> {
        pdf::document(&[self.sheet()], self.issued)
    }
}

impl Settlement {
    /// The form in which it is stored.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// Several as one HTML page, one after the other.
    pub fn to_html(all: &[Self], language: &str) -> String {
        let sheets: Vec<_> = all.iter().map(|one| one.sheet(language)).collect();
        html::document(&sheets)
    }

    /// Several as one PDF.
    ///
    /// # Errors
    /// A fault of ours.
    pub fn to_pdf(all: &[Self], language: &str) -> Result<Vec<u8>, PdfError> {
        let sheets: Vec<_> = all.iter().map(|one| one.sheet(language)).collect();
        let issued = all.first().map(|first| first.issued);
        pdf::document(&sheets, issued.unwrap_or_default())
    }

    /// Several as one table: a row for each service, sums in micro-units and minor units.
    ///
    /// # Errors
    /// None that is known.
    pub fn to_csv(all: &[Self]) -> csv::Result<Vec<u8>> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record([
            "period",
            "provider",
            "currency",
            "service",
            "count",
            "tax_basis_points",
            "commission_basis_points",
            "gross_micro",
            "tax_micro",
            "commission_micro",
            "payable_micro",
            "gross_minor",
            "tax_minor",
            "commission_minor",
            "payable_minor",
        ])?;
        for one in all {
            for line in &one.lines {
                let amounts = &line.amounts;
                let sums = [
                    amounts.gross,
                    amounts.tax,
                    amounts.commission,
                    amounts.payable,
                ];
                let figures = |of: fn(&Sum) -> i64| sums.each_ref().map(|sum| of(sum).to_string());
                let mut row = vec![
                    one.period.to_string(),
                    inert(&one.provider),
                    one.currency.code().to_owned(),
                    inert(&line.service),
                    line.count.to_string(),
                    line.tax_basis_points.to_string(),
                    line.commission_basis_points.to_string(),
                ];
                row.extend(figures(|sum| sum.micro));
                row.extend(figures(|sum| sum.minor));
                table.write_record(&row)?;
            }
        }
        table
            .into_inner()
            .map_err(|error| error.into_error().into())
    }
}

/// `text` that no spreadsheet takes for a formula: an apostrophe goes before it.
fn inert(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}
