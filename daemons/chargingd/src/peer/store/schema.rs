//! The tables.

/// By number, from 1; only ever appended to.
pub const MIGRATIONS: &[&str] = &["
CREATE TABLE sessions (
    id                 TEXT PRIMARY KEY,
    request_id         TEXT UNIQUE,
    digest             TEXT NOT NULL,
    nonce              TEXT NOT NULL,
    user               TEXT NOT NULL,
    user_chain         TEXT NOT NULL,
    service            TEXT NOT NULL,
    provider           TEXT NOT NULL,
    state              TEXT NOT NULL,
    open               INTEGER NOT NULL,
    began_ms           INTEGER NOT NULL,
    changed_ms         INTEGER NOT NULL,
    user_credential    TEXT,
    service_credential TEXT,
    body               TEXT NOT NULL,
    CHECK ((user_credential IS NULL) = (service_credential IS NULL))
) STRICT;
CREATE INDEX sessions_open ON sessions (began_ms) WHERE open = 1;
CREATE INDEX sessions_began ON sessions (began_ms);
CREATE INDEX sessions_over ON sessions (changed_ms) WHERE open = 0;
CREATE TABLE messages (
    session  TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id       TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    digest   TEXT NOT NULL,
    taken_ms INTEGER NOT NULL,
    body     TEXT NOT NULL,
    answer   TEXT,
    refusal  TEXT,
    PRIMARY KEY (session, id),
    UNIQUE (session, sequence),
    CHECK (answer IS NULL OR refusal IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_pending ON messages (session, sequence) WHERE answer IS NULL AND refusal IS NULL;
CREATE TABLE nonces (
    party    TEXT NOT NULL,
    nonce    TEXT NOT NULL,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (party, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX nonces_until ON nonces (until_ms);
"];
