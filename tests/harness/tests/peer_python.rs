//! Parties that somebody wrote who has read nothing but docs/peer.md, by jwcrypto (PyPI), before the real ones: a user, a provider, a
//! manager. Between them they make and check every message.

use std::process::Command;

use tollwire_harness::peer::authority::{Authority, Identity};
use tollwire_harness::peer::stage::{MANAGER, PROVIDER_BASE, REQUEST, Setup, Stage};
use tollwire_harness::process::run;
use tollwire_harness::wait::PATIENCE;
use tollwire_jose::{SessionKey, verify_hs256};

/// FOLDER, NAME and TRUST of a script.
fn who(command: &mut Command, stage: &Stage, authority: &Authority, identity: &Identity) {
    let folder = authority.root();
    let folder = folder.parent().expect("a folder");
    let name = identity.certificate.strip_prefix(folder).expect("below it");
    command
        .arg(folder)
        .arg(name.with_extension(""))
        .arg(stage.internet.trust_file());
}

fn a_user(ed25519: bool, algorithm: &str) {
    let stage = Stage::new(Setup {
        ed25519,
        ..Setup::default()
    });
    let mut user = stage.python(stage.user_host(), "user.py");
    who(&mut user, &stage, &stage.authority, &stage.alice);
    user.args([MANAGER, "manager.example", "weather", "/today?unit=c"]);
    let said = run(&mut user);
    let expected = format!(
        "listed provider.example requests\naltered 403 signature\ncut off 403 signature\nanother type 403 signature\n\
         unknown member 400 malformed\nunknown service 404 unknown-service\ncredential {algorithm} 32\n\
         the same again True\nthe same request_id 409 replayed\nthe same nonce 409 replayed\n\
         served 200 this is /today?unit=c\nreplayed 409 replayed\nanother target 403\nanother method 403\n\
         another key 403 signature\nanother session 404 unknown-session\nno algorithm 403\nended 200\n\
         after the end 410 closed\n"
    );
    assert_eq!(said, expected);
    assert_eq!(stage.wait_for_spent(), REQUEST);
    assert_eq!(stage.http.arrived().len(), 1, "{:?}", stage.http.arrived());
}

#[test]
fn a_user_with_p256() {
    a_user(false, "ES256");
}

#[test]
fn a_user_with_ed25519() {
    a_user(true, "EdDSA");
}

#[test]
fn a_provider() {
    for (ed25519, algorithm) in [(false, "ES256"), (true, "EdDSA")] {
        let stage = Stage::new(Setup {
            ed25519,
            shopd: false,
            ..Setup::default()
        });
        let host = stage.net.host(1);
        let (certificate, key) = stage.internet.certificate("provider.example");
        let mut provider = stage.python(host, "provider.py");
        who(&mut provider, &stage, &stage.authority, &stage.provider);
        provider
            .args([MANAGER, "manager.example", &host.ip.to_string()])
            .args([certificate, key]);
        let mut provider = stage.serve("provider", &mut provider);
        let mut user = stage.user();
        let credential = user.credential("all");
        let page = user.get(&credential, "/thing").expect(200);
        assert_eq!(page.text(), "echo /all/thing");
        stage.wait_for_session(&credential, "an interim message", |it| it["sequence"] == 1);
        let _ = user.sessions(&credential, "DELETE").expect(200);
        provider.wait_success(PATIENCE);
        let expected = format!(
            "serves\nsession {algorithm} all octets,requests,time False\n\
             interim open ['octets', 'requests', 'time_ms'] False\nrepeated 200 True\n\
             another under its id 409 replayed\nits nonce again 409 replayed\nless than before 400 malformed\n\
             an unknown session 404 unknown-session\n\
             final user closed {{'time_ms': 0, 'octets': 15, 'requests': 1}}\nlate closed\n"
        );
        assert_eq!(provider.log(), expected);
        assert_eq!(stage.wait_for_spent(), REQUEST + 15 * 10);
        assert_eq!(
            stage.wait_for_records_of(&credential, 3),
            stage.wait_for_spent()
        );
    }
}

#[test]
fn a_manager() {
    for (ed25519, algorithm) in [(false, "ES256"), (true, "EdDSA")] {
        let stage = Stage::new(Setup {
            ed25519,
            chargingd: false,
            ..Setup::default()
        });
        let router = &stage.net.router;
        let (certificate, key) = stage.internet.certificate("manager.example");
        let mut manager = stage.python(router, "manager.py");
        who(&mut manager, &stage, &stage.authority, &stage.manager);
        manager.arg("0.0.0.0").args([certificate, key]).args([
            PROVIDER_BASE,
            "provider.example",
            "all",
            "https://provider.example/all",
        ]);
        let mut manager = stage.serve("manager", &mut manager);
        let mut user = stage.user();
        let credential = user.credential("all");
        assert_eq!(
            user.get(&credential, "/thing").expect(200).text(),
            "this is /thing"
        );
        manager.wait_success(PATIENCE);
        let expected = format!(
            "serves\nacknowledged twice by provider.example\nanother under its id 409 replayed\n\
             issued to urn:tollwire:alice {algorithm}\nrepeated the same True\nrevoked 204\n\
             final revoked 1 14\nin order True\ngrowing True\n"
        );
        assert_eq!(manager.log(), expected);
        let refused = user.get(&credential, "/thing");
        assert_eq!(refused.status, 410, "{}", refused.text());
    }
}

#[test]
fn the_example_of_a_service_request_is_one() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/peer.md");
    let text = std::fs::read_to_string(path).expect("docs/peer.md");
    let token = text
        .lines()
        .find(|line| line.starts_with("eyJhbGciOiJIUzI1NiIs"))
        .expect("a token");
    let octets: Vec<u8> = (0..32).collect();
    let key = SessionKey::from_octets(&octets).expect("a key");
    let claims: serde_json::Value =
        verify_hs256(token, &key, "service-request+jwt").expect("a good signature");
    let written = text.lines().find(|line| {
        serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value == claims)
    });
    assert!(written.is_some(), "{claims}");
}
