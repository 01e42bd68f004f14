//! One record, one line.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// A kind of record.
pub trait Record: Serialize + DeserializeOwned + Clone {
    /// The columns of the CSV form.
    const CSV_HEADER: &'static str;

    /// Without gaps within one element's files, from 1.
    fn sequence_number(&self) -> u64;

    /// What makes the record unique.
    fn record_id(&self) -> &str;

    /// Its fields of free text.
    fn texts(&mut self) -> Vec<&mut String>;
}

/// Why a line is no record, or a record no line.
#[derive(Debug, Error)]
pub enum EncodingError {
    /// JSON, with line and column.
    #[error("JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// CSV, with the field.
    #[error("CSV: {0}")]
    Csv(#[from] csv::Error),
    /// The line holds no record or several.
    #[error("CSV: one record a line, {0} found")]
    Count(usize),
}

/// The record as a line of JSON, with its line feed.
pub fn to_json_line<R: Record>(record: &R) -> Result<String, EncodingError> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    Ok(line)
}

/// Reads a line of JSON.
pub fn from_json_line<R: Record>(line: &str) -> Result<R, EncodingError> {
    Ok(serde_json::from_str(line)?)
}

/// The record as a line of CSV (RFC 4180), with its line feed.
///
/// Text that a spreadsheet would take for a formula (a SIP user may choose his own name) gets an apostrophe in
/// front, which [`from_csv_line`] takes off.
pub fn to_csv_line<R: Record>(record: &R) -> Result<String, EncodingError> {
    let mut writer = csv::WriterBuilder::new()
        .has_headers(false)
        .from_writer(Vec::new());
    writer.serialize(map_text(record, defuse))?;
    let line = writer.into_inner().map_err(|error| {
        EncodingError::Csv(csv::Error::from(std::io::Error::other(error.to_string())))
    })?;
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Reads a line of CSV.
pub fn from_csv_line<R: Record>(line: &str) -> Result<R, EncodingError> {
    let mut records: Vec<R> = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(line.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()?;
    match (records.pop(), records.is_empty()) {
        (Some(record), true) => Ok(map_text(&record, restore)),
        (last, _) => Err(EncodingError::Count(
            records.len() + usize::from(last.is_some()),
        )),
    }
}

fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\''])
}

fn defuse(text: &str) -> String {
    if is_formula(text) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn restore(text: &str) -> String {
    match text.strip_prefix('\'') {
        Some(inner) if is_formula(inner) => inner.to_owned(),
        _ => text.to_owned(),
    }
}

fn map_text<R: Record>(record: &R, change: impl Fn(&str) -> String) -> R {
    let mut record = record.clone();
    for text in record.texts() {
        *text = change(text);
    }
    record
}
