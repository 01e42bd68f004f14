//! Hosts on one link, and one behind a router.
//!
//! ```text
//!   host 0  10.78.0.2  fd4e::2 ---\
//!   host 1  10.78.0.3  fd4e::3 ----+-- bridge --- router 10.78.0.1  fd4e::1 --- far  10.79.0.2  fd4f::2
//!   ...                        ---/
//! ```

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;

use crate::net::{Host, batch, first_name, remove};
use crate::process::run;

/// The link, its hosts, and the host behind the router. Dropping it removes the namespaces and what runs in them.
#[derive(Debug)]
pub struct Lan {
    /// Forwards between the link and the far host. It is on the link too.
    pub router: Host,
    /// Not on the link.
    pub far: Host,
    hosts: Vec<Host>,
}

impl Lan {
    /// A link with `hosts` hosts, at most 200.
    ///
    /// # Panics
    /// When not run by root, or when the kernel refuses.
    #[must_use]
    pub fn new(hosts: u8) -> Self {
        let base = first_name();
        let host = |name: String, link: u8, last: u8| {
            Host::named(
                name,
                Ipv4Addr::new(10, link, 0, last).into(),
                Ipv6Addr::new(0xfd00 + u16::from(link), 0, 0, 0, 0, 0, 0, u16::from(last)).into(),
            )
        };
        let lan = Self {
            router: host(format!("{base}-r"), 78, 1),
            far: host(format!("{base}-far"), 79, 2),
            hosts: (0..hosts)
                .map(|number| host(format!("{base}-{number}"), 78, number + 2))
                .collect(),
        };
        lan.build();
        lan
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
        let router = self.router.namespace();
        let far = self.far.namespace();
        let mut lines = format!(
            "netns add {router}\nnetns add {far}\n\
             link add eth0 netns {far} type veth peer name far netns {router}\n"
        );
        for (index, host) in self.hosts.iter().enumerate() {
            let name = host.namespace();
            let _ = writeln!(lines, "netns add {name}");
            let _ = writeln!(
                lines,
                "link add eth0 netns {name} type veth peer name to{index} netns {router}"
            );
        }
        batch(&mut Command::new("ip"), &lines);
        let mut lines = String::from(
            "link set lo up\n\
             link add br0 type bridge mcast_snooping 0\n\
             addr add 10.78.0.1/24 dev br0\naddr add fd4e::1/64 dev br0 nodad\n\
             addr add 10.79.0.1/24 dev far\naddr add fd4f::1/64 dev far nodad\n\
             link set br0 up\nlink set far up\n",
        );
        for index in 0..self.hosts.len() {
            let _ = writeln!(lines, "link set to{index} master br0");
            let _ = writeln!(lines, "link set to{index} up");
        }
        batch(&mut self.router.command("ip"), &lines);
        run(self.router.command("sysctl").args([
            "-qw",
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
        ]));
        for (host, link) in self
            .hosts
            .iter()
            .map(|host| (host, 78))
            .chain([(&self.far, 79)])
        {
            // Link-local addresses at once: a test waits for no duplicate of them.
            run(host.command("sysctl").args([
                "-qw",
                "net.ipv6.conf.all.accept_dad=0",
                "net.ipv6.conf.default.accept_dad=0",
                "net.ipv6.conf.eth0.accept_dad=0",
            ]));
            let (ip, ip6) = (host.ip, host.ip6);
            let lines = format!(
                "link set lo up\n\
                 addr add {ip}/24 dev eth0\n\
                 addr add {ip6}/64 dev eth0 nodad\n\
                 link set eth0 up\n\
                 route add default via 10.{link}.0.1\n"
            );
            batch(&mut host.command("ip"), &lines);
            let gateway = Ipv6Addr::new(0xfd00 + link, 0, 0, 0, 0, 0, 0, 1);
            batch(
                host.command("ip").arg("-6"),
                &format!("route add default via {gateway}\n"),
            );
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for host in self.hosts.iter().chain([&self.router, &self.far]) {
            remove(host.namespace());
        }
    }
}
