//! Password hashes, checked off the daemon's thread.
//!
//! A hash is text in the PHC form (`$argon2id$...`). Checking one is slow on purpose; what was right once in this run is
//! remembered under a key that nobody else has, so that an application with a hundred binds costs one check.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::event::LinkId;

/// Memory of one hash, KiB: SMPP passwords have at most eight characters (SMPP 3.4 section 5.2.2), so time is what
/// protects them, and a thousand binds after a restart must not take minutes.
const MEMORY: u32 = 8 * 1024;
/// Hashes that are remembered.
const REMEMBERED: usize = 4096;

/// The hash of a password, with a salt of its own.
pub fn hash(password: &str) -> Result<String, String> {
    let params = Params::new(MEMORY, 2, 1, None).map_err(|error| error.to_string())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Whether a text is a hash that can be checked.
pub fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2"))
}

fn verify(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

struct Question {
    link: LinkId,
    hash: Option<Arc<str>>,
    password: Box<str>,
}

/// The thread that checks.
pub struct Checker {
    questions: Sender<Question>,
}

impl Checker {
    /// Starts the thread; `answer` is called on it.
    pub fn start(answer: impl Fn(LinkId, bool) + Send + 'static) -> std::io::Result<Self> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(std::io::Error::other)?;
        // Who does not exist is checked against this: it takes as long.
        let nobody = hash("nobody").map_err(std::io::Error::other)?;
        let (questions, queue) = channel();
        std::thread::Builder::new()
            .name("passwords".into())
            .spawn(move || run(&queue, key, &nobody, &answer))?;
        Ok(Self { questions })
    }

    /// Has a password checked; without a hash it is wrong, and takes as long.
    pub fn check(&self, link: LinkId, hash: Option<Arc<str>>, password: Box<str>) {
        let _ = self.questions.send(Question {
            link,
            hash,
            password,
        });
    }
}

fn run(queue: &Receiver<Question>, key: [u8; 32], nobody: &str, answer: &dyn Fn(LinkId, bool)) {
    let mut right: HashMap<Arc<str>, [u8; 32]> = HashMap::new();
    while let Ok(question) = queue.recv() {
        let Some(hash) = question.hash else {
            verify(nobody, &question.password);
            answer(question.link, false);
            continue;
        };
        let tag = tag(&key, &question.password);
        let known = right
            .get(&hash)
            .is_some_and(|right| right.ct_eq(&tag).into());
        let ok = known || verify(&hash, &question.password);
        if ok && !known {
            if right.len() >= REMEMBERED {
                right.clear();
            }
            right.insert(hash, tag);
        }
        answer(question.link, ok);
    }
}

fn tag(key: &[u8; 32], password: &str) -> [u8; 32] {
    // Any length of key does for HMAC (RFC 2104 2).
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(password.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_is_right_each_time_and_no_other_is() {
        let (sender, answers) = channel();
        let checker = Checker::start(move |link, ok| {
            let _ = sender.send((link.0, ok));
        })
        .unwrap();
        let secret: Arc<str> = hash("secret").unwrap().into();
        assert!(is_hash(&secret) && !is_hash("secret"));
        assert_ne!(*secret, *hash("secret").unwrap());
        let cases = [
            (Some(secret.clone()), "secret", true),
            (Some(secret.clone()), "secret", true),
            (Some(secret.clone()), "Secret", false),
            (Some(secret), "", false),
            (None, "secret", false),
            (Some("not a hash".into()), "secret", false),
        ];
        for (number, (hash, password, ok)) in (1..).zip(cases) {
            checker.check(LinkId(number), hash, password.into());
            assert_eq!(answers.recv().unwrap(), (number, ok));
        }
    }
}
