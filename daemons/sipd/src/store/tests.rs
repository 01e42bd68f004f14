use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;

/// A folder of its own, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sipd-store-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn open(&self) -> (Store, Remembered, Receiver<Vec<Done>>) {
        let (sender, receiver) = channel();
        let (store, remembered) =
            Store::open(&self.0.join("sipd.db"), move |done| drop(sender.send(done))).unwrap();
        (store, remembered, receiver)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wait(receiver: &Receiver<Vec<Done>>, count: usize) -> Vec<Done> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(receiver.recv_timeout(Duration::from_secs(20)).unwrap());
    }
    all
}

fn binding(contact: &str, expires_at_unix_ms: i64) -> Binding {
    Binding {
        contact: contact.into(),
        instance: None,
        q: 1000,
        expires_at_unix_ms,
        call_id: "a".into(),
        sequence: 7,
        path: vec!["<sip:edge.example.org;lr>".into()],
        received: "[2001:db8::1]:5060".parse().unwrap(),
        transport: "TCP".into(),
    }
}

fn alice() -> Subscriber {
    Subscriber {
        username: "alice".into(),
        secrets: Secrets::derive("alice", "example.org", "secret"),
        identity: "sip:alice@example.org".into(),
        enabled: true,
    }
}

#[test]
fn what_was_done_is_there_after_a_restart() {
    let folder = Folder::new("restart");
    let (store, remembered, done) = folder.open();
    assert!(remembered.subscribers.is_empty() && remembered.location.is_empty());
    let address: Box<str> = "sip:alice@example.org".into();
    let bindings = vec![
        binding("sip:a@192.0.2.1", 5000),
        binding("sip:a@192.0.2.2", 9000),
    ];
    store.submit(1, Change::PutSubscriber(alice())).unwrap();
    let change = Change::Bindings {
        address_of_record: address.clone(),
        bindings: bindings.clone(),
    };
    store.submit(2, change).unwrap();
    let outcome = wait(&done, 2);
    assert!(outcome.iter().all(|done| done.stored));
    drop(store);

    let (store, remembered, done) = folder.open();
    assert_eq!(remembered.subscribers.get("alice"), Some(&alice()));
    assert_eq!(remembered.location.all(&address), bindings);
    store.submit(3, Change::Expire(5000)).unwrap();
    store
        .submit(4, Change::RemoveSubscriber("alice".into()))
        .unwrap();
    wait(&done, 2);
    drop(store);

    let (_store, remembered, _done) = folder.open();
    assert!(remembered.subscribers.is_empty());
    assert_eq!(remembered.location.all(&address), &bindings[1..]);
}

#[test]
fn no_password_is_in_the_file() {
    let folder = Folder::new("secret");
    let (store, _, done) = folder.open();
    store.submit(1, Change::PutSubscriber(alice())).unwrap();
    wait(&done, 1);
    drop(store);
    let file = std::fs::read(folder.0.join("sipd.db")).unwrap();
    assert!(!file.windows(6).any(|window| window == b"secret"));
}

#[test]
fn many_changes_are_reported_each_once_under_their_tokens() {
    let folder = Folder::new("many");
    let (store, _, done) = folder.open();
    for token in 0..1000 {
        let change = Change::Bindings {
            address_of_record: format!("sip:{token}@example.org").into(),
            bindings: vec![binding("sip:a@192.0.2.1", 5000)],
        };
        store.submit(token, change).unwrap();
    }
    let mut tokens: Vec<u64> = wait(&done, 1000).iter().map(|done| done.token).collect();
    tokens.sort_unstable();
    assert!(tokens.into_iter().eq(0..1000));
    drop(store);
    let (_store, remembered, _done) = folder.open();
    assert_eq!(remembered.location.len(), 1000);
}

#[test]
fn an_unusable_file_is_named() {
    let error = Store::open(&PathBuf::from("/nonexistent/sipd.db"), |_| {})
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("/nonexistent/sipd.db"),
        "{error}"
    );
}
