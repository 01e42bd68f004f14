//! The real daemon between two phones: Rx in, packets judged where they arrive. Needs root.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use tollwire_diameter::credit_control::{GrantedServiceUnit, UsedServiceUnit};
use tollwire_diameter::rx::{
    AaAnswer, AaRequest, FlowStatus, MediaComponentDescription, MediaSubComponent, RxReAuthAnswer,
    RxReAuthRequest, RxSessionTerminationAnswer, RxSessionTerminationRequest, SpecificAction,
    SponsoredConnectivityData,
};
use tollwire_diameter::{ResultCode, dictionary};
use tollwire_harness::media::Port;
use tollwire_harness::net::{Host, Net};
use tollwire_harness::process::{Process, Scratch};
use tollwire_harness::wait::wait_until;
use tollwire_runtime::admin::client;
use tollwire_runtime::diameter::{
    Address, Node, NodeConfig, NodeEvent, NodeHandle, PeerConfig, PeerId,
};

const PATIENCE: Duration = Duration::from_secs(20);
const FAST: Duration = Duration::from_millis(2);
const ID: &str = "sipd.test;1;2";

/// Two phones, the daemon on the router between them, and its client.
struct World {
    net: Net,
    scratch: Scratch,
    daemon: Option<Process>,
}

impl World {
    fn new(sessions: &str) -> Self {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name).display().to_string();
        let config = format!(
            "[diameter]\norigin_host = \"pinholed.test\"\norigin_realm = \"test\"\nlisten = [\"unix:{}\"]\n\
             [sessions]\npoll_seconds = 1\n{sessions}\n[admin]\nsocket = \"{}\"\n",
            at("rx.sock"),
            at("admin.sock"),
        );
        scratch.write("pinholed.toml", &config);
        let mut world = Self {
            net: Net::two_phones(),
            scratch,
            daemon: None,
        };
        world.start();
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    fn start(&mut self) {
        let log = self.at("log");
        let mut command = self.net.router.command(env!("CARGO_BIN_EXE_pinholed"));
        command.arg("--config").arg(self.at("pinholed.toml"));
        let mut daemon = Process::start("pinholed", &mut command, &log);
        let before = daemon.log().matches("serving").count();
        wait_until("pinholed to serve", PATIENCE, || {
            assert!(daemon.ended().is_none(), "{}", daemon.log_tail());
            daemon.log().matches("serving").count() > before
        });
        self.daemon = Some(daemon);
    }

    fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.kill();
        }
    }

    async fn pinholes(&self) -> Vec<Value> {
        client::get(&self.at("admin.sock"), "/pinholes")
            .await
            .unwrap()
    }

    async fn client(&self) -> Client {
        let (sender, events) = mpsc::channel(1000);
        let config = NodeConfig {
            origin_host: "sipd.test".into(),
            origin_realm: "test".into(),
            auth_application_ids: vec![dictionary::APPLICATION_RX],
            connect: vec![PeerConfig {
                name: "pinholed".into(),
                address: Address::Unix(self.at("rx.sock")),
                alternatives: Vec::new(),
                origin_host: None,
            }],
            request_timeout: PATIENCE,
            ..NodeConfig::default()
        };
        let node = Node::start(config, sender).unwrap();
        let mut client = Client {
            node,
            events,
            token: 0,
        };
        while !matches!(client.event().await, NodeEvent::PeerOpen { .. }) {}
        client
    }

    /// A media port at each phone. The router has met both.
    fn ports(&self, ip6: bool) -> (Port, Port) {
        let address = |host: &Host, port| -> SocketAddr {
            let ip: IpAddr = if ip6 { host.ip6 } else { host.ip };
            SocketAddr::new(ip, port)
        };
        let a = Port::open_at(self.net.a(), address(self.net.a(), 20_000));
        let b = Port::open_at(self.net.b(), address(self.net.b(), 20_002));
        let unguarded = Port::open_at(self.net.b(), address(self.net.b(), 9000));
        let _sender = a.send_every(unguarded.address(), FAST);
        unguarded.wait_for_more(3);
        (a, b)
    }
}

struct Client {
    node: NodeHandle,
    events: mpsc::Receiver<NodeEvent>,
    token: u64,
}

impl Client {
    async fn event(&mut self) -> NodeEvent {
        tokio::time::timeout(PATIENCE, self.events.recv())
            .await
            .unwrap()
            .unwrap()
    }

    async fn ask(&mut self, request: tollwire_diameter::Message) -> tollwire_diameter::Message {
        self.token += 1;
        self.node
            .send_request(&PeerId::new("pinholed"), self.token, request)
            .unwrap();
        loop {
            match self.event().await {
                NodeEvent::Answer { token, message } if token == self.token => return message,
                NodeEvent::Failed { token, why } if token == self.token => panic!("{why:?}"),
                _ => {}
            }
        }
    }

    async fn authorise(&mut self, request: &AaRequest) -> AaAnswer {
        let answer = AaAnswer::decode(&self.ask(request.encode(0, 0)).await).unwrap();
        assert_eq!(
            answer.result_code,
            Some(ResultCode::SUCCESS),
            "{:?}",
            answer.error_message
        );
        answer
    }

    async fn terminate(&mut self) -> RxSessionTerminationAnswer {
        let request = RxSessionTerminationRequest {
            session_id: ID.into(),
            origin_host: "sipd.test".into(),
            origin_realm: "test".into(),
            destination_realm: "test".into(),
            auth_application_id: dictionary::APPLICATION_RX,
            ..RxSessionTerminationRequest::default()
        };
        RxSessionTerminationAnswer::decode(&self.ask(request.encode(0, 0)).await).unwrap()
    }

    /// The next report, answered.
    async fn report(&mut self) -> RxReAuthRequest {
        loop {
            let NodeEvent::Request {
                reply_to, message, ..
            } = self.event().await
            else {
                continue;
            };
            let request = RxReAuthRequest::decode(&message).unwrap();
            let answer = RxReAuthAnswer {
                session_id: request.session_id.clone(),
                origin_host: "sipd.test".into(),
                origin_realm: "test".into(),
                result_code: Some(ResultCode::SUCCESS),
                ..RxReAuthAnswer::default()
            };
            self.node.answer(reply_to, &answer.answer(&message));
            return request;
        }
    }
}

fn call(a: &Port, b: &Port, seconds: u32) -> AaRequest {
    let ends = |source: &Port, destination: &Port| {
        let (source, destination) = (source.address(), destination.address());
        format!(
            "17 from {} {} to {} {}",
            source.ip(),
            source.port(),
            destination.ip(),
            destination.port()
        )
    };
    AaRequest {
        session_id: ID.into(),
        auth_application_id: dictionary::APPLICATION_RX,
        origin_host: "sipd.test".into(),
        origin_realm: "test".into(),
        destination_realm: "test".into(),
        session_timeout: Some(seconds),
        specific_actions: vec![
            SpecificAction::IndicationOfLossOfBearer,
            SpecificAction::IndicationOfOutOfCredit,
        ],
        media_component_descriptions: vec![MediaComponentDescription {
            media_component_number: 1,
            flow_status: Some(FlowStatus::Enabled),
            media_sub_components: vec![MediaSubComponent {
                flow_number: 1,
                flow_descriptions: vec![
                    format!("permit in {}", ends(a, b)).parse().unwrap(),
                    format!("permit out {}", ends(b, a)).parse().unwrap(),
                ],
                ..MediaSubComponent::default()
            }],
            ..MediaComponentDescription::default()
        }],
        ..AaRequest::default()
    }
}

fn total(data: Option<SponsoredConnectivityData>) -> UsedServiceUnit {
    data.unwrap().used_service_unit.unwrap()
}

/// Waits until the receiver has what the gate let through, and holds them against each other.
fn same(used: &UsedServiceUnit, a: &Port, b: &Port) {
    let packets = used.cc_service_specific_units.unwrap();
    wait_until("the last packets", PATIENCE, || {
        (a.count() + b.count()) as u64 >= packets
    });
    assert_eq!((a.count() + b.count()) as u64, packets);
    assert_eq!(
        used.cc_total_octets.unwrap(),
        used.cc_input_octets.unwrap() + used.cc_output_octets.unwrap()
    );
}

#[tokio::test]
async fn media_passes_from_the_answer_to_the_end_and_what_is_reported_is_what_arrived() {
    for ip6 in [false, true] {
        let world = World::new("");
        let mut client = world.client().await;
        let (a, b) = world.ports(ip6);
        let up = a.send_every(b.address(), FAST);
        let down = b.send_every(a.address(), FAST);
        up.wait_for_more(50);
        down.wait_for_more(50);
        assert_eq!((a.count(), b.count()), (0, 0));

        client.authorise(&call(&a, &b, 60)).await;
        a.wait_for_more(50);
        b.wait_for_more(50);
        let pinholes = world.pinholes().await;
        assert_eq!(pinholes.len(), 2);
        assert!(
            pinholes
                .iter()
                .all(|one| one["open"] == true && one["session_id"] == ID)
        );
        let so_far = client.authorise(&call(&a, &b, 60)).await;
        assert!(total(so_far.sponsored_connectivity_data).cc_total_octets >= Some(100 * 200));

        let end = client.terminate().await;
        assert_eq!(end.result_code, Some(ResultCode::SUCCESS));
        let used = total(end.sponsored_connectivity_data);
        let sizes = if ip6 { 220 } else { 200 };
        same(&used, &a, &b);
        assert_eq!(used.cc_input_octets, Some(b.count() as u64 * sizes));
        assert_eq!(used.cc_output_octets, Some(a.count() as u64 * sizes));
        assert!(end.event_timestamp.is_some());
        let flows = &end.media_component_descriptions[0].media_sub_components;
        assert_eq!(flows[0].used_service_unit.as_ref(), Some(&used));
        up.wait_for_more(50);
        down.wait_for_more(50);
        same(&used, &a, &b);
        assert!(world.pinholes().await.is_empty());
        // The answer may have been lost.
        let again = client.terminate().await;
        assert_eq!(total(again.sponsored_connectivity_data), used);
    }
}

#[tokio::test]
async fn killed_the_gate_still_shuts_in_time_and_the_next_one_knows_what_passed() {
    let mut world = World::new("");
    let (a, b) = world.ports(false);
    let up = a.send_every(b.address(), FAST);
    {
        let mut client = world.client().await;
        client.authorise(&call(&a, &b, 2)).await;
        b.wait_for_more(20);
    }
    world.kill();
    b.wait_for_more(20);
    let shut = || {
        let before = b.count();
        up.wait_for_more(100);
        b.count() == before
    };
    wait_until("the gate to shut", PATIENCE, shut);
    world.start();
    let mut client = world.client().await;
    assert!(
        world
            .pinholes()
            .await
            .iter()
            .all(|one| one["open"] == false)
    );
    let end = client.terminate().await;
    assert_eq!(end.result_code, Some(ResultCode::SUCCESS));
    same(&total(end.sponsored_connectivity_data), &a, &b);
}

#[tokio::test]
async fn killed_in_a_call_it_goes_on_with_it() {
    let mut world = World::new("");
    let (a, b) = world.ports(false);
    let up = a.send_every(b.address(), FAST);
    let limited = |octets| {
        let mut request = call(&a, &b, 60);
        request.sponsored_connectivity_data = Some(SponsoredConnectivityData {
            granted_service_unit: Some(GrantedServiceUnit {
                cc_total_octets: Some(octets),
                ..GrantedServiceUnit::default()
            }),
            ..SponsoredConnectivityData::default()
        });
        request
    };
    world.client().await.authorise(&limited(800_000)).await;
    b.wait_for_more(20);
    world.kill();
    b.wait_for_more(20);
    world.start();
    // No packet was lost, and none is: adopted, renewed, raised.
    let mut client = world.client().await;
    client.authorise(&limited(800_200)).await;
    let report = client.report().await;
    assert_eq!(
        report.specific_actions,
        [SpecificAction::IndicationOfOutOfCredit]
    );
    up.wait_for_more(50);
    let used = total(client.terminate().await.sponsored_connectivity_data);
    same(&used, &a, &b);
    assert_eq!(used.cc_total_octets, Some(800_200));
    let first = b.arrivals()[0].sequence_number;
    let last = b.arrivals().last().unwrap().sequence_number;
    assert_eq!(usize::from(last.wrapping_sub(first)) + 1, b.count());
}

#[tokio::test]
async fn silence_is_reported_with_the_time_of_the_last_packet() {
    let world = World::new("silence_seconds = 3");
    let mut client = world.client().await;
    let (a, b) = world.ports(false);
    client.authorise(&call(&a, &b, 60)).await;
    {
        let _up = a.send_every(b.address(), FAST);
        b.wait_for_more(900);
    }
    let report = client.report().await;
    assert_eq!(
        report.specific_actions,
        [SpecificAction::IndicationOfLossOfBearer]
    );
    let told = report.event_timestamp.unwrap().unix_ms();
    let last = b.arrivals().last().unwrap().unix_ms;
    // Event-Timestamp has whole seconds, and counters are looked at once a second.
    assert!((last - 1500..=last + 1500).contains(&told), "{told} {last}");
    same(&total(report.sponsored_connectivity_data), &a, &b);
    assert_eq!(
        client.terminate().await.result_code,
        Some(ResultCode::SUCCESS)
    );
}

#[test]
fn without_the_privilege_it_says_what_it_needs() {
    let mut world = World::new("");
    world.kill();
    let mut command = world.net.router.command("setpriv");
    command.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]);
    command.arg(env!("CARGO_BIN_EXE_pinholed"));
    command.arg("--config").arg(world.at("pinholed.toml"));
    let mut daemon = Process::start("pinholed", &mut command, &world.at("refused"));
    assert!(!daemon.wait(PATIENCE).success());
    assert!(daemon.log().contains("CAP_NET_ADMIN"), "{}", daemon.log());
}
