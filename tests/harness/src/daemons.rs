//! The daemons under test, in the router of a [`Net`].
//!
//! They run without any capability, except `pinholed`, which has `CAP_NET_ADMIN` and no other.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::launch::{exchange, exchange_json, launch};
use crate::net::{Host, Net};
use crate::process::{Process, Scratch};
use crate::scene::{Account, DOMAIN, Record, Setup, sip_address};
use crate::wait::PATIENCE;

/// The daemons of a call gate, in the order they start.
const CALL_GATE: [Instance; 3] = [
    Instance::of("chargingd"),
    Instance::of("pinholed"),
    Instance::of("sipd"),
];

/// A program under a name of its own: there may be two of a kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Instance {
    /// Names its configuration, log and admin socket.
    pub(crate) name: &'static str,
    /// Which program it is.
    pub(crate) program: &'static str,
}

impl Instance {
    /// The only one of its kind.
    pub(crate) const fn of(program: &'static str) -> Self {
        Self {
            name: program,
            program,
        }
    }
}

/// The nf_tables table of `pinholed`.
const TABLE: &str = "tollwire";

/// Where the programs are: beside the test's own, or in `TOLLWIRE_PROGRAMS`.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("TOLLWIRE_PROGRAMS").map_or_else(
        || {
            let own = std::env::current_exe().expect("this program has a path");
            let folder = own.parent().expect("and a folder");
            // Test programs are in deps, one below.
            match folder.ends_with("deps") {
                true => folder.parent().expect("target's folder").to_owned(),
                false => folder.to_owned(),
            }
        },
        PathBuf::from,
    );
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is not built: cargo build --workspace --bins",
        path.display()
    );
    path
}

#[derive(Debug)]
struct Running {
    process: Process,
    /// It says there how it is, as long as it runs.
    _notify: UnixDatagram,
}

/// The three daemons and what they were told.
#[derive(Debug)]
pub struct Daemons {
    folder: PathBuf,
    sip: SocketAddr,
    order: Vec<Instance>,
    running: BTreeMap<&'static str, Running>,
}

impl Daemons {
    /// Other daemons than those of a call gate, in the order they start. Their configurations are
    /// to be written to `<name>.toml`.
    pub(crate) fn of(scratch: &Scratch, order: Vec<Instance>) -> Self {
        Self {
            folder: scratch.path().to_owned(),
            sip: SocketAddr::new(std::net::Ipv4Addr::UNSPECIFIED.into(), 0),
            order,
            running: BTreeMap::new(),
        }
    }

    /// Writes their configuration.
    pub(crate) fn prepare(net: &Net, scratch: &Scratch, setup: &Setup) -> Self {
        let folder = scratch.path();
        let at = |name: &str| folder.join(name).display().to_string();
        let sip = sip_address(net, setup.ipv6);
        let links = setup.diameter_tcp.map_or_else(
            || {
                (
                    format!("unix:{}", at("ro.sock")),
                    format!("unix:{}", at("rx.sock")),
                )
            },
            |(ro, rx)| (format!("127.0.0.1:{ro}"), format!("127.0.0.1:{rx}")),
        );
        let (ro, rx) = links;
        let identity = |name: &str| {
            format!("origin_host = \"{name}.{DOMAIN}\"\norigin_realm = \"{DOMAIN}\"\n")
        };
        let chargingd = format!(
            "[diameter]\n{}listen = [\"{ro}\"]\n[store]\npath = \"{}\"\n[records]\ndirectory = \"{}\"\n\
             [grants]\nquantum_seconds = {}\n[tariffs]\nfile = \"{}\"\n[admin]\nsocket = \"{}\"\n",
            identity("chargingd"),
            at("chargingd.db"),
            at("records"),
            setup.quantum,
            at("tariffs.toml"),
            at("chargingd.admin"),
        );
        let tariffs = format!(
            "[[tariff]]\nname = \"test\"\nprefixes = [\"\"]\ncurrency = \"EUR\"\nprice_per_minute_micro = {}\n",
            setup.price_per_minute_micro,
        );
        let pinholed = format!(
            "[diameter]\n{}listen = [\"{rx}\"]\n[table]\nname = \"{TABLE}\"\n\
             [sessions]\nsilence_seconds = {}\npoll_seconds = 1\n[admin]\nsocket = \"{}\"\n",
            identity("pinholed"),
            setup.silence,
            at("pinholed.admin"),
        );
        let sipd = format!(
            "[sip]\nudp = [\"{sip}\"]\ntcp = [\"{sip}\"]\ndomains = [\"{DOMAIN}\"]\n[auth]\nalgorithms = {:?}\n\
             [diameter]\n{}charging = \"{ro}\"\ncharging_realm = \"{DOMAIN}\"\nlimiter = \"{rx}\"\n\
             limiter_realm = \"{DOMAIN}\"\n[store]\npath = \"{}\"\njournal = \"{}\"\n[admin]\nsocket = \"{}\"\n",
            setup.algorithms,
            identity("sipd"),
            at("sipd.db"),
            at("calls.journal"),
            at("sipd.admin"),
        );
        let shipping = if setup.accounting {
            format!(
                "[accounting]\nserver = \"{ro}\"\nrealm = \"{DOMAIN}\"\nretry_first_ms = 20\nretry_most_ms = 500\n"
            )
        } else {
            String::new()
        };
        let storage = format!(
            "[accounting_storage]\nenabled = {}\npath = \"{}\"\n",
            setup.accounting,
            at("accounting.db"),
        );
        let spool = format!("[records]\ndirectory = \"{}\"\n", at("sipd-records"));
        let (chargingd, sipd) = (chargingd + &shipping + &storage, sipd + &shipping + &spool);
        for (name, text) in [
            ("chargingd.toml", chargingd),
            ("tariffs.toml", tariffs),
            ("pinholed.toml", pinholed),
            ("sipd.toml", sipd),
        ] {
            let path = scratch.write(name, &text);
            fs::set_permissions(path, fs::Permissions::from_mode(0o640)).expect("its own file");
        }
        Self {
            folder: scratch.path().to_owned(),
            sip,
            order: CALL_GATE.to_vec(),
            running: BTreeMap::new(),
        }
    }

    /// Starts all of them, each when the one before is ready.
    pub(crate) fn start(&mut self, net: &Net) {
        for instance in self.order.clone() {
            self.start_again(net, instance.name);
        }
    }

    /// Starts one (again) and waits until it says that it is ready, as systemd would.
    ///
    /// # Panics
    /// When it ends, or does not get ready.
    #[track_caller]
    pub fn start_again(&mut self, net: &Net, name: &str) {
        let Instance { name, program } = *self
            .order
            .iter()
            .find(|known| known.name == name)
            .expect("a daemon of ours");
        let capabilities = if name == "pinholed" {
            "-all,+net_admin"
        } else {
            "-all"
        };
        let setpriv = net.router.command("setpriv");
        let (process, _notify) = launch(setpriv, &self.folder, name, program, capabilities);
        let running = Running { process, _notify };
        self.running.insert(name, running);
    }

    /// `kill -9`.
    pub fn kill(&mut self, name: &str) {
        if let Some(mut running) = self.running.remove(name) {
            running.process.kill();
        }
    }

    /// SIGTERM to one, which is given time to finish.
    ///
    /// # Panics
    /// When it does not end well.
    #[track_caller]
    pub fn terminate(&mut self, name: &str) {
        if let Some(mut running) = self.running.remove(name) {
            running.process.signal(Signal::SIGTERM);
            running.process.wait_success(PATIENCE);
        }
    }

    /// SIGTERM to all, in reverse order, each given time to finish.
    pub(crate) fn stop(&mut self) {
        for instance in self.order.clone().into_iter().rev() {
            if let Some(mut running) = self.running.remove(instance.name) {
                running.process.signal(Signal::SIGTERM);
                running.process.wait_success(PATIENCE);
            }
        }
    }

    /// A prepaid account that pays for the subscriber of its name, with a balance.
    #[track_caller]
    pub fn make_account(&self, name: &str, balance_micro: i64) {
        self.operate(&json!({"create-account": {
            "name": name, "payment": "prepaid", "currency": "EUR", "credit_limit_micro": 0,
            "identities": [format!("sip:{name}@{DOMAIN}")],
        }}));
        if balance_micro > 0 {
            self.top_up(name, balance_micro);
        }
    }

    /// A subscriber with the password `NAME-password`.
    #[track_caller]
    pub fn make_subscriber(&self, name: &str) {
        let body = json!({
            "password": format!("{name}-password"), "identity": format!("sip:{name}@{DOMAIN}"),
        });
        self.ask("sipd", "PUT", &format!("/subscribers/{name}"), Some(&body));
    }

    /// The account `name` now.
    #[must_use]
    #[track_caller]
    pub fn account(&self, name: &str) -> Account {
        let account = self.ask("chargingd", "GET", &format!("/accounts/{name}"), None);
        let number = |field: &str| account[field].as_i64().expect("an amount");
        Account {
            balance_micro: number("balance_micro"),
            held_micro: number("held_micro"),
        }
    }

    /// Pays into an account.
    #[track_caller]
    pub fn top_up(&self, name: &str, amount_micro: i64) {
        let reference = format!("{}", crate::media::unix_ms());
        self.operate(&json!({"top-up": {
            "account": name, "amount_micro": amount_micro, "reference": reference,
        }}));
    }

    /// Blocks an account.
    #[track_caller]
    pub fn block(&self, name: &str) {
        self.operate(&json!({"block": {"account": name}}));
    }

    /// Every charge record in the files, in order.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Record> {
        self.records_in("records")
    }

    /// Every record in the files of this folder, in order.
    #[must_use]
    #[track_caller]
    pub fn records_in(&self, folder: &str) -> Vec<Record> {
        let Ok(folder) = fs::read_dir(self.folder.join(folder)) else {
            return Vec::new();
        };
        let mut files: Vec<PathBuf> = folder
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.to_string_lossy().contains(".jsonl"))
            .collect();
        files.sort();
        files
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok())
            .flat_map(|text| {
                // A line that is being written is not there yet.
                let whole: Vec<Record> = text
                    .split_inclusive('\n')
                    .filter(|line| line.ends_with('\n'))
                    .map(|line| Record(serde_json::from_str(line).expect("a record")))
                    .collect();
                whole
            })
            .collect()
    }

    /// Elements of the gate sets, as nft counts them.
    #[must_use]
    #[track_caller]
    pub fn open_pinholes(&self, router: &Host) -> usize {
        ["gate4", "gate6"]
            .iter()
            .map(|set| {
                let text = router.nft(&["-j", "list", "set", "inet", TABLE, set]);
                let listing: Value = serde_json::from_str(&text).expect("nft prints JSON");
                listing["nftables"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|object| object["set"]["elem"].as_array())
                    .map(Vec::len)
                    .sum::<usize>()
            })
            .sum()
    }

    /// The table as nft prints it.
    #[must_use]
    #[track_caller]
    pub fn pinhole_listing(&self, router: &Host) -> String {
        router.nft(&["list", "table", "inet", TABLE])
    }

    /// The account as an operator sees it, by the real `tollctl`.
    #[must_use]
    #[track_caller]
    pub fn show_account(&self, name: &str) -> String {
        let mut command = std::process::Command::new(program("tollctl"));
        command
            .arg("--chargingd")
            .arg(self.folder.join("chargingd.admin"))
            .args(["account", "show", name]);
        crate::process::run(&mut command)
    }

    /// What a daemon has logged so far.
    #[must_use]
    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default()
    }

    /// What `GET path` answers on the admin socket of `daemon`.
    #[must_use]
    #[track_caller]
    pub fn get(&self, daemon: &str, path: &str) -> Value {
        self.ask(daemon, "GET", path, None)
    }

    /// Has `chargingd` do something.
    #[track_caller]
    pub fn operate(&self, operation: &Value) {
        self.ask("chargingd", "POST", "/operations", Some(operation));
    }

    /// One HTTP exchange over a daemon's admin socket.
    #[track_caller]
    pub(crate) fn ask(
        &self,
        daemon: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Value {
        exchange_json(&self.admin(daemon), method, path, body)
    }

    /// What `GET path` answers, if it is no JSON: `/metrics`.
    #[must_use]
    #[track_caller]
    pub fn text(&self, daemon: &str, path: &str) -> String {
        exchange(&self.admin(daemon), "GET", path, None)
    }

    fn admin(&self, daemon: &str) -> PathBuf {
        self.folder.join(format!("{daemon}.admin"))
    }

    /// Where `sipd` hears, over UDP and TCP.
    #[must_use]
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// The Origin-Host of `chargingd`.
    #[must_use]
    pub fn charging_host(&self) -> &'static str {
        "chargingd.tollwire.example"
    }

    /// Whether it runs.
    pub fn is_running(&mut self, name: &str) -> bool {
        self.running
            .get_mut(name)
            .is_some_and(|running| running.process.ended().is_none())
    }

    /// Their process ids.
    #[must_use]
    pub fn ids(&self) -> Vec<u32> {
        self.running
            .values()
            .map(|running| running.process.id())
            .collect()
    }

    /// Resident memory of one of them.
    #[must_use]
    pub fn resident_kilobytes(&self, name: &str) -> u64 {
        let id = self
            .running
            .get(name)
            .map_or(0, |running| running.process.id());
        fs::read_to_string(format!("/proc/{id}/status"))
            .unwrap_or_default()
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|value| value.trim().trim_end_matches(" kB").parse().ok())
            .unwrap_or(0)
    }
}
