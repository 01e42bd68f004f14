//! The usual scene: a router with the daemons, phone A of alice, phone B of bob, an account.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use crate::daemons::Daemons;
use crate::media::Port;
use crate::net::{Host, Net};
use crate::phone::{Dialog, Outgoing, Phone, sdp};
use crate::process::Scratch;
use crate::sipp::Sipp;
use crate::wait::{PATIENCE, poll, wait_for};

/// The domain that `sipd` serves.
pub const DOMAIN: &str = "tollwire.example";

/// The scene's tariff: one currency unit per second, in steps of a second, no set-up fee.
pub const MICRO_PER_SECOND: i64 = 1_000_000;

/// What differs from test to test.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Hosts around the router, the two phones included.
    pub hosts: u8,
    /// What alice's prepaid account holds at first, in micro-units.
    pub balance_micro: i64,
    /// What a minute costs, in micro-units.
    pub price_per_minute_micro: i64,
    /// The longest grant of `chargingd`, in seconds.
    pub quantum: u32,
    /// After how many seconds without media `pinholed` reports a lost bearer; 0 never.
    pub silence: u32,
    /// The digest algorithms of `sipd`, the preferred one first.
    pub algorithms: &'static [&'static str],
    /// Whether alice and bob are registered from the start.
    pub phones_register: bool,
    /// Signalling and media over IPv6.
    pub ipv6: bool,
    /// Diameter (Ro, Rx) on these loopback TCP ports instead of Unix sockets, for captures.
    pub diameter_tcp: Option<(u16, u16)>,
    /// Whether `chargingd` keeps accounting records, its own and those of `sipd`.
    pub accounting: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            hosts: 2,
            balance_micro: 60 * MICRO_PER_SECOND,
            price_per_minute_micro: 60 * MICRO_PER_SECOND,
            quantum: 60,
            silence: 30,
            algorithms: &["SHA-256", "MD5"],
            phones_register: true,
            ipv6: false,
            diameter_tcp: None,
            accounting: false,
        }
    }
}

/// An account as `tollctl` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// What it holds, reservations included.
    pub balance_micro: i64,
    /// What is reserved.
    pub held_micro: i64,
}

/// A charge record.
#[derive(Clone, Debug)]
pub struct Record(pub Value);

impl Record {
    /// A field that is text.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn text(&self, field: &str) -> &str {
        self.0
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("no text {field} in {}", self.0))
    }

    /// A field that is a time (`2023-11-14T22:13:20.000Z`), in milliseconds since 1970.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn unix_ms(&self, field: &str) -> i64 {
        let text = self.text(field);
        let part = |range: std::ops::Range<usize>| -> i64 {
            text.get(range)
                .and_then(|digits| digits.parse().ok())
                .expect("digits of a time")
        };
        let (year, month, day) = (part(0..4), part(5..7), part(8..10));
        // Days of the proleptic Gregorian calendar, with years beginning in March.
        let (shifted, month) = if month > 2 {
            (year, month - 3)
        } else {
            (year - 1, month + 9)
        };
        let days = 365 * shifted + shifted / 4 - shifted / 100
            + shifted / 400
            + (153 * month + 2) / 5
            + day
            - 1
            - 719_468;
        let seconds = part(11..13) * 3600 + part(14..16) * 60 + part(17..19);
        (days * 86_400 + seconds) * 1000 + part(20..23)
    }

    /// A field that is a whole number.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    #[track_caller]
    pub fn number(&self, field: &str) -> i64 {
        self.0
            .get(field)
            .and_then(Value::as_i64)
            .unwrap_or_else(|| panic!("no number {field} in {}", self.0))
    }
}

/// Everything on the stage. Fields are dropped in order: phones, daemons, network, files.
#[derive(Debug)]
pub struct Scene {
    /// Phone A: calls, and pays from the account `alice`.
    pub alice: Phone,
    /// Phone B: is called.
    pub bob: Phone,
    /// Phone A's media, port 20000.
    pub media_a: Port,
    /// Phone B's media, port 20000.
    pub media_b: Port,
    /// The daemons, in the router.
    pub daemons: Daemons,
    /// The namespaces.
    pub net: Net,
    /// Files and logs.
    pub scratch: Scratch,
    setup: Setup,
}

impl Scene {
    /// Everything running, accounts made, phones registered as the setup says.
    #[must_use]
    #[track_caller]
    pub fn new(setup: Setup) -> Self {
        let mut scene = Self::prepare(setup);
        scene.start();
        scene
    }

    /// The scene before the daemons start; see [`Scene::start`].
    #[must_use]
    #[track_caller]
    pub fn prepare(setup: Setup) -> Self {
        let net = Net::new(setup.hosts);
        let scratch = Scratch::new();
        let daemons = Daemons::prepare(&net, &scratch, &setup);
        let ip = |host: &Host| if setup.ipv6 { host.ip6 } else { host.ip };
        let port = |host: &Host| Port::open_at(host, SocketAddr::new(ip(host), 20_000));
        Self {
            alice: Phone::new(net.a(), 5060, daemons.sip(), "alice", DOMAIN),
            bob: Phone::new(net.b(), 5060, daemons.sip(), "bob", DOMAIN),
            media_a: port(net.a()),
            media_b: port(net.b()),
            daemons,
            net,
            scratch,
            setup,
        }
    }

    /// Starts the daemons, makes accounts and subscribers, and registers the phones.
    #[track_caller]
    pub fn start(&mut self) {
        self.daemons.start(&self.net);
        let balance = self.setup.balance_micro;
        for (name, balance) in [("alice", balance), ("bob", 0)] {
            self.daemons.make_account(name, balance);
            self.daemons.make_subscriber(name);
        }
        if self.setup.phones_register {
            self.alice.must_register();
            self.bob.must_register();
        }
    }

    /// Stops the daemons in good order.
    #[track_caller]
    pub fn stop(&mut self) {
        self.daemons.stop();
    }

    /// Alice calls bob, up to the ACK at bob. Gives alice's dialog.
    ///
    /// # Panics
    /// When the call fails.
    #[track_caller]
    pub fn establish(&mut self) -> Dialog {
        let outgoing = self.ring();
        let ringing = self.bob.expect_ringing();
        self.bob
            .answer(&ringing, &sdp(self.media_b.address(), None));
        let (_, dialog) = self.alice.expect_answer(&outgoing);
        self.bob.expect_request("ACK");
        dialog
    }

    /// Alice's INVITE to bob, with her media, answered to the challenge.
    #[track_caller]
    pub fn ring(&mut self) -> Outgoing {
        let offer = sdp(self.media_a.address(), None);
        self.alice.invite("bob", &offer)
    }

    /// Alice changes the call's directions, and bob answers, up to the ACK.
    #[track_caller]
    pub fn reinvite(&mut self, dialog: &mut Dialog, offered: &str, answered: &str) {
        let offer = sdp(self.media_a.address(), Some(offered));
        let answer = sdp(self.media_b.address(), Some(answered));
        self.alice.reinvite(dialog, &offer, &mut self.bob, &answer);
    }

    /// sipp as `user` on `host`, following a scenario with the scene's media and domain.
    #[must_use]
    pub fn sipp(&self, host: &Host, scenario: &str, user: &str, port: u16) -> Sipp {
        Sipp::scenario(scenario)
            .at(SocketAddr::new(host.ip, port))
            .to(self.daemons.sip())
            .key("user", user)
            .key("domain", DOMAIN)
            .key("rtp_ip", &host.ip.to_string())
            .key("rtp_port", "20000")
            .credentials(user, &format!("{user}-password"))
    }

    /// Registers `user` with sipp.
    ///
    /// # Panics
    /// When sipp does not succeed.
    #[track_caller]
    pub fn sipp_register(&self, host: &Host, user: &str, port: u16) {
        self.sipp(host, "register", user, port)
            .start(host, &self.scratch, &format!("register-{user}"))
            .wait_success(PATIENCE);
    }

    /// The account `name` now.
    #[must_use]
    #[track_caller]
    pub fn account(&self, name: &str) -> Account {
        self.daemons.account(name)
    }

    /// Pays `amount` micro-units into the account `name`.
    #[track_caller]
    pub fn top_up(&self, name: &str, amount: i64) {
        self.daemons.top_up(name, amount);
    }

    /// Blocks the account `name`.
    #[track_caller]
    pub fn block(&self, name: &str) {
        self.daemons.block(name);
    }

    /// Every charge record written so far.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Record> {
        self.daemons.records()
    }

    /// Waits until there are `count` charge records.
    ///
    /// # Panics
    /// When they are not written.
    #[track_caller]
    pub fn wait_for_records(&self, count: usize) -> Vec<Record> {
        let patience = Duration::from_secs(60);
        wait_for(&format!("{count} records"), patience, || {
            Some(self.records()).filter(|records| records.len() >= count)
        })
    }

    /// How many gates stand open in the kernel now, as nft counts them.
    #[must_use]
    #[track_caller]
    pub fn open_pinholes(&self) -> usize {
        self.daemons.open_pinholes(&self.net.router)
    }

    /// Asserts that no gate is open and nothing is reserved: soon, because the last steps of a
    /// call may still be under way when its record is there.
    ///
    /// # Panics
    /// When something is left over.
    #[track_caller]
    pub fn assert_nothing_is_left(&self) {
        let left = || (self.open_pinholes(), self.account("alice").held_micro);
        let clean = poll(PATIENCE, || (left() == (0, 0)).then_some(()));
        assert!(
            clean.is_some(),
            "(gates open, micro-units held) stay at {:?}",
            left()
        );
    }
}

/// The address of `sipd` as phones see it.
#[must_use]
pub fn sip_address(net: &Net, ipv6: bool) -> SocketAddr {
    let ip: IpAddr = if ipv6 { net.router.ip6 } else { net.router.ip };
    SocketAddr::new(ip, 5060)
}
