//! Chromium without a screen, as a customer's, on a host: pages are opened, read, filled in and photographed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use super::internet::Internet;
use super::webdriver::{Refused, Remote};
use crate::net::Host;
use crate::process::{Process, Scratch};
use crate::wait::{poll, wait_for, wait_until};

/// How long a page may take: a browser on a busy machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(40);

const PORT: u16 = 9_515;
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What differs from browser to browser.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Whether pages may run scripts.
    pub scripts: bool,
    /// The window, CSS pixels.
    pub size: (u32, u32),
    /// What it says of the languages that its user reads.
    pub language: &'static str,
}

/// Without scripts, on a desk.
pub const PLAIN: Kind = Kind {
    scripts: false,
    size: (1_100, 900),
    language: "en",
};

/// On a telephone, and in German.
pub const PHONE: Kind = Kind {
    scripts: true,
    size: (360, 740),
    language: "de",
};

/// With scripts: an auditor's.
pub const FULL: Kind = Kind {
    scripts: true,
    ..PLAIN
};

/// A running browser. Dropping it ends it.
#[derive(Debug)]
pub struct Browser {
    remote: Remote,
    session: String,
    chromium: Option<i32>,
    downloads: PathBuf,
    name: String,
    pictures: u32,
    _driver: Process,
}

/// One element of a page.
#[derive(Clone, Debug)]
pub struct Element(String);

impl Browser {
    /// Starts one on `host`; `name` is that of its pictures, profile and log. One at a time on a host.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(
        internet: &Internet,
        host: &Host,
        scratch: &Scratch,
        name: &str,
        kind: Kind,
    ) -> Self {
        let at = |what: &str| scratch.path().join(format!("{name}.{what}"));
        let (profile, downloads) = (at("profile"), at("downloads"));
        fs::create_dir_all(&downloads).expect("a folder");
        let mut command = internet.command(host, "/usr/bin/chromedriver");
        command
            .arg(format!("--port={PORT}"))
            .env("HOME", scratch.path())
            .env("TMPDIR", scratch.path())
            .current_dir(scratch.path());
        let driver = Process::start("chromedriver", &mut command, &at("chromedriver.log"));
        let remote = Remote::new(host, PORT);
        wait_until("chromedriver to be ready", PATIENCE, || remote.is_ready());
        let (width, height) = kind.size;
        let scripts = if kind.scripts { 1 } else { 2 };
        let digest = STANDARD.encode(internet.authority_key_digest());
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {
                "binary": "/usr/bin/chromium",
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                    "--disable-background-networking", "--disable-component-update", "--disable-sync",
                    "--disable-default-apps", "--no-first-run", "--hide-scrollbars", "--mute-audio",
                    "--disable-features=Translate,OptimizationHints,MediaRouter",
                    format!("--ignore-certificate-errors-spki-list={digest}"),
                    format!("--user-data-dir={}", profile.display()),
                    format!("--window-size={width},{height}"),
                    format!("--accept-lang={}", kind.language),
                ],
                "prefs": {
                    "intl.accept_languages": kind.language,
                    "download.default_directory": downloads.display().to_string(),
                    "download.prompt_for_download": false,
                    "credentials_enable_service": false,
                    "profile.password_manager_leak_detection": false,
                    "profile.managed_default_content_settings.javascript": scripts,
                },
            },
        }}});
        let begun = remote
            .command("POST", "/session", Some(&wanted))
            .unwrap_or_else(|refused| {
                panic!("no browser: {}\n{}", refused.message, driver.log_tail())
            });
        let session = begun["sessionId"].as_str().expect("a session").to_owned();
        let chromium = begun["capabilities"]["goog:processID"]
            .as_i64()
            .and_then(|id| i32::try_from(id).ok());
        let browser = Self {
            remote,
            session,
            chromium,
            downloads,
            name: name.to_owned(),
            pictures: 0,
            _driver: driver,
        };
        browser.set_size(kind.size);
        browser
    }

    #[track_caller]
    fn attempt(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Refused> {
        let path = format!("/session/{}{path}", self.session);
        self.remote.command(method, &path, body)
    }

    #[track_caller]
    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.attempt(method, path, body).unwrap_or_else(|refused| {
            panic!("{method} {path}: {}: {}", refused.error, refused.message)
        })
    }

    /// A command of the browser's own protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.command("POST", "/goog/cdp/execute", Some(&body))
    }

    /// The size of what is seen, also below what windows can have: a telephone's.
    fn set_size(&self, (width, height): (u32, u32)) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// What the user prefers: `prefers-color-scheme` `dark`, `prefers-contrast` `more`.
    pub fn prefer(&self, preferences: &[(&str, &str)]) {
        let features: Vec<Value> = preferences
            .iter()
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// Opens a page.
    ///
    /// # Panics
    /// When it cannot be opened.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", Some(&json!({"url": url})));
    }

    /// Where it is.
    #[must_use]
    #[track_caller]
    pub fn url(&self) -> String {
        let url = self.command("GET", "/url", None);
        url.as_str().unwrap_or_default().to_owned()
    }

    /// The page's title.
    #[must_use]
    #[track_caller]
    pub fn title(&self) -> String {
        let title = self.command("GET", "/title", None);
        title.as_str().unwrap_or_default().to_owned()
    }

    /// What a reader sees.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> String {
        poll(PATIENCE, || self.text_of(&self.find("body")?)).unwrap_or_default()
    }

    /// What a reader sees of an element; nothing once its page is gone.
    #[must_use]
    #[track_caller]
    pub fn text_of(&self, element: &Element) -> Option<String> {
        let text = self.attempt("GET", &format!("/element/{}/text", element.0), None);
        Some(text.ok()?.as_str()?.to_owned())
    }

    /// The page as it is now.
    #[must_use]
    #[track_caller]
    pub fn source(&self) -> String {
        let source = self.command("GET", "/source", None);
        source.as_str().unwrap_or_default().to_owned()
    }

    /// The first element that a CSS selector matches.
    #[must_use]
    #[track_caller]
    pub fn find(&self, selector: &str) -> Option<Element> {
        self.find_all(selector).into_iter().next()
    }

    /// All that a CSS selector matches.
    #[must_use]
    #[track_caller]
    pub fn find_all(&self, selector: &str) -> Vec<Element> {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.attempt("POST", "/elements", Some(&wanted));
        let found = found.unwrap_or_default();
        let elements = found.as_array().into_iter().flatten();
        elements
            .filter_map(|element| Some(Element(element[ELEMENT].as_str()?.to_owned())))
            .collect()
    }

    /// The link, button or label whose text has this in it.
    #[must_use]
    #[track_caller]
    pub fn find_text(&self, selector: &str, text: &str) -> Option<Element> {
        self.find_all(selector)
            .into_iter()
            .find(|element| self.text_of(element).is_some_and(|it| it.contains(text)))
    }

    /// Waits until there is such an element.
    ///
    /// # Panics
    /// When there is none within [`PATIENCE`]; the message carries the page.
    #[track_caller]
    pub fn wait_for(&self, selector: &str) -> Element {
        poll(PATIENCE, || self.find(selector))
            .unwrap_or_else(|| panic!("no {selector} at {}:\n{}", self.url(), self.source()))
    }

    /// Waits until the page says this.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`]; the message carries the page.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        let said = poll(PATIENCE, || self.text().contains(text).then_some(()));
        assert!(
            said.is_some(),
            "{:?} is not said at {}:\n{}",
            text,
            self.url(),
            self.text()
        );
    }

    /// Waits until it is at a URL that has this in it.
    ///
    /// # Panics
    /// When it is not within [`PATIENCE`].
    #[track_caller]
    pub fn wait_for_url(&self, part: &str) {
        let there = poll(PATIENCE, || self.url().contains(part).then_some(()));
        assert!(
            there.is_some(),
            "at {}, not {part}:\n{}",
            self.url(),
            self.text()
        );
    }

    /// Clicks.
    ///
    /// # Panics
    /// When it cannot be clicked.
    #[track_caller]
    pub fn click(&self, element: &Element) {
        self.command(
            "POST",
            &format!("/element/{}/click", element.0),
            Some(&json!({})),
        );
    }

    /// Waits for the element of this selector with this text, and clicks.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn click_text(&self, selector: &str, text: &str) {
        let element = poll(PATIENCE, || self.find_text(selector, text));
        let element = element.unwrap_or_else(|| {
            panic!(
                "no {selector} {text:?} at {}:\n{}",
                self.url(),
                self.source()
            )
        });
        self.click(&element);
    }

    /// Types into the field that is sent under this name, in place of what was there.
    ///
    /// # Panics
    /// When there is no such field.
    #[track_caller]
    pub fn fill(&self, name: &str, text: &str) {
        let Element(id) = self.wait_for(&format!("[name={name:?}]"));
        self.command("POST", &format!("/element/{id}/clear"), Some(&json!({})));
        self.command(
            "POST",
            &format!("/element/{id}/value"),
            Some(&json!({"text": text})),
        );
    }

    /// Runs an asynchronous script and gives what it calls back with.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn run_script(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.command("POST", "/execute/async", Some(&body))
    }

    /// A picture of the page, among the artefacts.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn picture(&mut self, what: &str) -> PathBuf {
        self.pictures += 1;
        let folder = artefacts();
        fs::create_dir_all(&folder).expect("a folder for pictures");
        let path = folder.join(format!("{}-{:02}-{what}.png", self.name, self.pictures));
        // Wholly, not what fits the window.
        let wanted = json!({"format": "png", "captureBeyondViewport": true});
        let png = self.devtools("Page.captureScreenshot", &wanted);
        let png = STANDARD.decode(png["data"].as_str().unwrap_or_default());
        fs::write(&path, png.expect("base64")).expect("written");
        path
    }

    /// Waits for a file to be downloaded, and gives its octets.
    ///
    /// # Panics
    /// When it is not within [`PATIENCE`].
    #[track_caller]
    pub fn downloaded(&self, name: &str) -> Vec<u8> {
        let path = self.downloads.join(name);
        wait_for(&format!("{name} to be downloaded"), PATIENCE, || {
            // While it comes there is a placeholder, and the octets are beside it.
            let beside = fs::read_dir(&self.downloads).ok()?.flatten();
            let is_coming = beside.into_iter().any(|entry| {
                entry
                    .path()
                    .extension()
                    .is_some_and(|it| it == "crdownload")
            });
            let octets = fs::read(&path).ok()?;
            (!is_coming && !octets.is_empty()).then_some(octets)
        })
    }

    /// Gives it something that makes and keeps passkeys, and says yes for its user (WebAuthn level 2, 11.2).
    #[track_caller]
    pub fn add_authenticator(&self) -> String {
        let wanted = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserConsenting": true, "isUserVerified": true,
        });
        let id = self.command("POST", "/webauthn/authenticator", Some(&wanted));
        id.as_str().unwrap_or_default().to_owned()
    }

    /// How many passkeys it keeps.
    #[must_use]
    #[track_caller]
    pub fn passkeys(&self, authenticator: &str) -> usize {
        let path = format!("/webauthn/authenticator/{authenticator}/credentials");
        let all = self.command("GET", &path, None);
        all.as_array().map_or(0, Vec::len)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let path = format!("/session/{}", self.session);
        // Not in a panic of its own making.
        if !std::thread::panicking() {
            let _ = self.remote.command("DELETE", &path, None);
        }
        if let Some(id) = self.chromium {
            let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

/// Where pictures and reports are kept: `target/artefacts/web`.
#[must_use]
pub fn artefacts() -> PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/artefacts/web"
    ))
    .to_owned()
}
