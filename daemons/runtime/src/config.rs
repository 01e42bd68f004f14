//! Configuration files: strict TOML, errors that name file, line and key.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use thiserror::Error;

/// A daemon's configuration. Its default is what the file in `conf/` says.
pub trait Configuration: DeserializeOwned + Default {
    /// Checks what the types cannot: ranges, and keys that must fit each other.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }
}

/// A value that does not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The key with its tables: `timers.watchdog`.
    pub key: String,
    /// What is wrong and what would do.
    pub what: String,
}

impl Invalid {
    /// `key` does not do because of `what`.
    pub fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            what: what.into(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file's content does not do: `FILE:LINE: KEY: WHAT`.
    #[error("{}:{line}: {}{what}", path.display(), KeyPrefix(key))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 if the key is not in the file.
        line: usize,
        /// The key with its tables, if it is known.
        key: String,
        /// What is wrong.
        what: String,
    },
}

struct KeyPrefix<'a>(&'a str);

impl fmt::Display for KeyPrefix<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            key => write!(formatter, "{key}: "),
        }
    }
}

/// Reads and checks the configuration at `path`.
pub fn load<C: Configuration>(path: &Path) -> Result<C, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text)
}

/// Reads and checks `text`, which stands in the file at `path`.
pub fn parse<C: Configuration>(path: &Path, text: &str) -> Result<C, ConfigError> {
    let configuration: C = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        let (line, key) = locate(text, offset);
        ConfigError::Wrong {
            path: path.to_owned(),
            line,
            key,
            what: error.message().to_owned(),
        }
    })?;
    configuration
        .validate()
        .map_err(|Invalid { key, what }| ConfigError::Wrong {
            path: path.to_owned(),
            line: line_of(text, &key),
            key,
            what,
        })?;
    Ok(configuration)
}

/// What is unsafe about the file's mode: others may change it, or read what may be secret.
pub fn mode_warning(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let problem = if mode & 0o022 != 0 {
        "can be changed by others than its owner"
    } else if mode & 0o004 != 0 {
        "can be read by everybody"
    } else {
        return None;
    };
    Some(format!("{}: {problem}; chmod 0640", path.display()))
}

/// The line of `offset`, and the key that stands there with its table.
fn locate(text: &str, offset: usize) -> (usize, String) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count();
    let mut table = "";
    let mut key = "";
    for (number, content) in text.lines().enumerate().take(line + 1) {
        if let Some(name) = table_name(content) {
            table = name;
            key = "";
        } else if let Some(name) = key_name(content) {
            // A value may span lines: its key is the last one seen.
            key = name;
        }
        if number == line {
            break;
        }
    }
    let key = match (table, key) {
        ("", key) => key.to_owned(),
        (table, "") => table.to_owned(),
        (table, key) => format!("{table}.{key}"),
    };
    (line + 1, key)
}

/// The line of the key `path` (`table.key`); that of its table, or 0, if it is not written.
fn line_of(text: &str, path: &str) -> usize {
    let mut table = "";
    let mut fallback = 0;
    for (number, content) in text.lines().enumerate() {
        if let Some(name) = table_name(content) {
            table = name;
            if path == name
                || path
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            {
                fallback = number + 1;
            }
        } else if let Some(key) = key_name(content) {
            let matches = match path.strip_prefix(table) {
                Some(rest) if !table.is_empty() => rest.strip_prefix('.') == Some(key),
                _ => table.is_empty() && path == key,
            };
            if matches {
                return number + 1;
            }
        }
    }
    fallback
}

fn table_name(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix('[')?;
    let inner = inner.strip_prefix('[').unwrap_or(inner);
    Some(inner.split(']').next()?.trim())
}

fn key_name(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim();
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (!key.is_empty() && key.bytes().all(bare)).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Sample {
        name: String,
        timers: Timers,
    }

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Timers {
        watchdog: u32,
    }

    impl Configuration for Sample {
        fn validate(&self) -> Result<(), Invalid> {
            if self.timers.watchdog == 1 {
                return Err(Invalid::new(
                    "timers.watchdog",
                    "at least 6 (RFC 3539 3.4.1)",
                ));
            }
            Ok(())
        }
    }

    fn message(text: &str) -> String {
        parse::<Sample>(Path::new("sample.toml"), text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_error_names_file_line_and_key() {
        let unknown = message("name = \"a\"\n\n[timers]\nwatchdig = 30\n");
        assert!(
            unknown.starts_with("sample.toml:4: timers.watchdig: unknown field"),
            "{unknown}"
        );
        let kind = message("# a comment\nname = 5\n");
        assert!(
            kind.starts_with("sample.toml:2: name: invalid type"),
            "{kind}"
        );
        let range = message("[timers]\n# too short\nwatchdog = 1\n");
        assert_eq!(
            range,
            "sample.toml:3: timers.watchdog: at least 6 (RFC 3539 3.4.1)"
        );
        let syntax = message("name = \n");
        assert!(syntax.starts_with("sample.toml:1: name: "), "{syntax}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load::<Sample>(Path::new("/nonexistent/sample.toml")).unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/sample.toml: "),
            "{error}"
        );
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(
            parse::<Sample>(Path::new("x"), "").unwrap(),
            Sample::default()
        );
    }
}
