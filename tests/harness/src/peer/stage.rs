//! Three hosts, and what stands around them.
//!
//! ```text
//!   user   10.77.1.2 ---\
//!   other  10.77.3.2 ----+-- manager 10.77.x.1: chargingd, pinholed -- provider 10.77.2.2: shopd, a web server, an echo
//!   storage 10.77.4.2 --/
//! ```
//!
//! The manager's host forwards what the others send each other, so that its `pinholed` is the gate.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use super::authority::{Authority, Identity};
use super::hand::{Credential, Datagrams, User};
use super::service::{Echo, Http};
use crate::daemons::program;
use crate::net::{Host, Net};
use crate::process::{Process, Scratch, run};
use crate::shop::daemon::Daemon;
use crate::wait::{PATIENCE, poll, wait_until};
use crate::web::internet::Internet;
use crate::web::visitor::Visitor;

/// Names of hosts.
pub const NAMES: [&str; 3] = ["manager.example", "provider.example", "storage.example"];
/// The manager's base URL.
pub const MANAGER: &str = "https://manager.example";
/// The provider's web server.
pub const PROVIDER: &str = "https://provider.example";
/// What managers and users tell him of sessions goes below this.
pub const PROVIDER_BASE: &str = "https://provider.example/peers";
/// The user.
pub const ALICE: &str = "urn:tollwire:alice";
/// Her account.
pub const ACCOUNT: &str = "alice";
/// What a request of `weather` costs, micro-units.
pub const REQUEST: i64 = 10_000;
/// What an octet of `archive` and `echo` costs.
pub const OCTET: i64 = 10;
/// What a second of `game` costs.
pub const SECOND: i64 = 1_000_000;
/// Where `echo` is for users.
pub const ECHO_PORT: u16 = 17_000;
/// Where gated datagrams come from.
pub const USER_PORT: u16 = 18_000;

/// Prices of the services' Rating-Groups.
const TARIFFS: &str = r#"
[[tariff]]
name = "weather"
rating_groups = [301]
currency = "EUR"
price_per_event_micro = 10000
provider = "provider.example"
commission_basis_points = 1000

[[tariff]]
name = "archive"
rating_groups = [302]
currency = "EUR"
price_per_kilobyte_micro = 10000

[[tariff]]
name = "game"
rating_groups = [303]
currency = "EUR"
price_per_minute_micro = 60000000
"#;

/// What differs from stage to stage.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What alice has at first, micro-units.
    pub balance_micro: i64,
    /// Policies of the services that are always there, lines of `[[peers.service]]`.
    pub policies: String,
    /// Further services: name, measures, policies.
    pub services: Vec<(&'static str, &'static str, String)>,
    /// Whether the key of alice, and that of the provider, are of Ed25519.
    pub ed25519: bool,
    /// Whether `echo` passes the manager's gate.
    pub gate: bool,
    /// Whether records go to another host's `chargingd`.
    pub storage: bool,
    /// Whether `shopd` is the provider: else somebody else has its name, address and certificate.
    pub shopd: bool,
    /// Whether `chargingd` is the manager.
    pub chargingd: bool,
    /// Further lines of `[peers]` of `chargingd`.
    pub manager: String,
    /// Further lines of `[peers]` of `shopd`.
    pub provider: String,
    /// Further tables of `chargingd`.
    pub charging: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            balance_micro: 100_000_000,
            policies: PACE.to_owned(),
            services: Vec::new(),
            ed25519: false,
            gate: false,
            storage: false,
            shopd: true,
            chargingd: true,
            manager: String::new(),
            provider: String::new(),
            charging: String::new(),
        }
    }
}

/// A message each second.
pub const PACE: &str = "max_seconds_between_messages = 1\n";

/// The scene. Fields are dropped in order: programs, network, files.
#[derive(Debug)]
pub struct Stage {
    /// `chargingd` of the manager.
    pub charging: Daemon,
    /// `shopd` of the provider.
    pub shop: Daemon,
    /// The gate.
    pub pinholed: Option<Daemon>,
    /// `chargingd` of the storage's host.
    pub storage: Option<Daemon>,
    /// What is sold by HTTP.
    pub http: Http,
    /// What is sold by datagrams.
    pub echo: Echo,
    /// Who vouches for the parties.
    pub authority: Authority,
    /// The manager's certificate.
    pub manager: Identity,
    /// The provider's.
    pub provider: Identity,
    /// The user's.
    pub alice: Identity,
    /// Names and TLS.
    pub internet: Internet,
    /// The hosts.
    pub net: Net,
    /// Files.
    pub scratch: Scratch,
    setup: Setup,
}

impl Stage {
    /// Everything running, and alice with money.
    ///
    /// # Panics
    /// When something does not start.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let mut stage = Self::prepare(setup);
        stage.start();
        stage
    }

    /// Nothing running yet.
    ///
    /// # Panics
    /// When something cannot be written.
    #[must_use]
    pub fn prepare(setup: Setup) -> Self {
        let net = Net::new(4);
        let scratch = Scratch::new();
        let named = [&net.router, net.host(1), net.host(3)];
        let names: Vec<(&str, &Host)> = NAMES.into_iter().zip(named).collect();
        let internet = Internet::new(&scratch, &names);
        let authority = Authority::new(&scratch, "authority");
        let party = |name: &str| match setup.ed25519 {
            true => authority.issue_ed25519(name),
            false => authority.issue(name),
        };
        let (alice, provider) = (party(ALICE), party("provider.example"));
        let manager = authority.issue("manager.example");
        let (http, echo) = (Http::start(net.host(1)), Echo::start(net.host(1)));
        let daemon = |host: &Host, program: &'static str, name: &str, config: &str| {
            Daemon::prepare(&internet, host, &scratch, program, name, config)
        };
        scratch.write("tariffs.toml", TARIFFS);
        let charging = daemon(&net.router, "chargingd", "chargingd", "");
        let shop = daemon(net.host(1), "shopd", "shopd", "");
        let pinholed = setup.gate.then(|| {
            let config = "[diameter]\norigin_host = \"pinholed.example\"\norigin_realm = \"example\"\n\
                 listen = [\"unix:@rx@\"]\n[admin]\nsocket = \"@admin@\"\n[sessions]\nsilence_seconds = 0\n";
            daemon(&net.router, "pinholed", "pinholed", config)
        });
        let storage = setup.storage.then(|| {
            let (certificate, key) = internet.certificate("storage.example");
            let config = format!(
                "[diameter]\norigin_host = \"storage.example\"\norigin_realm = \"example\"\n\
                 listen = [\"tls:{}:5658\"]\ntls_certificate = {certificate:?}\ntls_key = {key:?}\ntls_ca = {:?}\n\
                 [store]\npath = \"@db@\"\n[records]\ndirectory = \"@records@\"\n[tariffs]\nfile = {:?}\n\
                 [admin]\nsocket = \"@admin@\"\n[accounting_storage]\nenabled = true\npath = \"@accounting.db@\"\n",
                net.host(3).ip,
                internet.trust_file(),
                scratch.path().join("tariffs.toml"),
            );
            daemon(net.host(3), "chargingd", "storage", &config)
        });
        let stage = Self {
            charging,
            shop,
            pinholed,
            storage,
            http,
            echo,
            authority,
            manager,
            provider,
            alice,
            internet,
            net,
            scratch,
            setup,
        };
        stage.configure();
        stage
    }

    /// Writes the configurations of manager and provider (again).
    pub fn configure(&self) {
        self.charging.configure(&self.manager_config());
        self.shop.configure(&self.provider_config());
    }

    /// Changes what was set up, for the next start.
    pub fn set_up(&mut self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup);
        self.configure();
    }

    /// Starts all that is set up, and gives alice her money.
    ///
    /// # Panics
    /// When something does not start.
    #[track_caller]
    pub fn start(&mut self) {
        if let Some(storage) = &mut self.storage {
            storage.start();
        }
        if let Some(pinholed) = &mut self.pinholed {
            pinholed.start();
        }
        if self.setup.shopd {
            self.shop.start();
        }
        if self.setup.chargingd {
            self.charging.start();
            self.make_account(ALICE, self.setup.balance_micro);
        }
    }

    fn manager_config(&self) -> String {
        let (certificate, key) = self.internet.certificate("manager.example");
        let mut text = format!(
            "[diameter]\norigin_host = \"manager.example\"\norigin_realm = \"example\"\nlisten = [\"unix:@ro@\"]\n\
             [store]\npath = \"@db@\"\n[records]\ndirectory = \"@records@\"\n[tariffs]\nfile = {:?}\n\
             [admin]\nsocket = \"@admin@\"\n[grants]\nquantum_events = 10\n{}",
            self.scratch.path().join("tariffs.toml"),
            self.setup.charging,
        );
        if self.setup.storage {
            let (certificate, key) = self.internet.certificate("records.manager.example");
            let _ = write!(
                text,
                "[accounting]\nserver = \"tls:{}:5658\"\nrealm = \"example\"\nretry_first_ms = 20\nretry_most_ms = 500\n\
                 tls_certificate = {certificate:?}\ntls_key = {key:?}\ntls_ca = {:?}\n",
                self.net.host(3).ip,
                self.internet.trust_file(),
            );
        }
        let _ = write!(
            text,
            "[peers]\nenabled = true\ncertificate = {:?}\nkey = {:?}\nroots = {:?}\ncrls = [{:?}]\ndatabase = \"@peers.db@\"\n\
             user_requests_per_second = 1000\nuser_burst = 1000\nretry_first_ms = 50\nretry_most_ms = 500\n\
             gate_tolerance_octets = 0\n{}\
             [peers.web]\nlisten = \"0.0.0.0:443\"\ntls_certificate_file = {certificate:?}\ntls_key_file = {key:?}\n\
             requests_per_second = 10000\nburst = 10000\n\
             [peers.client]\ntrust_file = {:?}\nallow_private = true\n",
            self.manager.certificate,
            self.manager.key_file,
            self.authority.root(),
            self.authority.list(),
            self.setup.manager,
            self.internet.trust_file(),
        );
        for (name, measures, policies) in self.services() {
            let _ = write!(
                text,
                "[[peers.service]]\nname = {name:?}\ntitle = {name:?}\nprovider = \"provider.example\"\n\
                 certificate = {:?}\naddress = \"{PROVIDER}/{name}\"\ncredentials_url = \"{PROVIDER_BASE}\"\nmeasures = {{ {measures} }}\n\
                 price = \"see the tariffs\"\n{policies}",
                self.provider.certificate,
            );
        }
        let echo = format!("{}:{ECHO_PORT}", self.net.host(1).ip);
        let gate = match &self.pinholed {
            Some(pinholed) => format!(
                "gate = {{ pinholed = \"unix:{}\", address = {echo:?} }}\n",
                pinholed.file("rx").display()
            ),
            None => String::new(),
        };
        let _ = write!(
            text,
            "[[peers.service]]\nname = \"echo\"\ntitle = \"echo\"\nprovider = \"provider.example\"\n\
             certificate = {:?}\naddress = \"udp://{echo}\"\ncredentials_url = \"{PROVIDER_BASE}\"\nmeasures = {{ octets = 302 }}\n\
             price = \"see the tariffs\"\n{gate}{}",
            self.provider.certificate, self.setup.policies
        );
        text
    }

    fn services(&self) -> Vec<(&'static str, &'static str, String)> {
        let always = [
            ("weather", "requests = 301"),
            ("archive", "octets = 302"),
            ("game", "time = 303"),
            ("all", "requests = 301, octets = 302, time = 303"),
        ];
        let always = always.map(|(name, measures)| (name, measures, self.setup.policies.clone()));
        always
            .into_iter()
            .chain(self.setup.services.clone())
            .collect()
    }

    fn provider_config(&self) -> String {
        let (certificate, key) = self.internet.certificate("provider.example");
        let mut text = format!(
            "[shop]\nname = \"Provider\"\nurl = \"{PROVIDER}\"\n\
             [web]\nlisten = \"{}:443\"\ntls_certificate_file = {certificate:?}\ntls_key_file = {key:?}\n\
             requests_per_second = 10000\nburst = 10000\n\
             [client]\ntrust_file = {:?}\nallow_private = true\n\
             [store]\npath = \"@db@\"\nkey = \"@signing@\"\nform_key = \"@forms@\"\n[admin]\nsocket = \"@admin@\"\n\
             [methods]\ndiscover = false\n\
             [peers]\nenabled = true\ncertificate = {:?}\nkey = {:?}\nroots = {:?}\ncrls = [{:?}]\n\
             database = \"@peers.db@\"\nmax_retry_seconds = 1\n{}\
             [peers.client]\ntrust_file = {:?}\n[[peers.manager]]\nname = \"manager.example\"\nurl = \"{MANAGER}\"\n",
            self.net.host(1).ip,
            self.internet.trust_file(),
            self.provider.certificate,
            self.provider.key_file,
            self.authority.root(),
            self.authority.list(),
            self.setup.provider,
            self.internet.trust_file(),
        );
        for (name, _, _) in self.services() {
            let _ = write!(
                text,
                "[[peers.service]]\nname = {name:?}\npath = \"/{name}/\"\nupstream = \"http://{}/\"\n",
                self.http.address
            );
        }
        let _ = write!(
            text,
            "[[peers.udp]]\nname = \"echo\"\nlisten = \"{}:{ECHO_PORT}\"\nupstream = \"{}\"\n",
            self.net.host(1).ip,
            self.echo.address
        );
        text
    }

    /// The user's host.
    #[must_use]
    pub fn user_host(&self) -> &Host {
        self.net.host(0)
    }

    /// Another host.
    #[must_use]
    pub fn other_host(&self) -> &Host {
        self.net.host(2)
    }

    /// Somebody's requests from some host.
    #[must_use]
    pub fn at<'a>(&self, identity: &'a Identity, host: &Host) -> User<'a> {
        User::new(
            identity,
            Visitor::new(&self.internet, &NAMES, host),
            MANAGER,
        )
    }

    /// Alice, by hand, on her host.
    #[must_use]
    pub fn user(&self) -> User<'_> {
        self.at(&self.alice, self.user_host())
    }

    /// Alice's datagrams to `echo`.
    #[must_use]
    pub fn datagrams(&self) -> Datagrams {
        let to = SocketAddr::new(self.net.host(1).ip, ECHO_PORT);
        Datagrams::new(self.user_host(), USER_PORT, to)
    }

    /// A prepaid account for the party of this name, with a balance. It is called as the name ends.
    ///
    /// # Panics
    /// When it is refused.
    #[track_caller]
    pub fn make_account(&self, party: &str, balance_micro: i64) {
        let name = party.rsplit(':').next();
        let new = json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0, "identities": [party],
        }});
        self.charging.post("/operations", &new);
        if balance_micro > 0 {
            let top_up = json!({"top-up": {"account": name, "amount_micro": balance_micro, "reference": "first"}});
            self.charging.post("/operations", &top_up);
        }
    }

    /// What alice has, and what of it is reserved.
    ///
    /// # Panics
    /// When there is no such account.
    #[must_use]
    #[track_caller]
    pub fn account(&self) -> (i64, i64) {
        let account = self.charging.get(&format!("/accounts/{ACCOUNT}"));
        let number = |field: &str| account[field].as_i64().expect("an amount");
        (number("balance_micro"), number("held_micro"))
    }

    /// Waits until nothing is reserved any more: what alice has spent.
    ///
    /// # Panics
    /// When something stays reserved.
    #[track_caller]
    pub fn wait_for_spent(&self) -> i64 {
        let mut last = (0, 0);
        let settled = poll(PATIENCE, || {
            last = self.account();
            (last.1 == 0).then_some(())
        });
        assert!(
            settled.is_some(),
            "{last:?} is what alice has, and what is held\n{}",
            self.charging.log()
        );
        self.setup.balance_micro - last.0
    }

    /// A session as the manager's operator sees it.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn session(&self, credential: &Credential) -> Value {
        self.charging
            .get(&format!("/peers/sessions/{}", credential.session))
    }

    /// Waits until the manager says of a session what is wanted.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_session(
        &self,
        credential: &Credential,
        what: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Value {
        let mut last = Value::Null;
        let found = poll(PATIENCE, || {
            last = self.session(credential);
            is(&last).then_some(())
        });
        assert!(
            found.is_some(),
            "{what}: {last:#}\n{}\n{}",
            self.charging.log(),
            self.shop.log()
        );
        last
    }

    /// Charge records in the manager's files, in order.
    ///
    /// # Panics
    /// When there is something else in them.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let mut paths: Vec<_> = std::fs::read_dir(self.charging.file("records"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().contains(".jsonl"))
            .collect();
        paths.sort();
        let texts: Vec<String> = paths
            .iter()
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .collect();
        let lines = texts.iter().flat_map(|text| text.split_inclusive('\n'));
        // A line that is being written is none yet.
        let whole = lines.filter(|line| line.ends_with('\n'));
        whole
            .map(|line| serde_json::from_str(line).expect("a record"))
            .collect()
    }

    /// Waits until the ended session has its charge records, one for each measure, and no others: what they cost in all.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn wait_for_records_of(&self, credential: &Credential, measures: usize) -> i64 {
        let own = || {
            let mut records = self.records();
            records.retain(|record| record.to_string().contains(&credential.session));
            records
        };
        wait_until("the session's records", PATIENCE, || {
            own().len() >= measures
        });
        let records = own();
        assert_eq!(records.len(), measures, "{records:#?}");
        let amounts = records.iter().map(|record| record["amount_micro"].as_i64());
        amounts.map(|amount| amount.expect("an amount")).sum()
    }

    /// Records that the storage on the other host has, and how many it lacks.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn stored(&self) -> (u64, u64) {
        let storage = self.storage.as_ref().expect("a storage");
        let elements = storage.get("/accounting/elements");
        let sum = |field: &str| {
            let all = elements.as_array().into_iter().flatten();
            all.filter_map(|element| element[field].as_u64()).sum()
        };
        (sum("records"), sum("missing"))
    }

    /// Waits until there are so many charge records.
    ///
    /// # Panics
    /// When there are not.
    #[track_caller]
    pub fn wait_for_records(&self, count: usize) -> Vec<Value> {
        wait_until(&format!("{count} records"), PATIENCE, || {
            self.records().len() >= count
        });
        self.records()
    }

    /// `tollctl` on this host, to be given its arguments. It knows the names.
    #[must_use]
    pub fn tollctl(&self, host: &Host) -> Command {
        self.internet.command(host, program("tollctl"))
    }

    /// `tollctl peer` of alice on her host, to be given its arguments.
    #[must_use]
    pub fn tollctl_peer(&self) -> Command {
        let mut command = self.tollctl(self.user_host());
        command
            .args(["peer", "--manager", MANAGER, "--certificate"])
            .arg(&self.alice.certificate)
            .arg("--roots")
            .arg(self.authority.root())
            .arg("--crl")
            .arg(self.authority.list())
            .arg("--tls-roots")
            .arg(self.internet.trust_file());
        command
    }

    /// What `tollctl` prints at the manager.
    #[track_caller]
    pub fn operator(&self, arguments: &[&str]) -> String {
        let mut command = self.tollctl(&self.net.router);
        command.arg("--chargingd").arg(self.charging.admin());
        run(command.args(arguments))
    }

    /// A script of `tests/netns/peer`, on this host.
    #[must_use]
    pub fn python(&self, host: &Host, script: &str) -> Command {
        let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let python = tests.join("../target/python/bin/python");
        let mut command = self.internet.command(host, python);
        command.arg("-B").arg(tests.join("netns/peer").join(script));
        command
    }

    /// Starts one of them, and waits until it serves.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn serve(&self, name: &str, command: &mut Command) -> Process {
        let process = Process::start(
            name,
            command,
            &self.scratch.path().join(format!("{name}.log")),
        );
        wait_until(&format!("{name} to serve"), Duration::from_secs(20), || {
            process.log().contains("serves")
        });
        process
    }
}
