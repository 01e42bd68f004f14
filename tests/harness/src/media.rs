//! RTP: a port that sends at a steady rate and notes when each packet arrives.
//!
//! What a gate lets through is counted here, at the receiver, never at the gate.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::net::Host;
use crate::wait::{PATIENCE, wait_until};

/// Time between two packets of a telephone call (RFC 3551: 20 ms of G.711, 160 octets).
pub const PACKET_TIME: Duration = Duration::from_millis(20);

/// Octets of one packet as sent by [`Port::send_to`], IP header included, on IPv4.
pub const PACKET_OCTETS: u64 = 20 + 8 + 12 + 160;

/// Milliseconds since 1970.
#[must_use]
pub fn unix_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

/// One packet that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// When, in milliseconds since 1970.
    pub unix_ms: i64,
    /// From where.
    pub from: SocketAddr,
    /// RTP sequence number.
    pub sequence_number: u16,
}

/// A bound media port. It receives from the moment it is opened.
#[derive(Debug)]
pub struct Port {
    socket: UdpSocket,
    address: SocketAddr,
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    stop: Arc<AtomicBool>,
    receiver: Option<JoinHandle<()>>,
}

impl Port {
    /// Opens `port` on the host's IPv4 address.
    #[must_use]
    pub fn open(host: &Host, port: u16) -> Self {
        Self::open_at(host, SocketAddr::new(host.ip, port))
    }

    /// Opens `address` on the host.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    pub fn open_at(host: &Host, address: SocketAddr) -> Self {
        let socket = host.udp_at(address);
        let address = socket.local_addr().expect("a bound address");
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let receiver = {
            let socket = socket.try_clone().expect("a second handle");
            let (arrivals, stop) = (Arc::clone(&arrivals), Arc::clone(&stop));
            std::thread::spawn(move || receive(&socket, &arrivals, &stop))
        };
        Self {
            socket,
            address,
            arrivals,
            stop,
            receiver: Some(receiver),
        }
    }

    /// Where it is bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a packet to `to` every [`PACKET_TIME`] until the sender is dropped.
    #[must_use]
    pub fn send_to(&self, to: SocketAddr) -> Sender {
        self.send_every(to, PACKET_TIME)
    }

    /// Sends a packet to `to` every `interval` until the sender is dropped.
    ///
    /// # Panics
    /// When the socket cannot be shared with the sending thread.
    #[must_use]
    pub fn send_every(&self, to: SocketAddr, interval: Duration) -> Sender {
        let socket = self.socket.try_clone().expect("a second handle");
        let sent = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            std::thread::spawn(move || transmit(&socket, to, interval, &sent, &stop))
        };
        Sender {
            sent,
            stop,
            thread: Some(thread),
        }
    }

    /// Everything that has arrived.
    ///
    /// # Panics
    /// When the receiving thread panicked.
    #[must_use]
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.lock().expect("the receiver lives").clone()
    }

    /// How many packets have arrived.
    ///
    /// # Panics
    /// When the receiving thread panicked.
    #[must_use]
    pub fn count(&self) -> usize {
        self.arrivals.lock().expect("the receiver lives").len()
    }

    /// How many packets arrived in `[from, until)`, in milliseconds since 1970.
    #[must_use]
    pub fn count_between(&self, from: i64, until: i64) -> usize {
        self.arrivals()
            .iter()
            .filter(|arrival| (from..until).contains(&arrival.unix_ms))
            .count()
    }

    /// Waits until `more` packets beyond those already here have arrived.
    ///
    /// # Panics
    /// When they do not arrive.
    #[track_caller]
    pub fn wait_for_more(&self, more: usize) {
        let enough = self.count() + more;
        wait_until(
            &format!("{more} more packets at {}", self.address),
            PATIENCE,
            || self.count() >= enough,
        );
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.receiver.take() {
            let _ = thread.join();
        }
    }
}

/// Sends until dropped.
#[derive(Debug)]
pub struct Sender {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sender {
    /// Packets sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until `more` packets have been sent from now on: the measure of "for a while" when
    /// the expected result is that nothing arrives.
    ///
    /// # Panics
    /// When the sender stalls.
    #[track_caller]
    pub fn wait_for_more(&self, more: u64) {
        let enough = self.sent() + more;
        wait_until(&format!("{more} more packets sent"), PATIENCE, || {
            self.sent() >= enough
        });
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn receive(socket: &UdpSocket, arrivals: &Mutex<Vec<Arrival>>, stop: &AtomicBool) {
    let _ = socket.set_read_timeout(Some(Duration::from_millis(50)));
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let arrival = Arrival {
            unix_ms: unix_ms(),
            from,
            sequence_number: match buffer.get(..length) {
                Some([_, _, high, low, ..]) => u16::from_be_bytes([*high, *low]),
                _ => 0,
            },
        };
        if let Ok(mut arrivals) = arrivals.lock() {
            arrivals.push(arrival);
        }
    }
}

fn transmit(
    socket: &UdpSocket,
    to: SocketAddr,
    interval: Duration,
    sent: &AtomicU64,
    stop: &AtomicBool,
) {
    // RFC 3550 5.1: version 2, payload type 0 (PCMU), one synchronisation source.
    let mut packet = [0xff_u8; 172];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0x54, 0x6f, 0x6c, 0x6c]);
    let mut due = Instant::now();
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let sequence_number = u16::try_from(number & 0xffff).unwrap_or_default();
        packet[2..4].copy_from_slice(&sequence_number.to_be_bytes());
        packet[4..8].copy_from_slice(&number.wrapping_mul(160).to_be_bytes());
        // A refused send (a route that went away, a full queue) is a packet lost, as on any network.
        let _ = socket.send_to(&packet, to);
        sent.fetch_add(1, Ordering::Relaxed);
        due += interval;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
}
