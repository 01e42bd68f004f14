//! Files of tariffs: TOML, and rate sheets in CSV.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use iso_currency::Currency;
use jiff::civil::Date;
use serde::Deserialize;
use tollwire_runtime::config::{Configuration, Invalid};
use toml::Spanned;

use super::definition::Definition;
use super::groups::CallingGroups;
use super::table::{Place, RatingTable};

/// Octets of a field in a rate sheet, at most.
const MOST_FIELD: usize = 4_096;

/// A file of tariffs; `conf/tariffs.toml` explains each key.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Book {
    /// The time zone of tariffs that name none.
    pub time_zone: Option<Box<str>>,
    /// The holidays of tariffs that have none of their own.
    pub holidays: Vec<Date>,
    /// Groups of callers.
    pub calling_groups: CallingGroups,
    /// `[[tariff]]`
    pub tariff: Vec<Spanned<Definition>>,
    /// `[[csv]]`
    pub csv: Vec<Sheet>,
}

impl Configuration for Book {
    fn validate(&self) -> Result<(), Invalid> {
        match self
            .csv
            .iter()
            .any(|sheet| sheet.file.as_os_str().is_empty())
        {
            true => Err(Invalid::new("csv.file", "the name of a CSV file")),
            false => Ok(()),
        }
    }
}

/// A rate sheet: a tariff a row.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sheet {
    /// The CSV file, beside the file that names it.
    pub file: PathBuf,
    /// What separates its columns.
    pub delimiter: Option<char>,
    /// Other names of columns: the sheet's, and the key that it stands for.
    pub columns: BTreeMap<String, String>,
    /// What its columns do not say.
    pub tariff: Definition,
}

impl Book {
    /// The table of the book and of its sheets. `text` is the file's, `read` gets a sheet's.
    ///
    /// # Errors
    /// File, line and what is wrong.
    pub fn table(
        self,
        file: &str,
        text: &str,
        mut read: impl FnMut(&Sheet) -> Result<(String, String), String>,
    ) -> Result<RatingTable, String> {
        let name: Arc<str> = file.into();
        let mut all = Vec::with_capacity(self.tariff.len());
        for tariff in self.tariff {
            let before = text.get(..tariff.span().start).unwrap_or_default();
            let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
            let place = Place {
                file: Arc::clone(&name),
                line: u32::try_from(line).unwrap_or(u32::MAX),
            };
            all.push((Some(place), tariff.into_inner()));
        }
        for sheet in &self.csv {
            let (file, text) = read(sheet)?;
            all.extend(parse_sheet(sheet, &file, &text)?);
        }
        for (_, tariff) in &mut all {
            if tariff.periods.is_empty() {
                continue;
            }
            if tariff.time_zone.is_none() {
                tariff.time_zone.clone_from(&self.time_zone);
            }
            if tariff.holidays.is_none() {
                tariff.holidays = Some(self.holidays.clone());
            }
        }
        RatingTable::placed(all, self.calling_groups).map_err(|wrong| match wrong.place {
            Some(_) => wrong.to_string(),
            None => format!("{file}: {wrong}"),
        })
    }
}

/// A key of a tariff that a column may have.
#[derive(Debug, Clone, Copy)]
enum Column {
    Prefix,
    Name,
    Service,
    Provider,
    Currency,
    ValidFrom,
    ValidUntil,
    RatingGroup,
    ServiceIdentifier,
    CallingGroup,
    /// Micro-units, or whole units with a decimal point.
    Money(fn(&mut Definition) -> &mut i64, bool),
    Price(fn(&mut Definition) -> &mut Option<i64>, bool),
    Units(fn(&mut Definition) -> &mut u64),
    Increment(fn(&mut Definition) -> &mut Option<u64>),
    BasisPoints(fn(&mut Definition) -> &mut u16),
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        // `setup_fee` is in units of the currency, `setup_fee_micro` in millionths.
        let (key, micro) = match name.strip_suffix("_micro") {
            Some(key) => (key, true),
            None => (name, false),
        };
        let money = match key {
            "setup_fee" => Some(Self::Money(|tariff| &mut tariff.setup_fee_micro, micro)),
            "minimum" => Some(Self::Money(|tariff| &mut tariff.minimum_micro, micro)),
            "price_per_minute" => Some(Self::Price(
                |tariff| &mut tariff.price_per_minute_micro,
                micro,
            )),
            "price_per_kilobyte" => Some(Self::Price(
                |tariff| &mut tariff.price_per_kilobyte_micro,
                micro,
            )),
            "price_per_megabyte" => Some(Self::Price(
                |tariff| &mut tariff.price_per_megabyte_micro,
                micro,
            )),
            "price_per_event" => Some(Self::Price(
                |tariff| &mut tariff.price_per_event_micro,
                micro,
            )),
            _ => None,
        };
        money.or_else(|| {
            Some(match name {
                "prefix" => Self::Prefix,
                "name" => Self::Name,
                "service" => Self::Service,
                "provider" => Self::Provider,
                "currency" => Self::Currency,
                "valid_from" => Self::ValidFrom,
                "valid_until" => Self::ValidUntil,
                "rating_group" => Self::RatingGroup,
                "service_identifier" => Self::ServiceIdentifier,
                "calling_group" => Self::CallingGroup,
                "free_seconds" => Self::Units(|tariff| &mut tariff.free_seconds),
                "free_octets" => Self::Units(|tariff| &mut tariff.free_octets),
                "free_events" => Self::Units(|tariff| &mut tariff.free_events),
                "first_increment_seconds" => {
                    Self::Increment(|tariff| &mut tariff.first_increment_seconds)
                }
                "next_increment_seconds" => {
                    Self::Increment(|tariff| &mut tariff.next_increment_seconds)
                }
                "first_increment_octets" => {
                    Self::Increment(|tariff| &mut tariff.first_increment_octets)
                }
                "next_increment_octets" => {
                    Self::Increment(|tariff| &mut tariff.next_increment_octets)
                }
                "tax_basis_points" => Self::BasisPoints(|tariff| &mut tariff.tax_basis_points),
                "commission_basis_points" => {
                    Self::BasisPoints(|tariff| &mut tariff.commission_basis_points)
                }
                _ => return None,
            })
        })
    }

    fn put(self, field: &str, tariff: &mut Definition) -> Result<(), String> {
        let number = || format!("{field:?} is not a whole number");
        let money = |micro: bool| match micro {
            true => field.parse().map_err(|_| number()),
            false => micro_units(field),
        };
        match self {
            Self::Prefix => {
                let prefixes = field
                    .split([' ', ';', ','])
                    .filter(|prefix| !prefix.is_empty());
                let digits = prefixes.map(|prefix| prefix.strip_prefix('+').unwrap_or(prefix));
                tariff.prefixes = Some(digits.map(Into::into).collect());
            }
            Self::Name => tariff.name = field.into(),
            Self::Service => tariff.service = field.into(),
            Self::Provider => tariff.provider = field.into(),
            Self::Currency => {
                let code = field.to_ascii_uppercase();
                let currency = Currency::from_code(&code);
                tariff.currency =
                    Some(currency.ok_or_else(|| format!("{field:?} is not an ISO 4217 code"))?);
            }
            Self::ValidFrom => tariff.valid_from = Some(timestamp(field)?),
            Self::ValidUntil => tariff.valid_until = Some(timestamp(field)?),
            Self::RatingGroup => {
                tariff.rating_groups = vec![field.parse().map_err(|_| number())?];
            }
            Self::ServiceIdentifier => {
                tariff.service_identifiers = vec![field.parse().map_err(|_| number())?];
            }
            Self::CallingGroup => tariff.calling_groups = vec![field.into()],
            Self::Money(place, micro) => *place(tariff) = money(micro)?,
            Self::Price(place, micro) => *place(tariff) = Some(money(micro)?),
            Self::Units(place) => *place(tariff) = field.parse().map_err(|_| number())?,
            Self::Increment(place) => {
                *place(tariff) = Some(field.parse().map_err(|_| number())?);
            }
            Self::BasisPoints(place) => *place(tariff) = field.parse().map_err(|_| number())?,
        }
        Ok(())
    }
}

fn timestamp(field: &str) -> Result<jiff::Timestamp, String> {
    field
        .parse()
        .map_err(|_| format!("{field:?} is not a time like 2027-01-01T00:00:00+01:00 (RFC 3339)"))
}

/// Micro-units of a decimal number of at most six places, like `0.0195`.
fn micro_units(field: &str) -> Result<i64, String> {
    let wrong = || format!("{field:?} is not a price like 0.0195, of at most six decimal places");
    let (whole, decimals) = field.split_once('.').unwrap_or((field, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(decimals) || decimals.len() > 6 {
        return Err(wrong());
    }
    let whole: i64 = whole.parse().map_err(|_| wrong())?;
    let decimals: i64 = format!("{decimals:0<6}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(1_000_000)
        .and_then(|micro| micro.checked_add(decimals))
        .ok_or_else(wrong)
}

/// The tariffs of a rate sheet: a row each, over what `sheet.tariff` says of all.
///
/// # Errors
/// `FILE:LINE:` with the column and what is wrong.
pub fn parse_sheet(
    sheet: &Sheet,
    file: &str,
    text: &str,
) -> Result<Vec<(Option<Place>, Definition)>, String> {
    let name: Arc<str> = file.into();
    let delimiter = match sheet.delimiter {
        None => b',',
        Some(character) => u8::try_from(character)
            .ok()
            .filter(u8::is_ascii)
            .ok_or_else(|| format!("{file}: delimiter is one ASCII character"))?,
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let headers = reader.headers().cloned();
    let headers = headers.map_err(|error| format!("{file}: {error}"))?;
    let first = line_behind(text, &reader, &headers);
    let mut columns = Vec::new();
    for header in &headers {
        let key = sheet.columns.get(header).map_or(header, String::as_str);
        let column = match key {
            // A column of somebody else's, for somebody else.
            "" => None,
            key => Some(Column::named(key).ok_or_else(|| {
                format!(
                    "{file}:{first}: no column {header:?} is known; \"columns\" of the sheet may name the key that it is, \
                     or \"\" to leave it out"
                )
            })?),
        };
        columns.push((header.to_owned(), column));
    }
    let mut tariffs = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader
        .read_record(&mut record)
        .map_err(|error| format!("{file}: {error}"))?
    {
        let line = line_behind(text, &reader, &record);
        if record.len() != columns.len() {
            return Err(format!(
                "{file}:{line}: {} fields, where line {first} has {}",
                record.len(),
                columns.len()
            ));
        }
        let mut tariff = sheet.tariff.clone();
        for ((header, column), field) in columns.iter().zip(&record) {
            if field.len() > MOST_FIELD {
                return Err(format!(
                    "{file}:{line}: {header}: longer than {MOST_FIELD} octets"
                ));
            }
            // An empty field leaves what the sheet says of all.
            if let Some(column) = column.filter(|_| !field.is_empty()) {
                column
                    .put(field, &mut tariff)
                    .map_err(|fault| format!("{file}:{line}: {header}: {fault}"))?;
            }
        }
        let place = Place {
            file: Arc::clone(&name),
            line: u32::try_from(line).unwrap_or(u32::MAX),
        };
        tariffs.push((Some(place), tariff));
    }
    Ok(tariffs)
}

/// The line in which `record`, the last one read, begins: the reader's own position of it is before empty lines and comments.
fn line_behind(text: &str, reader: &csv::Reader<&[u8]>, record: &csv::StringRecord) -> u64 {
    let behind = reader.position();
    let last = usize::try_from(behind.byte())
        .ok()
        .and_then(|byte| text.as_bytes().get(byte.checked_sub(1)?));
    // Of CR LF it leaves the LF to the next record.
    let end = behind.line() - u64::from(last == Some(&b'\n'));
    let inside: usize = record
        .iter()
        .map(|field| field.bytes().filter(|byte| *byte == b'\n').count())
        .sum();
    end.saturating_sub(inside as u64)
}
