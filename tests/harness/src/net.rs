//! A small internet in network namespaces: one router, hosts around it, IPv4 and IPv6.
//!
//! ```text
//!   phone a  10.77.1.2   fd77:0:0:1::2 --- 10.77.1.1 \
//!   phone b  10.77.2.2   fd77:0:0:2::2 --- 10.77.2.1  router (forwards; the daemons run here)
//!   ...      10.77.n.2   fd77:0:0:n::2 --- 10.77.n.1 /
//! ```
//!
//! Namespaces are named after the process that made them, so several test programs can run at
//! once, and the next run removes what a killed one left behind.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::run;

const PREFIX: &str = "tollwire-";

/// One network namespace, with its addresses. A copy names the same one.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: String,
    /// 10.77.n.2 for a host, 10.77.1.1 for the router.
    pub ip: IpAddr,
    /// `fd77:0:0:n::2` for a host, `fd77:0:0:1::1` for the router.
    pub ip6: IpAddr,
}

impl Host {
    /// A host of another kind of net.
    pub(crate) fn named(namespace: String, ip: IpAddr, ip6: IpAddr) -> Self {
        Self { namespace, ip, ip6 }
    }

    /// The namespace's name, as `ip netns` knows it.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `program`, to be run in this namespace. It is killed when the thread that starts it ends.
    #[must_use]
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .args(["setpriv", "--pdeathsig", "KILL", "--"])
            .arg(program.as_ref());
        command
    }

    /// Runs `work` in this namespace. Sockets made there stay there.
    ///
    /// # Panics
    /// When the namespace is gone, or `work` panics.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let namespace = File::open(format!("/run/netns/{}", self.namespace))
                    .expect("the namespace exists");
                setns(namespace, CloneFlags::CLONE_NEWNET).expect("permission to enter it");
                work()
            });
            match inside.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A UDP socket bound here, on IPv4; port 0 takes a free one.
    ///
    /// # Panics
    /// When the port is taken.
    #[must_use]
    pub fn udp(&self, port: u16) -> UdpSocket {
        self.udp_at(SocketAddr::new(self.ip, port))
    }

    /// A UDP socket bound to `address` here.
    ///
    /// # Panics
    /// When the address is taken or not this host's.
    #[must_use]
    pub fn udp_at(&self, address: SocketAddr) -> UdpSocket {
        self.within(|| UdpSocket::bind(address))
            .unwrap_or_else(|error| panic!("{address} in {}: {error}", self.namespace))
    }

    /// A TCP connection from here.
    ///
    /// # Errors
    /// As [`TcpStream::connect_timeout`].
    pub fn tcp(&self, to: SocketAddr) -> std::io::Result<TcpStream> {
        self.within(|| TcpStream::connect_timeout(&to, Duration::from_secs(10)))
    }

    /// Runs `nft` here and gives its output.
    ///
    /// # Panics
    /// When nft fails.
    #[track_caller]
    pub fn nft(&self, arguments: &[&str]) -> String {
        run(self.command("nft").args(arguments))
    }

    /// The ruleset here as JSON (`nft -j list ruleset`).
    ///
    /// # Panics
    /// When nft fails or prints no JSON.
    #[must_use]
    #[track_caller]
    pub fn ruleset(&self) -> serde_json::Value {
        let text = self.nft(&["-j", "list", "ruleset"]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("nft -j: {error}\n{text}"))
    }

    /// Packets that have arrived at the interface `name`, since it exists.
    ///
    /// # Panics
    /// When there is no such interface.
    #[must_use]
    pub fn received_packets(&self, name: &str) -> u64 {
        let text = run(self
            .command("ip")
            .args(["-j", "-s", "link", "show", "dev", name]));
        let links: serde_json::Value = serde_json::from_str(&text).expect("ip -j prints JSON");
        links
            .pointer("/0/stats64/rx/packets")
            .and_then(serde_json::Value::as_u64)
            .unwrap_or_else(|| panic!("no counter in {text}"))
    }
}

/// The router and its hosts. Dropping it removes the namespaces and whatever still runs in them.
#[derive(Debug)]
pub struct Net {
    /// Forwards between the hosts; the daemons run here.
    pub router: Host,
    hosts: Vec<Host>,
}

impl Net {
    /// A router with `hosts` hosts around it (at most 200).
    ///
    /// # Panics
    /// When not run by root, or when the kernel refuses.
    #[must_use]
    pub fn new(hosts: u8) -> Self {
        let base = first_name();
        let net = Self {
            router: host(format!("{base}-r"), 1, 1),
            hosts: (1..=hosts)
                .map(|number| host(format!("{base}-{number}"), number, 2))
                .collect(),
        };
        net.build();
        net
    }

    /// Phone A and phone B around a router.
    ///
    /// # Panics
    /// As [`Net::new`].
    #[must_use]
    pub fn two_phones() -> Self {
        Self::new(2)
    }

    /// The first host.
    #[must_use]
    pub fn a(&self) -> &Host {
        self.host(0)
    }

    /// The second host.
    #[must_use]
    pub fn b(&self) -> &Host {
        self.host(1)
    }

    /// The host with this index, from 0.
    ///
    /// # Panics
    /// When there are fewer.
    #[must_use]
    pub fn host(&self, index: usize) -> &Host {
        self.hosts.get(index).expect("a host with this index")
    }

    fn build(&self) {
        let router = &self.router.namespace;
        let mut links = String::new();
        let _ = writeln!(links, "netns add {router}");
        for (index, host) in self.hosts.iter().enumerate() {
            let name = &host.namespace;
            let number = index + 1;
            let _ = writeln!(links, "netns add {name}");
            let _ = writeln!(
                links,
                "link add eth0 netns {name} type veth peer name to{number} netns {router}"
            );
        }
        batch(&mut Command::new("ip"), &links);

        let mut lines = String::from("link set lo up\n");
        for number in 1..=self.hosts.len() {
            let _ = writeln!(lines, "addr add 10.77.{number}.1/24 dev to{number}");
            let _ = writeln!(
                lines,
                "addr add fd77:0:0:{number:x}::1/64 dev to{number} nodad"
            );
            let _ = writeln!(lines, "link set to{number} up");
        }
        batch(&mut self.router.command("ip"), &lines);
        for (index, host) in self.hosts.iter().enumerate() {
            let number = index + 1;
            let lines = format!(
                "link set lo up\n\
                 addr add 10.77.{number}.2/24 dev eth0\n\
                 addr add fd77:0:0:{number:x}::2/64 dev eth0 nodad\n\
                 link set eth0 up\n\
                 route add default via 10.77.{number}.1\n\
                 -6 route add default via fd77:0:0:{number:x}::1\n"
            );
            // A batch takes no family flag per line, so IPv6 goes by itself.
            let (six, four): (Vec<&str>, Vec<&str>) =
                lines.lines().partition(|line| line.starts_with("-6 "));
            batch(&mut host.command("ip"), &(four.join("\n") + "\n"));
            let six = six.join("\n").replace("-6 ", "") + "\n";
            batch(host.command("ip").arg("-6"), &six);
        }
        run(self.router.command("sysctl").args([
            "-qw",
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
        ]));
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for host in self.hosts.iter().chain([&self.router]) {
            remove(&host.namespace);
        }
    }
}

/// What the names of the namespaces of one net begin with.
///
/// # Panics
/// When not run by root.
pub(crate) fn first_name() -> String {
    assert!(
        nix::unistd::geteuid().is_root(),
        "network namespaces need root"
    );
    static ONCE: Once = Once::new();
    ONCE.call_once(remove_stale);
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{PREFIX}{}-{number}", std::process::id())
}

fn host(namespace: String, network: u8, last: u8) -> Host {
    Host {
        namespace,
        ip: Ipv4Addr::new(10, 77, network, last).into(),
        ip6: Ipv6Addr::new(0xfd77, 0, 0, u16::from(network), 0, 0, 0, u16::from(last)).into(),
    }
}

/// Feeds `lines` to `ip -batch -`.
#[track_caller]
pub(crate) fn batch(ip: &mut Command, lines: &str) {
    let mut child = ip
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ip runs");
    if let Some(mut input) = child.stdin.take() {
        input.write_all(lines.as_bytes()).expect("ip reads");
    }
    let output = child.wait_with_output().expect("ip ends");
    assert!(
        output.status.success(),
        "ip -batch failed on\n{lines}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Kills what runs in the namespace and removes it.
pub(crate) fn remove(namespace: &str) {
    if let Ok(output) = Command::new("ip")
        .args(["netns", "pids", namespace])
        .output()
    {
        for id in String::from_utf8_lossy(&output.stdout).split_whitespace() {
            if let Ok(id) = id.parse() {
                let _ = kill(Pid::from_raw(id), Signal::SIGKILL);
            }
        }
    }
    let _ = Command::new("ip")
        .args(["netns", "del", namespace])
        .output();
}

/// Removes the namespaces whose maker is dead.
fn remove_stale() {
    let Ok(entries) = fs::read_dir("/run/netns") else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('-'))
            .and_then(|(id, _)| id.parse::<u32>().ok());
        if let Some(maker) = maker
            && !Path::new(&format!("/proc/{maker}")).exists()
        {
            remove(&name);
        }
    }
}
