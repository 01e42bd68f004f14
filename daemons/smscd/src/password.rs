//! Passwords, checked off the daemon's thread.
//!
//! Checking a hash is slow on purpose; what was right once in this run is remembered under a key that nobody else has,
//! so that an application with a hundred binds costs one check.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tollwire_runtime::password::verify;
pub use tollwire_runtime::password::{hash, is_hash};

use crate::event::LinkId;

/// Hashes that are remembered.
const REMEMBERED: usize = 4096;

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
