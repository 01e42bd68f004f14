//! Passkeys: a software authenticator (Web Authentication level 3, 6) makes them, pays, and lies.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tollwire_runtime::admin::client;
use tollwire_web::client::Answer;

use crate::world::{BALANCE, PRICE, SECRET, World};

/// User present, user verified.
const UP: u8 = 0x01;
const UV: u8 = 0x04;
/// Attested credential data.
const AT: u8 = 0x40;

/// A device with one passkey.
struct Device {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    handle: String,
}

/// What a device says, where it may lie.
#[derive(Clone)]
struct Says {
    origin: String,
    party: &'static str,
    flags: u8,
    counter: u32,
}

impl Says {
    fn truth(world: &World, counter: u32) -> Self {
        Self {
            origin: world.url.strip_suffix("/pay").unwrap().to_owned(),
            party: "localhost",
            flags: UP | UV,
            counter,
        }
    }

    fn client_data(&self, kind: &str, challenge: &str) -> String {
        // Serialized as the specification has it (5.8.1.1).
        format!(
            "{{\"type\":\"{kind}\",\"challenge\":\"{challenge}\",\"origin\":\"{}\",\"crossOrigin\":false}}",
            self.origin
        )
    }

    fn authenticator_data(&self, more: u8) -> Vec<u8> {
        let mut octets = Sha256::digest(self.party.as_bytes()).to_vec();
        octets.push(self.flags | more);
        octets.extend(self.counter.to_be_bytes());
        octets
    }
}

impl Device {
    fn new(id: u8) -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            key: EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap(),
            id: vec![id; 32],
            handle: String::new(),
        }
    }

    /// `RegistrationResponseJSON`
    fn make(&mut self, options: &Value, says: &Says) -> String {
        self.handle = options["user"]["id"].as_str().unwrap().to_owned();
        let mut data = says.authenticator_data(AT);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend(&self.id);
        // COSE_Key of EC2, ES256, P-256 (RFC 9053).
        let point = self.key.public_key().as_ref();
        data.extend([0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20]);
        data.extend(&point[1..33]);
        data.extend([0x22, 0x58, 0x20]);
        data.extend(&point[33..]);
        let mut attestation = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        attestation.push(u8::try_from(data.len()).unwrap());
        attestation.extend(&data);
        let challenge = options["challenge"].as_str().unwrap();
        json!({
            "id": BASE64.encode(&self.id), "rawId": BASE64.encode(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": BASE64.encode(says.client_data("webauthn.create", challenge)),
                "attestationObject": BASE64.encode(attestation), "transports": ["internal"],
            },
        })
        .to_string()
    }

    /// `AuthenticationResponseJSON`
    fn sign(&self, challenge: &str, says: &Says) -> String {
        let client_data = says.client_data("webauthn.get", challenge);
        let data = says.authenticator_data(0);
        let mut signed = data.clone();
        signed.extend(Sha256::digest(client_data.as_bytes()));
        let signature = self.key.sign(&SystemRandom::new(), &signed).unwrap();
        json!({
            "id": BASE64.encode(&self.id), "rawId": BASE64.encode(&self.id), "type": "public-key",
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
            "response": {
                "clientDataJSON": BASE64.encode(client_data), "authenticatorData": BASE64.encode(data),
                "signature": BASE64.encode(signature), "userHandle": self.handle,
            },
        })
        .to_string()
    }
}

/// What the page asks a device for.
async fn asked(world: &World) -> Value {
    let form = [("account", "ada"), ("password", SECRET)];
    let page = world.post("passkeys", &form).await;
    assert_eq!(page.status, 200, "{}", page.text());
    let text = page.text();
    let from = text.split("data-options=\"").nth(1).expect("options");
    let options = from.split('"').next().unwrap().replace("&quot;", "\"");
    serde_json::from_str(&options).expect("JSON")
}

async fn keep(world: &World, credential: &str) -> Answer {
    world
        .post("passkeys/new", &[("credential", credential)])
        .await
}

/// `ada` with a passkey.
async fn enrolled(world: &World) -> Device {
    let mut device = Device::new(1);
    let options = asked(world).await;
    let made = device.make(&options, &Says::truth(world, 0));
    let page = keep(world, &made).await;
    assert_eq!(page.status, 200, "{}\n{}", page.text(), world.log());
    assert!(page.text().contains("id=\"made\""));
    device
}

async fn challenge(world: &World, invoice: &str) -> String {
    let answer = world
        .post("passkeys/challenge", &[("invoice", invoice)])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let options: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(options["rpId"], "localhost");
    assert_eq!(options["userVerification"], "required");
    options["challenge"].as_str().expect("text").to_owned()
}

async fn pay(world: &World, invoice: &str, credential: &str) -> Answer {
    let form = [("invoice", invoice), ("credential", credential)];
    world.post("passkeys/pay", &form).await
}

/// What the log says of the last refusal.
fn refusal(world: &World) -> String {
    let log = world.log();
    let line = log
        .lines()
        .rfind(|line| line.contains("passkey is refused"));
    line.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_passkey_pays_as_the_password_does() {
    let mut world = World::start("").await;
    let device = enrolled(&world).await;
    let (invoice, reference) = world.shop.invoice(|_| ());
    let page = world.post("invoice", &[("invoice", &invoice)]).await.text();
    assert!(
        page.contains("id=\"pay-passkey\"") && page.contains("hidden data-challenge="),
        "{page}"
    );
    // The script has a route of its own; nothing stands in the page.
    let script = page.split("<script src=\"").nth(1).expect("a script");
    let script = script.split('"').next().unwrap();
    let origin = world.url.strip_suffix("/pay").unwrap();
    let script = world.get(&format!("{origin}{script}")).await;
    assert_eq!(
        script.headers["content-type"],
        "text/javascript; charset=utf-8"
    );
    assert!(!page.contains("onclick") && page.matches("<script").count() == 1);

    // Kept over a restart, which challenges are not.
    let lost = challenge(&world, &invoice).await;
    world.kill();
    world.restart().await;
    let answer = pay(
        &world,
        &invoice,
        &device.sign(&lost, &Says::truth(&world, 1)),
    )
    .await;
    assert_eq!(answer.status, 403);
    let given = challenge(&world, &invoice).await;
    let assertion = device.sign(&given, &Says::truth(&world, 1));
    let receipt = world.location(&pay(&world, &invoice, &assertion).await);
    // Paid already: the password leads to the same receipt.
    assert_eq!(world.location(&world.pay(&invoice).await), receipt);
    world.settled().await;
    assert!(world.shop.has_taken(&reference));
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);

    let socket = world.folder.join("billd.admin");
    let path = "/customers/ada/passkeys";
    let all: Vec<Value> = client::get(&socket, path).await.unwrap();
    assert_eq!(all.len(), 1);
    assert!(all[0]["used_unix_ms"].as_i64() >= all[0]["created_unix_ms"].as_i64());
    let removed: Value = client::delete(&socket, path).await.unwrap();
    assert_eq!(removed["removed"], 1);
    let (invoice, _) = world.shop.invoice(|_| ());
    let given = challenge(&world, &invoice).await;
    let assertion = device.sign(&given, &Says::truth(&world, 2));
    assert_eq!(pay(&world, &invoice, &assertion).await.status, 403);
    assert!(refusal(&world).contains("the passkey is unknown"));
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
}

#[tokio::test]
async fn what_a_passkey_did_not_sign_here_and_now_pays_nothing() {
    let world = World::start("").await;
    let device = enrolled(&world).await;
    let (invoice, _) = world.shop.invoice(|_| ());
    let (other, _) = world.shop.invoice(|_| ());
    let truth = Says::truth(&world, 5);
    let mut stranger = Device::new(2);
    stranger.handle.clone_from(&device.handle);
    let mut thief = Device::new(1);
    thief.handle.clone_from(&device.handle);
    let lies: [(&str, &Device, Says, &str); 6] = [
        (
            "other origin",
            &device,
            Says {
                origin: "https://evil.example".into(),
                ..truth.clone()
            },
            "origin",
        ),
        (
            "other party",
            &device,
            Says {
                party: "evil.example",
                ..truth.clone()
            },
            "RP ID",
        ),
        (
            "not verified",
            &device,
            Says {
                flags: UP,
                ..truth.clone()
            },
            "not verified",
        ),
        (
            "nobody there",
            &device,
            Says {
                flags: UV,
                ..truth.clone()
            },
            "not present",
        ),
        (
            "unknown credential",
            &stranger,
            truth.clone(),
            "the passkey is unknown",
        ),
        ("another key", &thief, truth.clone(), "signature"),
    ];
    for (what, device, says, why) in lies {
        let given = challenge(&world, &invoice).await;
        let assertion = device.sign(&given, &says);
        let answer = pay(&world, &invoice, &assertion).await;
        assert_eq!(answer.status, 403, "{what}");
        assert!(
            answer.text().contains("This passkey was not taken"),
            "{what}"
        );
        let said = refusal(&world);
        assert!(said.contains(why), "{what}: {said}");
        // Its challenge is used up, whatever is said now.
        let assertion = device.sign(&given, &truth);
        assert_eq!(
            pay(&world, &invoice, &assertion).await.status,
            403,
            "{what}"
        );
        assert!(
            refusal(&world).contains("the challenge is unknown, used"),
            "{what}"
        );
    }
    // The challenge of another invoice, one that nobody gave, and nonsense.
    let given = challenge(&world, &other).await;
    let made_up = BASE64.encode([7; 16]);
    for credential in [
        device.sign(&given, &truth),
        device.sign(&made_up, &truth),
        String::new(),
        "{}".into(),
    ] {
        assert_eq!(pay(&world, &invoice, &credential).await.status, 403);
    }
    assert_eq!(world.balance("ada").await, BALANCE);

    // Good once; the same assertion again pays neither this nor another one.
    let given = challenge(&world, &invoice).await;
    let assertion = device.sign(&given, &truth);
    world.location(&pay(&world, &invoice, &assertion).await);
    for invoice in [&invoice, &other] {
        assert_eq!(pay(&world, invoice, &assertion).await.status, 403);
    }
    // A counter that does not go on: a copy of the device.
    for counter in [5, 4, 0] {
        let given = challenge(&world, &other).await;
        let assertion = device.sign(
            &given,
            &Says {
                counter,
                ..truth.clone()
            },
        );
        assert_eq!(pay(&world, &other, &assertion).await.status, 403);
        let said = refusal(&world).to_lowercase();
        assert!(said.contains("counter"), "{said}");
    }
    world.settled().await;
    assert_eq!(world.balance("ada").await, BALANCE - PRICE);
    let large = "x".repeat(70_000);
    let form = [("invoice", invoice.as_str()), ("credential", &large)];
    let answer = world.try_post("passkeys/pay", &form, None).await;
    // Some servers' answers are lost when the client still writes.
    assert!(answer.is_err() || answer.unwrap().status == 413);
}

#[tokio::test]
async fn only_who_knows_the_secret_makes_passkeys_and_not_many() {
    let world = World::start("").await;
    let wrong = [("account", "ada"), ("password", "wrong")];
    assert_eq!(world.post("passkeys", &wrong).await.status, 403);
    let truth = Says::truth(&world, 0);
    for says in [
        Says {
            origin: "https://evil.example".into(),
            ..truth.clone()
        },
        Says {
            party: "evil.example",
            ..truth.clone()
        },
        Says {
            flags: UP,
            ..truth.clone()
        },
    ] {
        let options = asked(&world).await;
        let made = Device::new(9).make(&options, &says);
        assert_eq!(keep(&world, &made).await.status, 403);
        // Nor with the same challenge again.
        let made = Device::new(9).make(&options, &truth);
        assert_eq!(keep(&world, &made).await.status, 403);
    }
    // A challenge to pay makes no passkey.
    let (invoice, _) = world.shop.invoice(|_| ());
    let mut options = asked(&world).await;
    options["challenge"] = challenge(&world, &invoice).await.into();
    let made = Device::new(9).make(&options, &truth);
    assert_eq!(keep(&world, &made).await.status, 403);

    let mut handles = Vec::new();
    let mut options = asked(&world).await;
    let late = asked(&world).await;
    for number in 1..=5 {
        let mut device = Device::new(number);
        let made = device.make(&options, &truth);
        assert_eq!(keep(&world, &made).await.status, 200, "{}", world.log());
        handles.push(device.handle);
        if number < 5 {
            options = asked(&world).await;
            let known = options["excludeCredentials"].as_array().unwrap();
            assert_eq!(known.len(), usize::from(number));
        }
    }
    handles.dedup();
    assert_eq!(handles.len(), 1);
    let right = [("account", "ada"), ("password", SECRET)];
    assert_eq!(world.post("passkeys", &right).await.status, 409);
    let made = Device::new(6).make(&late, &truth);
    assert_eq!(keep(&world, &made).await.status, 403);
    assert!(refusal(&world).contains("5 passkeys already"));
}

#[tokio::test]
async fn a_server_without_passkeys_has_none() {
    let world = World::start("[billing]\npasskeys = false\n").await;
    let (invoice, _) = world.shop.invoice(|_| ());
    let page = world.post("invoice", &[("invoice", &invoice)]).await;
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(!policy.contains("script-src"), "{policy}");
    assert!(!page.text().contains("passkey"), "{}", page.text());
    for path in [
        "passkeys",
        "passkeys/new",
        "passkeys/challenge",
        "passkeys/pay",
    ] {
        let answer = world.post(path, &[("invoice", &invoice)]).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
