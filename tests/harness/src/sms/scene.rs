//! The scene of short messages: `smscd` and `chargingd` in the router, an application on host a, a
//! phone's side on host b, both smpplib; and, when a test wants it, a second `smscd` as gateway.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::PASSWORD;
use super::peer::Peer;
use crate::daemons::{Daemons, Instance};
use crate::net::Net;
use crate::process::{Scratch, run};
use crate::scene::{Account, DOMAIN, Record};
use crate::wait::{PATIENCE, poll, wait_for};

/// A number that the route to the phone covers.
pub const PHONE: &str = "491700001";
/// The application's own number.
pub const SOURCE: &str = "4900";

const PORT: u16 = 2775;
const GATEWAY_PORT: u16 = 2776;
const TLS_PORT: u16 = 3550;

/// What differs from test to test: sections of `smscd.toml`.
#[derive(Clone, Debug)]
pub struct Setup {
    /// `[[esme]]` tables; see [`esme`].
    pub esmes: String,
    /// `[[route]]` tables; see [`route`].
    pub routes: String,
    /// `[[upstream]]` tables; see [`upstream`]. `@FOLDER@` is where the certificate is.
    pub upstreams: String,
    /// Lines of `[limits]`.
    pub limits: String,
    /// Lines of `[timers]`.
    pub timers: String,
    /// Lines of `[retry]`; by default everything is tried again after a second.
    pub retry: String,
    /// Where the spool is, if not beside everything else.
    pub spool: Option<String>,
    /// More of `chargingd.toml`. `@FOLDER@` is where its files are.
    pub chargingd: String,
    /// Whether it listens with TLS besides.
    pub tls: bool,
    /// Whether there is a second `smscd`, which has the phone and writes the records.
    pub gateway: bool,
    /// The TCP port of loopback at which `chargingd` keeps accounting records, its own and those of `smscd`.
    pub accounting: Option<u16>,
    /// Where the test's own instances of `chargingd` listen; without any there is one in the scene.
    pub charging: Vec<SocketAddr>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            esmes: esme("application", "") + &esme("phone", ""),
            routes: route("phones", "4917", "receivers = [\"phone\"]", "")
                + &route("home", SOURCE, "receivers = [\"application\"]", ""),
            upstreams: String::new(),
            limits: String::new(),
            timers: String::new(),
            retry: String::new(),
            spool: None,
            chargingd: String::new(),
            tls: false,
            gateway: false,
            accounting: None,
            charging: Vec::new(),
        }
    }
}

impl Setup {
    /// Two centres: the first passes tariffs on and writes no records; the second has the phone,
    /// and writes them.
    #[must_use]
    pub fn with_gateway() -> Self {
        let gateway = SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), GATEWAY_PORT);
        Self {
            upstreams: upstream("gateway", gateway, ""),
            routes: route(
                "phones",
                "4917",
                "upstreams = [\"gateway\"]",
                "record = \"next-hop\"\n",
            ) + &route("home", SOURCE, "receivers = [\"application\"]", ""),
            gateway: true,
            ..Self::default()
        }
    }
}

/// An `[[esme]]` with the password of all, and `more` lines.
#[must_use]
pub fn esme(system_id: &str, more: &str) -> String {
    // Any account may pay, unless a test says who.
    let payers = if more.contains("allowed_payers") {
        ""
    } else {
        "allowed_payers = [\"receiver\", \"sender\", \"*\"]\n"
    };
    format!("[[esme]]\nsystem_id = \"{system_id}\"\npassword_hash = \"@HASH@\"\n{payers}{more}\n")
}

/// A `[[route]]` to `target` (`receivers = [...]` or `upstreams = [...]`), and `more` lines.
#[must_use]
pub fn route(name: &str, prefix: &str, target: &str, more: &str) -> String {
    format!("[[route]]\nname = \"{name}\"\ndestination_prefix = \"{prefix}\"\n{target}\n{more}\n")
}

/// An `[[upstream]]` that `smscd` binds to as `tollwire`, and `more` lines.
#[must_use]
pub fn upstream(name: &str, address: SocketAddr, more: &str) -> String {
    format!(
        "[[upstream]]\nname = \"{name}\"\naddress = \"{address}\"\nsystem_id = \"tollwire\"\n\
         password = \"{PASSWORD}\"\n{more}\n"
    )
}

/// The fields of a `submit_sm` from the application's number.
#[must_use]
pub fn message(destination: &str, text: &str) -> Value {
    json!({
        "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": SOURCE,
        "dest_addr_ton": 1, "dest_addr_npi": 1, "destination_addr": destination,
        "short_message": hex::encode(text),
    })
}

/// A field of a delivery receipt's text (SMPP 3.4 appendix B).
///
/// # Panics
/// When it is not there.
#[must_use]
#[track_caller]
pub fn receipt_field(text: &str, name: &str) -> String {
    let rest = text.split_once(&format!("{name}:")).map(|(_, rest)| rest);
    let value = rest.and_then(|rest| rest.split(' ').next());
    value
        .unwrap_or_else(|| panic!("no {name} in {text:?}"))
        .to_owned()
}

/// Everything on the stage. Fields are dropped in order: peers, daemons, network, files.
#[derive(Debug)]
pub struct SmsScene {
    /// smpplib on host a.
    pub application: Peer,
    /// smpplib on host b.
    pub phone: Peer,
    /// The daemons, in the router.
    pub daemons: Daemons,
    /// The namespaces.
    pub net: Net,
    /// Files and logs.
    pub scratch: Scratch,
    setup: Setup,
}

impl SmsScene {
    /// The tag of the tariff TLV, as `smscd` has it by default.
    pub const TARIFF_TAG: u16 = 0x1500;

    /// Everything running; nobody is bound yet.
    #[must_use]
    #[track_caller]
    pub fn new(setup: Setup) -> Self {
        let mut scene = Self::prepare(setup);
        scene.start();
        scene
    }

    /// The scene before the daemons start; see [`SmsScene::start`].
    #[must_use]
    #[track_caller]
    pub fn prepare(setup: Setup) -> Self {
        let net = Net::new(2);
        let scratch = Scratch::new();
        let mut order = Vec::new();
        if setup.charging.is_empty() {
            order.push(Instance::of("chargingd"));
        }
        if setup.gateway {
            order.push(Instance {
                name: "gateway",
                program: "smscd",
            });
        }
        order.push(Instance::of("smscd"));
        let daemons = Daemons::of(&scratch, order);
        Self {
            application: Peer::start(net.a(), &scratch, "application"),
            phone: Peer::start(net.b(), &scratch, "phone"),
            daemons,
            net,
            scratch,
            setup,
        }
    }

    /// Other upstreams and routes than the setup's, before the start.
    pub fn set_routes(&mut self, upstreams: &str, routes: &str) {
        self.setup.upstreams = upstreams.to_owned();
        self.setup.routes = routes.to_owned();
    }

    /// Writes the configurations and starts the daemons.
    ///
    /// # Panics
    /// When one does not start.
    #[track_caller]
    pub fn start(&mut self) {
        self.write_configurations();
        self.daemons.start(&self.net);
    }

    /// Where `smscd` listens.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        SocketAddr::new(self.net.router.ip, PORT)
    }

    /// Where it listens with TLS.
    #[must_use]
    pub fn tls_server(&self) -> SocketAddr {
        SocketAddr::new(self.net.router.ip, TLS_PORT)
    }

    /// Where the phone binds: the gateway if there is one.
    #[must_use]
    pub fn last_server(&self) -> SocketAddr {
        let port = if self.setup.gateway {
            GATEWAY_PORT
        } else {
            PORT
        };
        SocketAddr::new(self.net.router.ip, port)
    }

    /// The certificate that vouches for `smscd`.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.scratch.path().join("certificate.pem")
    }

    /// Messages that are not final, receipts included.
    #[must_use]
    #[track_caller]
    pub fn queued(&self) -> usize {
        self.depth("messages")
    }

    /// Waits until nothing is under way: no message, no record, no settlement.
    ///
    /// # Panics
    /// When that does not happen.
    #[track_caller]
    pub fn wait_until_idle(&self) {
        let is_idle = || {
            ["messages", "unstored", "records", "unsettled"]
                .iter()
                .all(|name| self.depth(name) == 0)
        };
        if poll(PATIENCE, || is_idle().then_some(())).is_none() {
            panic!("under way: {}", self.daemons.get("smscd", "/queue"));
        }
    }

    #[track_caller]
    fn depth(&self, name: &str) -> usize {
        let depth = self.daemons.get("smscd", "/queue");
        let number = depth[name].as_u64().expect("a number");
        usize::try_from(number).expect("a count")
    }

    /// Every record of `smscd`.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Record> {
        self.daemons.records_in("smscd-records")
    }

    /// Waits until `smscd` has written `count` records.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_records(&self, count: usize) -> Vec<Record> {
        self.wait_for_records_in("smscd-records", count)
    }

    /// Waits until the gateway has written `count` records.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    #[track_caller]
    pub fn wait_for_gateway_records(&self, count: usize) -> Vec<Record> {
        self.wait_for_records_in("gateway-records", count)
    }

    #[track_caller]
    fn wait_for_records_in(&self, folder: &str, count: usize) -> Vec<Record> {
        wait_for(&format!("{count} records"), PATIENCE, || {
            let records = self.daemons.records_in(folder);
            (records.len() >= count).then_some(records)
        })
    }

    /// The price that a record tells, if any: micro-units and currency.
    #[must_use]
    #[track_caller]
    pub fn price_of(record: &Record) -> Option<(i64, String)> {
        if record.0["amount_micro"].is_null() {
            return None;
        }
        Some((
            record.number("amount_micro"),
            record.text("currency").to_owned(),
        ))
    }

    /// Who pays, as a record tells: `receiver`, `sender`, or an account.
    #[must_use]
    #[track_caller]
    pub fn payer_of(record: &Record) -> String {
        match record.text("payer") {
            "third-party" => record.text("account").to_owned(),
            payer => payer.to_owned(),
        }
    }

    /// A prepaid account at `chargingd`, whose identity is the name itself.
    #[track_caller]
    pub fn make_account(&self, name: &str, balance_micro: i64) {
        self.daemons.operate(&json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
            "identities": [name],
        }}));
        if balance_micro > 0 {
            self.daemons.top_up(name, balance_micro);
        }
    }

    /// The account `name` now.
    #[must_use]
    #[track_caller]
    pub fn account(&self, name: &str) -> Account {
        self.daemons.account(name)
    }

    /// Replaces the tariff classes (number, micro-units of EUR), and waits until they are in force.
    #[track_caller]
    pub fn set_classes(&self, classes: &[(u16, i64)]) {
        self.scratch.write("classes.toml", &class_table(classes));
        self.daemons.ask("smscd", "POST", "/reload", None);
    }

    fn write_configurations(&self) {
        let at = |name: &str| self.scratch.path().join(name).display().to_string();
        let hash = tollwire_runtime::password::hash(PASSWORD).expect("a salt");
        fs::create_dir_all(self.scratch.path().join("accounting")).expect("a folder");
        let (also, storage) = match self.setup.accounting {
            Some(port) => (
                format!(", \"127.0.0.1:{port}\""),
                format!(
                    "{}[accounting_storage]\nenabled = true\npath = \"{}\"\n",
                    shipping(port),
                    at("accounting/accounting.db")
                ),
            ),
            None => (String::new(), String::new()),
        };
        let chargingd = format!(
            "[diameter]\norigin_host = \"chargingd.{DOMAIN}\"\norigin_realm = \"{DOMAIN}\"\n\
             listen = [\"unix:{}\"{also}]\n[store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n\
             [tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n{storage}",
            at("ro.sock"),
            at("chargingd.db"),
            at("records"),
            at("tariffs.toml"),
            at("chargingd.admin"),
        ) + &(self.setup.chargingd)
            .replace("@FOLDER@", &self.scratch.path().display().to_string());
        let write = |name: &str, text: &str| {
            let path = self.scratch.write(name, text);
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("its own file");
        };
        write("chargingd.toml", &chargingd);
        write("tariffs.toml", "");
        write("classes.toml", &class_table(&[]));
        let setup = &self.setup;
        let first = self.smscd("smscd", PORT, &setup.esmes, &setup.upstreams, &setup.routes);
        write("smscd.toml", &first.replace("@HASH@", &hash));
        if setup.gateway {
            let phones = route("phones", "4917", "receivers = [\"phone\"]", "");
            let esmes = esme("tollwire", "") + &esme("phone", "");
            let second = self.smscd("gateway", GATEWAY_PORT, &esmes, "", &phones);
            write("gateway.toml", &second.replace("@HASH@", &hash));
        }
        if setup.tls {
            run(Command::new("openssl").args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=smscd.tollwire.example",
                "-addext",
                "subjectAltName=DNS:smscd.tollwire.example",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
                "-keyout",
                &at("key.pem"),
                "-out",
                &at("certificate.pem"),
            ]));
        }
    }

    fn smscd(&self, name: &str, port: u16, esmes: &str, upstreams: &str, routes: &str) -> String {
        let at = |file: String| self.scratch.path().join(file).display().to_string();
        let setup = &self.setup;
        let upstreams = upstreams.replace("@FOLDER@", &self.scratch.path().display().to_string());
        let tls = if setup.tls {
            format!(
                "listen_tls = [\"0.0.0.0:{TLS_PORT}\"]\ncertificate = \"{}\"\nkey = \"{}\"\n",
                at("certificate.pem".into()),
                at("key.pem".into())
            )
        } else {
            String::new()
        };
        let retry = if setup.retry.is_empty() {
            RETRY
        } else {
            &setup.retry
        };
        let charging: Vec<String> = match setup.charging.is_empty() {
            true => vec![format!("unix:{}", at("ro.sock".into()))],
            false => setup.charging.iter().map(SocketAddr::to_string).collect(),
        };
        let spool = match &setup.spool {
            Some(folder) if name == "smscd" => folder.clone(),
            _ => at(format!("{name}-spool")),
        };
        format!(
            "[smpp]\nlisten = [\"0.0.0.0:{port}\"]\n{tls}{esmes}{upstreams}{routes}\
             [retry]\n{retry}[limits]\n{}[timers]\n{}[tariffs]\nclasses = \"{}\"\n\
             [spool]\ndirectory = \"{spool}\"\nsegment_octets = {SEGMENT}\n[records]\ndirectory = \"{}\"\n\
             [diameter]\norigin_host = \"{name}.{DOMAIN}\"\norigin_realm = \"{DOMAIN}\"\ncharging = {charging:?}\n\
             charging_realm = \"{DOMAIN}\"\n[admin]\nsocket = \"{}\"\n{}",
            setup.limits,
            setup.timers,
            at("classes.toml".into()),
            at(format!("{name}-records")),
            at(format!("{name}.admin")),
            setup.accounting.map(shipping).unwrap_or_default(),
        )
    }
}

/// Records are sent to the storage at `port`, and soon again if it does not take them.
fn shipping(port: u16) -> String {
    format!(
        "[accounting]\nserver = \"127.0.0.1:{port}\"\nrealm = \"{DOMAIN}\"\nwindow = 20\n\
         request_timeout_ms = 2000\nretry_first_ms = 20\nretry_most_ms = 500\n"
    )
}

/// Everything is tried again after a second.
const RETRY: &str = "absent = { pauses_ms = [1000], max_attempts = 0 }\nbusy = { pauses_ms = [1000], max_attempts = 0 }\n\
     temporary = { pauses_ms = [1000], max_attempts = 0 }\ncharging = { pauses_ms = [1000], max_attempts = 0 }\n";

/// Octets of a segment of the spool: small, so that tests see several.
const SEGMENT: u32 = 1 << 17;

fn class_table(classes: &[(u16, i64)]) -> String {
    classes
        .iter()
        .map(|(number, amount)| {
            format!("[[class]]\nnumber = {number}\namount_micro = {amount}\ncurrency = \"EUR\"\n")
        })
        .collect()
}
