//! Agents that the test plays: each has an address of 127.0.0.0/8 and the port of all.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket, UnixListener};
use tollwire_slp::message::{DaAdvert, SrvRply};
use tollwire_slp::{
    Body, ErrorCode, Extension, Flags, Header, Message, UrlEntry, announced_length, decode, encode,
    multicast,
};
use tollwire_slp_agent::{Settings, UserAgent};

/// How a request came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Multicast,
    Unicast,
    Tcp,
    Unix,
}

/// What an agent does with a request: the octets of its answer, or nothing.
pub type Answer = dyn Fn(&Message<'_>, Way) -> Option<Vec<u8>> + Send + Sync;

/// Requests that came: how, and what they were.
pub type Log = Arc<Mutex<Vec<(Way, Vec<u8>)>>>;

/// An agent on loopback.
pub struct Agent {
    pub address: SocketAddr,
    pub asked: Log,
    /// Requests that named it as one that had answered.
    pub silent: Arc<Mutex<usize>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Drop for Agent {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Agent {
    /// Requests that came one way, decoded by `read`.
    pub fn asked<T>(&self, way: Way, read: impl Fn(Message<'_>) -> T) -> Vec<T> {
        let asked = self.asked.lock().unwrap();
        let of_way = asked.iter().filter(|(came, _)| *came == way);
        of_way
            .map(|(_, octets)| read(decode(octets).unwrap()))
            .collect()
    }
}

/// A port that is free on loopback and that no other test of this program takes: below those that the kernel gives.
pub async fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(20_427);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        let free = UdpSocket::bind(("127.0.0.1", port)).await.is_ok();
        if free && TcpListener::bind(("127.0.0.1", port)).await.is_ok() {
            return port;
        }
    }
}

/// An agent at 127.0.0.`last`.
pub async fn agent(
    last: u8,
    port: u16,
    answer: impl Fn(&Message<'_>, Way) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Agent {
    let ip = Ipv4Addr::new(127, 0, 0, last);
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).unwrap();
    socket.set_reuse_address(true).unwrap();
    let group = multicast::IPV4;
    socket
        .bind(&SocketAddr::from((group, port)).into())
        .unwrap();
    let loopback = nix::net::if_::if_nametoindex("lo").unwrap();
    socket
        .join_multicast_v4_n(&group, &InterfaceIndexOrAddress::Index(loopback))
        .unwrap();
    start(SocketAddr::from((ip, port)), vec![socket], Arc::new(answer)).await
}

/// An agent on IPv6, in these groups on an interface.
pub async fn agent_v6(
    address: SocketAddr,
    interface: &str,
    groups: &[Ipv6Addr],
    answer: impl Fn(&Message<'_>, Way) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> Agent {
    let index = nix::net::if_::if_nametoindex(interface).unwrap();
    let sockets = groups.iter().map(|group| {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)).unwrap();
        socket.set_only_v6(true).unwrap();
        socket.set_reuse_address(true).unwrap();
        let bound = SocketAddrV6::new(*group, address.port(), 0, index);
        socket.bind(&bound.into()).unwrap();
        socket.join_multicast_v6(group, index).unwrap();
        socket
    });
    start(address, sockets.collect(), Arc::new(answer)).await
}

/// Runs `test` on a host of its own, whose interface eth0 has these IPv6 addresses. Needs root.
pub fn on_a_host<F: Future>(addresses: &[&str], test: impl FnOnce() -> F + Send) {
    std::thread::scope(|scope| {
        let host = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("root");
            let ip = |arguments: &str| {
                let status = std::process::Command::new("ip")
                    .args(arguments.split(' '))
                    .status()
                    .unwrap();
                assert!(status.success(), "ip {arguments}");
            };
            ip("link set lo up");
            ip("link add eth0 type veth peer name eth1");
            ip("link set eth0 addrgenmode none");
            ip("link set eth1 addrgenmode none up");
            ip("link set eth0 up multicast on");
            for address in addresses {
                ip(&format!("address add {address}/64 dev eth0 nodad"));
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(test());
        });
        host.join().unwrap();
    });
}

async fn start(address: SocketAddr, groups: Vec<Socket>, answer: Arc<Answer>) -> Agent {
    let asked = Log::default();
    let silent = Arc::new(Mutex::new(0));
    let unicast = Arc::new(UdpSocket::bind(address).await.unwrap());
    let listener = TcpListener::bind(address).await.unwrap();
    let mut tasks = Vec::new();
    for socket in groups {
        socket.set_nonblocking(true).unwrap();
        let socket = UdpSocket::from_std(socket.into()).unwrap();
        tasks.push(tokio::spawn(datagrams(
            Arc::new(socket),
            unicast.clone(),
            Way::Multicast,
            (asked.clone(), silent.clone()),
            answer.clone(),
        )));
    }
    tasks.push(tokio::spawn(datagrams(
        unicast.clone(),
        unicast.clone(),
        Way::Unicast,
        (asked.clone(), silent.clone()),
        answer.clone(),
    )));
    let log = asked.clone();
    tasks.push(tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, Way::Tcp, log.clone(), answer.clone()));
        }
    }));
    Agent {
        address,
        asked,
        silent,
        tasks,
    }
}

/// A registration socket like slpd's.
pub fn registration_socket(
    answer: impl Fn(&Message<'_>, Way) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> (PathBuf, Log) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = std::env::temp_dir().join(format!(
        "slp-agent-{}-{}.sock",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    ));
    let listener = UnixListener::bind(&path).unwrap();
    let asked = Log::default();
    let log = asked.clone();
    let answer: Arc<Answer> = Arc::new(answer);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(stream, Way::Unix, log.clone(), answer.clone()));
        }
    });
    (path, asked)
}

async fn datagrams(
    socket: Arc<UdpSocket>,
    from: Arc<UdpSocket>,
    way: Way,
    (asked, silent): (Log, Arc<Mutex<usize>>),
    answer: Arc<Answer>,
) {
    let mut buffer = vec![0; 65_535];
    loop {
        // An answer that nobody waits for any more comes back as an error.
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let octets = &buffer[..length];
        if names(octets, from.local_addr().unwrap().ip()) {
            *silent.lock().unwrap() += 1;
        } else if let Some(reply) = answered(octets, way, &asked, &*answer) {
            let _ = from.send_to(&reply, remote).await;
        }
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    way: Way,
    asked: Log,
    answer: Arc<Answer>,
) {
    let mut octets = Vec::new();
    while stream.read_buf(&mut octets).await.unwrap_or(0) > 0 {
        if announced_length(&octets).is_some_and(|length| octets.len() >= length) {
            if let Some(reply) = answered(&octets, way, &asked, &*answer) {
                let _ = stream.write_all(&reply).await;
            }
            octets.clear();
        }
    }
}

/// Whether a request's PRList has this address.
fn names(octets: &[u8], own: IpAddr) -> bool {
    let request = decode(octets).unwrap();
    let previous_responders = match &request.body {
        Body::SrvRqst(body) => body.previous_responders,
        Body::AttrRqst(body) => body.previous_responders,
        Body::SrvTypeRqst(body) => body.previous_responders,
        _ => "",
    };
    let own = own.to_string();
    previous_responders.split(',').any(|one| one == own)
}

fn answered(octets: &[u8], way: Way, asked: &Log, answer: &Answer) -> Option<Vec<u8>> {
    let request = decode(octets).unwrap();
    assert_eq!(request.header.flags.multicast, way == Way::Multicast);
    let reply = answer(&request, way)?;
    asked.lock().unwrap().push((way, octets.to_vec()));
    Some(reply)
}

/// Settings for loopback alone, where some answer of directory agents is waited for: it comes at once, and a machine
/// that stalls does not make it late.
pub fn settings(port: u16) -> Settings {
    let mut settings = Settings {
        port,
        interfaces: vec!["lo".into()],
        discover_by_itself: false,
        registration_socket: PathBuf::new(),
        ..Settings::default()
    };
    settings.timers.retry_ms = 1_000;
    settings.timers.mc_max_ms = 4_000;
    settings.timers.start_wait_ms = 0;
    settings.timers.reg_passive_ms = 0;
    settings
}

/// Settings for where nothing is waited for that may come late, but the end of what is multicast.
pub fn quick(port: u16) -> Settings {
    let mut settings = settings(port);
    settings.timers.retry_ms = 200;
    settings.timers.mc_max_ms = 2_000;
    settings
}

pub fn user_agent(settings: Settings) -> UserAgent {
    UserAgent::new(settings).unwrap()
}

/// Answers `request` with `body`.
pub fn reply(request: &Message<'_>, body: Body<'_>) -> Option<Vec<u8>> {
    reply_with(request, body, false, Vec::new())
}

pub fn reply_with(
    request: &Message<'_>,
    body: Body<'_>,
    overflow: bool,
    extensions: Vec<Extension<'_>>,
) -> Option<Vec<u8>> {
    let mut octets = Vec::new();
    let message = Message {
        header: Header {
            flags: Flags {
                overflow,
                ..Flags::default()
            },
            ..request.header
        },
        body,
        extensions,
    };
    encode(&message, &mut octets).unwrap();
    Some(octets)
}

pub fn services<'a>(urls: impl IntoIterator<Item = &'a str>) -> Body<'a> {
    let entries = urls.into_iter().map(|url| UrlEntry {
        lifetime: 60,
        url,
        authentication: Vec::new(),
    });
    Body::SrvRply(SrvRply {
        error: ErrorCode::OK,
        urls: entries.collect(),
    })
}

pub fn advert<'a>(url: &'a str, scopes: &'a str) -> Body<'a> {
    Body::DaAdvert(DaAdvert {
        boot_timestamp: 1_000,
        url,
        scopes,
        ..DaAdvert::default()
    })
}

/// Whether a request looks for directory agents.
pub fn is_discovery(request: &Message<'_>) -> bool {
    matches!(&request.body, Body::SrvRqst(body) if body.service_type == "service:directory-agent")
}
