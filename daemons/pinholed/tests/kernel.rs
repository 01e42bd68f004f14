//! The table against the running kernel, judged by the packets that reach the receiver. Needs root.

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pinholed::flow::{FlowKey, Usage};
use pinholed::nftables::{Change, Job, Table, TableSettings};
use tollwire_harness::media::{Port, unix_ms};
use tollwire_harness::net::Net;
use tollwire_harness::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(20);

struct Gate {
    net: Net,
    table: Table,
}

fn settings() -> TableSettings {
    TableSettings {
        name: "tollwire".into(),
        priority: -10,
        ports: (10_000, 65_535),
        size: 1000,
    }
}

impl Gate {
    fn new() -> Self {
        let net = Net::two_phones();
        let (table, adopted) = net
            .router
            .within(|| Table::open(&settings(), true))
            .unwrap();
        assert!(adopted.flows.is_empty());
        Self { net, table }
    }

    fn run(&mut self, changes: Vec<Change>) {
        self.job(changes, &[]);
    }

    fn job(&mut self, changes: Vec<Change>, read: &[FlowKey]) -> Vec<Usage> {
        let job = Job {
            changes,
            read: read.to_vec(),
            ..Job::default()
        };
        self.table.run(&[job]).remove(0).unwrap().counters
    }

    fn usage(&mut self, key: FlowKey) -> Usage {
        self.job(Vec::new(), &[key])[0]
    }

    fn drops(&self) -> u64 {
        let rules = self.net.router.ruleset().to_string();
        let dropped = rules.split("\"packets\":").last().unwrap();
        dropped.split([',', '}']).next().unwrap().parse().unwrap()
    }
}

fn open(key: FlowKey, timeout_ms: u64) -> Vec<Change> {
    vec![
        Change::AddUsage {
            key,
            label: "1.1.in.media session;1".into(),
        },
        Change::OpenGate {
            key,
            timeout_ms,
            quota: None,
            new: false,
        },
    ]
}

fn ports(gate: &Gate, ip6: bool) -> (Port, Port, FlowKey) {
    let address = |host: &tollwire_harness::net::Host, port| -> SocketAddr {
        let ip: IpAddr = if ip6 { host.ip6 } else { host.ip };
        SocketAddr::new(ip, port)
    };
    let a = Port::open_at(gate.net.a(), address(gate.net.a(), 20_000));
    let b = Port::open_at(gate.net.b(), address(gate.net.b(), 20_002));
    // The router learns who its neighbours are by a port that is not guarded: until it has, it loses what it forwards.
    let unguarded = Port::open_at(gate.net.b(), address(gate.net.b(), 9000));
    let _sender = a.send_every(unguarded.address(), Duration::from_millis(20));
    unguarded.wait_for_more(3);
    let key = FlowKey::new(a.address(), b.address()).unwrap();
    (a, b, key)
}

#[test]
fn nothing_passes_but_through_its_gate_and_every_packet_that_passed_is_counted() {
    for ip6 in [false, true] {
        let mut gate = Gate::new();
        let (a, b, key) = ports(&gate, ip6);
        let sender = a.send_every(b.address(), Duration::from_millis(2));
        sender.wait_for_more(50);
        wait_until("drops", PATIENCE, || gate.drops() >= 50);
        assert_eq!(b.count(), 0);

        gate.run(open(key, 60_000));
        b.wait_for_more(100);
        // A renewal under traffic loses nothing and keeps the count.
        let before = gate.drops();
        for _ in 0..20 {
            gate.run(vec![Change::OpenGate {
                key,
                timeout_ms: 60_000,
                quota: None,
                new: false,
            }]);
        }
        b.wait_for_more(50);
        assert_eq!(gate.drops(), before);

        gate.run(vec![Change::CloseGate {
            key,
            limited: false,
        }]);
        let closed = gate.usage(key);
        let before = gate.drops();
        wait_until("drops after the close", PATIENCE, || {
            gate.drops() >= before + 50
        });
        wait_until("the last packets", PATIENCE, || {
            b.count() as u64 >= closed.packets
        });
        assert_eq!(b.count() as u64, closed.packets);
        assert_eq!(gate.usage(key), closed);
        assert!(closed.octets > closed.packets * 28);
    }
}

#[test]
fn the_kernel_shuts_the_gate_by_itself_and_the_count_outlives_it() {
    let mut gate = Gate::new();
    let (a, b, key) = ports(&gate, false);
    let sender = a.send_every(b.address(), Duration::from_millis(5));
    sender.wait_for_more(1);
    let opened = unix_ms();
    gate.run(open(key, 1500));
    b.wait_for_more(50);
    // Nobody acts any more.
    let before = gate.drops();
    wait_until("the gate to shut", PATIENCE, || {
        gate.drops() >= before + 100
    });
    let last = b.arrivals().last().unwrap().unix_ms;
    let lasted = last - opened;
    assert!((1400..=1700).contains(&lasted), "{lasted} ms");
    assert_eq!(gate.usage(key).packets, b.count() as u64);
}

#[test]
fn flows_share_a_quota_and_no_octet_more_passes() {
    let mut gate = Gate::new();
    let (a, b, key) = ports(&gate, false);
    let back = FlowKey::new(key.destination(), key.source()).unwrap();
    let quota = || Some("1 session;1".to_owned());
    let set = |octets| Change::SetQuota {
        name: "1 session;1".into(),
        octets,
    };
    let mut changes = vec![set(10_000)];
    for key in [key, back] {
        changes.push(Change::AddUsage {
            key,
            label: "1.1.in.media session;1".into(),
        });
        changes.push(Change::OpenGate {
            key,
            timeout_ms: 60_000,
            quota: quota(),
            new: true,
        });
    }
    gate.run(changes);
    let there = a.send_every(b.address(), Duration::from_millis(2));
    let _back = b.send_every(a.address(), Duration::from_millis(3));
    let spent = |gate: &mut Gate| {
        let job = Job {
            quotas: vec!["1 session;1".into()],
            ..Job::default()
        };
        gate.table.run(&[job]).remove(0).unwrap().spent[0]
    };
    b.wait_for_more(1);
    assert!(!spent(&mut gate));
    wait_until("the quota to be spent", PATIENCE, || spent(&mut gate));
    let before = gate.drops();
    there.wait_for_more(50);
    wait_until("drops", PATIENCE, || gate.drops() >= before + 50);
    let (up, down) = (gate.usage(key), gate.usage(back));
    assert_eq!(up.packets, b.count() as u64);
    assert_eq!(down.packets, a.count() as u64);
    assert!(up.packets > 0 && down.packets > 0);
    assert_eq!(up.octets + down.octets, 10_000);

    // More of it goes on where it stood; the packets that were refused have used some of it.
    gate.run(vec![set(10_000_000)]);
    b.wait_for_more(50);
    a.wait_for_more(50);
    assert!(!spent(&mut gate));
}

#[test]
fn a_table_that_stands_is_taken_over_with_gates_and_counts() {
    let mut gate = Gate::new();
    let (a, b, key) = ports(&gate, false);
    let back = FlowKey::new(key.destination(), key.source()).unwrap();
    let mut changes = open(key, 60_000);
    changes.push(Change::AddUsage {
        key: back,
        label: "1.1.out.media session;1".into(),
    });
    gate.run(changes);
    let sender = a.send_every(b.address(), Duration::from_millis(2));
    b.wait_for_more(20);
    drop(sender);
    let (table, standing) = gate
        .net
        .router
        .within(|| Table::open(&settings(), true))
        .unwrap();
    gate.table = table;
    let mut adopted = standing.flows;
    adopted.sort_by_key(|flow| flow.label.clone());
    assert_eq!(adopted.len(), 2);
    assert_eq!(adopted[0].key, key);
    assert_eq!(adopted[0].label, "1.1.in.media session;1");
    assert!(adopted[0].usage.packets >= 20);
    assert!(
        adopted[0]
            .open_ms
            .is_some_and(|left| left > 30_000 && left <= 60_000)
    );
    assert_eq!((adopted[1].key, adopted[1].open_ms), (back, None));

    let (table, adopted) = gate
        .net
        .router
        .within(|| Table::open(&settings(), false))
        .unwrap();
    gate.table = table;
    assert!(adopted.flows.is_empty());
    assert_eq!(gate.usage(key), Usage::default());
}

#[test]
fn one_refused_change_fails_its_own_job_alone() {
    let mut gate = Gate::new();
    let keys: Vec<FlowKey> = (1..=3u16)
        .map(|port| {
            FlowKey::new(
                SocketAddr::from(([192, 0, 2, 1], 10_000 + port)),
                SocketAddr::from(([192, 0, 2, 2], 20_000)),
            )
            .unwrap()
        })
        .collect();
    // The same gate twice in one transaction is refused by the kernel.
    let twice = |key| {
        let mut changes = open(key, 60_000);
        changes.push(Change::RemoveUsage {
            key: FlowKey::new(key.destination(), key.source()).unwrap(),
        });
        changes
    };
    let job = |changes| Job {
        changes,
        ..Job::default()
    };
    let huge = Change::AddUsage {
        key: keys[1],
        label: String::new(),
    };
    let full: Vec<Job> = (0..1000u16)
        .map(|n| {
            let key = FlowKey::new(
                SocketAddr::from(([198, 51, 100, 1], 1000 + n)),
                SocketAddr::from(([192, 0, 2, 2], 20_000)),
            );
            job(open(key.unwrap(), 60_000))
        })
        .collect();
    let first = gate.table.run(&[job(twice(keys[0])), job(vec![huge])]);
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    // The sets hold 1,000: what does not fit is refused, what fits is not.
    let outcomes = gate.table.run(&full);
    let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    assert!((1..=10).contains(&refused), "{refused} refused");
}

#[test]
fn a_refused_job_leaves_no_gate_however_many_wait_with_it() {
    let mut gate = Gate::new();
    // Sixteen flows to a job: the sets' thousandth element, and the two thousandth change, are in the middle of one.
    let keys = |job: u16| {
        (0..16u16).map(move |flow| {
            let source = SocketAddr::from(([198, 51, 100, 1], 1000 + job * 16 + flow));
            FlowKey::new(source, SocketAddr::from(([192, 0, 2, 2], 20_000))).unwrap()
        })
    };
    let jobs: Vec<Job> = (0..80)
        .map(|job| Job {
            changes: keys(job).flat_map(|key| open(key, 60_000)).collect(),
            ..Job::default()
        })
        .collect();
    let outcomes = gate.table.run(&jobs);
    assert!(outcomes[0].is_ok());
    assert!(outcomes.iter().any(Result::is_err));
    let (table, standing) = gate
        .net
        .router
        .within(|| Table::open(&settings(), true))
        .unwrap();
    gate.table = table;
    let stands: HashSet<FlowKey> = standing.flows.iter().map(|flow| flow.key).collect();
    for (job, outcome) in (0..).zip(&outcomes) {
        let standing = keys(job).filter(|key| stands.contains(key)).count();
        assert_eq!(standing, if outcome.is_ok() { 16 } else { 0 }, "job {job}");
    }
}

#[test]
fn fragments_pass_by_no_gate_whatever_is_in_them() {
    for ip6 in [false, true] {
        let mut gate = Gate::new();
        let (a, b, key) = ports(&gate, ip6);
        gate.run(open(key, 60_000));
        // Read as a port, what is in them is not guarded: their data, or for IPv6 the flow label.
        let mut no_label = gate.net.a().command("sysctl");
        no_label.args(["-qw", "net.ipv6.auto_flowlabels=0"]);
        assert!(no_label.status().unwrap().success());
        let datagram = [0; 8000];
        let ip = key.source().ip();
        let sender = gate.net.a().udp_at(SocketAddr::new(ip, 20_004));
        let received = || gate.net.b().received_packets("eth0");
        let before = received();
        for to in [
            key.destination(),
            SocketAddr::new(key.destination().ip(), 20_006),
        ] {
            for _ in 0..100 {
                sender.send_to(&datagram, to).unwrap();
            }
        }
        // What follows on the same way has arrived: so has all that would have.
        let _follows = a.send_every(b.address(), Duration::from_millis(2));
        b.wait_for_more(20);
        let arrived = received() - before;
        assert!(arrived < 100, "{arrived} packets");
    }
}
