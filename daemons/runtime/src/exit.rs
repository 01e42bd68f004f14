//! Exit codes, from sysexits.h where it has one, so that a unit file can tell them apart.

use std::process::ExitCode;

/// How a daemon ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It was asked to stop, or `--check` found nothing wrong.
    Success,
    /// It failed while running (EX_SOFTWARE).
    Failure,
    /// A socket, file or privilege that it needs is not to be had (EX_UNAVAILABLE).
    Unavailable,
    /// The configuration is wrong; a restart will not help (EX_CONFIG).
    Configuration,
}

impl Exit {
    /// The number the process ends with.
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Unavailable => 69,
            Self::Failure => 70,
            Self::Configuration => 78,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
