//! What a database has to do to be a store: answer questions, and keep a batch wholly or not at all.

use std::borrow::Cow;
use std::error::Error;

use super::batch::Batch;

/// What went wrong in a database.
pub type Cause = Box<dyn Error + Send + Sync>;

/// One field. JSON is text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// Numbers, and truth as 0 and 1.
    Integer(i64),
    /// Everything else that is written.
    Text(Cow<'a, str>),
    /// Octets as they came.
    Octets(Cow<'a, [u8]>),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self::Octets(Cow::Borrowed(octets))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Integer)
    }
}

/// A field is not what the query promised.
#[derive(Debug, thiserror::Error)]
#[error("column {column} holds {found}, not {wanted}")]
pub struct Mismatch {
    column: usize,
    found: String,
    wanted: &'static str,
}

/// One row of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a>(pub(crate) &'a [Value<'a>]);

impl Row<'_> {
    /// Column `column`, counted from 0, as text.
    pub fn text(&self, column: usize) -> Result<&str, Mismatch> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(text),
            other => Err(mismatch(column, other, "text")),
        }
    }

    /// As text, if there is any.
    pub fn optional_text(&self, column: usize) -> Result<Option<String>, Mismatch> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.text(column).map(|text| Some(text.to_owned())),
        }
    }

    /// As octets.
    pub fn octets(&self, column: usize) -> Result<&[u8], Mismatch> {
        match self.0.get(column) {
            Some(Value::Octets(octets)) => Ok(octets),
            other => Err(mismatch(column, other, "octets")),
        }
    }

    /// As a number, if there is one.
    pub fn optional_integer(&self, column: usize) -> Result<Option<i64>, Mismatch> {
        match self.0.get(column) {
            Some(Value::Null) => Ok(None),
            _ => self.integer(column).map(Some),
        }
    }

    /// As a number.
    pub fn integer(&self, column: usize) -> Result<i64, Mismatch> {
        match self.0.get(column) {
            Some(Value::Integer(number)) => Ok(*number),
            other => Err(mismatch(column, other, "a number")),
        }
    }
}

fn mismatch(column: usize, found: Option<&Value<'_>>, wanted: &'static str) -> Mismatch {
    Mismatch {
        column,
        found: format!("{found:?}").chars().take(100).collect(),
        wanted,
    }
}

/// A connection that can be asked.
pub trait Queries: Send {
    /// Calls `each` with every row that `sql` finds, until it fails. `sql` is written once for all databases: its
    /// parameters are `$1`, `$2`, first met in this order, and what it selects is text, `BIGINT` or octets.
    ///
    /// # Errors
    /// The database's, or that of `each`.
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause>;
}

/// Which of the instances on one database this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The one that writes.
    Active,
    /// Another writes: the one with this Origin-Host, if that is known.
    Standby(Option<String>),
}

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum Unwritten {
    /// None of it is or will be stored.
    #[error("{0}")]
    Refused(Cause),
    /// It may have been stored: [`Backend::settle`] tells.
    #[error("{0}")]
    Unknown(Cause),
}

impl From<Cause> for Unwritten {
    fn from(cause: Cause) -> Self {
        Self::Refused(cause)
    }
}

/// The connection that writes.
pub trait Backend: Queries {
    /// Makes this instance the one that writes, if no other is. Called before anything else, again while it stands by,
    /// and after every fault.
    ///
    /// # Errors
    /// The database cannot be used now.
    fn begin(&mut self) -> Result<Standing, Cause>;

    /// Writes the batch wholly or not at all, durably when it returns.
    ///
    /// # Errors
    /// [`Unwritten`]; then nothing is written before [`Backend::begin`].
    fn write(&mut self, batch: &Batch<'_>) -> Result<(), Unwritten>;

    /// Whether the last batch, whose fate was [`Unwritten::Unknown`], is stored. It is then certain for good.
    ///
    /// # Errors
    /// The database cannot tell now.
    fn settle(&mut self) -> Result<bool, Cause>;

    /// Whether this instance still is the one that writes; asked when there is nothing to write.
    ///
    /// # Errors
    /// It is not, or the database cannot tell.
    fn check(&mut self) -> Result<(), Cause>;
}
