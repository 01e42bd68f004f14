//! The embedded store: one SQLite file.

mod schema;

use std::borrow::Cow;
use std::path::Path;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};

use super::backend::{Backend, Cause, Queries, Row, Standing, Unwritten, Value};
use super::batch::{Batch, Table};

/// A connection to the file.
pub(crate) struct Sqlite {
    pub(crate) connection: Connection,
}

impl Sqlite {
    /// Opens or makes the database at `path`, for writing, with the tables that `steps` make.
    pub(crate) fn open(path: &Path, steps: &[&str]) -> Result<Self, Cause> {
        Ok(Self {
            connection: schema::open(path, steps)?,
        })
    }

    /// Opens it for questions alone.
    pub(super) fn open_read_only(path: &Path) -> Result<Self, Cause> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        Ok(Self {
            connection: Connection::open_with_flags(path, flags)?,
        })
    }
}

impl Queries for Sqlite {
    fn query(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        each: &mut dyn FnMut(Row<'_>) -> Result<(), Cause>,
    ) -> Result<(), Cause> {
        let mut statement = self.connection.prepare(sql)?;
        let columns = statement.column_count();
        let mut rows = statement.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => Value::Integer(number),
                    ValueRef::Text(text) => Value::Text(Cow::Borrowed(std::str::from_utf8(text)?)),
                    ValueRef::Blob(octets) => Value::Octets(Cow::Borrowed(octets)),
                    other => {
                        return Err(format!("column {column} is {}", other.data_type()).into());
                    }
                });
            }
            each(Row(&values))?;
        }
        Ok(())
    }
}

impl Backend for Sqlite {
    fn begin(&mut self) -> Result<Standing, Cause> {
        Ok(Standing::Active)
    }

    fn write(&mut self, batch: &Batch<'_>) -> Result<(), Unwritten> {
        let written = transaction(&mut self.connection, batch);
        written.map_err(|error| Unwritten::Refused(error.into()))
    }

    /// A commit that fails is none.
    fn settle(&mut self) -> Result<bool, Cause> {
        Ok(false)
    }

    fn check(&mut self) -> Result<(), Cause> {
        Ok(())
    }
}

/// Writes the batch wholly or not at all.
pub(crate) fn transaction(connection: &mut Connection, batch: &Batch<'_>) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    for of in &batch.tables {
        let mut statement = transaction.prepare_cached(&insert(of.table))?;
        for row in &of.rows {
            statement.execute(params_from_iter(row))?;
        }
    }
    for removal in &batch.removals {
        transaction
            .prepare_cached(removal.sql)?
            .execute(params_from_iter(&removal.parameters))?;
    }
    transaction.commit()
}

fn insert(table: &Table) -> String {
    let marks: Vec<String> = (1..=table.columns.len())
        .map(|number| format!("?{number}"))
        .collect();
    format!(
        "INSERT INTO {} ({}) VALUES ({}){}",
        table.name,
        table.column_list(),
        marks.join(", "),
        table.on_conflict()
    )
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Octets(octets) => ValueRef::Blob(octets),
        }))
    }
}
