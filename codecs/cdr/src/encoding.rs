//! One record, one line.

use thiserror::Error;

use crate::record::ChargeRecord;

/// The columns of the CSV form.
pub const CSV_HEADER: &str = "sequence_number,record_id,service,call_id,from,to,caller_address,callee_address,\
invite_time,answer_time,end_time,duration_ms,charged_seconds,octets_from_caller,octets_to_caller,account,payment,\
tariff,currency,amount_micro,end_cause,origin_host";

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
pub fn to_json_line(record: &ChargeRecord) -> Result<String, EncodingError> {
    let mut line = serde_json::to_string(record)?;
    line.push('\n');
    Ok(line)
}

/// Reads a line of JSON.
pub fn from_json_line(line: &str) -> Result<ChargeRecord, EncodingError> {
    Ok(serde_json::from_str(line)?)
}

/// The record as a line of CSV (RFC 4180), with its line feed.
///
/// Text that a spreadsheet would take for a formula (a SIP user may choose his own name) gets an apostrophe in
/// front, which [`from_csv_line`] takes off.
pub fn to_csv_line(record: &ChargeRecord) -> Result<String, EncodingError> {
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
pub fn from_csv_line(line: &str) -> Result<ChargeRecord, EncodingError> {
    let mut records: Vec<ChargeRecord> = csv::ReaderBuilder::new()
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

fn map_text(record: &ChargeRecord, change: impl Fn(&str) -> String) -> ChargeRecord {
    let mut record = record.clone();
    for text in [
        &mut record.record_id,
        &mut record.service,
        &mut record.call_id,
        &mut record.from,
        &mut record.to,
        &mut record.caller_address,
        &mut record.callee_address,
        &mut record.account,
        &mut record.tariff,
        &mut record.currency,
        &mut record.origin_host,
    ] {
        *text = change(text);
    }
    record
}
