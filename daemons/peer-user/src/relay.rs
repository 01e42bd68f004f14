//! Datagrams of programs on this host, from the one port that a credential names.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::sleep;
use tollwire_peer::Listed;

use crate::{Credential, User, UserError, now};

/// Octets of a datagram.
const LARGEST: usize = 65_535;
/// The longest pause between two looks at the clock: it may be set.
const LOOK: Duration = Duration::from_secs(5);
/// The pause before the provider is asked whether a session is still open.
const ASK: Duration = Duration::from_secs(10);
/// The pause after a manager who gives no other credential.
const PAUSE: Duration = Duration::from_secs(1);
/// How often he is asked again who has to release what the session before did not use.
const RELEASES: u32 = 8;

/// What passed, both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Datagrams.
    pub datagrams: u64,
    /// Octets in them.
    pub octets: u64,
}

/// Where the datagrams of a service go.
///
/// # Errors
/// Its address is not of datagrams, or not known.
pub async fn destination(credential: &Credential) -> Result<SocketAddr, UserError> {
    let wrong = || {
        UserError::Setting(format!(
            "{}: the service is not of datagrams",
            credential.address
        ))
    };
    let place = credential
        .address
        .strip_prefix("udp://")
        .ok_or_else(wrong)?;
    let mut found = tokio::net::lookup_host(place.trim_end_matches('/'))
        .await
        .map_err(|_| wrong())?;
    found.next().ok_or_else(wrong)
}

/// Passes on what programs send to `local`, from `remote`'s port, and back to the one that sent last; until `ended`, or until
/// the credential, which [`open`] gave, ends and there is no other. Its session is ended here.
///
/// With `renews`, the next credential is asked for at the end of each: the old session ends before, for both are of one port.
///
/// # Errors
/// [`UserError`]: there is no other credential, and will be none.
pub async fn run(
    user: &User,
    service: &Listed,
    mut credential: Credential,
    (local, remote): (UdpSocket, UdpSocket),
    renews: bool,
    ended: impl Future<Output = ()>,
) -> Result<Passed, UserError> {
    let mut passed = Passed::default();
    let mut pump = Pump::default();
    let mut ended = std::pin::pin!(ended);
    loop {
        let until = match renews {
            true => credential.renew_at(),
            false => credential.not_after,
        };
        let over = tokio::select! {
            () = &mut ended => true,
            () = reached(until) => !renews,
            () = revoked(user, &credential) => !renews,
            () = pump.pass(&local, &remote, &mut passed) => true,
        };
        if let Err(error) = user.close(&credential).await {
            tracing::warn!(%error, session = %credential.accounting_session_id, "a session was not ended");
        }
        if over {
            return Ok(passed);
        }
        let mut left = RELEASES;
        credential = loop {
            let asked = tokio::select! {
                () = &mut ended => return Ok(passed),
                asked = open(user, service, &remote) => asked,
            };
            match asked {
                Ok(credential) => break credential,
                Err(error) if error.is_short() && left > 0 => left -= 1,
                Err(error) if !error.may_pass() => return Err(error),
                Err(error) => tracing::warn!(%error, "no new credential yet"),
            }
            tokio::select! {
                () = &mut ended => return Ok(passed),
                () = sleep(PAUSE) => {}
            }
        };
    }
}

/// A credential for the port of `remote`, whose session is open. From then on `remote` speaks to its provider alone.
///
/// # Errors
/// [`UserError`]
pub async fn open(
    user: &User,
    service: &Listed,
    remote: &UdpSocket,
) -> Result<Credential, UserError> {
    let own = remote.local_addr();
    let own = own.map_err(|error| UserError::Setting(error.to_string()))?;
    let credential = user.request(service, Some(own.port())).await?;
    let opened = async {
        let to = destination(&credential).await?;
        let unable = |error: io::Error| UserError::Setting(format!("{to}: {error}"));
        remote.connect(to).await.map_err(unable)?;
        user.open(&credential).await
    };
    match opened.await {
        Ok(()) => Ok(credential),
        Err(error) => {
            // Nobody will use it.
            let _ = user.close(&credential).await;
            Err(error)
        }
    }
}

async fn reached(unix: i64) {
    loop {
        let left = unix.saturating_sub(now());
        let Ok(left @ 1..) = u64::try_from(left) else {
            return;
        };
        sleep(Duration::from_secs(left).min(LOOK)).await;
    }
}

/// Until the provider says that the session is over: datagrams do not tell.
async fn revoked(user: &User, credential: &Credential) {
    loop {
        sleep(ASK).await;
        // What is open stays open.
        match user.open(credential).await {
            Err(UserError::Refused {
                status: 404 | 410, ..
            }) => {
                tracing::warn!(session = %credential.accounting_session_id, "the provider says that the session is over");
                return;
            }
            Err(error) => tracing::warn!(%error, "whether the session is open is not known"),
            Ok(()) => {}
        }
    }
}

struct Pump {
    out: Vec<u8>,
    back: Vec<u8>,
    /// Who sent last.
    program: Option<SocketAddr>,
}

impl Default for Pump {
    fn default() -> Self {
        Self {
            out: vec![0; LARGEST],
            back: vec![0; LARGEST],
            program: None,
        }
    }
}

impl Pump {
    /// Until a socket of this host fails.
    async fn pass(&mut self, local: &UdpSocket, remote: &UdpSocket, passed: &mut Passed) {
        loop {
            let sent = tokio::select! {
                came = local.recv_from(&mut self.out) => match came {
                    Ok((length, program)) => {
                        self.program = Some(program);
                        remote.send(self.out.get(..length).unwrap_or_default()).await
                    }
                    Err(error) => Err(error),
                },
                came = remote.recv(&mut self.back) => match (came, self.program) {
                    (Ok(length), Some(program)) => {
                        local.send_to(self.back.get(..length).unwrap_or_default(), program).await
                    }
                    (Ok(_), None) => continue,
                    (Err(error), _) => Err(error),
                },
            };
            match sent {
                Ok(octets) => {
                    passed.datagrams += 1;
                    passed.octets = passed.octets.saturating_add(octets as u64);
                }
                // Nobody listens there, for now: datagrams get lost.
                Err(error) if is_passing(&error) => {
                    tracing::debug!(%error, "a datagram was lost");
                }
                Err(error) => {
                    tracing::warn!(%error, "a socket failed");
                    return;
                }
            }
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown,
        NetworkUnreachable, PermissionDenied, WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | Interrupted
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
            | WouldBlock
    ) || error.raw_os_error() == Some(EMSGSIZE)
}

/// A datagram that is too large for the way (errno of Linux).
const EMSGSIZE: i32 = 90;
