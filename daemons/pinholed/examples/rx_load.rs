//! Opens and closes sessions of four flows as fast as a running pinholed answers, and says what that cost it.
//!
//! ```text
//! rx_load SOCKET PROCESS_ID [SESSIONS] [AT_ONCE]
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tollwire_diameter::rx::{
    AaRequest, FlowStatus, FlowUsage, MediaComponentDescription, MediaSubComponent,
    RxSessionTerminationRequest,
};
use tollwire_diameter::{Message, ResultCode, dictionary};
use tollwire_runtime::diameter::{Address, Node, NodeConfig, NodeEvent, PeerConfig, PeerId};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let socket = PathBuf::from(arguments.next().ok_or("SOCKET?")?);
    let process: u32 = arguments.next().ok_or("PROCESS_ID?")?.parse()?;
    let sessions: u64 = arguments.next().map_or(Ok(20_000), |it| it.parse())?;
    let at_once: u64 = arguments.next().map_or(Ok(100), |it| it.parse())?;
    let (sender, mut events) = mpsc::channel(4096);
    let config = NodeConfig {
        origin_host: "load.localdomain".into(),
        origin_realm: "localdomain".into(),
        auth_application_ids: vec![dictionary::APPLICATION_RX],
        connect: vec![PeerConfig {
            name: "pinholed".into(),
            address: Address::Unix(socket),
            alternatives: Vec::new(),
            origin_host: None,
        }],
        request_timeout: Duration::from_secs(10),
        ..NodeConfig::default()
    };
    let node = Node::start(config, sender)?;
    let peer = PeerId::new("pinholed");
    let (mut begun, mut cost) = (Instant::now(), 0);
    let (mut next, mut ended, mut refused) = (0, 0, 0u64);
    let mut waits: Vec<Duration> = Vec::new();
    let mut sent: HashMap<u64, Instant> = HashMap::new();
    while ended < sessions {
        match events.recv().await.ok_or("the node ended")? {
            NodeEvent::PeerOpen { .. } => {
                (begun, cost) = (Instant::now(), processor_us(process)?);
                while next < at_once.min(sessions) {
                    node.send_request(&peer, next * 2, open(next)?)
                        .map_err(|why| format!("{why:?}"))?;
                    sent.insert(next * 2, Instant::now());
                    next += 1;
                }
            }
            NodeEvent::Answer { token, message } => {
                waits.extend(sent.remove(&token).map(|at| at.elapsed()));
                refused += u64::from(message.result_code() != Some(ResultCode::SUCCESS));
                let request = if token % 2 == 0 {
                    Some((token + 1, close(token / 2)))
                } else {
                    ended += 1;
                    next += 1;
                    (next <= sessions)
                        .then(|| open(next - 1).map(|open| ((next - 1) * 2, open)))
                        .transpose()?
                };
                if let Some((token, request)) = request {
                    node.send_request(&peer, token, request)
                        .map_err(|why| format!("{why:?}"))?;
                    sent.insert(token, Instant::now());
                }
            }
            NodeEvent::Failed { why, .. } => return Err(format!("{why:?}").into()),
            _ => {}
        }
    }
    let time = begun.elapsed();
    let cost = processor_us(process)? - cost;
    waits.sort_unstable();
    let at = |share: usize| {
        waits
            .get(waits.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{sessions} sessions of 4 flows, {at_once} at once: {:.0}/s, {} us of pinholed's processor time each, {refused} refused; \
         answers after {:?} (half), {:?} (99 %)",
        sessions as f64 / time.as_secs_f64(),
        cost / sessions,
        at(50),
        at(99)
    );
    Ok(())
}

/// User and system time of a process, microseconds.
fn processor_us(process: u32) -> Result<u64, Failure> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let running: u64 = text.split(' ').next().ok_or("schedstat")?.parse()?;
        nanoseconds += running;
    }
    Ok(nanoseconds / 1000)
}

fn id(number: u64) -> String {
    format!("load.localdomain;1;{number}")
}

fn open(number: u64) -> Result<Message, Failure> {
    let caller = format!("10.{}.{}.2", 100 + number / 65_536, number / 256 % 256);
    let callee = "10.99.0.2";
    let port = 10_000 + number % 256 * 2;
    let flow = |flow: u32, port: u64| -> Result<MediaSubComponent, Failure> {
        Ok(MediaSubComponent {
            flow_number: flow,
            flow_descriptions: vec![
                format!("permit in 17 from {caller} {port} to {callee} {port}").parse()?,
                format!("permit out 17 from {callee} {port} to {caller} {port}").parse()?,
            ],
            flow_usage: (flow == 2).then_some(FlowUsage::Rtcp),
            ..MediaSubComponent::default()
        })
    };
    let request = AaRequest {
        session_id: id(number),
        auth_application_id: dictionary::APPLICATION_RX,
        origin_host: "load.localdomain".into(),
        origin_realm: "localdomain".into(),
        destination_realm: "localdomain".into(),
        session_timeout: Some(60),
        media_component_descriptions: vec![MediaComponentDescription {
            media_component_number: 1,
            flow_status: Some(FlowStatus::Enabled),
            media_sub_components: vec![flow(1, port)?, flow(2, port + 1)?],
            ..MediaComponentDescription::default()
        }],
        ..AaRequest::default()
    };
    Ok(request.encode(0, 0))
}

fn close(number: u64) -> Message {
    RxSessionTerminationRequest {
        session_id: id(number),
        auth_application_id: dictionary::APPLICATION_RX,
        origin_host: "load.localdomain".into(),
        origin_realm: "localdomain".into(),
        destination_realm: "localdomain".into(),
        ..RxSessionTerminationRequest::default()
    }
    .encode(0, 0)
}
