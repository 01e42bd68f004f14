//! The key that acknowledgements are signed with.

use std::path::Path;

use tollwire_jose::SigningKey;

/// Reads it, or makes it: Ed25519, PKCS #8 in PEM, mode 0640.
///
/// # Errors
/// The file, and what is wrong.
pub(super) fn load(path: &Path) -> Result<SigningKey, String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    if !path.exists() {
        let key = SigningKey::generate_ed25519().map_err(|error| named(&error))?;
        tollwire_web::tls::write_secret(path, key.to_pem().as_bytes())?;
        tracing::info!(file = %path.display(), "a key for acknowledgements was made");
    }
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    SigningKey::from_pem(&text).map_err(|error| named(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses_business() {
        use std::os::unix::fs::PermissionsExt;
        let folder = std::env::temp_dir().join(format!("billd-key-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key");
        let made = load(&path).unwrap();
        let again = load(&path).unwrap();
        assert_eq!(made.public().thumbprint(), again.public().thumbprint());
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        std::fs::write(&path, "nothing").unwrap();
        assert!(load(&path).unwrap_err().contains("key: "));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
