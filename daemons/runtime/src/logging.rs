//! Logs: to journald with their fields where the journal reads our standard error, else as lines.

use std::os::unix::fs::MetadataExt;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `filter` is a level or an `EnvFilter` expression: `info`, `info,sipd::proxy=debug`.
///
/// # Errors
/// The filter's fault, as text for the operator.
pub fn start(filter: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("--log {filter}: {error}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let journal = if standard_error_is_the_journal() {
        tracing_journald::layer().ok()
    } else {
        None
    };
    let started = match journal {
        Some(journal) => registry.with(journal.with_field_prefix(None)).try_init(),
        None => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_writer(std::io::stderr)
                    .with_ansi(false),
            )
            .try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// systemd.exec(5): JOURNAL_STREAM is `device:inode` of the stream that goes to the journal.
fn standard_error_is_the_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return false;
    };
    let Ok(own) = std::fs::metadata("/proc/self/fd/2") else {
        return false;
    };
    stream == format!("{}:{}", own.dev(), own.ino())
}
