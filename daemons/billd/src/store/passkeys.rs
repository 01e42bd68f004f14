//! Passkeys of customers.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;

use super::{Customer, Error};
use crate::passkeys::{MOST, Passkey, Refused};

/// What an operator sees of a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PasskeyView {
    /// The beginning of its credential's id, in hexadecimal digits.
    id: Box<str>,
    created_unix_ms: i64,
    used_unix_ms: Option<i64>,
}

fn passkey(row: &Row<'_>) -> Result<Passkey, Error> {
    Ok(Passkey {
        id: row.get(0)?,
        handle: row.get(1)?,
        key: row.get(2)?,
        state: row.get(3)?,
    })
}

impl Passkey {
    /// Those of a customer, the oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn of(connection: &Connection, login: &str) -> Result<Vec<Self>, Error> {
        let mut statement = connection.prepare_cached(
            "SELECT id, handle, key, state FROM passkeys WHERE login = ?1 ORDER BY created_ms LIMIT 100",
        )?;
        statement.query_map([login], passkey)?.collect()
    }

    /// The same, as an operator sees them.
    ///
    /// # Errors
    /// The database's.
    pub fn list(connection: &Connection, login: &str) -> Result<Vec<PasskeyView>, Error> {
        let mut statement = connection.prepare_cached(
            "SELECT lower(substr(hex(id), 1, 16)), created_ms, used_ms FROM passkeys WHERE login = ?1 \
             ORDER BY created_ms LIMIT 100",
        )?;
        let rows = statement.query_map([login], |row| {
            Ok(PasskeyView {
                id: row.get(0)?,
                created_unix_ms: row.get(1)?,
                used_unix_ms: row.get(2)?,
            })
        })?;
        rows.collect()
    }

    /// Adds it to a customer.
    ///
    /// # Errors
    /// The database's; inside, that he has as many as he may, or that it is there, or he is not any more.
    pub fn add(
        &self,
        connection: &Connection,
        login: &str,
        at_ms: i64,
    ) -> Result<Result<(), Refused>, Error> {
        if Self::of(connection, login)?.len() >= MOST {
            return Ok(Err(Refused::Full));
        }
        let added = connection.execute(
            "INSERT OR IGNORE INTO passkeys (id, login, handle, key, state, created_ms) \
             SELECT ?1, login, ?3, ?4, ?5, ?6 FROM customers WHERE login = ?2",
            params![self.id, login, self.handle, self.key, self.state, at_ms],
        )?;
        Ok(match added {
            1 => Ok(()),
            _ => Err(Refused::Rule(
                "the passkey is there already, or its customer is not".into(),
            )),
        })
    }

    /// Looks at the passkey of this id with `check`, and stores the state that comes of it in the same transaction: whose it
    /// is.
    ///
    /// # Errors
    /// The database's; inside, what `check` says, or that there is none.
    pub fn used(
        connection: &Connection,
        id: &[u8],
        at_ms: i64,
        check: impl FnOnce(&Self) -> Result<Vec<u8>, Refused>,
    ) -> Result<Result<Customer, Refused>, Error> {
        let sql = "SELECT id, handle, key, state, login FROM passkeys WHERE id = ?1";
        let found = connection
            .prepare_cached(sql)?
            .query_row([id], |row| Ok((passkey(row)?, row.get::<_, String>(4)?)));
        let Some((stored, login)) = found.optional()? else {
            return Ok(Err(Refused::Unknown));
        };
        let Some(customer) = Customer::find(connection, &login)? else {
            return Ok(Err(Refused::Unknown));
        };
        let state = match check(&stored) {
            Ok(state) => state,
            Err(refused) => return Ok(Err(refused)),
        };
        connection.execute(
            "UPDATE passkeys SET state = ?2, used_ms = ?3 WHERE id = ?1",
            params![id, state, at_ms],
        )?;
        Ok(Ok(customer))
    }

    /// Removes all of a customer's: how many there were.
    ///
    /// # Errors
    /// The database's.
    pub fn remove_all(connection: &Connection, login: &str) -> Result<usize, Error> {
        connection.execute("DELETE FROM passkeys WHERE login = ?1", [login])
    }
}
