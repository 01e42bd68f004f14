//! Why a question has no answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use thiserror::Error;
use tollwire_slp::agent::user_agent::Impossible;
use tollwire_slp::{ErrorCode, ValueError};

/// Why a question has no answer.
#[derive(Debug, Error)]
pub enum Error {
    /// What is asked, or registered, cannot be read.
    #[error("{0}")]
    Invalid(#[from] ValueError),
    /// Something that is asked, or set, does not do.
    #[error("{0}")]
    Unfit(&'static str),
    /// It cannot be sent: too long, or too much is under way.
    #[error("{}", impossible(.0))]
    Impossible(Impossible),
    /// An agent refuses.
    #[error("{agent} answers {code}{}", meaning(*.code))]
    Refused {
        /// Which.
        agent: Peer,
        /// With what.
        code: ErrorCode,
    },
    /// Whoever was asked does not answer.
    #[error("no answer from {}", list(.0))]
    NoAnswer(Vec<Peer>),
    /// There is nobody to ask, or to register with.
    #[error("no agent for {0}")]
    Nobody(String),
    /// The sockets cannot be had.
    #[error("{doing}: {source}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// The agent's task is gone: the runtime shuts down.
    #[error("the user agent has stopped")]
    Stopped,
}

/// Who was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// An agent on the network.
    Agent(SocketAddr),
    /// The `slpd` of this host, over its registration socket.
    Local,
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(address) => write!(formatter, "{}", address.ip()),
            Self::Local => formatter.write_str("the local slpd"),
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::Agent(address)
    }
}

fn impossible(impossible: &Impossible) -> String {
    match impossible {
        Impossible::Unsendable(unsendable) => unsendable.to_string(),
        Impossible::Busy => "too many questions are under way".into(),
    }
}

fn list(peers: &[Peer]) -> String {
    let names: Vec<String> = peers.iter().map(Peer::to_string).collect();
    names.join(", ")
}

/// What to make of the codes that say too little by themselves.
fn meaning(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::LANGUAGE_NOT_SUPPORTED => ": there are such services, in another language",
        ErrorCode::SCOPE_NOT_SUPPORTED => ": it serves other scopes",
        ErrorCode::INVALID_UPDATE => ": no such registration, or one of another service type",
        ErrorCode::REFRESH_REJECTED => ": too soon after the last time",
        ErrorCode::DA_BUSY_NOW => ": try again later",
        ErrorCode::AUTHENTICATION_FAILED => ": it is not ours to change, or its signature is wrong",
        _ => "",
    }
}
