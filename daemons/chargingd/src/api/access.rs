//! Who may do what: tokens and certificates, and their roles.

use std::collections::HashMap;
use std::path::Path;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::config::Config;
use crate::account::is_name;
use crate::caller::{Caller, Right};

/// Lines of one file.
const MOST: usize = 10_000;
/// Names of one certificate that are looked at.
const MOST_NAMES: usize = 32;

/// Who may do what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    tokens: Vec<Token>,
    certificates: HashMap<String, Right>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    name: Box<str>,
    right: Right,
    hash: [u8; 32],
}

impl Access {
    /// Reads the files.
    ///
    /// # Errors
    /// File, line and what is wrong.
    pub(crate) fn read(config: &Config) -> Result<Self, String> {
        let mut access = Self::default();
        for (file, certificates) in [
            (&config.tokens_file, false),
            (&config.certificates_file, true),
        ] {
            let Some(file) = file else { continue };
            let text = secret_text(file)?;
            let added = match certificates {
                false => access.add_tokens(&text),
                true => access.add_certificates(&text),
            };
            added.map_err(|(line, what)| format!("{}:{line}: {what}", file.display()))?;
        }
        Ok(access)
    }

    fn add_tokens(&mut self, text: &str) -> Result<(), (usize, String)> {
        for (line, words) in lines(text) {
            let &[name, role, hash] = words.as_slice() else {
                return Err((line, "a line is \"name role sha256-of-token\"".into()));
            };
            if !is_name(name) {
                let what = "a name is 1 to 64 letters, digits, \"-\", \"_\" and \".\"";
                return Err((line, what.into()));
            }
            let mut octets = [0; 32];
            if hex::decode_to_slice(hash, &mut octets).is_err() {
                return Err((
                    line,
                    "SHA-256 has 64 hexadecimal digits: printf %s TOKEN | sha256sum".into(),
                ));
            }
            if self.tokens.len() == MOST {
                return Err((line, format!("{MOST} tokens at the most")));
            }
            if self
                .tokens
                .iter()
                .any(|token| token.hash == octets || &*token.name == name)
            {
                return Err((line, "this token, or its name, stands above already".into()));
            }
            self.tokens.push(Token {
                name: name.into(),
                right: right(role).map_err(|what| (line, what))?,
                hash: octets,
            });
        }
        Ok(())
    }

    fn add_certificates(&mut self, text: &str) -> Result<(), (usize, String)> {
        for (line, words) in lines(text) {
            let &[name, role] = words.as_slice() else {
                return Err((line, "a line is \"kind:name role\"".into()));
            };
            let kind = name.split_once(':').map_or("", |(kind, _)| kind);
            if !["cn", "dns", "email", "uri"].contains(&kind) {
                let what = "a certificate is named cn:NAME, dns:NAME, email:NAME or uri:NAME";
                return Err((line, what.into()));
            }
            if self.certificates.len() == MOST {
                return Err((line, format!("{MOST} certificates at the most")));
            }
            let right = right(role).map_err(|what| (line, what))?;
            if self.certificates.insert(name.into(), right).is_some() {
                return Err((line, "this name stands above already".into()));
            }
        }
        Ok(())
    }

    /// Whose token it is. Takes as long for a wrong one as for a right one.
    pub(crate) fn of_token(&self, token: &str) -> Option<Caller> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = u32::MAX;
        for (at, known) in (0u32..).zip(&self.tokens) {
            let same: Choice = known.hash.ct_eq(&hash);
            found.conditional_assign(&at, same);
        }
        let known = self.tokens.get(usize::try_from(found).ok()?)?;
        let who = format!("token {}", known.name);
        Some(Caller::new(who, known.right.clone()))
    }

    /// Whose certificate it is: the first of its names that has a role.
    pub(crate) fn of_certificate(&self, names: &[String]) -> Option<Caller> {
        names.iter().find_map(|name| {
            let right = self.certificates.get(name)?;
            let who = format!("certificate {name}");
            Some(Caller::new(who, right.clone()))
        })
    }
}

/// Lines with something in them, their numbers and words. `#` begins a comment.
fn lines(text: &str) -> impl Iterator<Item = (usize, Vec<&str>)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| {
        let words: Vec<&str> = line
            .split('#')
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        (!words.is_empty()).then_some((number, words))
    })
}

fn right(role: &str) -> Result<Right, String> {
    match (role, role.strip_prefix("customer:")) {
        ("read", _) => Ok(Right::Read),
        ("operate", _) => Ok(Right::Operate),
        (_, Some(account)) if is_name(account) => Ok(Right::Customer(account.into())),
        _ => Err("a role is read, operate or customer:ACCOUNT".into()),
    }
}

fn secret_text(file: &Path) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt;
    let named = |error: std::io::Error| format!("{}: {error}", file.display());
    let mode = std::fs::metadata(file).map_err(named)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!(
            "{}: everybody may use it: chmod 0640",
            file.display()
        ));
    }
    std::fs::read_to_string(file).map_err(named)
}

/// The names in a certificate, DER: subjectAltName before commonName (RFC 6125 6.4.4).
pub(crate) fn names(certificate: &[u8]) -> Vec<String> {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return Vec::new();
    };
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(format!("dns:{name}")),
                GeneralName::RFC822Name(name) => names.push(format!("email:{name}")),
                GeneralName::URI(name) => names.push(format!("uri:{name}")),
                _ => {}
            }
        }
    }
    let subject = certificate.subject().iter_common_name();
    let common = subject.filter_map(|name| name.as_str().ok());
    names.extend(common.map(|name| format!("cn:{name}")));
    names.truncate(MOST_NAMES);
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(token: &str) -> String {
        hex::encode(Sha256::digest(token))
    }

    #[test]
    fn a_token_has_the_role_of_its_line() {
        let mut access = Access::default();
        let text = format!(
            "# portal\nportal operate {}\n\nreports read {} # nightly\nalice customer:alice {}\n",
            hash("one"),
            hash("two"),
            hash("three")
        );
        access.add_tokens(&text).unwrap();
        for (token, who, right) in [
            ("one", "token portal", Right::Operate),
            ("two", "token reports", Right::Read),
            ("three", "token alice", Right::Customer("alice".into())),
        ] {
            let caller = access.of_token(token).unwrap();
            assert_eq!((caller.who(), caller.right()), (who, &right));
        }
        for wrong in ["", "ONE", "one ", &hash("one")] {
            assert_eq!(access.of_token(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        let good = hash("x");
        for (text, line, word) in [
            ("portal operate".to_owned(), 1, "a line is"),
            (format!("\nportal admin {good}"), 2, "a role is"),
            (format!("portal customer:a/b {good}"), 1, "a role is"),
            (format!("por/tal read {good}"), 1, "a name is"),
            (format!("portal read {}", &good[1..]), 1, "sha256sum"),
            (format!("a read {good}\nb operate {good}"), 2, "already"),
        ] {
            let (at, what) = Access::default().add_tokens(&text).unwrap_err();
            assert_eq!(at, line, "{text}");
            assert!(what.contains(word), "{what}");
        }
        for (text, word) in [
            ("dns:a", "a line is"),
            ("a.example read", "is named"),
            ("dns:a read\ndns:a operate", "already"),
        ] {
            let (_, what) = Access::default().add_certificates(text).unwrap_err();
            assert!(what.contains(word), "{what}");
        }
    }

    #[test]
    fn a_file_that_everybody_may_use_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let file = std::env::temp_dir().join(format!("api-tokens-{}", std::process::id()));
        std::fs::write(&file, format!("portal read {}\n", hash("one"))).unwrap();
        let config = Config {
            tokens_file: Some(file.clone()),
            ..Config::default()
        };
        for (mode, good) in [(0o640, true), (0o644, false), (0o642, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let access = Access::read(&config);
            assert_eq!(access.is_ok(), good, "{mode:o}: {access:?}");
        }
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_certificate_has_the_role_of_its_first_known_name() {
        let mut access = Access::default();
        access
            .add_certificates("dns:portal.example operate\ncn:portal read\n")
            .unwrap();
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            access
                .of_certificate(&names)
                .map(|caller| caller.who().to_owned())
        };
        assert_eq!(
            of(&["dns:other", "dns:portal.example", "cn:portal"]).as_deref(),
            Some("certificate dns:portal.example")
        );
        assert_eq!(of(&["cn:portal"]).as_deref(), Some("certificate cn:portal"));
        assert_eq!(of(&["dns:portal"]), None);
        assert_eq!(names(b"no certificate"), Vec::<String>::new());
    }
}
