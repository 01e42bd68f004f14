//! Without a directory agent: everybody is asked.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};

use tollwire_slp::message::{AttrRply, SaAdvert, SrvTypeRply};
use tollwire_slp::{Body, Extension, multicast};
use tollwire_slp_agent::{Authority, Settings};

use crate::fake::{
    Way, advert, agent, agent_v6, free_port, is_discovery, on_a_host, quick, reply, reply_with,
    services, settings, user_agent,
};

fn urls(found: &[tollwire_slp_agent::Service]) -> Vec<&str> {
    let mut urls: Vec<&str> = found.iter().map(|service| service.url.as_str()).collect();
    urls.sort_unstable();
    urls
}

#[tokio::test]
async fn many_answer_each_once() {
    let port = free_port().await;
    let mut agents = Vec::new();
    for last in 2..=6 {
        let url = format!("service:x://127.0.0.{last}");
        agents.push(
            agent(last, port, move |request, _| {
                if is_discovery(request) {
                    return None;
                }
                reply(request, services([url.as_str(), "service:x://shared"]))
            })
            .await,
        );
    }
    let user = user_agent(quick(port));
    let found = user.find_services("service:x", "(a=1)").await.unwrap();
    assert_eq!(
        urls(&found.found),
        [
            "service:x://127.0.0.2",
            "service:x://127.0.0.3",
            "service:x://127.0.0.4",
            "service:x://127.0.0.5",
            "service:x://127.0.0.6",
            "service:x://shared"
        ]
    );
    assert!(found.multicast && !found.truncated && found.unanswered.is_empty());
    for agent in &agents {
        let asked = agent.asked(Way::Multicast, |message| match message.body {
            Body::SrvRqst(body) => (body.predicate.to_owned(), body.scopes.to_owned()),
            other => panic!("{other:?}"),
        });
        assert_eq!(asked, [("(a=1)".into(), "DEFAULT".into())]);
    }
}

#[tokio::test]
async fn services_are_told_as_they_are_found() {
    let port = free_port().await;
    let _agent = agent(2, port, |request, _| {
        if is_discovery(request) {
            return None;
        }
        reply(request, services(["service:x://1", "service:x://2"]))
    })
    .await;
    let user = user_agent(quick(port));
    let mut stream = user.services("service:x", "").await.unwrap();
    assert_eq!(stream.next().await.unwrap().url, "service:x://1");
    assert_eq!(stream.next().await.unwrap().url, "service:x://2");
    assert_eq!(stream.next().await, None);
    assert_eq!(stream.finish().unwrap().found.len(), 2);

    let one = user.first_reply_is_enough();
    let found = one.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 2);
}

#[tokio::test]
async fn nobody_there_is_nothing_found() {
    let port = free_port().await;
    let user = user_agent(quick(port));
    let found = user.find_services("service:x", "").await.unwrap();
    assert!(found.found.is_empty() && found.multicast);
    let found = user.find_attributes("service:x", "").await.unwrap();
    assert_eq!(found.found, "");
}

#[test]
fn ipv6_asks_the_groups_of_the_type_narrow_first() {
    const PORT: u16 = 4270;
    on_a_host(&["fe80::1", "fd00:5::1"], || async {
        let address = SocketAddr::from((Ipv6Addr::new(0xfd00, 5, 0, 0, 0, 0, 0, 1), PORT));
        let hash = multicast::hash("service:x");
        let groups = [2, 5].map(|scope| multicast::service_location(scope, hash));
        let agent = agent_v6(address, "eth0", &groups, |request, _| {
            reply(request, services(["service:x://[fd00:5::1]"]))
        })
        .await;
        let user = user_agent(Settings {
            ipv4: false,
            interfaces: vec!["eth0".into()],
            ..quick(PORT)
        });
        let found = user.find_services("service:X", "").await.unwrap();
        assert_eq!(urls(&found.found), ["service:x://[fd00:5::1]"]);
        // It answered in the narrow scope, and was silent in the wide one.
        assert_eq!(agent.asked(Way::Multicast, |_| ()).len(), 1);
        assert_eq!(*agent.silent.lock().unwrap(), 1);
    });
}

#[test]
fn a_link_without_wide_addresses_is_asked_no_wider() {
    const PORT: u16 = 4270;
    on_a_host(&["fe80::1"], || async {
        let index = nix::net::if_::if_nametoindex("eth0").unwrap();
        let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let address = SocketAddr::V6(SocketAddrV6::new(own, PORT, 0, index));
        let groups = [1, 2].map(multicast::directory_agents);
        let directory = agent_v6(address, "eth0", &groups, |request, way| match way {
            Way::Multicast => reply(
                request,
                advert("service:directory-agent://[fe80::1]", "DEFAULT"),
            ),
            _ => reply(request, services(["service:x://[fe80::1]"])),
        })
        .await;
        let user = user_agent(Settings {
            ipv4: false,
            interfaces: vec!["eth0".into()],
            ..settings(PORT)
        });
        let found = user.find_services("service:x", "").await.unwrap();
        assert_eq!(urls(&found.found), ["service:x://[fe80::1]"]);
        assert!(!found.multicast);
        let known = user.directory_agents().await.unwrap();
        assert_eq!(known[0].address, directory.address, "with its zone");
    });
}

#[tokio::test]
async fn replies_that_do_not_fit_are_had_over_tcp_under_the_same_xid() {
    let port = free_port().await;
    let agent = agent(2, port, |request, way| {
        if is_discovery(request) {
            return None;
        }
        match way {
            Way::Tcp => reply(request, services(["service:x://1", "service:x://2"])),
            _ => reply_with(request, services(["service:x://1"]), true, Vec::new()),
        }
    })
    .await;
    let user = user_agent(quick(port));
    let found = user.find_services("service:x", "").await.unwrap();
    assert_eq!(urls(&found.found), ["service:x://1", "service:x://2"]);
    assert!(!found.truncated);
    let xids = |way| agent.asked(way, |message| message.header.xid);
    assert_eq!(xids(Way::Multicast), xids(Way::Tcp));
}

#[tokio::test]
async fn attributes_come_with_the_services_or_are_asked_for() {
    let port = free_port().await;
    let agent = agent(2, port, |request, _| match &request.body {
        _ if is_discovery(request) => None,
        Body::SrvRqst(_) => {
            // It knows the extension, and has nothing to say of the second service.
            assert!(matches!(
                request.extensions[..],
                [Extension::AttributeList { .. }]
            ));
            let extension = Extension::AttributeList {
                url: "service:x://1",
                attributes: "(n=1)",
                authentication: Vec::new(),
            };
            let both = services(["service:x://1", "service:x://2"]);
            reply_with(request, both, false, vec![extension])
        }
        Body::AttrRqst(body) => {
            assert_eq!(body.url, "service:x://2");
            reply(
                request,
                Body::AttrRply(AttrRply {
                    attributes: "(n=2)",
                    ..AttrRply::default()
                }),
            )
        }
        other => panic!("{other:?}"),
    })
    .await;
    let user = user_agent(quick(port));
    let found = user
        .find_services_with_attributes("service:x", "")
        .await
        .unwrap()
        .found;
    let attributes: Vec<Option<&str>> = found
        .iter()
        .map(|service| service.attributes.as_deref())
        .collect();
    assert_eq!(attributes, [Some("(n=1)"), Some("(n=2)")]);
    assert_eq!(agent.asked(Way::Multicast, |_| ()).len(), 2);
}

#[tokio::test]
async fn attributes_and_types_of_several_are_united() {
    let port = free_port().await;
    let play = |attributes: &'static str, service_types: &'static str| {
        move |request: &tollwire_slp::Message<'_>, _: Way| match &request.body {
            Body::AttrRqst(_) => reply(
                request,
                Body::AttrRply(AttrRply {
                    attributes,
                    ..AttrRply::default()
                }),
            ),
            Body::SrvTypeRqst(_) => reply(
                request,
                Body::SrvTypeRply(SrvTypeRply {
                    service_types,
                    ..SrvTypeRply::default()
                }),
            ),
            _ => None,
        }
    };
    let _one = agent(2, port, play("(a=1)", "service:b,service:a")).await;
    let _two = agent(3, port, play("(a=2),k", "service:a,service:c")).await;
    let user = user_agent(quick(port));
    let found = user.find_attributes("service:x", "").await.unwrap().found;
    assert!(
        ["(a=1,2),k", "(a=2,1),k"].contains(&found.as_str()),
        "{found}"
    );
    let types = user.find_service_types(Authority::All).await.unwrap();
    assert_eq!(types.found, ["service:a", "service:b", "service:c"]);
}

#[tokio::test]
async fn scopes_are_found_out_from_service_agents_where_nothing_else_tells() {
    let port = free_port().await;
    let _agent = agent(2, port, |request, _| match &request.body {
        Body::SrvRqst(body) if body.service_type == "service:service-agent" => {
            assert_eq!(body.scopes, "");
            reply(
                request,
                Body::SaAdvert(SaAdvert {
                    url: "service:service-agent://127.0.0.2",
                    scopes: "west,east",
                    ..SaAdvert::default()
                }),
            )
        }
        Body::SrvRqst(body) if body.service_type == "service:x" => {
            assert_eq!(body.scopes, "west,east");
            reply(request, services(["service:x://1"]))
        }
        _ => None,
    })
    .await;
    let user = user_agent(Settings {
        scopes: Vec::new(),
        ..quick(port)
    });
    assert_eq!(user.find_scopes().await.unwrap().as_str(), "west,east");
    let found = user.find_services("service:x", "").await.unwrap();
    assert_eq!(found.found.len(), 1);
}

#[tokio::test]
async fn without_anybody_the_scope_is_the_default() {
    let port = free_port().await;
    let user = user_agent(Settings {
        scopes: Vec::new(),
        ..quick(port)
    });
    assert_eq!(user.find_scopes().await.unwrap().as_str(), "DEFAULT");
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let port = free_port().await;
    let user = user_agent(quick(port));
    assert!(user.find_services("a b", "").await.is_err());
    assert!(user.find_services("service:x", "(a=").await.is_err());
    assert!(user.find_attributes("", "").await.is_err());
    assert!(user.find_attributes("service:x", "a(b").await.is_err());
    assert!(user.in_scopes("a,,b").is_err());
    assert!(user.in_language("e n").is_err());
    assert!(user.watch("service:x", "(a=").is_err());
}
