//! How many credit-control round trips two nodes make over a Unix socket, and what each costs.
//!
//! `cargo run --release -p tollwire-runtime --example diameter_round_trips [COUNT]` prints, for
//! several numbers of requests under way at once, round trips per second and CPU time of both
//! sides together: typed values built, encoded, sent, decoded, answered and decoded again.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollwire_diameter::ResultCode;
use tollwire_diameter::credit_control::{
    CcRequestType, CreditControlAnswer, CreditControlRequest, GrantedServiceUnit,
    MultipleServicesCreditControl, RequestedServiceUnit, SubscriptionId, SubscriptionIdType,
    UsedServiceUnit,
};
use tollwire_diameter::dictionary::APPLICATION_CREDIT_CONTROL;
use tollwire_runtime::diameter::{Address, Node, NodeConfig, NodeEvent, PeerConfig, PeerId};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let count = match std::env::args().nth(1) {
        Some(text) => text.parse()?,
        None => 100_000,
    };
    let path = std::env::temp_dir().join(format!("round-trips-{}.sock", std::process::id()));
    let (ready, wait) = std::sync::mpsc::channel();
    let server_address = Address::Unix(path.clone());
    std::thread::spawn(move || serve(server_address, &ready));
    wait.recv()?;
    for window in [1, 10, 100] {
        let (elapsed, cpu) = ask(Address::Unix(path.clone()), count, window)?;
        let per_second = f64::from(count) / elapsed.as_secs_f64();
        let micros = cpu.as_secs_f64() * 1e6 / f64::from(count);
        println!(
            "{window:>4} under way: {per_second:>8.0} round trips/s, {micros:>5.1} us CPU each"
        );
    }
    Ok(())
}

fn config(origin_host: &str) -> NodeConfig {
    NodeConfig {
        origin_host: origin_host.to_owned(),
        origin_realm: "example".to_owned(),
        auth_application_ids: vec![APPLICATION_CREDIT_CONTROL],
        ..NodeConfig::default()
    }
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn serve(address: Address, ready: &std::sync::mpsc::Sender<()>) {
    let serve = async {
        let (sender, mut events) = mpsc::channel(1024);
        let config = NodeConfig {
            listen: vec![address],
            ..config("server.example")
        };
        let node = Node::start(config, sender)?;
        let _listening = ready.send(());
        while let Some(event) = events.recv().await {
            if let NodeEvent::Request {
                reply_to, message, ..
            } = event
            {
                let request =
                    CreditControlRequest::decode(&message).map_err(std::io::Error::other)?;
                node.answer(reply_to, &grant(request).answer(&message));
            }
        }
        Ok::<_, std::io::Error>(())
    };
    if let Err(error) = runtime().and_then(|runtime| runtime.block_on(serve)) {
        eprintln!("{error}");
    }
}

fn ask(
    address: Address,
    count: u32,
    window: u32,
) -> Result<(Duration, Duration), Box<dyn std::error::Error>> {
    runtime()?.block_on(async {
        let (sender, mut events) = mpsc::channel(1024);
        let peer = PeerId::new("server");
        let config = NodeConfig {
            connect: vec![PeerConfig {
                name: peer.to_string(),
                address,
                alternatives: Vec::new(),
                origin_host: None,
            }],
            ..config("client.example")
        };
        let node = Node::start(config, sender)?;
        while !matches!(events.recv().await, Some(NodeEvent::PeerOpen { .. })) {}
        let start = (Instant::now(), cpu_time());
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < window {
                node.send_request(&peer, u64::from(sent), request(sent).encode(0, 0))?;
                sent += 1;
            }
            if let Some(NodeEvent::Answer { message, .. }) = events.recv().await {
                CreditControlAnswer::decode(&message)?;
                answered += 1;
            }
        }
        let spent = (start.0.elapsed(), cpu_time() - start.1);
        node.shutdown().await;
        Ok(spent)
    })
}

fn request(number: u32) -> CreditControlRequest {
    CreditControlRequest {
        session_id: format!("client.example;1700000000;{number}"),
        origin_host: "client.example".to_owned(),
        origin_realm: "example".to_owned(),
        destination_realm: "example".to_owned(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        service_context_id: "32260@3gpp.org".to_owned(),
        cc_request_type: CcRequestType::UpdateRequest,
        cc_request_number: 1,
        subscription_ids: vec![SubscriptionId::new(
            SubscriptionIdType::EndUserSipUri,
            "sip:alice@example",
        )],
        multiple_services_credit_controls: vec![MultipleServicesCreditControl {
            rating_group: Some(100),
            requested_service_unit: Some(RequestedServiceUnit::default()),
            used_service_units: vec![UsedServiceUnit {
                cc_time: Some(60),
                ..UsedServiceUnit::default()
            }],
            ..MultipleServicesCreditControl::default()
        }],
        ..CreditControlRequest::default()
    }
}

fn grant(request: CreditControlRequest) -> CreditControlAnswer {
    CreditControlAnswer {
        session_id: request.session_id,
        result_code: Some(ResultCode::SUCCESS),
        origin_host: "server.example".to_owned(),
        origin_realm: "example".to_owned(),
        auth_application_id: APPLICATION_CREDIT_CONTROL,
        cc_request_type: request.cc_request_type,
        cc_request_number: request.cc_request_number,
        multiple_services_credit_controls: vec![MultipleServicesCreditControl {
            rating_group: Some(100),
            granted_service_unit: Some(GrantedServiceUnit {
                cc_time: Some(60),
                ..GrantedServiceUnit::default()
            }),
            validity_time: Some(3600),
            result_code: Some(ResultCode::SUCCESS),
            ..MultipleServicesCreditControl::default()
        }],
        ..CreditControlAnswer::default()
    }
}

/// CPU time of this process, all threads.
fn cpu_time() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF);
    usage.map_or(Duration::ZERO, |usage| {
        let sum = [usage.user_time(), usage.system_time()];
        sum.iter()
            .map(|time| {
                let micros = time.tv_sec() * 1_000_000 + time.tv_usec();
                Duration::from_micros(u64::try_from(micros).unwrap_or(0))
            })
            .sum()
    })
}
