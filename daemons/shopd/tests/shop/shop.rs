//! The daemon, and a customer's browser.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tollwire_web::client::{Answer, Client, Config};

use crate::bank::Bank;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of a test, removed at its end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("shopd-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("goods")).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What the shop sells in most tests: octets that are all different nearby.
pub fn song(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

pub const GOODS: &str = r#"
[[good]]
id = "song"
kind = "file"
path = "song.flac"
content_type = "audio/flac"
price = "2.50"
currency = "EUR"
tax_basis_points = 1900
title = { en = "A song", de = "Ein Lied" }
description = { en = "Four minutes & <more>." }
"#;

pub struct Shop {
    pub folder: Folder,
    pub url: String,
    pub client: Client,
    address: std::net::SocketAddr,
    child: Child,
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Shop {
    /// A shop that knows `banks` by its configuration, and has these goods. `more` is added to the configuration.
    pub async fn start(folder: Folder, banks: &[&Bank], goods: &str, more: &str) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = port.local_addr().unwrap();
        drop(port);
        let root = folder.0.display();
        let mut trust = Vec::new();
        let mut servers = String::new();
        for bank in banks {
            trust.extend(std::fs::read(&bank.certificate).unwrap());
            servers += &format!(
                "[[methods.server]]\nurl = \"{}\"\nattributes = \"{}\"\n",
                bank.service_url(),
                bank.attributes()
            );
        }
        let trust_file = folder.0.join("trust.pem");
        if !trust_file.exists() {
            std::fs::write(&trust_file, trust).unwrap();
        }
        let discover = if more.contains("[slp]") || more.contains("[methods]") {
            ""
        } else {
            "methods.discover = false\n"
        };
        let config = format!(
            "{discover}shop = {{ name = \"Die Amsel\", url = \"https://{address}\" }}\n\
             goods = {{ catalogue = \"{root}/goods.toml\", root = \"{root}/goods\" }}\n\
             store = {{ path = \"{root}/shop.db\", key = \"{root}/key.pem\", form_key = \"{root}/forms.key\" }}\n\
             admin.socket = \"{root}/admin\"\n\
             client = {{ allow_private = true, trust_file = \"{}\" }}\n\
             [web]\nlisten = \"{address}\"\nrequests_per_second = 1000\nburst = 1000\ndrain_seconds = 1\n{more}\n{servers}",
            trust_file.display()
        );
        std::fs::write(folder.0.join("goods.toml"), goods).unwrap();
        std::fs::write(folder.0.join("shopd.toml"), config).unwrap();
        let client = Config {
            allow_private: true,
            allow_http: true,
            timeout_seconds: 30,
            max_body_octets: 1 << 26,
            ..Config::default()
        };
        let mut client_config = client;
        client_config.trust_file = Some(trust_file)
            .filter(|file| std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0));
        let shop = Self {
            url: format!("http://{address}"),
            client: Client::new(&client_config).unwrap(),
            address,
            child: spawn(&folder.0),
            folder,
        };
        shop.wait().await;
        shop
    }

    /// With a song of so many octets and one bank.
    pub async fn with_song(length: usize, more: &str) -> (Self, Bank) {
        let folder = Folder::new();
        std::fs::write(folder.0.join("goods/song.flac"), song(length)).unwrap();
        let bank = Bank::start(&folder.0, "Bank of Example", false).await;
        let shop = Self::start(folder, &[&bank], GOODS, more).await;
        (shop, bank)
    }

    async fn wait(&self) {
        let end = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(self.address).is_err() {
            if Instant::now() >= end {
                let log = std::fs::read_to_string(self.folder.0.join("log"));
                panic!("the shop does not serve: {}", log.unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// `kill -9`, and another one on the same files.
    pub async fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.restart().await;
    }

    /// Another one on the same files; the first has ended.
    pub async fn restart(&mut self) {
        self.child = spawn(&self.folder.0);
        self.wait().await;
    }

    /// SIGTERM; how it ended.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }

    pub fn config(&self) -> PathBuf {
        self.folder.0.join("shopd.toml")
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.address
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers, String::new()).await
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).unwrap();
        self.client.send(request).await.unwrap()
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.post_with(path, fields, &[]).await
    }

    pub async fn post_with(
        &self,
        path: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers: Vec<_> = headers.iter().copied().chain([form]).collect();
        self.send("POST", path, &headers, body).await
    }

    /// Orders, and gives the path of the order.
    pub async fn order(&self, good: &str) -> String {
        let page = self.get(&format!("/goods/{good}")).await.text();
        let token = value(&page, "token");
        let answer = self
            .post(&format!("/goods/{good}/order"), &[("token", &token)])
            .await;
        location(&answer)
    }

    /// Chooses a billing server: the page with the invoice form.
    pub async fn choose(&self, order: &str, thumbprint: &str) -> String {
        let page = self.get(&format!("{order}/methods")).await.text();
        assert!(
            page.contains(&format!("data-server=\"{thumbprint}\"")),
            "{page}"
        );
        let token = value(&page, "token");
        let fields = [("token", token.as_str()), ("server", thumbprint)];
        let answer = self.post(&format!("{order}/method"), &fields).await;
        let page = self.get(&location(&answer)).await;
        assert_eq!(page.status, StatusCode::OK);
        page.text()
    }

    /// An order with an invoice for a bank: the path of the order, and the invoice.
    pub async fn invoice(&self, good: &str, bank: &Bank) -> (String, String) {
        let order = self.order(good).await;
        let page = self.choose(&order, &bank.thumbprint()).await;
        (order, value(&page, "invoice"))
    }

    /// An order that is paid: its path.
    pub async fn paid(&self, good: &str, bank: &Bank) -> String {
        let (order, invoice) = self.invoice(good, bank).await;
        let answer = self.acknowledge(&bank.acknowledge(&invoice)).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.text());
        order
    }

    pub async fn acknowledge(&self, token: &str) -> Answer {
        let url = format!("{}/acknowledgements", self.url);
        let token = token.to_owned();
        let answer = self.client.post(&url, "application/jose", token).await;
        answer.unwrap()
    }

    /// What an order's page says of it.
    pub async fn state(&self, order: &str) -> String {
        attribute(&self.get(order).await.text(), "data-state=")
    }

    /// Waits until an order's page says so.
    pub async fn wait_for(&self, order: &str, state: &str) {
        let end = Instant::now() + PATIENCE;
        while self.state(order).await != state {
            assert!(Instant::now() < end, "{order} is not {state}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the operator's interface says.
    pub async fn admin(&self, path: &str) -> serde_json::Value {
        let socket = self.folder.0.join("admin");
        let answer = tollwire_runtime::admin::client::get(&socket, path).await;
        answer.unwrap()
    }

    /// What of `/metrics` begins with `name`.
    pub async fn metric(&self, name: &str) -> Option<String> {
        let socket = self.folder.0.join("admin");
        let text = tollwire_runtime::admin::client::get_text(&socket, "/metrics");
        let text = text.await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name));
        line.map(str::to_owned)
    }
}

fn spawn(folder: &Path) -> Child {
    let log = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(folder.join("log"))
        .unwrap();
    Command::new(env!("CARGO_BIN_EXE_shopd"))
        .arg("--config")
        .arg(folder.join("shopd.toml"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

pub fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text());
    header(answer, "location")
}

pub fn header(answer: &Answer, name: &str) -> String {
    let value = answer.headers.get(name);
    let value = value.unwrap_or_else(|| panic!("no {name}: {answer:?}"));
    value.to_str().unwrap().to_owned()
}

/// The value of the input of this name.
pub fn value(page: &str, name: &str) -> String {
    let input = format!("name=\"{name}\" value=\"");
    let at = page
        .find(&input)
        .unwrap_or_else(|| panic!("no {name}: {page}"));
    let rest = &page[at + input.len()..];
    rest[..rest.find('"').unwrap()].to_owned()
}

/// The value of the first attribute that is written so: `data-state=`.
pub fn attribute(page: &str, name: &str) -> String {
    let at = page
        .find(name)
        .unwrap_or_else(|| panic!("no {name}: {page}"));
    let rest = &page[at + name.len() + 1..];
    rest[..rest.find('"').unwrap()].to_owned()
}
