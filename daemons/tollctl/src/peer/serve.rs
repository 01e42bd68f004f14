//! What serves programs until it is interrupted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::net::{TcpListener, UdpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tollwire_peer_user::{Bounds, Leases, Proxy as Running, User, relay};

use super::party::Party;
use super::{Source, load, local_unless};
use crate::context::{Context, warn};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct Proxy {
    #[command(flatten)]
    source: Source,
    /// Where programs find it.
    #[arg(long, default_value = "127.0.0.1:8899")]
    listen: SocketAddr,
    /// Lets it listen beyond this host: whoever reaches it spends your money.
    #[arg(long)]
    allow_remote: bool,
    /// Asks for another credential before the end of each.
    #[arg(long, conflicts_with = "credential")]
    renew: bool,
    /// Connections of programs at once; more wait.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// How long nothing may come of a body, seconds.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    silence: u64,
}

#[derive(Debug, Args)]
pub(super) struct Udp {
    /// The service's name.
    #[arg(long)]
    service: String,
    /// Where programs send their datagrams.
    #[arg(long, default_value = "127.0.0.1:8898")]
    listen: SocketAddr,
    /// Lets it listen beyond this host: whoever reaches it spends your money.
    #[arg(long)]
    allow_remote: bool,
    /// Where datagrams come from as the provider and a gate see it; port 0 is any.
    #[arg(long, default_value = "0.0.0.0:0", value_name = "ADDRESS:PORT")]
    from: SocketAddr,
    /// Asks for another credential at the end of each.
    #[arg(long)]
    renew: bool,
}

fn bound(address: SocketAddr) -> impl FnOnce(std::io::Error) -> Failure {
    move |error| Failure::Wrong(format!("{address}: {error}"))
}

/// Until SIGINT or SIGTERM. Whoever starts this can interrupt it from then on. At SIGHUP the user's certificate, the roots
/// and the lists of revoked ones are read again: they end, and a proxy may live longer.
fn interrupted(
    party: &Party,
    user: Option<Arc<User>>,
) -> Result<impl Future<Output = ()>, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => return,
                _ = terminate.recv() => return,
                _ = hangup.recv() => {}
            }
            match (&user, party.read()) {
                (Some(user), Ok((identity, trust))) => user.renew(identity, trust),
                (Some(_), Err(failure)) => warn(&format!("nothing is changed: {failure}")),
                (None, _) => {}
            }
        }
    })
}

/// What goes wrong beside is told as it happens.
fn log() -> Result<(), Failure> {
    tollwire_runtime::logging::start("warn").map_err(Failure::Wrong)
}

pub(super) async fn proxy(
    proxy: Proxy,
    party: &Party,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let listen = local_unless(proxy.listen, proxy.allow_remote)?;
    let listener = TcpListener::bind(listen).await.map_err(bound(listen))?;
    let (leases, user) = match (&proxy.source.credential, &proxy.source.service) {
        (Some(credential), _) => {
            let leases = Leases::given(party.caller()?, load(credential)?);
            (leases, None)
        }
        (None, service) => {
            let user = party.user()?;
            let service = service.as_deref().unwrap_or_default();
            let service = user.service(service).await?;
            let leases = Leases::of(Arc::clone(&user), service, proxy.renew);
            (leases, Some(user))
        }
    };
    let interrupted = interrupted(party, user)?;
    // Now, so that what is wrong is told here and not to the first program.
    let lease = leases.lease().await?;
    log()?;
    let bounds = Bounds {
        connections: proxy.connections as usize,
        silence: Duration::from_secs(proxy.silence),
        ..Bounds::default()
    };
    let running = Running::start(listener, leases, bounds)?;
    let credential = lease.credential();
    let address = running.address();
    match context.json {
        true => context.print_json(&json!({
            "listen": address, "service": credential.service, "provider": credential.provider,
            "address": credential.address, "accounting_session_id": credential.accounting_session_id,
        }))?,
        false => context.print_line(&format!(
            "http://{address}: {} of {}, {}",
            credential.service, credential.provider, credential.address
        ))?,
    }
    context.out.flush()?;
    drop(lease);
    interrupted.await;
    let used = running.stop().await;
    let (requests, octets) = (used.requests, used.octets);
    warn(&format!("{requests} requests, {octets} octets passed"));
    Ok(())
}

pub(super) async fn udp(udp: Udp, party: &Party, context: &mut Context<'_>) -> Result<(), Failure> {
    let listen = local_unless(udp.listen, udp.allow_remote)?;
    let local = UdpSocket::bind(listen).await.map_err(bound(listen))?;
    let remote = UdpSocket::bind(udp.from).await.map_err(bound(udp.from))?;
    let user = party.user()?;
    let service = user.service(&udp.service).await?;
    let interrupted = interrupted(party, Some(Arc::clone(&user)))?;
    let credential = relay::open(&user, &service, &remote).await?;
    log()?;
    let (listen, from) = (local.local_addr()?, remote.local_addr()?);
    match context.json {
        true => context.print_json(&json!({
            "listen": listen, "from": from, "service": service.name, "provider": service.provider,
            "address": credential.address, "accounting_session_id": credential.accounting_session_id,
        }))?,
        false => context.print_line(&format!(
            "{listen}: {} of {}, {}, from {from}",
            service.name, service.provider, credential.address
        ))?,
    }
    context.out.flush()?;
    let passed = relay::run(
        &user,
        &service,
        credential,
        (local, remote),
        udp.renew,
        interrupted,
    )
    .await?;
    let (datagrams, octets) = (passed.datagrams, passed.octets);
    warn(&format!("{datagrams} datagrams, {octets} octets passed"));
    Ok(())
}
