//! Customers.

use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::{Error, LONGEST_LIST, unreadable};
use crate::passkeys::Passkey;
use crate::payment::{Payer, Subscription};

/// What a customer pays from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// His main account.
    Prepaid,
    /// A service account, by its Rating-Group.
    ServiceAccount,
    /// The monthly bill; he consents to each payment on a page of ours.
    PhoneBill,
}

impl Kind {
    const NAMES: [(Self, &'static str); 3] = [
        (Self::Prepaid, "prepaid"),
        (Self::ServiceAccount, "service-account"),
        (Self::PhoneBill, "phone-bill"),
    ];

    fn name(self) -> &'static str {
        let found = Self::NAMES.iter().find(|(kind, _)| *kind == self);
        found.map_or("", |(_, name)| name)
    }
}

/// A customer. His secret's hash is not for showing.
#[derive(Clone, PartialEq, Eq)]
pub struct Customer {
    /// Who he is.
    pub payer: Payer,
    /// What he pays from.
    pub kind: Kind,
    /// Argon2 of his password or PIN, in the PHC form.
    pub secret_hash: Box<str>,
    /// May not pay.
    pub blocked: bool,
    /// When he was added, milliseconds since 1970.
    pub created_ms: i64,
}

impl std::fmt::Debug for Customer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Customer({})", self.payer.login)
    }
}

/// What an operator sees of a customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CustomerView {
    login: Box<str>,
    kind: Kind,
    account: Option<Box<str>>,
    number: Option<Box<str>>,
    rating_group: Option<u32>,
    blocked: bool,
    created_unix_ms: i64,
}

const COLUMNS: &str =
    "login, secret_hash, kind, account, number, rating_group, blocked, created_ms";

fn customer(row: &Row<'_>) -> Result<Customer, Error> {
    let kind: String = row.get(2)?;
    let kind = Kind::NAMES.iter().find(|(_, name)| *name == kind);
    let (kind, _) =
        kind.ok_or_else(|| unreadable(2, std::io::Error::other("no kind of customer")))?;
    let subscription = match row.get::<_, Option<Box<str>>>(3)? {
        Some(account) => Subscription::Account(account),
        None => Subscription::Number(row.get(4)?),
    };
    Ok(Customer {
        payer: Payer {
            login: row.get(0)?,
            subscription,
            rating_group: row.get(5)?,
        },
        kind: *kind,
        secret_hash: row.get(1)?,
        blocked: row.get(6)?,
        created_ms: row.get(7)?,
    })
}

impl Customer {
    /// The customer of this name.
    ///
    /// # Errors
    /// The database's.
    pub fn find(connection: &Connection, login: &str) -> Result<Option<Self>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM customers WHERE login = ?1");
        let mut statement = connection.prepare_cached(&sql)?;
        statement.query_row([login], customer).optional()
    }

    /// All, by name.
    ///
    /// # Errors
    /// The database's.
    pub fn list(connection: &Connection) -> Result<Vec<CustomerView>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM customers ORDER BY login LIMIT {LONGEST_LIST}");
        let mut statement = connection.prepare_cached(&sql)?;
        let rows = statement.query_map([], customer)?;
        rows.map(|row| row.map(CustomerView::from)).collect()
    }

    /// Adds him; false if there is one of this name.
    ///
    /// # Errors
    /// The database's.
    pub fn add(&self, connection: &Connection) -> Result<bool, Error> {
        let (account, number) = super::parts(&self.payer.subscription);
        let added = connection.execute(
            &format!("INSERT OR IGNORE INTO customers ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
            params![
                self.payer.login,
                self.secret_hash,
                self.kind.name(),
                account,
                number,
                self.payer.rating_group,
                self.blocked,
                self.created_ms,
            ],
        )?;
        Ok(added == 1)
    }

    /// Another secret; false if there is nobody of this name.
    ///
    /// # Errors
    /// The database's.
    pub fn set_secret(connection: &Connection, login: &str, hash: &str) -> Result<bool, Error> {
        let sql = "UPDATE customers SET secret_hash = ?2 WHERE login = ?1";
        connection
            .execute(sql, [login, hash])
            .map(|changed| changed == 1)
    }

    /// Lets him pay, or not; false if there is nobody of this name.
    ///
    /// # Errors
    /// The database's.
    pub fn set_blocked(connection: &Connection, login: &str, blocked: bool) -> Result<bool, Error> {
        let sql = "UPDATE customers SET blocked = ?2 WHERE login = ?1";
        connection
            .execute(sql, params![login, blocked])
            .map(|changed| changed == 1)
    }

    /// Removes him and his passkeys; false if there is nobody of this name. His payments stay.
    ///
    /// # Errors
    /// The database's.
    pub fn remove(connection: &Connection, login: &str) -> Result<bool, Error> {
        Passkey::remove_all(connection, login)?;
        let sql = "DELETE FROM customers WHERE login = ?1";
        connection.execute(sql, [login]).map(|changed| changed == 1)
    }
}

impl From<Customer> for CustomerView {
    fn from(customer: Customer) -> Self {
        let (account, number) = match customer.payer.subscription {
            Subscription::Account(account) => (Some(account), None),
            Subscription::Number(number) => (None, Some(number)),
        };
        Self {
            login: customer.payer.login,
            kind: customer.kind,
            account,
            number,
            rating_group: customer.payer.rating_group,
            blocked: customer.blocked,
            created_unix_ms: customer.created_ms,
        }
    }
}
