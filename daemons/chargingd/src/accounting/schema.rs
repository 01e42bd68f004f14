//! The tables, in the words of SQLite.

/// Each brings the tables from one version to the next. Written once, never changed.
pub(super) const MIGRATIONS: &[&str] = &[RECORDS, SHARED];

/// `sub_session` is empty for none, so that it can be part of a name. 64-bit numbers are kept in their two's complement.
const RECORDS: &str = "
CREATE TABLE IF NOT EXISTS record (
    id               INTEGER PRIMARY KEY,
    element          TEXT NOT NULL,
    session_id       TEXT NOT NULL,
    record_type      INTEGER NOT NULL,
    number           INTEGER NOT NULL,
    sub_session      TEXT NOT NULL,
    variant          INTEGER NOT NULL,
    realm            TEXT NOT NULL,
    sequence_number  INTEGER,
    service_context  TEXT,
    user_name        TEXT,
    event_unix_ms    INTEGER,
    received_unix_ms INTEGER NOT NULL,
    reuses_number    INTEGER NOT NULL CHECK (reuses_number IN (0, 1)),
    digest           BLOB NOT NULL,
    message          BLOB NOT NULL,
    UNIQUE (session_id, element, record_type, number, sub_session, variant)
) STRICT;
CREATE INDEX IF NOT EXISTS record_received ON record (received_unix_ms);
CREATE INDEX IF NOT EXISTS record_sequence ON record (element, sequence_number);
CREATE INDEX IF NOT EXISTS record_reused ON record (id) WHERE reuses_number = 1;
CREATE TABLE IF NOT EXISTS session (
    element       TEXT NOT NULL,
    session_id    TEXT NOT NULL,
    started       INTEGER NOT NULL CHECK (started IN (0, 1)),
    stopped       INTEGER NOT NULL CHECK (stopped IN (0, 1)),
    records       INTEGER NOT NULL,
    first_number  INTEGER NOT NULL,
    last_number   INTEGER NOT NULL,
    first_unix_ms INTEGER NOT NULL,
    last_unix_ms  INTEGER NOT NULL,
    PRIMARY KEY (session_id, element)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS session_last ON session (last_unix_ms);
CREATE TABLE IF NOT EXISTS element (
    name         TEXT PRIMARY KEY,
    realm        TEXT NOT NULL,
    records      INTEGER NOT NULL,
    last_unix_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS range (
    element TEXT NOT NULL,
    first   INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    PRIMARY KEY (element, first)
) STRICT, WITHOUT ROWID;
";

/// Where several instances keep records, `changed` grows with each of their transactions, and tells the others which
/// elements to read again.
const SHARED: &str = "
ALTER TABLE element ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
CREATE INDEX element_changed ON element (changed);
";
