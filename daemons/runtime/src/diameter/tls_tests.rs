use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A folder with what `pair` writes, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tollwire-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A certificate that signed itself, with its key, for a node of that name.
    fn pair(&self, name: &str) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()])
            .and_then(|params| params.self_signed(&key))
            .unwrap();
        let files = TlsFiles {
            certificate: self.0.join(format!("{name}.pem")),
            key: self.0.join(format!("{name}.key")),
            ca: self.0.join(format!("{name}.pem")),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_that_does_not_do_is_named_with_its_key_and_a_remedy() {
    let folder = Folder::new("tls-files");
    let good = folder.pair("a.example");
    let other = folder.pair("b.example");
    let text = folder.0.join("text.pem");
    std::fs::write(&text, "-----BEGIN CERTIFICATE-----\nnot base64!\n").unwrap();
    let der = folder.0.join("a.der");
    std::fs::write(&der, [0x30, 0x82, 1, 0]).unwrap();
    let absent = folder.0.join("absent.pem");
    good.load("A.Example").unwrap();
    let change = |change: &dyn Fn(&mut TlsFiles)| {
        let mut files = good.clone();
        change(&mut files);
        files
    };
    for (files, key, path, what) in [
        (
            change(&|it| it.certificate.clone_from(&absent)),
            "tls_certificate",
            &absent,
            "cannot be read",
        ),
        (
            change(&|it| it.certificate.clone_from(&der)),
            "tls_certificate",
            &der,
            "openssl x509",
        ),
        (
            change(&|it| it.certificate.clone_from(&text)),
            "tls_certificate",
            &text,
            "no certificate",
        ),
        (
            change(&|it| it.certificate.clone_from(&other.certificate)),
            "tls_certificate",
            &other.certificate,
            "Origin-Host",
        ),
        (
            change(&|it| it.key.clone_from(&absent)),
            "tls_key",
            &absent,
            "cannot be read",
        ),
        (
            change(&|it| it.key.clone_from(&good.certificate)),
            "tls_key",
            &good.certificate,
            "no private key",
        ),
        (
            change(&|it| it.key.clone_from(&other.key)),
            "tls_key",
            &other.key,
            "not the key of",
        ),
        (
            change(&|it| it.ca.clone_from(&absent)),
            "tls_ca",
            &absent,
            "cannot be read",
        ),
        (
            change(&|it| it.ca.clone_from(&good.key)),
            "tls_ca",
            &good.key,
            "no certificate",
        ),
    ] {
        let Err(error) = files.load("a.example") else {
            panic!("{files:?} do");
        };
        assert_eq!((error.key, &error.path), (key, path));
        assert!(error.what.contains(what), "{error}");
        let keys = [&files.certificate, &files.key, &files.ca].map(Some);
        let invalid =
            TlsFiles::validate("diameter", keys, "a.example", std::iter::empty()).unwrap_err();
        assert_eq!(invalid.key, format!("diameter.{key}"));
        assert!(
            invalid.what.contains(&*path.to_string_lossy()),
            "{invalid:?}"
        );
    }
}

#[test]
fn keys_come_together_or_not_at_all() {
    let file = PathBuf::from("/nowhere.pem");
    let (given, absent) = (Some(&file), None);
    let tls: Address = "tls:127.0.0.1:5658".parse().unwrap();
    let plain: Address = "127.0.0.1:3868".parse().unwrap();
    let missing = |keys, address| {
        TlsFiles::validate("diameter", keys, "a.example", std::iter::once(address))
            .err()
            .map(|invalid| invalid.key)
    };
    assert_eq!(missing([absent; 3], &plain), None);
    let key = |name: &str| Some(format!("diameter.{name}"));
    assert_eq!(missing([absent; 3], &tls), key("tls_certificate"));
    assert_eq!(missing([given, absent, absent], &plain), key("tls_key"));
    assert_eq!(missing([given, given, absent], &tls), key("tls_ca"));
}

#[test]
fn files_that_went_bad_change_nothing() {
    let folder = Folder::new("tls-again");
    let files = folder.pair("a.example");
    let tls = Tls::new(files.clone(), "a.example".into()).unwrap();
    let is_same = |one: &Loaded, two: &Loaded| {
        Arc::ptr_eq(one.acceptor.config(), two.acceptor.config())
            && Arc::ptr_eq(one.connector.config(), two.connector.config())
    };
    let before = tls.loaded();
    std::fs::write(&files.key, "").unwrap();
    tls.reload();
    assert!(is_same(&tls.loaded(), &before));
    folder.pair("a.example");
    tls.reload();
    assert!(!is_same(&tls.loaded(), &before));
}
