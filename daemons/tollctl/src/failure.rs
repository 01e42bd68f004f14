//! Why a command was not carried out, and the exit code that says so.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use thiserror::Error;
use tollwire_peer_user::UserError;
use tollwire_runtime::admin::client::ClientError;
use tollwire_slp_agent::Error as SlpError;

/// Why a command was not carried out.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// A daemon gave no answer, or refuses.
    #[error("{}", asked(.daemon, .socket, .error))]
    Daemon {
        /// Its name.
        daemon: &'static str,
        /// Its socket.
        socket: PathBuf,
        /// What happened.
        error: ClientError,
    },
    /// An answer without a field that it must have.
    #[error("{daemon} ({}): the answer is not understood: {error}; are tollctl and {daemon} of one version?", socket.display())]
    Answer {
        /// The daemon's name.
        daemon: &'static str,
        /// Its socket.
        socket: PathBuf,
        /// What is missing or wrong.
        error: serde_json::Error,
    },
    /// An agent on the network gave no answer, or refuses.
    #[error("{0}")]
    Slp(#[from] SlpError),
    /// A manager or a provider gave no answer, or refuses, or is not believed.
    #[error("{0}")]
    Peer(#[from] UserError),
    /// A payment may or may not have been taken.
    #[error(
        "{source}; repeat it with --reference {reference}: under one reference a payment is taken once"
    )]
    TopUp {
        /// The payment's name.
        reference: String,
        /// What happened.
        source: Box<Failure>,
    },
    /// What was asked about is wrong or not there; the text is all there is to say.
    #[error("{0}")]
    Wrong(String),
    /// A value on the command line does not do.
    #[error("{0}")]
    Usage(String),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

impl Failure {
    /// The process's exit code; from sysexits.h where it has one.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Wrong(_)
            | Self::Daemon {
                error: ClientError::Refused { .. },
                ..
            } => 1,
            Self::Slp(
                SlpError::Invalid(_)
                | SlpError::Unfit(_)
                | SlpError::Impossible(_)
                | SlpError::Refused { .. },
            ) => 1,
            Self::Peer(UserError::Unreachable { .. }) => 69,
            Self::Peer(_) => 1,
            Self::TopUp { source, .. } => return source.code(),
            Self::Usage(_) => 2,
            Self::Daemon { .. } | Self::Answer { .. } | Self::Slp(_) => 69,
            Self::File { .. } | Self::Output(_) => 74,
        })
    }

    /// Whether whoever reads our output wants no more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// With the name to repeat it under, if that is what can be done.
    pub(crate) fn with_reference(self, reference: &str) -> Self {
        match self.leaves_doubt() {
            true => Self::TopUp {
                reference: reference.to_owned(),
                source: Box::new(self),
            },
            false => self,
        }
    }

    /// Whether the daemon may have done what it was asked without our hearing so.
    fn leaves_doubt(&self) -> bool {
        matches!(
            self,
            Self::Answer { .. }
                | Self::Daemon {
                    error: ClientError::Broken { .. },
                    ..
                }
        )
    }
}

fn asked(daemon: &str, socket: &std::path::Path, error: &ClientError) -> String {
    match error {
        // These name the socket themselves.
        ClientError::Unreachable { .. } => {
            format!("{daemon}: {error} (--{daemon} names another socket)")
        }
        ClientError::Broken { .. } => format!("{daemon}: {error}"),
        ClientError::Refused { .. } => format!("{daemon} ({}): {error}", socket.display()),
    }
}
