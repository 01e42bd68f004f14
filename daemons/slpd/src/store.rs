//! What outlives the process: the boot timestamp, and by configuration the registrations.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};

use crate::registry::{Change, Snapshot};

/// The file.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    registrations: bool,
}

/// What was kept.
#[derive(Debug, Default)]
pub struct Kept {
    /// The DA Stateless Boot Timestamp to say from now on, in seconds since 1970.
    pub boot_timestamp: u32,
    /// Registrations.
    pub snapshots: Vec<Snapshot>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS registration (
        url TEXT NOT NULL, language TEXT NOT NULL, snapshot BLOB NOT NULL,
        PRIMARY KEY (url, language)
    ) WITHOUT ROWID;";

impl Store {
    /// Opens the file, or makes it. Registrations are kept if `registrations` says so; otherwise those of an earlier time
    /// are forgotten.
    ///
    /// The boot timestamp is the last one if nothing was lost since, or else a greater one, whatever the calendar says:
    /// "DAs MUST NOT use equal or lesser Boot Timestamps to previous ones, if they go down and restart without service
    /// registration state" (RFC 2608 12.1).
    ///
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn open(
        path: &Path,
        registrations: bool,
        unix_seconds: u32,
    ) -> Result<(Self, Kept), String> {
        let named = |error: rusqlite::Error| format!("{}: {error}", path.display());
        let mut connection = Connection::open(path).map_err(named)?;
        let kept = prepare(&mut connection, registrations, unix_seconds).map_err(named)?;
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640));
        let store = Self {
            connection,
            registrations,
        };
        Ok((store, kept))
    }

    /// Keeps changes, in order; they are on disk when this returns.
    ///
    /// # Errors
    /// What is wrong with the file; then none of them is kept.
    pub fn keep(&mut self, changes: &[Change]) -> Result<(), String> {
        if !self.registrations || changes.is_empty() {
            return Ok(());
        }
        keep(&mut self.connection, changes).map_err(|error| error.to_string())
    }
}

fn prepare(
    connection: &mut Connection,
    registrations: bool,
    unix_seconds: u32,
) -> rusqlite::Result<Kept> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    let value = |key: &str| -> rusqlite::Result<Option<u32>> {
        let mut statement = transaction.prepare("SELECT value FROM meta WHERE key = ?1")?;
        statement.query_row([key], |row| row.get(0)).optional()
    };
    let last = value("boot_timestamp")?;
    let was_kept = value("registrations")? == Some(1);
    let boot_timestamp = match last {
        Some(last) if registrations && was_kept => last,
        Some(last) => unix_seconds.max(last.saturating_add(1)),
        None => unix_seconds.max(1),
    };
    let mut snapshots = Vec::new();
    if registrations {
        let mut statement = transaction.prepare("SELECT snapshot FROM registration")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let octets: Vec<u8> = row.get(0)?;
            match postcard::from_bytes(&octets) {
                Ok(snapshot) => snapshots.push(snapshot),
                Err(error) => tracing::error!(%error, "a registration on disk cannot be read"),
            }
        }
    } else {
        transaction.execute("DELETE FROM registration", [])?;
    }
    let set = "INSERT INTO meta (key, value) VALUES (?1, ?2)
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    transaction.execute(set, params!["boot_timestamp", boot_timestamp])?;
    transaction.execute(set, params!["registrations", registrations])?;
    transaction.commit()?;
    Ok(Kept {
        boot_timestamp,
        snapshots,
    })
}

fn keep(connection: &mut Connection, changes: &[Change]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    {
        let mut put = transaction.prepare_cached(
            "INSERT INTO registration (url, language, snapshot) VALUES (?1, ?2, ?3)
             ON CONFLICT (url, language) DO UPDATE SET snapshot = excluded.snapshot",
        )?;
        let mut remove = transaction
            .prepare_cached("DELETE FROM registration WHERE url = ?1 AND language = ?2")?;
        for change in changes {
            match change {
                Change::Put(snapshot) => {
                    // Writing to memory cannot fail.
                    let octets = postcard::to_stdvec(snapshot).unwrap_or_default();
                    put.execute(params![
                        snapshot.url,
                        snapshot.language.to_ascii_lowercase(),
                        octets
                    ])?;
                }
                Change::Remove { url, language } => {
                    remove.execute(params![url, language.to_ascii_lowercase()])?;
                }
            }
        }
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Source;

    fn snapshot(url: &str) -> Snapshot {
        Snapshot {
            url: url.into(),
            language: "en".into(),
            service_type: "service:a".into(),
            scopes: "DEFAULT".into(),
            attributes: "(a=1)".into(),
            expires_unix_ms: 1,
            source: Source::Local,
            url_blocks: Vec::new(),
            attribute_blocks: Vec::new(),
        }
    }

    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("slpd-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_is_kept_is_there_again_under_the_same_timestamp() {
        let folder = Folder::new("kept");
        let path = folder.0.join("slpd.db");
        let (mut store, kept) = Store::open(&path, true, 1_000).expect("opens");
        assert_eq!((kept.boot_timestamp, kept.snapshots.len()), (1_000, 0));
        let (a, b) = (snapshot("service:a://a"), snapshot("service:a://b"));
        store
            .keep(&[Change::Put(Box::new(a)), Change::Put(Box::new(b.clone()))])
            .expect("kept");
        let gone = Change::Remove {
            url: "service:a://a".into(),
            language: "EN".into(),
        };
        store.keep(&[gone]).expect("kept");
        drop(store);
        let (_, kept) = Store::open(&path, true, 2_000).expect("opens");
        assert_eq!(kept.boot_timestamp, 1_000);
        assert_eq!(kept.snapshots, [b]);
    }

    #[test]
    fn without_registrations_the_timestamp_grows_whatever_the_clock_says() {
        let folder = Folder::new("grows");
        let path = folder.0.join("slpd.db");
        let mut last = 0;
        for (registrations, clock) in [
            (false, 1_000),
            (false, 2_000),
            (false, 500),
            // What was not kept before is lost, and so is what is not kept from now on.
            (true, 600),
            (false, 600),
            (false, 0),
        ] {
            let (_, kept) = Store::open(&path, registrations, clock).expect("opens");
            assert!(
                kept.boot_timestamp > last,
                "{} after {last}",
                kept.boot_timestamp
            );
            last = kept.boot_timestamp;
        }
    }
}
