//! Password hashes in the PHC form (`$argon2id$...`). Checking one is slow on purpose.

use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use argon2::{Algorithm, Argon2, Params, Version};

/// Memory of one hash, KiB.
///
/// Less than for people's passwords: SMPP's have at most eight characters (SMPP 3.4 section 5.2.2) and are chosen by
/// machines, and a thousand binds after a restart must not take minutes.
const MEMORY: u32 = 8 * 1024;

/// The hash of a password, with a salt of its own.
///
/// # Errors
/// Why the system gives no salt.
pub fn hash(password: &str) -> Result<String, String> {
    hash_with(password, MEMORY, 2)
}

/// The hash of a password, with so much memory (KiB) and so many passes over it.
///
/// # Errors
/// Values that Argon2 does not take, or why the system gives no salt.
pub fn hash_with(password: &str, memory_kib: u32, passes: u32) -> Result<String, String> {
    let params = Params::new(memory_kib, passes, 1, None).map_err(|error| error.to_string())?;
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Whether a text is a hash that can be checked.
pub fn is_hash(text: &str) -> bool {
    PasswordHash::new(text).is_ok_and(|hash| hash.algorithm.as_str().starts_with("argon2"))
}

/// Whether `password` is the one that `hash` was made of.
pub fn verify(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(password.as_bytes(), &hash)
            .is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_it_was_made_of_fits() {
        let one = hash("secret").unwrap();
        assert!(is_hash(&one) && !is_hash("secret"));
        assert_ne!(one, hash("secret").unwrap());
        for (password, fits) in [("secret", true), ("Secret", false), ("", false)] {
            assert_eq!(verify(&one, password), fits);
        }
        assert!(!verify("not a hash", "secret"));
    }
}
