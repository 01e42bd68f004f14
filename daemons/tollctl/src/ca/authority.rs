//! An authority's directory: its key, its certificate, the index of what it issued, its revocation list.
//!
//! The index is written before what it tells of: nothing is signed that does not stand in it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use super::certificate::{self, Algorithm, Entry, Reason, Signer, Usage, Validity};
use crate::failure::Failure;
use crate::files::{create, make_directory, of, read, replace};

const DAY: i64 = 24 * 60 * 60;
/// Certificates are good this much before they are made: clocks differ.
const EARLIER: i64 = 5 * 60;

const INDEX: &str = "index.json";
const ROOT_KEY: &str = "root.key";
/// What parties trust.
pub(super) const ROOT: &str = "root.pem";
/// What is revoked.
pub(super) const LIST: &str = "crl.pem";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    /// The common name of the root.
    authority: String,
    key: Algorithm,
    until_unix: i64,
    /// Of the newest list.
    list_number: u64,
    issued: Vec<Issued>,
}

/// A certificate that was issued.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Issued {
    /// In hexadecimal.
    pub(super) serial: String,
    /// The first is the party's.
    pub(super) names: Vec<String>,
    pub(super) usage: Usage,
    pub(super) key: Algorithm,
    pub(super) from_unix: i64,
    pub(super) until_unix: i64,
    /// Below the directory, without its ending.
    pub(super) file: String,
    pub(super) revoked: Option<Revoked>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoked {
    pub(super) at_unix: i64,
    pub(super) reason: Reason,
    /// Whether a list told of it after the certificate's end: the next need not (RFC 5280 3.3).
    listed_after_end: bool,
}

impl Issued {
    pub(super) fn name(&self) -> &str {
        self.names.first().map_or("", String::as_str)
    }

    pub(super) fn state(&self, now: i64) -> &'static str {
        match &self.revoked {
            Some(_) => "revoked",
            None if self.until_unix < now => "expired",
            None => "valid",
        }
    }

    fn is(&self, name: &str, usage: Usage) -> bool {
        self.usage == usage && self.name() == name
    }
}

/// What a certificate is asked with.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) usage: Usage,
    pub(super) names: Vec<String>,
    pub(super) key: Algorithm,
    pub(super) days: u32,
}

/// An authority, and nobody else at it.
#[derive(Debug)]
pub(super) struct Authority {
    directory: PathBuf,
    index: Index,
    _lock: Flock<File>,
}

impl Authority {
    /// Makes an authority in a directory that has none.
    pub(super) fn create(
        directory: &Path,
        name: &str,
        key: Algorithm,
        days: u32,
        now: i64,
    ) -> Result<Self, Failure> {
        make_directory(directory)?;
        let lock = lock(directory)?;
        for file in [INDEX, ROOT_KEY, ROOT] {
            let path = directory.join(file);
            if path.exists() {
                return Err(Failure::Wrong(format!(
                    "{}: an authority is there already; it is not touched",
                    path.display()
                )));
            }
        }
        let validity = validity(now, days);
        let (pair, secret) = key.generate().map_err(unable)?;
        let serial = certificate::serial().map_err(unable)?;
        let root =
            certificate::authority(name, &pair, &serial, validity).map_err(Failure::Wrong)?;
        create(&directory.join(ROOT_KEY), 0o600, &secret)?;
        create(&directory.join(ROOT), 0o644, &root)?;
        let authority = Self {
            directory: directory.to_owned(),
            index: Index {
                authority: name.to_owned(),
                key,
                until_unix: validity.until,
                list_number: 0,
                issued: Vec::new(),
            },
            _lock: lock,
        };
        authority.save()?;
        Ok(authority)
    }

    /// The authority in `directory`.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(INDEX);
        if !path.exists() {
            return Err(Failure::Wrong(format!(
                "{}: no authority is there: `tollctl ca init` makes one",
                directory.display()
            )));
        }
        let lock = lock(directory)?;
        let index = serde_json::from_str(&read(&path)?)
            .map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())))?;
        Ok(Self {
            directory: directory.to_owned(),
            index,
            _lock: lock,
        })
    }

    /// The file `name` of it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The root's name.
    pub(super) fn name(&self) -> &str {
        &self.index.authority
    }

    /// When the root ends, seconds since 1970.
    pub(super) fn until(&self) -> i64 {
        self.index.until_unix
    }

    /// Every certificate that it issued, the oldest first.
    pub(super) fn issued(&self) -> &[Issued] {
        &self.index.issued
    }

    /// A first certificate of a name, with a key.
    pub(super) fn issue(&mut self, wanted: &Wanted, now: i64) -> Result<Issued, Failure> {
        let name = wanted.names.first().map_or("", String::as_str);
        if self.newest(name, wanted.usage).is_some() {
            return Err(Failure::Wrong(format!(
                "{name}: it has a certificate: `tollctl ca renew` gives it another"
            )));
        }
        let serial = certificate::serial().map_err(unable)?;
        let file = self.file(name, wanted.usage, &serial);
        let (certificate_path, key_path) = (self.certificate(&file), self.key(&file));
        for path in [&certificate_path, &key_path] {
            if path.exists() {
                let what = "is there already, and not of this authority; it is not touched";
                return Err(Failure::Wrong(format!("{}: {what}", path.display())));
            }
        }
        let signer = self.signer()?;
        let (pair, secret) = wanted.key.generate().map_err(unable)?;
        let issued = Issued {
            serial,
            names: wanted.names.clone(),
            usage: wanted.usage,
            key: wanted.key,
            from_unix: now - EARLIER,
            until_unix: self.end(now, wanted.days)?,
            file,
            revoked: None,
        };
        let signed = sign(&signer, &issued, &pair)?;
        self.index.issued.push(issued.clone());
        self.save()?;
        if let Some(parent) = key_path.parent() {
            make_directory(parent)?;
        }
        create(&key_path, 0o600, &secret)?;
        create(&certificate_path, 0o644, &signed)?;
        Ok(issued)
    }

    /// Another certificate of a name, with the key that it has or another one, in the place of the old.
    pub(super) fn renew(
        &mut self,
        name: &str,
        usage: Usage,
        new_key: Option<Option<Algorithm>>,
        days: u32,
        now: i64,
    ) -> Result<Issued, Failure> {
        let Some(old) = self.newest(name, usage).cloned() else {
            return Err(Failure::Wrong(format!(
                "{name}: it has no certificate: `tollctl ca issue` gives it one"
            )));
        };
        let key_path = self.key(&old.file);
        let compromised =
            (old.revoked).is_some_and(|revoked| revoked.reason == Reason::KeyCompromise);
        let (key, pair, secret) = match new_key {
            Some(algorithm) => {
                let algorithm = algorithm.unwrap_or(old.key);
                let (pair, secret) = algorithm.generate().map_err(unable)?;
                (algorithm, pair, Some(secret))
            }
            None if compromised => {
                let what = "its key is known to others: renew it with --new-key";
                return Err(Failure::Wrong(format!("{name}: {what}")));
            }
            None => {
                let pair = rcgen::KeyPair::from_pem(&read(&key_path)?).map_err(|error| {
                    let path = key_path.display();
                    Failure::Wrong(format!("{path}: {error}; --new-key makes another"))
                })?;
                (old.key, pair, None)
            }
        };
        let signer = self.signer()?;
        let issued = Issued {
            serial: certificate::serial().map_err(unable)?,
            key,
            from_unix: now - EARLIER,
            until_unix: self.end(now, days)?,
            revoked: None,
            ..old
        };
        let signed = sign(&signer, &issued, &pair)?;
        self.index.issued.push(issued.clone());
        self.save()?;
        if let Some(secret) = secret {
            replace(&key_path, 0o600, &secret)?;
        }
        replace(&self.certificate(&issued.file), 0o644, &signed)?;
        Ok(issued)
    }

    /// Revokes the certificates that fit and are good yet; their serial numbers.
    pub(super) fn revoke(
        &mut self,
        fits: impl Fn(&Issued) -> bool,
        reason: Reason,
        now: i64,
    ) -> Result<Vec<String>, Failure> {
        let mut revoked = Vec::new();
        for issued in &mut self.index.issued {
            if issued.state(now) == "valid" && fits(issued) {
                issued.revoked = Some(Revoked {
                    at_unix: now,
                    reason,
                    listed_after_end: false,
                });
                revoked.push(issued.serial.clone());
            }
        }
        self.save()?;
        Ok(revoked)
    }

    /// Writes a new list of what is revoked, with the next number; its number, its entries and its end.
    pub(super) fn list(&mut self, days: u32, now: i64) -> Result<(u64, usize, i64), Failure> {
        let signer = self.signer()?;
        let validity = Validity {
            from: now,
            until: self.end(now, days)?,
        };
        self.index.list_number += 1;
        let mut entries = Vec::new();
        for issued in &mut self.index.issued {
            let Some(revoked) = &mut issued.revoked else {
                continue;
            };
            if revoked.listed_after_end {
                continue;
            }
            revoked.listed_after_end = issued.until_unix < now;
            entries.push(Entry {
                serial: &issued.serial,
                at: revoked.at_unix,
                reason: revoked.reason,
            });
        }
        let number = self.index.list_number;
        let list = signer.revocations(number, validity, &entries);
        let (list, entries) = (list.map_err(Failure::Wrong)?, entries.len());
        self.save()?;
        replace(&self.path(LIST), 0o644, &list)?;
        Ok((number, entries, validity.until))
    }

    pub(super) fn certificate(&self, file: &str) -> PathBuf {
        self.directory.join(format!("{file}.pem"))
    }

    pub(super) fn key(&self, file: &str) -> PathBuf {
        self.directory.join(format!("{file}.key"))
    }

    fn newest(&self, name: &str, usage: Usage) -> Option<&Issued> {
        let mut issued = self.index.issued.iter().rev();
        issued.find(|issued| issued.is(name, usage))
    }

    fn signer(&self) -> Result<Signer, Failure> {
        let path = self.path(ROOT_KEY);
        Signer::new(&self.index.authority, &read(&path)?)
            .map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())))
    }

    /// When what is made now ends: not after the root.
    fn end(&self, now: i64, days: u32) -> Result<i64, Failure> {
        if self.index.until_unix <= now {
            let name = &self.index.authority;
            return Err(Failure::Wrong(format!("{name}: the root is over")));
        }
        Ok((now + i64::from(days) * DAY).min(self.index.until_unix))
    }

    /// The name as a file, apart from every other name's.
    fn file(&self, name: &str, usage: Usage, serial: &str) -> String {
        let directory = match usage {
            Usage::Party => "parties",
            Usage::Server => "servers",
        };
        let plain = |character: char| match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => character,
            _ => '-',
        };
        let stem: String = name.chars().map(plain).take(100).collect();
        let stem = format!("{directory}/{}", stem.trim_start_matches('.'));
        match self.index.issued.iter().any(|issued| issued.file == stem) {
            true => format!("{stem}-{serial}"),
            false => stem,
        }
    }

    fn save(&self) -> Result<(), Failure> {
        let mut text = serde_json::to_string_pretty(&self.index).map_err(unable)?;
        text.push('\n');
        replace(&self.path(INDEX), 0o600, &text)
    }
}

fn sign(signer: &Signer, issued: &Issued, key: &rcgen::KeyPair) -> Result<String, Failure> {
    let validity = Validity {
        from: issued.from_unix,
        until: issued.until_unix,
    };
    signer
        .certificate(issued.usage, &issued.names, key, &issued.serial, validity)
        .map_err(Failure::Wrong)
}

fn validity(now: i64, days: u32) -> Validity {
    Validity {
        from: now - EARLIER,
        until: now + i64::from(days) * DAY,
    }
}

fn unable(error: impl std::fmt::Display) -> Failure {
    Failure::Wrong(error.to_string())
}

/// Waits until nobody else is at the directory.
fn lock(directory: &Path) -> Result<Flock<File>, Failure> {
    let path = directory.join(".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(of(&path))?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| of(&path)(error.into()))
}
