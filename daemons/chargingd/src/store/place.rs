//! Where a store is.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::backend::{Backend, Cause, Queries};
use super::postgres::{OtherDivision, Postgres, Server};
use super::schema::MIGRATIONS;
use super::sqlite::Sqlite;

/// Where a store is.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// The SQLite database in this file.
    File(PathBuf),
    /// A database of a PostgreSQL server, which several instances may share.
    Server(Box<Server>),
}

/// Why a store cannot be used.
#[derive(Debug, Error)]
#[error("{place}: {source}")]
pub struct StoreError {
    place: Place,
    source: Cause,
}

impl StoreError {
    /// Whether another configuration would help, and waiting would not.
    pub fn is_of_configuration(&self) -> bool {
        is_of_configuration(&self.source)
    }
}

/// Whether another configuration would help, and waiting would not.
pub(super) fn is_of_configuration(cause: &Cause) -> bool {
    cause.is::<OtherDivision>()
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(formatter),
            Self::Server(server) => server.fmt(formatter),
        }
    }
}

impl Place {
    /// Asks the store something, on a connection of its own: what is committed is seen. Blocks.
    ///
    /// # Errors
    /// It cannot be reached, or the question fails.
    pub fn ask<T>(
        &self,
        question: impl FnOnce(&mut dyn Queries) -> Result<T, Cause>,
    ) -> Result<T, StoreError> {
        let answer = match self {
            Self::File(path) => Sqlite::open_read_only(path).and_then(|mut it| question(&mut it)),
            Self::Server(server) => {
                Postgres::read_only(server).and_then(|mut it| question(&mut it))
            }
        };
        answer.map_err(|source| self.fault(source))
    }

    /// What is wrong with the files that are needed to reach it.
    ///
    /// # Errors
    /// The file, and what is wrong.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::File(_) => Ok(()),
            Self::Server(server) => server.check(),
        }
    }

    /// The server, if it is one's.
    pub(crate) fn server(&self) -> Option<&Server> {
        match self {
            Self::File(_) => None,
            Self::Server(server) => Some(server),
        }
    }

    /// Whether several instances may share it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// The connection that writes.
    pub(super) fn open(&self) -> Result<Box<dyn Backend>, StoreError> {
        let opened: Result<Box<dyn Backend>, Cause> = match self {
            Self::File(path) => Sqlite::open(path, MIGRATIONS).map(|it| Box::new(it) as _),
            Self::Server(server) => Postgres::new(server).map(|it| Box::new(it) as _),
        };
        opened.map_err(|source| self.fault(source))
    }

    pub(super) fn fault(&self, source: Cause) -> StoreError {
        StoreError {
            place: self.clone(),
            source,
        }
    }
}
