//! Sockets: UDP drained in batches, TCP connections framed by Content-Length (RFC 3261 18.3).

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tollwire_sip::message::ParseFailure;
use tollwire_sip::transaction::{Flow, Transport};
use tollwire_sip::{Framed, FramingError, Message, StreamFramer};

/// What the network tells the driver.
#[derive(Debug)]
pub enum Arrival {
    /// A message, or what was none.
    Message(Flow, Result<Message, ParseFailure>),
    /// A connection is open; what is written here goes out over it.
    Opened(Flow, mpsc::Sender<Bytes>),
    /// It is closed, or could not be opened.
    Closed(Flow),
}

/// The largest UDP datagram.
const DATAGRAM: usize = 65_535;
/// Messages that may wait to be written to one connection.
const WRITE_QUEUE: usize = 256;
/// A connection without traffic for so long is closed; a phone keeps its own alive (RFC 5626 4.4).
const IDLE: Duration = Duration::from_secs(3600);
/// Time for a connection to open.
const CONNECT: Duration = Duration::from_secs(5);

/// All sockets of the daemon.
pub struct Sockets {
    udp: HashMap<SocketAddr, Rc<UdpSocket>>,
    connections: HashMap<Flow, mpsc::Sender<Bytes>>,
    arrivals: mpsc::Sender<Arrival>,
    max_connections: usize,
    max_message: usize,
}

impl Sockets {
    /// Sockets that report to `arrivals`. Must be called within a `LocalSet`.
    pub fn new(
        arrivals: mpsc::Sender<Arrival>,
        max_connections: usize,
        max_message: usize,
    ) -> Self {
        Self {
            udp: HashMap::new(),
            connections: HashMap::new(),
            arrivals,
            max_connections,
            max_message,
        }
    }

    /// Listens for datagrams; returns the address, with the port that was found where 0 was asked.
    pub async fn listen_udp(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let socket = UdpSocket::bind(address)
            .await
            .map_err(|error| named(address, error))?;
        let reference = socket2::SockRef::from(&socket);
        // A burst of calls must fit in the kernel's queue while the core works on the last one.
        let _ = reference.set_recv_buffer_size(4 << 20);
        let _ = reference.set_send_buffer_size(4 << 20);
        let local = socket.local_addr()?;
        let socket = Rc::new(socket);
        self.udp.insert(local, socket.clone());
        tokio::task::spawn_local(receive(socket, local, self.arrivals.clone()));
        Ok(local)
    }

    /// Listens for connections.
    pub async fn listen_tcp(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| named(address, error))?;
        let local = listener.local_addr()?;
        tokio::task::spawn_local(accept(
            listener,
            local,
            self.arrivals.clone(),
            self.max_message,
        ));
        Ok(local)
    }

    /// Takes note of a connection; beyond the bound it is closed again.
    pub fn opened(&mut self, flow: Flow, writer: mpsc::Sender<Bytes>) {
        if self.connections.len() < self.max_connections {
            self.connections.insert(flow, writer);
        }
    }

    /// Forgets a connection.
    pub fn closed(&mut self, flow: &Flow) {
        self.connections.remove(flow);
    }

    /// Sends octets; `false` if they cannot be sent.
    pub fn send(&mut self, flow: Flow, bytes: Bytes) -> bool {
        match flow.transport {
            Transport::Udp => self.send_datagram(flow, bytes),
            Transport::Tcp => self.send_stream(flow, bytes),
            Transport::Tls => false,
        }
    }

    fn send_datagram(&self, flow: Flow, bytes: Bytes) -> bool {
        let Some(socket) = self.udp.get(&flow.local) else {
            return false;
        };
        match socket.try_send_to(&bytes, flow.remote) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let socket = socket.clone();
                tokio::task::spawn_local(async move {
                    // UDP may lose it: the transaction's timers repeat it.
                    let _ = socket.send_to(&bytes, flow.remote).await;
                });
                true
            }
            // An ICMP error of an earlier datagram: this one was not sent.
            Err(_) => socket.try_send_to(&bytes, flow.remote).is_ok(),
        }
    }

    fn send_stream(&mut self, flow: Flow, bytes: Bytes) -> bool {
        if let Some(writer) = self.connections.get(&flow) {
            // Full: the peer does not read. What waits is bounded, so the connection counts as broken.
            return writer.try_send(bytes).is_ok();
        }
        if self.connections.len() >= self.max_connections {
            return false;
        }
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        let sent = writer.try_send(bytes).is_ok();
        self.connections.insert(flow, writer);
        tokio::task::spawn_local(connect(
            flow,
            queue,
            self.arrivals.clone(),
            self.max_message,
        ));
        sent
    }
}

async fn receive(socket: Rc<UdpSocket>, local: SocketAddr, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let Ok((length, remote)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let octets = buffer.get(..length).unwrap_or_default();
        // Keep-alives of CRLF or NUL (RFC 5626 4.4.1 and common practice) are no messages.
        if octets
            .iter()
            .all(|octet| matches!(octet, b'\r' | b'\n' | 0))
        {
            continue;
        }
        let flow = Flow {
            transport: Transport::Udp,
            local,
            remote,
        };
        let parsed = Message::parse(Bytes::copy_from_slice(octets));
        if arrivals.send(Arrival::Message(flow, parsed)).await.is_err() {
            return;
        }
    }
}

async fn accept(
    listener: TcpListener,
    local: SocketAddr,
    arrivals: mpsc::Sender<Arrival>,
    max_message: usize,
) {
    loop {
        let Ok((stream, remote)) = listener.accept().await else {
            // Out of descriptors: those in use have to close first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let flow = Flow {
            transport: Transport::Tcp,
            local,
            remote,
        };
        let (writer, queue) = mpsc::channel(WRITE_QUEUE);
        if arrivals
            .send(Arrival::Opened(flow, writer.clone()))
            .await
            .is_err()
        {
            return;
        }
        tokio::task::spawn_local(converse(
            stream,
            flow,
            writer.downgrade(),
            queue,
            arrivals.clone(),
            max_message,
        ));
    }
}

async fn connect(
    flow: Flow,
    queue: mpsc::Receiver<Bytes>,
    arrivals: mpsc::Sender<Arrival>,
    max_message: usize,
) {
    match tokio::time::timeout(CONNECT, TcpStream::connect(flow.remote)).await {
        Ok(Ok(stream)) => {
            let (unused, _) = mpsc::channel(1);
            converse(
                stream,
                flow,
                unused.downgrade(),
                queue,
                arrivals,
                max_message,
            )
            .await;
        }
        _ => drop(arrivals.send(Arrival::Closed(flow)).await),
    }
}

/// Reads and writes until either side is done.
async fn converse(
    mut stream: TcpStream,
    flow: Flow,
    own: mpsc::WeakSender<Bytes>,
    mut queue: mpsc::Receiver<Bytes>,
    arrivals: mpsc::Sender<Arrival>,
    max_message: usize,
) {
    let _ = stream.set_nodelay(true);
    let mut framer = StreamFramer::new(max_message);
    let mut buffer = vec![0; 16_384];
    loop {
        tokio::select! {
            read = tokio::time::timeout(IDLE, stream.read(&mut buffer)) => {
                let Ok(Ok(length @ 1..)) = read else { break };
                framer.push(buffer.get(..length).unwrap_or_default());
                if !frames(&mut framer, flow, &own, &arrivals).await {
                    break;
                }
            }
            bytes = queue.recv() => {
                let Some(bytes) = bytes else { break };
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = arrivals.send(Arrival::Closed(flow)).await;
}

/// Reports whole messages; `false` ends the connection.
async fn frames(
    framer: &mut StreamFramer,
    flow: Flow,
    own: &mpsc::WeakSender<Bytes>,
    arrivals: &mpsc::Sender<Arrival>,
) -> bool {
    while let Some(frame) = framer.next() {
        let (message, goes_on) = match frame {
            Ok(Framed::Message(message)) => (Ok(message), true),
            Ok(Framed::Ping) => {
                // RFC 5626 4.4.1.
                if let Some(own) = own.upgrade() {
                    let _ = own.try_send(Bytes::from_static(b"\r\n"));
                }
                continue;
            }
            Ok(Framed::Pong) => continue,
            Err(FramingError::Message(failure)) => (Err(failure), true),
            Err(FramingError::Fatal(failure)) => (Err(failure), false),
        };
        if arrivals
            .send(Arrival::Message(flow, message))
            .await
            .is_err()
            || !goes_on
        {
            return false;
        }
    }
    true
}

fn named(address: SocketAddr, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{address}: {error}"))
}
