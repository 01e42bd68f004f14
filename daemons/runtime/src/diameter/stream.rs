use std::io::{self, BufRead, Read, Write};
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncWriteExt, Interest, Ready};
use tokio::net::{TcpStream, UnixStream};

use crate::diameter::Address;
use crate::diameter::tls::Loaded;

/// Times one [`Stream::try_read`] asks a socket with TLS, so that one peer cannot keep the thread: 4 kB each.
const TLS_READS: usize = 8;

/// A connected socket of any kind.
#[derive(Debug)]
pub(super) enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// Connects, with the handshake of TLS if `address` wants one.
    pub(super) async fn connect(
        address: &Address,
        timeout: Duration,
        tls: Option<Loaded>,
    ) -> io::Result<Self> {
        let connect = async {
            match address {
                Address::Unix(path) => UnixStream::connect(path).await.map(Self::Unix),
                Address::Tcp(address) => Self::from_tcp(TcpStream::connect(address).await?),
                Address::Tls(address) => {
                    let tls = tls.ok_or_else(|| io::Error::other("no certificates"))?;
                    let socket = TcpStream::connect(address).await?;
                    socket.set_nodelay(true)?;
                    let stream = tls.connect(socket, *address).await?;
                    Ok(Self::Tls(Box::new(stream)))
                }
            }
        };
        tokio::time::timeout(timeout, connect)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    pub(super) fn from_tcp(stream: TcpStream) -> io::Result<Self> {
        // Frames are gathered here; waiting for more in the kernel only delays them.
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }

    /// Who the peer is, if it had to show that.
    pub(super) fn certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => None,
            Self::Tls(stream) => Some(&stream.certificate),
        }
    }

    pub(super) async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Unix(stream) => stream.ready(interest).await,
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Tls(stream) => stream.ready(interest).await,
        }
    }

    pub(super) fn try_read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_read_buf(buffer),
            Self::Tcp(stream) => stream.try_read_buf(buffer),
            Self::Tls(stream) => stream.try_read(buffer),
        }
    }

    pub(super) fn try_write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.try_write(octets),
            Self::Tcp(stream) => stream.try_write(octets),
            Self::Tls(stream) => stream.try_write(octets),
        }
    }

    /// Gives the socket what was taken by [`Stream::try_write`] and is not out yet; `WouldBlock` if some stays.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(_) | Self::Tcp(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }

    /// Whether [`Stream::flush`] has something to do.
    pub(super) fn has_unsent(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Tcp(_) => false,
            Self::Tls(stream) => stream.session.wants_write(),
        }
    }

    /// Tells the peer that nothing more comes.
    pub(super) async fn shutdown(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown().await,
            Self::Tcp(stream) => stream.shutdown().await,
            Self::Tls(stream) => {
                stream.session.send_close_notify();
                // Everything else was written; a socket without room for these octets is closed without them.
                let _told = stream.flush();
                stream.socket.shutdown().await
            }
        }
    }
}

/// TLS after its handshake, asked as a socket is: by readiness, so that one task reads and writes.
#[derive(Debug)]
pub(super) struct TlsStream {
    socket: TcpStream,
    session: rustls::Connection,
    certificate: CertificateDer<'static>,
    /// What came with the end of the handshake may wait in the session while the socket has nothing.
    unread: bool,
}

impl TlsStream {
    pub(super) fn new(socket: TcpStream, session: rustls::Connection) -> io::Result<Self> {
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        let certificate = shown
            .cloned()
            .ok_or_else(|| invalid("the peer shows no certificate"))?
            .into_owned();
        Ok(Self {
            socket,
            session,
            certificate,
            unread: true,
        })
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        if self.unread && interest.is_readable() {
            return Ok(Ready::READABLE);
        }
        self.socket.ready(interest).await
    }

    fn try_read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        self.unread = false;
        for _ in 0..TLS_READS {
            match self.take_plain(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                taken => return taken,
            }
            if self.session.read_tls(&mut Raw(&self.socket))? == 0 {
                return Ok(0);
            }
            if let Err(error) = self.session.process_new_packets() {
                // The alert tells the peer why; whether it gets it changes nothing.
                let _told = self.flush();
                return Err(invalid(error));
            }
        }
        self.take_plain(buffer)
    }

    /// Moves all that is decrypted into `buffer`; 0 after the peer's close_notify.
    fn take_plain(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        let mut reader = self.session.reader();
        let mut taken = 0;
        loop {
            match reader.fill_buf() {
                Ok([]) => return Ok(taken),
                Ok(plain) => {
                    buffer.extend_from_slice(plain);
                    let count = plain.len();
                    reader.consume(count);
                    taken += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && taken > 0 => {
                    return Ok(taken);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn try_write(&mut self, octets: &[u8]) -> io::Result<usize> {
        // What is encrypted and not out yet is bounded by what one call takes.
        self.flush()?;
        let count = self.session.writer().write(octets)?;
        match self.flush() {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(count),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            self.session.write_tls(&mut Raw(&self.socket))?;
        }
        Ok(())
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// A socket that never waits, for rustls.
struct Raw<'a>(&'a TcpStream);

impl Read for Raw<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Raw<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.try_write(octets)
    }

    fn write_vectored(&mut self, octets: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
