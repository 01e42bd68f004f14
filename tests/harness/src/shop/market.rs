//! Shops, billing servers and their customers on one link.
//!
//! ```text
//!   directory agent | shop.example books.example | bank.example card.example phone.example late.example | customers
//!   --------------------------------------------------------------------------------------------------- one link
//!   router: chargingd, which the billing servers reach by its Unix socket
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tollwire_jose::SigningKey;

use super::customer::Customer;
use super::daemon::Daemon;
use crate::daemons::program;
use crate::net::Host;
use crate::process::{Scratch, run};
use crate::slp::agent::Agent;
use crate::slp::lan::Lan;
use crate::wait::{PATIENCE, poll, wait_until};
use crate::web::internet::Internet;
use crate::web::visitor::Visitor;

/// Hosts with names, behind the directory agent's.
pub const NAMES: [&str; 6] = [
    "shop.example",
    "books.example",
    "bank.example",
    "card.example",
    "phone.example",
    "late.example",
];

/// Short timers for those that find.
const FINDING: &str = "start_wait_ms = 20\nretry_ms = 200\nretry_max_ms = 1000\nmc_max_ms = 1000\nreg_passive_ms = 50\n\
    da_beat_seconds = 2\nhold_down_seconds = 1\n";

/// What differs from market to market.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Whether there is a directory agent.
    pub directory: bool,
    /// How often shops look again, seconds.
    pub watch_seconds: u32,
    /// Further tables of the shops' configuration.
    pub shops: String,
    /// Whether there are bounds for one source: a crowd comes from one address.
    pub limits: bool,
    /// How long registrations of billing servers are good.
    pub lifetime_seconds: u32,
    /// Hosts for customers.
    pub customers: u8,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            directory: true,
            watch_seconds: 1,
            shops: String::new(),
            limits: true,
            lifetime_seconds: 60,
            customers: 1,
        }
    }
}

/// A billing server on its host, with the service agent there.
#[derive(Debug)]
pub struct Bank {
    /// `billd`.
    pub daemon: Daemon,
    /// `slpd` of its host.
    pub agent: Agent,
    /// Its URL.
    pub url: String,
}

impl Bank {
    /// Thumbprint of the key that it signs with.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn thumbprint(&self) -> String {
        let server = self.daemon.get("/server");
        server["acknowledgement_key"]
            .as_str()
            .expect("a thumbprint")
            .to_owned()
    }

    /// Somebody who may pay there, from an account of chargingd.
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn add_customer(&self, login: &str, kind: &str, account: &str, secret: &str) {
        let new = json!({"login": login, "kind": kind, "account": account, "secret": secret});
        self.daemon.post("/customers", &new);
    }

    /// Payments, the newest first.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn payments(&self) -> Vec<Value> {
        let all = self.daemon.get("/payments?limit=100000");
        all.as_array().cloned().unwrap_or_default()
    }
}

/// The scene.
#[derive(Debug)]
pub struct Market {
    /// The link.
    pub lan: Lan,
    /// Files of all of them.
    pub scratch: Scratch,
    /// Names and certificates.
    pub internet: Internet,
    /// The directory agent.
    pub directory: Option<Agent>,
    /// `chargingd`.
    pub charging: Daemon,
    /// By their names.
    pub banks: BTreeMap<&'static str, Bank>,
    /// By their names.
    pub shops: BTreeMap<&'static str, Daemon>,
    setup: Setup,
}

impl Market {
    /// A link with a directory agent and `chargingd`; neither shops nor billing servers yet.
    ///
    /// # Panics
    /// When something does not start.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let others = u8::try_from(NAMES.len()).expect("few") + 1;
        let lan = Lan::new(others + setup.customers);
        let scratch = Scratch::new();
        let names: Vec<(&str, &Host)> = NAMES
            .iter()
            .enumerate()
            .map(|(at, name)| (*name, lan.host(at + 1)))
            .collect();
        let internet = Internet::new(&scratch, &names);
        let directory = setup
            .directory
            .then(|| Agent::start(lan.host(0), &scratch, "directory", ""));
        scratch.write("tariffs.toml", "");
        let tariffs = scratch.path().join("tariffs.toml");
        let config = format!(
            "[diameter]\norigin_host = \"chargingd.example\"\norigin_realm = \"example\"\nlisten = [\"unix:@ro@\"]\n\
             [store]\npath = \"@db@\"\n[records]\ndirectory = \"@records@\"\n[tariffs]\nfile = {tariffs:?}\n\
             [admin]\nsocket = \"@admin@\"\n[invoices]\naddress = \"Tollwire\\nTown\"\n"
        );
        let mut charging = Daemon::prepare(
            &internet,
            &lan.router,
            &scratch,
            "chargingd",
            "chargingd",
            &config,
        );
        charging.start();
        Self {
            lan,
            scratch,
            internet,
            directory,
            charging,
            banks: BTreeMap::new(),
            shops: BTreeMap::new(),
            setup,
        }
    }

    /// The three billing servers, and the shop that sells songs, films and books.
    ///
    /// # Panics
    /// When something does not start.
    #[must_use]
    pub fn open(setup: Setup) -> Self {
        let mut market = Self::new(setup);
        market.add_bank("bank.example", BANK);
        let key = market.key_of("shop.example");
        let card = format!(
            "{CARD}[[agreements]]\nname = \"The Shop\"\nkey = \"{key}\"\nfee_basis_points = 100\n"
        );
        market.add_bank("card.example", &card);
        let phone = format!(
            "{PHONE}[[phone_bill.networks]]\nnetwork = \"{}/32\"\naccount = \"bill\"\n",
            market.customer_host(0).ip
        );
        market.add_bank("phone.example", &phone);
        market.add_shop("shop.example", "The Shop");
        market.wait_for_methods(
            "shop.example",
            &[
                "Bank of Example",
                "Card of Example",
                "Phone bill of Example",
            ],
        );
        market
    }

    /// What holds for those that are added from here on.
    pub fn set_up(&mut self, setup: Setup) {
        self.setup = setup;
    }

    /// The host with this name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn host(&self, name: &str) -> &Host {
        let at = NAMES.iter().position(|known| *known == name);
        self.lan.host(at.expect("a host of this name") + 1)
    }

    /// A customer's.
    #[must_use]
    pub fn customer_host(&self, index: usize) -> &Host {
        self.lan.host(NAMES.len() + 1 + index)
    }

    /// Thumbprint of a shop's key, which is made if there is none.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn key_of(&self, shop: &str) -> String {
        self.signing_key(shop).public().thumbprint()
    }

    /// A shop's key.
    ///
    /// # Panics
    /// When it cannot be read or written.
    #[must_use]
    pub fn signing_key(&self, shop: &str) -> SigningKey {
        let path = self.scratch.path().join(format!("{shop}.signing"));
        if !path.exists() {
            let key = SigningKey::generate_ed25519().expect("a key");
            fs::write(&path, key.to_pem()).expect("written");
        }
        SigningKey::from_pem(&fs::read_to_string(&path).expect("a key")).expect("a key")
    }

    /// The key that a billing server signs with.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn bank_key(&self, bank: &str) -> SigningKey {
        let path = self.banks[bank].daemon.file("acknowledgement");
        SigningKey::from_pem(&fs::read_to_string(path).expect("a key")).expect("a key")
    }

    /// Starts a billing server, in the place of that of its name if there is one. `config` is its `[billing]` without the URL, and further tables.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn add_bank(&mut self, name: &'static str, config: &str) {
        let host = self.host(name).clone();
        let agent = match self.banks.remove(name) {
            Some(mut other) => {
                other.daemon.stop();
                other.agent
            }
            None => {
                let role = "[agent]\nrole = \"service-agent\"\n";
                Agent::start(&host, &self.scratch, &format!("{name}.slp"), role)
            }
        };
        let (certificate, key) = self.internet.certificate(name);
        let url = format!("https://{name}/pay");
        let mut text = format!(
            "[web]\nlisten = \"{}:443\"\ntls_certificate_file = {certificate:?}\ntls_key_file = {key:?}\n{}\
             [client]\ntrust_file = {:?}\nallow_private = true\n[store]\nfile = \"@db@\"\nform_key_file = \"@forms@\"\n\
             [diameter]\norigin_host = \"{name}\"\norigin_realm = \"example\"\ncharging = \"unix:{}\"\n\
             charging_realm = \"example\"\nfirst_wait_ms = 50\nlongest_wait_seconds = 1\n\
             [admin]\nsocket = \"@admin@\"\n[slp]\nlifetime_seconds = {}\n[slp.agent]\nregistration_socket = {:?}\n\
             [slp.agent.timers]\n{FINDING}",
            host.ip,
            self.bounds(),
            self.internet.trust_file(),
            self.charging.file("ro").display(),
            self.setup.lifetime_seconds,
            agent.registration_socket(),
        );
        if !config.contains("[acknowledgement]") {
            text.push_str("[acknowledgement]\nkey_file = \"@acknowledgement@\"\nfirst_wait_ms = 50\nlongest_wait_seconds = 1\n");
        }
        if !config.contains("[secrets]") {
            text.push_str("[secrets]\nmemory_kib = 64\npasses = 1\n");
        }
        let _ = write!(text, "[billing]\nurl = {url:?}\n{config}");
        let mut daemon =
            Daemon::prepare(&self.internet, &host, &self.scratch, "billd", name, &text);
        daemon.start();
        self.banks.insert(name, Bank { daemon, agent, url });
    }

    /// Starts a shop under the name `title`, with the goods of [`GOODS`].
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn add_shop(&mut self, name: &'static str, title: &str) {
        let root = self.goods_folder();
        fs::create_dir_all(&root).expect("a folder");
        fs::write(root.join("song.flac"), song()).expect("written");
        fs::write(root.join("film.mkv"), film()).expect("written");
        fs::write(root.join("book.epub"), b"a book of some octets").expect("written");
        let catalogue = self.scratch.write("goods.toml", GOODS);
        let (certificate, key) = self.internet.certificate(name);
        let _ = self.key_of(name);
        let host = self.host(name).clone();
        let mut text = format!(
            "[shop]\nname = {title:?}\nurl = \"https://{name}\"\n\
             [web]\nlisten = \"{}:443\"\ntls_certificate_file = {certificate:?}\ntls_key_file = {key:?}\n{}\
             [client]\ntrust_file = {:?}\nallow_private = true\n[goods]\ncatalogue = {catalogue:?}\nroot = {root:?}\n\
             [store]\npath = \"@db@\"\nkey = \"@signing@\"\nform_key = \"@forms@\"\n[admin]\nsocket = \"@admin@\"\n\
             [slp.timers]\n{FINDING}watch_seconds = {}\n{}",
            host.ip,
            self.bounds(),
            self.internet.trust_file(),
            self.setup.watch_seconds,
            self.setup.shops,
        );
        if !self.setup.limits {
            text.push_str("[orders]\nmax_unpaid_per_source = 100000\nmax_unpaid = 100000\n");
        }
        if !text.contains("[trust]") {
            text.push_str("[trust]\nagreements = [\"Card of Example\"]\n");
        }
        let mut daemon =
            Daemon::prepare(&self.internet, &host, &self.scratch, "shopd", name, &text);
        daemon.start();
        self.shops.insert(name, daemon);
    }

    /// Where files that are sold are.
    #[must_use]
    pub fn goods_folder(&self) -> PathBuf {
        self.scratch.path().join("goods")
    }

    fn bounds(&self) -> &'static str {
        match self.setup.limits {
            true => "requests_per_second = 1000\nburst = 1000\n",
            false => {
                "requests_per_second = 100000\nburst = 100000\nmax_connections = 5000\n\
                 max_connections_per_source = 5000\n"
            }
        }
    }

    /// Waits until a shop knows just these methods of payment, by their names in order.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn wait_for_methods(&self, shop: &str, names: &[&str]) {
        let mut last = Vec::new();
        let known = poll(PATIENCE * 3, || {
            last = self.methods(shop);
            (last == names).then_some(())
        });
        assert!(
            known.is_some(),
            "{shop} knows {last:?}, not {names:?}\n{}",
            self.shops[shop].log()
        );
    }

    /// The methods of payment that a shop knows, by their names in order.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn methods(&self, shop: &str) -> Vec<String> {
        let known = self.shops[shop].get("/methods");
        let mut names: Vec<String> = known
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|method| Some(method["name"].as_str()?.to_owned()))
            .collect();
        names.sort();
        names
    }

    /// A prepaid account at `chargingd`, with a balance.
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn make_account(&self, name: &str, currency: &str, balance_micro: i64) {
        let new = json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": currency, "credit_limit_micro": 0, "identities": [],
        }});
        self.charging.post("/operations", &new);
        if balance_micro > 0 {
            let top_up = json!({"top-up": {"account": name, "amount_micro": balance_micro, "reference": "first"}});
            self.charging.post("/operations", &top_up);
        }
    }

    /// A post-paid account there.
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn make_bill(&self, name: &str) {
        let new = json!({"create-account": {
            "name": name, "payment": "postpaid", "currency": "EUR", "credit_limit_micro": 100_000_000,
            "identities": [],
        }});
        self.charging.post("/operations", &new);
    }

    /// What an account holds, micro-units, and what of it is reserved.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn balance(&self, name: &str) -> i64 {
        let account = self.charging.get(&format!("/accounts/{name}"));
        assert_eq!(account["held_micro"], 0, "{account}");
        account["balance_micro"].as_i64().expect("an amount")
    }

    /// `tollctl` at `chargingd`.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn tollctl(&self, arguments: &[&str]) -> String {
        let mut command = self.lan.router.command(program("tollctl"));
        command.arg("--chargingd").arg(self.charging.admin());
        run(command.args(arguments))
    }

    /// Somebody who buys by hand, on the first customers' host.
    #[must_use]
    pub fn customer(&self) -> Customer {
        Customer::new(Visitor::new(&self.internet, &NAMES, self.customer_host(0)))
    }

    /// Orders of a shop, the newest first.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn orders(&self, shop: &str) -> Vec<Value> {
        let orders = self.shops[shop].get("/orders?limit=10000");
        orders.as_array().cloned().unwrap_or_default()
    }

    /// Waits until no payment of a billing server is under way any more.
    ///
    /// # Panics
    /// When one is still.
    #[track_caller]
    pub fn wait_for_settled(&self, bank: &str) {
        let is_open = |payment: &Value| {
            let state = payment["state"].as_str().unwrap_or_default();
            matches!(state, "charging" | "paid" | "refunding")
        };
        wait_until("payments to be settled", PATIENCE * 2, || {
            !self.banks[bank].payments().iter().any(is_open)
        });
    }
}

/// A song of a little more than a segment.
#[must_use]
pub fn song() -> Vec<u8> {
    (0..100_003_u32)
        .map(|at| (at * 7 + at / 251) as u8)
        .collect()
}

/// A film that does not fit the buffers between a shop and a customer who does not read.
#[must_use]
pub fn film() -> Vec<u8> {
    (0..24_000_007_u32)
        .map(|at| (at * 13 + at / 509) as u8)
        .collect()
}

/// What shops sell here.
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
description = { en = "Three minutes of music.", de = "Drei Minuten Musik." }

[[good]]
id = "film"
kind = "file"
path = "film.mkv"
price = "9.99"
currency = "EUR"
tax_basis_points = 1900
title = { en = "A film", de = "Ein Film" }

[[good]]
id = "book"
kind = "file"
path = "book.epub"
price = "3.00"
currency = "USD"
title = { en = "A book", de = "Ein Buch" }
"#;

/// `[billing]` of a bank: an account and a PIN, euros and dollars, whoever the shop is.
pub const BANK: &str = r#"
name = "Bank of Example"
operator_name = "Example Bank Inc."
fee_basis_points = 250
fee_fixed_micro = 100000
currencies = ["EUR", "USD"]
form_type = "fields"
fields = ["account", "pin"]
account_types = ["prepaid"]
"#;

/// `[billing]` of a card's issuer: a page of its own, and shops with an agreement alone.
pub const CARD: &str = r#"
name = "Card of Example"
agreement_required = true
fee_basis_points = 300
currencies = ["EUR"]
form_type = "page"
fields = ["account", "password"]
account_types = ["prepaid"]
"#;

/// `[billing]` of a telephone company.
pub const PHONE: &str = r#"
name = "Phone bill of Example"
fee_basis_points = 900
currencies = ["EUR"]
form_type = "page"
fields = ["phone-number", "pin"]
account_types = ["phone-bill"]
"#;
