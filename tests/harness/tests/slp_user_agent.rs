//! The user agent and `tollctl slp` against `slpd`, on a link of several hosts.

use std::path::PathBuf;
use std::time::Duration;

use tollwire_harness::daemons::program;
use tollwire_harness::net::Host;
use tollwire_harness::process::{Scratch, run};
use tollwire_harness::slp::agent::Agent;
use tollwire_harness::slp::lan::Lan;
use tollwire_harness::wait::{PATIENCE, wait_until};
use tollwire_slp_agent::{
    Authority, Change, Found, Origin, Peer, Registration, Service, Settings, UserAgent,
    VerifyingKey,
};

const SERVICE_AGENT: &str = "[agent]\nrole = \"service-agent\"\n";

/// Quicker than a user would have it, and slow enough for a machine that stalls.
fn settings() -> Settings {
    let mut settings = Settings {
        discover_by_itself: false,
        registration_socket: PathBuf::new(),
        ..Settings::default()
    };
    settings.timers.retry_ms = 600;
    settings.timers.retry_max_ms = 2_000;
    settings.timers.mc_max_ms = 3_000;
    settings.timers.reg_passive_ms = 50;
    settings.timers.watch_seconds = 1;
    settings
}

/// Runs `work` with a user agent on a host.
fn on<T: Send>(
    host: &Host,
    settings: Settings,
    work: impl AsyncFnOnce(UserAgent) -> T + Send,
) -> T {
    host.within(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { work(UserAgent::new(settings).unwrap()).await })
    })
}

/// Registers services with an agent by its registration socket.
fn register(agent: &Agent, host: &Host, scopes: &[&str], services: &[Registration]) {
    let settings = Settings {
        registration_socket: agent.registration_socket(),
        scopes: scopes.iter().map(|scope| (*scope).into()).collect(),
        ..settings()
    };
    on(host, settings, async |user| {
        for service in services {
            assert_eq!(user.register(service).await.unwrap(), [Peer::Local]);
        }
    });
}

fn service(url: &str) -> Registration {
    Registration::new(url, format!("(name={})", url.len()))
}

fn urls(found: &Found<Vec<Service>>) -> Vec<&str> {
    let mut urls: Vec<&str> = found.found.iter().map(|one| one.url.as_str()).collect();
    urls.sort_unstable();
    urls
}

#[test]
fn ten_service_agents_are_found_and_answer_once() {
    let lan = Lan::new(11);
    let scratch = Scratch::new();
    let agents: Vec<Agent> = (0..10)
        .map(|number| {
            let host = lan.host(number);
            let agent = Agent::start(host, &scratch, &format!("sa{number}"), SERVICE_AGENT);
            register(
                &agent,
                host,
                &["DEFAULT"],
                &[service(&format!("service:x://h{number}"))],
            );
            agent
        })
        .collect();
    let all: Vec<String> = (0..10)
        .map(|number| format!("service:x://h{number}"))
        .collect();
    // Over IPv4 alone: each family brings the question to each agent.
    let ipv4 = Settings {
        ipv6: false,
        ..settings()
    };
    on(lan.host(10), ipv4, async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), all);
        assert!(found.multicast && !found.truncated);
        let found = user
            .find_services_with_attributes("service:x", "(name=14)")
            .await
            .unwrap();
        assert_eq!(urls(&found), all);
        assert_eq!(found.found[0].attributes.as_deref(), Some("(name=14)"));
        let found = user.find_services("service:x", "(name=15)").await.unwrap();
        assert!(found.found.is_empty());
        let types = user.find_service_types(Authority::All).await.unwrap();
        assert_eq!(types.found, ["service:x"]);
    });
    // Two questions that it answers, and one of another kind: the PRList spares it every repetition.
    for agent in &agents {
        wait_until("the counters to be read", PATIENCE, || {
            agent.gauge("service_requests") >= 2
        });
        assert_eq!(agent.gauge("service_requests"), 2, "{}", agent.log());
    }
}

#[test]
fn a_directory_agent_is_used_dies_and_comes_back() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let mut directory = Agent::start(lan.host(0), &scratch, "da", "");
    let local = Agent::start(lan.host(1), &scratch, "sa", SERVICE_AGENT);
    register(
        &local,
        lan.host(1),
        &["DEFAULT"],
        &[service("service:x://h")],
    );
    directory.wait_for_registered(&["service:x://h"], PATIENCE);
    let address = directory.address();
    on(lan.host(2), settings(), async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(!found.multicast, "the directory agent knows");
        let known = user.directory_agents().await.unwrap();
        assert_eq!(known[0].address.ip(), address.ip());
        let first = known[0].advert.clone().unwrap();

        directory.kill();
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(found.multicast, "its service agent answers itself");
        assert!(!found.unanswered.is_empty());
        // It is left alone now.
        let found = user.find_services("service:x", "").await.unwrap();
        assert!(found.unanswered.is_empty());

        directory.start_again();
        directory.wait_for_registered(&["service:x://h"], PATIENCE);
        loop {
            let known = user.directory_agents().await.unwrap();
            let advert = known
                .iter()
                .find(|known| known.address.ip() == address.ip())
                .and_then(|known| known.advert.clone())
                .unwrap();
            if advert.boot_timestamp > first.boot_timestamp {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(!found.multicast);
    });
}

#[test]
fn an_agent_that_goes_down_says_so() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let mut directory = Agent::start(lan.host(0), &scratch, "da", "");
    on(lan.host(1), settings(), async |user| {
        // Known by its answer, or by the advert of its start.
        user.discover().await.unwrap();
        assert!(!user.directory_agents().await.unwrap().is_empty());
        directory.stop();
        while !user.directory_agents().await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn scopes_are_split_among_agents() {
    let lan = Lan::new(4);
    let scratch = Scratch::new();
    let with = |scopes: &str| format!("[agent]\nscopes = [{scopes}]\n");
    let west = Agent::start(lan.host(0), &scratch, "west", &with("\"west\""));
    let east = Agent::start(lan.host(1), &scratch, "east", &with("\"east\""));
    let none = format!("{SERVICE_AGENT}scopes = [\"north\"]\n");
    let north = Agent::start(lan.host(2), &scratch, "north", &none);
    for (agent, number, scope) in [(&west, 0, "west"), (&east, 1, "east"), (&north, 2, "north")] {
        let url = format!("service:x://{scope}");
        register(agent, lan.host(number), &[scope], &[service(&url)]);
    }
    let all = Settings {
        scopes: ["west", "east", "north"].map(Into::into).to_vec(),
        ..settings()
    };
    on(lan.host(3), all, async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(
            urls(&found),
            ["service:x://east", "service:x://north", "service:x://west"]
        );
        let one = user.in_scopes("East").unwrap();
        let found = one.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://east"]);
        assert!(!found.multicast);
    });
    // Without scopes of its own an agent asks in those that there are: of directory agents, if there are any.
    let selectable = Settings {
        scopes: Vec::new(),
        ..settings()
    };
    on(lan.host(3), selectable, async |user| {
        let scopes = user.find_scopes().await.unwrap();
        let scopes: Vec<&str> = scopes.iter().collect();
        assert_eq!(scopes, ["east", "west"]);
    });
}

#[test]
fn what_does_not_fit_a_datagram_comes_by_tcp() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let services: Vec<Registration> = (0..300)
        .map(|number| service(&format!("service:x://h{number:03}")))
        .collect();
    let names: Vec<&str> = services.iter().map(|one| one.url.as_str()).collect();
    for (name, config) in [("da", ""), ("sa", SERVICE_AGENT)] {
        let mut agent = Agent::start(lan.host(0), &scratch, name, config);
        register(&agent, lan.host(0), &["DEFAULT"], &services);
        on(lan.host(1), settings(), async |user| {
            let found = user.find_services("service:x", "").await.unwrap();
            assert_eq!(urls(&found), names, "{name}");
            assert!(!found.truncated);
            assert_eq!(found.multicast, name == "sa");
        });
        agent.stop();
    }
}

#[test]
fn ipv6_alone_does_with_and_without_a_directory_agent() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let ipv6 = Settings {
        ipv4: false,
        ..settings()
    };
    let local = Agent::start(lan.host(1), &scratch, "sa", SERVICE_AGENT);
    register(
        &local,
        lan.host(1),
        &["DEFAULT"],
        &[service("service:x://h")],
    );
    on(lan.host(2), ipv6.clone(), async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(found.multicast);
    });
    let directory = Agent::start(lan.host(0), &scratch, "da", "");
    directory.wait_for_registered(&["service:x://h"], PATIENCE);
    on(lan.host(2), ipv6, async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(!found.multicast);
        let known = user.directory_agents().await.unwrap();
        assert!(known.iter().all(|known| known.address.is_ipv6()));
        assert_eq!(known[0].origin, Origin::Active);
    });
}

#[test]
fn services_are_registered_with_a_directory_agent_where_no_slpd_runs() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "da", "");
    on(lan.host(1), settings(), async |user| {
        let mut registration = service("service:x://h");
        registration.lifetime = 4;
        let advertisement = user.advertise(registration).await.unwrap();
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        // It outlives its lifetime, by being registered again.
        while directory.gauge("registrations") < 3 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        advertisement.withdraw().await.unwrap();
        let found = user.find_services("service:x", "").await.unwrap();
        assert!(found.found.is_empty());
        // Longer than a datagram.
        let mut long = service("service:x://long");
        long.attributes = format!("(a={})", "x".repeat(3_000));
        user.register(&long).await.unwrap();
        let found = user.find_attributes("service:x://long", "").await.unwrap();
        assert_eq!(found.found, long.attributes);
    });
    assert_eq!(directory.registered(), ["service:x://long"]);
}

#[test]
fn a_watch_sees_services_come_and_go() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "da", "");
    let local = Settings {
        registration_socket: directory.registration_socket(),
        ..settings()
    };
    let tell = |gone: bool| {
        on(lan.host(0), local.clone(), async |user| {
            let done = match gone {
                true => user.deregister("service:x://h", "").await,
                false => user.register(&service("service:x://h")).await,
            };
            assert_eq!(done.unwrap(), [Peer::Local]);
        });
    };
    on(lan.host(1), settings(), async |user| {
        let mut watch = user.watch("service:x", "").unwrap();
        tell(false);
        match watch.next().await.unwrap() {
            Change::Added(service) => {
                assert_eq!(service.url, "service:x://h");
                assert_eq!(service.attributes.as_deref(), Some("(name=13)"));
            }
            other => panic!("{other:?}"),
        }
        tell(true);
        assert_eq!(
            watch.next().await.unwrap(),
            Change::Removed("service:x://h".into())
        );
    });
}

#[test]
fn tollctl_finds_what_it_registers() {
    let lan = Lan::new(3);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "da", "");
    let local = Agent::start(lan.host(1), &scratch, "sa", SERVICE_AGENT);
    let socket = local.registration_socket().display().to_string();
    let tollctl = |host: usize, arguments: &[&str]| {
        let mut command = lan.host(host).command(program("tollctl"));
        run(command.arg("slp").args(arguments))
    };
    let mut register = vec!["--registration-socket", &socket, "register"];
    register.extend([
        "service:x.acme://h:1",
        "(fee=2),(bank=Big \\2c Bank),invoice",
    ]);
    assert_eq!(
        tollctl(1, &register),
        "service:x.acme://h:1: registered with the local slpd\n"
    );
    directory.wait_for_registered(&["service:x.acme://h:1"], PATIENCE);
    let found = tollctl(2, &["findsrvs", "service:x.acme", "(&(fee<=3)(bank=big*))"]);
    let (url, lifetime) = found.trim_end().split_once(',').unwrap();
    assert_eq!(url, "service:x.acme://h:1");
    assert!(lifetime.parse::<u16>().unwrap() <= 10_800);
    assert_eq!(
        tollctl(2, &["findattrs", "service:x.acme://h:1", "fee,inv*"]),
        "(fee=2),invoice\n"
    );
    assert_eq!(tollctl(2, &["findsrvtypes"]), "service:x.acme\n");
    assert_eq!(tollctl(2, &["findsrvtypes", "acme"]), "service:x.acme\n");
    assert_eq!(tollctl(2, &["findsrvtypes", "IANA"]), "");
    assert_eq!(tollctl(2, &["findscopes"]), "DEFAULT\n");
    let there = directory.ip().to_string();
    let asked = ["--unicast", &there, "findsrvs", "service:x.acme", "--json"];
    assert!(tollctl(2, &asked).contains("\"url\": \"service:x.acme://h:1\""));
    let deregister = ["--registration-socket", &socket, "deregister"];
    tollctl(1, &[&deregister[..], &["service:x.acme://h:1"]].concat());
    directory.wait_for_registered(&[], PATIENCE);
    assert_eq!(tollctl(2, &["findsrvs", "service:x.acme"]), "");
}

#[test]
fn a_host_on_two_links_asks_on_both() {
    let lan = Lan::new(1);
    let scratch = Scratch::new();
    let near = Agent::start(lan.host(0), &scratch, "near", SERVICE_AGENT);
    let far = Agent::start(&lan.far, &scratch, "far", SERVICE_AGENT);
    register(
        &near,
        lan.host(0),
        &["DEFAULT"],
        &[service("service:x://near")],
    );
    register(&far, &lan.far, &["DEFAULT"], &[service("service:x://far")]);
    on(&lan.router, settings(), async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://far", "service:x://near"]);
    });
    let one = Settings {
        interfaces: vec!["br0".into()],
        ..settings()
    };
    on(&lan.router, one, async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://near"]);
    });
}

#[test]
fn broadcasts_do_where_multicast_does_not() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let agent = Agent::start(lan.host(0), &scratch, "sa", SERVICE_AGENT);
    register(
        &agent,
        lan.host(0),
        &["DEFAULT"],
        &[service("service:x://h")],
    );
    let broadcast = Settings {
        broadcast: true,
        ..settings()
    };
    let rules = "table inet test {\n chain output {\n type filter hook output priority 0\n\
                 ip daddr 224.0.0.0/4 drop\n ip6 daddr ff00::/8 udp dport 427 drop\n }\n}\n";
    let rules = scratch.write("rules.nft", rules).display().to_string();
    lan.host(0).nft(&["-f", &rules]);
    lan.host(1).nft(&["-f", &rules]);
    on(lan.host(1), settings(), async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert!(found.found.is_empty(), "the network carries no multicast");
    });
    on(lan.host(1), broadcast.clone(), async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(found.multicast);
    });
    let directory = Agent::start(lan.host(1), &scratch, "da", "");
    register(
        &directory,
        lan.host(1),
        &["DEFAULT"],
        &[service("service:x://da")],
    );
    on(lan.host(0), broadcast, async |user| {
        let found = user.find_services("service:x", "").await.unwrap();
        assert!(urls(&found).contains(&"service:x://da"));
        assert!(!found.multicast);
    });
}

#[test]
fn user_agents_and_slpd_share_a_host_and_its_port() {
    let lan = Lan::new(2);
    let scratch = Scratch::new();
    let directory = Agent::start(lan.host(0), &scratch, "da", "");
    register(
        &directory,
        lan.host(0),
        &["DEFAULT"],
        &[service("service:x://h")],
    );
    on(lan.host(0), settings(), async |here| {
        let found = here.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://h"]);
        assert!(!found.multicast);
        // It overhears adverts on the port now, and takes nothing from slpd that is slpd's.
        let there = directory.address();
        on(lan.host(1), settings(), async |user| {
            let found = user.find_services("service:x", "").await.unwrap();
            assert_eq!(urls(&found), ["service:x://h"]);
            let one = user.only(there);
            let found = one.find_services("service:x", "").await.unwrap();
            assert_eq!(urls(&found), ["service:x://h"]);
        });
    });
}

/// Seed and public key of RFC 8032 7.1, test 1.
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC_KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

#[test]
fn signatures_tell_whom_to_believe() {
    let lan = Lan::new(4);
    let scratch = Scratch::new();
    let seed = scratch.write("seed", SEED).display().to_string();
    let sign = format!("[authentication.sign]\nspi = \"bank\"\nseed_file = {seed:?}\n");
    let signing = Agent::start(lan.host(0), &scratch, "signing", &sign);
    let plain = Agent::start(lan.host(1), &scratch, "plain", "");
    let config = format!("{SERVICE_AGENT}{sign}");
    let local = Agent::start(lan.host(2), &scratch, "sa", &config);
    register(
        &local,
        lan.host(2),
        &["DEFAULT"],
        &[service("service:x://signed")],
    );
    for directory in [&signing, &plain] {
        directory.wait_for_registered(&["service:x://signed"], PATIENCE);
    }
    let (unsigned, there) = (service("service:x://unsigned"), signing.address());
    on(lan.host(3), settings(), async |user| {
        user.only(there).register(&unsigned).await.unwrap();
    });
    let careful = Settings {
        verify: vec![VerifyingKey {
            spi: "bank".into(),
            public_key: PUBLIC_KEY.into(),
        }],
        ..settings()
    };
    on(lan.host(3), careful, async |user| {
        user.discover().await.unwrap();
        let known = user.directory_agents().await.unwrap();
        let there = signing.address();
        assert!(!known.is_empty());
        assert!(known.iter().any(|known| known.address.ip() == there.ip()));
        for other in [plain.address(), plain.address6()] {
            assert!(known.iter().all(|known| known.address.ip() != other.ip()));
        }
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://signed", "service:x://unsigned"]);
        let signed = user.signed_by("Bank");
        let found = signed.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found), ["service:x://signed"]);
        let attributes = signed.find_attributes("service:x://signed", "").await;
        assert_eq!(attributes.unwrap().found, "(name=18)");
    });
    // Of a key that nobody has signed with, nobody is believed.
    let stranger = Settings {
        verify: vec![VerifyingKey {
            spi: "bank".into(),
            public_key: PUBLIC_KEY.replace('d', "e"),
        }],
        ..settings()
    };
    on(lan.host(3), stranger, async |user| {
        user.discover().await.unwrap();
        assert!(user.directory_agents().await.unwrap().is_empty());
    });
}
