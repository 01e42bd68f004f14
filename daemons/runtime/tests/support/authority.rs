//! An authority of a test's own, and the certificates it signs.
#![allow(dead_code, reason = "each test that borrows this file uses its part")]

use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tollwire_runtime::diameter::TlsFiles;

pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// `STEM.pem`, `STEM.key` and `STEM.ca` in `directory`, for a node of these names.
    pub fn issue(&self, directory: &Path, stem: &str, names: &[&str]) -> TlsFiles {
        self.issue_until(directory, stem, names, 2090)
    }

    /// What [`Self::issue`] makes, good until that year began.
    pub fn issue_until(&self, directory: &Path, stem: &str, names: &[&str], year: i32) -> TlsFiles {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        self.sign(directory, stem, &params)
    }

    /// What [`Self::issue`] makes, with the name in the subject's Common Name alone.
    pub fn issue_common_name(&self, directory: &Path, stem: &str, name: &str) -> TlsFiles {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_after = rcgen::date_time_ymd(2090, 1, 1);
        self.sign(directory, stem, &params)
    }

    fn sign(&self, directory: &Path, stem: &str, params: &CertificateParams) -> TlsFiles {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let file = |ending: &str| directory.join(format!("{stem}.{ending}"));
        let files = TlsFiles {
            certificate: file("pem"),
            key: file("key"),
            ca: file("ca"),
        };
        std::fs::write(&files.certificate, certificate.pem()).unwrap();
        std::fs::write(&files.key, key.serialize_pem()).unwrap();
        std::fs::write(&files.ca, self.0.pem()).unwrap();
        files
    }
}
