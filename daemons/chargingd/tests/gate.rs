//! The manager's gates at a real `pinholed`, judged by the packets that arrive. Needs root.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chargingd::peer::gate::{Ask, Counted, Link, LinkConfig, Order, Outcome, Told, What};
use tokio::sync::mpsc;
use tollwire_harness::daemons::program;
use tollwire_harness::media::{PACKET_OCTETS, Port, Sender, unix_ms};
use tollwire_harness::net::{Host, Net};
use tollwire_harness::process::{Process, Scratch};
use tollwire_harness::wait::wait_until;
use tollwire_runtime::diameter::Address;

const PATIENCE: Duration = Duration::from_secs(20);
const FAST: Duration = Duration::from_millis(2);
const ID: &str = "8mYqkR2vVbXw0PzQ3nTg1A";

/// A user, a provider, and between them the limiter.
struct World {
    net: Net,
    scratch: Scratch,
    limiter: Option<Process>,
    user: Port,
    provider: Port,
    packet: u64,
}

impl World {
    fn new() -> Self {
        Self::over(false)
    }

    fn over(ip6: bool) -> Self {
        let net = Net::new(2);
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name).display().to_string();
        let config = format!(
            "[diameter]\norigin_host = \"pinholed.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
             [sessions]\npoll_seconds = 1\n[admin]\nsocket = \"{}\"\n",
            at("rx.sock"),
            at("admin.sock"),
        );
        scratch.write("pinholed.toml", &config);
        let at_host = |host: &Host, port| match ip6 {
            true => SocketAddr::new(host.ip6, port),
            false => SocketAddr::new(host.ip, port),
        };
        let mut world = Self {
            user: Port::open_at(net.a(), at_host(net.a(), 40_000)),
            provider: Port::open_at(net.b(), at_host(net.b(), 20_000)),
            packet: if ip6 {
                PACKET_OCTETS + 20
            } else {
                PACKET_OCTETS
            },
            net,
            scratch,
            limiter: None,
        };
        world.start();
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn start(&mut self) {
        let mut command = self.net.router.command(program("pinholed"));
        command.arg("--config").arg(self.at("pinholed.toml"));
        let mut limiter = Process::start("pinholed", &mut command, &self.at("log"));
        let before = limiter.log().matches("serving").count();
        wait_until("pinholed to serve", PATIENCE, || {
            assert!(limiter.ended().is_none(), "{}", limiter.log_tail());
            limiter.log().matches("serving").count() > before
        });
        self.limiter = Some(limiter);
    }

    fn kill(&mut self) {
        self.limiter.take().expect("it runs").kill();
    }

    fn order(&self, lifetime: Duration, octets: Option<u64>) -> Order {
        Order {
            session: ID.into(),
            pinholed: Address::Unix(self.at("rx.sock")),
            user: self.user.address(),
            service: self.provider.address(),
            not_after_unix_ms: unix_ms() + i64::try_from(lifetime.as_millis()).unwrap(),
            octets,
            counted: Counted::default(),
        }
    }

    /// Both send, and what arrives arrives.
    fn traffic(&self) -> (Sender, Sender) {
        (
            self.user.send_every(self.provider.address(), FAST),
            self.provider.send_every(self.user.address(), FAST),
        )
    }

    /// Octets that have arrived.
    fn arrived(&self) -> u64 {
        (self.user.count() + self.provider.count()) as u64 * self.packet
    }

    /// Nothing arrives while both send on.
    fn is_shut(&self, (up, down): &(Sender, Sender)) -> bool {
        let before = self.arrived();
        up.wait_for_more(50);
        down.wait_for_more(50);
        self.arrived() == before
    }

    fn link(&self, standing: Vec<Order>) -> Manager {
        let (told, hears) = mpsc::unbounded_channel();
        let config = LinkConfig {
            origin_host: "chargingd.test".into(),
            origin_realm: "test".into(),
            tls: None,
            allow_remote: false,
        };
        let limiter = Address::Unix(self.at("rx.sock"));
        Manager {
            link: Link::start(config, vec![limiter.clone(), limiter], standing, told).unwrap(),
            hears,
            token: 0,
        }
    }
}

/// Who asks.
struct Manager {
    link: Link,
    hears: mpsc::UnboundedReceiver<Told>,
    token: u64,
}

impl Manager {
    async fn hear(&mut self) -> Told {
        tokio::time::timeout(PATIENCE, self.hears.recv())
            .await
            .expect("something to hear")
            .expect("the link lives")
    }

    async fn ask(&mut self, what: What, order: &Order) -> Outcome {
        self.token += 1;
        self.link.ask(Ask {
            token: self.token,
            what,
            order: order.clone(),
        });
        loop {
            let told = self.hear().await;
            assert_eq!(told.session, order.session);
            if told.token == Some(self.token) {
                return told.outcome;
            }
        }
    }

    /// As soon as the limiter is there.
    async fn open(&mut self, order: &Order) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.ask(What::Open, order).await == Outcome::Unreachable {
            assert!(tokio::time::Instant::now() < deadline, "no limiter");
            tokio::task::yield_now().await;
        }
    }

    async fn count(&mut self, order: &Order) -> Counted {
        match self.ask(What::Count, order).await {
            Outcome::Stands(counted) => counted,
            other => panic!("{other:?}"),
        }
    }

    async fn close(&mut self, order: &Order) -> Counted {
        match self.ask(What::Close, order).await {
            Outcome::Closed(Some(counted)) => counted,
            other => panic!("{other:?}"),
        }
    }
}

/// The last packets are under way when the gate has counted them.
fn same(counted: Counted, world: &World) {
    wait_until("what passed to arrive", PATIENCE, || {
        world.arrived() >= counted.total()
    });
    assert_eq!(world.arrived(), counted.total());
    assert!(counted.exact);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_pass_while_it_stands_and_what_is_counted_is_what_arrived() {
    for ip6 in [false, true] {
        passes_while_it_stands(&World::over(ip6)).await;
    }
}

async fn passes_while_it_stands(world: &World) {
    let mut manager = world.link(Vec::new());
    let traffic = world.traffic();
    assert!(world.is_shut(&traffic) && world.arrived() == 0);
    let order = world.order(PATIENCE * 3, Some(1 << 40));
    manager.open(&order).await;
    world.user.wait_for_more(50);
    world.provider.wait_for_more(50);
    // Neither from another port of the user's, nor to another of the provider's.
    let beside = |host: &Host, port: &Port| {
        let mut address = port.address();
        address.set_port(address.port() + 1);
        Port::open_at(host, address)
    };
    let thief = beside(world.net.a(), &world.user);
    let other = beside(world.net.b(), &world.provider);
    let stolen = thief.send_every(world.provider.address(), FAST);
    let strayed = world.user.send_every(other.address(), FAST);
    stolen.wait_for_more(50);
    strayed.wait_for_more(50);
    assert_eq!(other.count(), 0);
    let of_thief = |it: &tollwire_harness::media::Arrival| it.from == thief.address();
    assert!(!world.provider.arrivals().iter().any(of_thief));

    assert!(manager.count(&order).await.total() >= 100 * world.packet);
    let counted = manager.close(&order).await;
    same(counted, world);
    assert!(world.is_shut(&traffic));
    same(counted, world);
    assert_eq!(manager.link.figures().standing, 0);
    // Told again, as far as the limiter remembers.
    assert_eq!(manager.close(&order).await, counted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kernel_shuts_it_at_the_quota_and_a_larger_one_goes_on() {
    let world = World::new();
    let mut manager = world.link(Vec::new());
    let mut order = world.order(PATIENCE * 3, Some(100 * PACKET_OCTETS));
    manager.open(&order).await;
    let traffic = world.traffic();
    let spent = manager.hear().await;
    assert_eq!(spent.token, None);
    let Outcome::Spent(counted) = spent.outcome else {
        panic!("{spent:?}");
    };
    assert_eq!(counted.total(), 100 * PACKET_OCTETS);
    same(counted, &world);
    assert!(world.is_shut(&traffic));

    order.octets = Some(300 * PACKET_OCTETS);
    manager.count(&order).await;
    wait_until("the rest to pass", PATIENCE, || {
        world.arrived() == 300 * PACKET_OCTETS
    });
    assert!(world.is_shut(&traffic));
    let counted = manager.close(&order).await;
    assert_eq!(counted.total(), 300 * PACKET_OCTETS);
    same(counted, &world);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_ends_with_its_time_though_nobody_says_so() {
    let mut world = World::new();
    let mut manager = world.link(Vec::new());
    let order = world.order(Duration::from_secs(3), None);
    manager.open(&order).await;
    let traffic = world.traffic();
    world.provider.wait_for_more(50);
    drop(manager);
    world.kill();
    wait_until("the gate to shut", PATIENCE, || world.is_shut(&traffic));
    let last = |port: &Port| port.arrivals().last().map_or(0, |it| it.unix_ms);
    let last = last(&world.user).max(last(&world.provider));
    let late = last - order.not_after_unix_ms;
    assert!(late <= 1000, "{late} ms beyond its time");
    assert!(late >= -1500, "{late} ms: long before its time");
    // And what passed is known to those who ask afterwards.
    world.start();
    let mut manager = world.link(vec![order.clone()]);
    let found = manager.hear().await;
    let Outcome::Closed(Some(counted)) = found.outcome else {
        panic!("{found:?}");
    };
    same(counted, &world);
    assert_eq!(manager.close(&order).await, counted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_a_session_both_find_it_again_and_no_packet_is_missing() {
    let mut world = World::new();
    let mut manager = world.link(Vec::new());
    let mut order = world.order(PATIENCE * 3, Some(1 << 40));
    manager.open(&order).await;
    let up = world.user.send_every(world.provider.address(), FAST);
    world.provider.wait_for_more(50);
    order.counted = manager.count(&order).await;
    // The manager.
    drop(manager);
    world.provider.wait_for_more(50);
    let mut manager = world.link(vec![order.clone()]);
    let found = manager.hear().await;
    assert_eq!(found.token, None);
    let Outcome::Stands(counted) = found.outcome else {
        panic!("{found:?}");
    };
    assert!(counted.total() >= order.counted.total() + 50 * PACKET_OCTETS);
    // The limiter.
    world.kill();
    world.provider.wait_for_more(50);
    assert_eq!(manager.ask(What::Move, &order).await, Outcome::Unreachable);
    let other = Order {
        session: "another".into(),
        user: "10.77.1.2:40002".parse().unwrap(),
        ..order.clone()
    };
    assert_eq!(manager.ask(What::Open, &other).await, Outcome::Unreachable);
    world.start();
    loop {
        let told = manager.hear().await;
        if told.session == ID && matches!(told.outcome, Outcome::Stands(_)) {
            break;
        }
    }
    world.provider.wait_for_more(50);
    drop(up);
    let counted = manager.close(&order).await;
    same(counted, &world);
    let arrivals = world.provider.arrivals();
    let (first, last) = (arrivals[0], arrivals[arrivals.len() - 1]);
    let sent = last.sequence_number.wrapping_sub(first.sequence_number);
    assert_eq!(usize::from(sent) + 1, arrivals.len(), "none was lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limiter_that_lost_its_table_lets_only_the_rest_pass() {
    let mut world = World::new();
    let mut manager = world.link(Vec::new());
    let order = world.order(PATIENCE * 3, Some(300 * PACKET_OCTETS));
    manager.open(&order).await;
    {
        let _up = world.user.send_every(world.provider.address(), FAST);
        world.provider.wait_for_more(100);
    }
    let before = manager.count(&order).await;
    world.kill();
    world
        .net
        .router
        .nft(&["delete", "table", "inet", "tollwire"]);
    world.start();
    let found = manager.hear().await;
    let lost = Counted {
        before: before.total(),
        now: 0,
        exact: false,
    };
    assert_eq!((found.token, found.outcome), (None, Outcome::Stands(lost)));
    let traffic = world.traffic();
    wait_until("the rest to pass", PATIENCE, || {
        world.arrived() >= 300 * PACKET_OCTETS
    });
    assert!(world.is_shut(&traffic));
    assert_eq!(world.arrived(), 300 * PACKET_OCTETS);
    assert_eq!(manager.close(&order).await.total(), world.arrived());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_counted_or_is_another_s_is_refused() {
    let world = World::new();
    let mut manager = world.link(Vec::new());
    let order = world.order(PATIENCE, None);
    manager.open(&order).await;
    let refused = |outcome: Outcome, code: &str| {
        assert!(
            matches!(&outcome, Outcome::Refused(why) if why.starts_with(code)),
            "{outcome:?}"
        );
    };
    let mut other = order.clone();
    other.session = "another".into();
    refused(manager.ask(What::Open, &other).await, "5063");
    other.user.set_port(9_999);
    refused(manager.ask(What::Open, &other).await, "5062");
    // Nor is anything left of them.
    assert_eq!(manager.count(&order).await, Counted::default());
    assert_eq!(manager.link.figures().standing, 1);
}
