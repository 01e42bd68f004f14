//! Billing servers that are found on the network, by a directory agent that the test plays.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use tollwire_slp::message::AttrRply;
use tollwire_slp::{AttributeList, Body, ErrorCode, Filter, Message};

use crate::bank::Bank;
use crate::fake::{self, Agent, Way, advert, agent, is_discovery, reply, services};
use crate::shop::{Folder, GOODS, PATIENCE, Shop, location, song, value};

/// Registrations: URL, attributes, and whether they are told to those who ask for all.
type Registered = Arc<Mutex<Vec<(String, String, bool)>>>;

async fn directory(port: u16, registered: &Registered) -> Agent {
    let registered = Arc::clone(registered);
    agent(1, port, move |request, way| {
        answer(request, way, &registered)
    })
    .await
}

fn answer(request: &Message<'_>, way: Way, registered: &Registered) -> Option<Vec<u8>> {
    if is_discovery(request) {
        let body = advert("service:directory-agent://127.0.0.1", "DEFAULT");
        return reply(request, body);
    }
    if way == Way::Multicast {
        return None;
    }
    let registered = registered.lock().unwrap();
    match &request.body {
        Body::SrvRqst(asked) => {
            assert_eq!(asked.service_type, "service:billing:https");
            let fits = |attributes: &str, is_public: bool| match asked.predicate {
                "" => is_public,
                predicate => {
                    let list = AttributeList::parse(attributes).unwrap();
                    Filter::parse(predicate).unwrap().matches(&list)
                }
            };
            let found = registered
                .iter()
                .filter(|(_, attributes, is_public)| fits(attributes, *is_public));
            let urls: Vec<&str> = found.map(|(url, ..)| url.as_str()).collect();
            reply(request, services(urls))
        }
        Body::AttrRqst(asked) => {
            let found = registered.iter().find(|(url, ..)| url == asked.url);
            let attributes = found.map_or("", |(_, attributes, _)| attributes);
            let body = Body::AttrRply(AttrRply {
                error: ErrorCode::OK,
                attributes,
                authentication: Vec::new(),
            });
            reply(request, body)
        }
        _ => None,
    }
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn billing_servers_come_and_go_and_are_found_by_name() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("goods/song.flac"), song(1_000)).unwrap();
    let bank = Bank::start(&folder.0, "Bank of Example", false).await;
    let hidden = Bank::start(&folder.0, "Sparkasse (Nord*)", false).await;
    let escaped = |bank: &Bank| {
        let name = tollwire_slp::text::escape(&bank.name, tollwire_slp::text::Context::Attribute);
        bank.attributes().replace(&bank.name, &name)
    };
    let mut trust = std::fs::read(&bank.certificate).unwrap();
    trust.extend(std::fs::read(&hidden.certificate).unwrap());
    std::fs::write(folder.0.join("trust.pem"), trust).unwrap();
    let registered = Registered::default();
    let closed = Bank::start(&folder.0, "Closed", false).await;
    registered.lock().unwrap().push((
        closed.service_url(),
        closed.attributes_with("(agreement-required=true)"),
        true,
    ));
    let port = fake::free_port().await;
    let directory = directory(port, &registered).await;
    let slp = format!(
        "[slp]\nport = {port}\ndirectory_agents = [\"127.0.0.1\"]\ndiscover = false\npassive = false\nmulticast = false\n\
         interfaces = [\"lo\"]\nipv6 = false\nregistration_socket = \"\"\n[slp.timers]\nwatch_seconds = 1\nretry_ms = 1000\n"
    );
    let shop = Shop::start(folder, &[], GOODS, &slp).await;
    let order = shop.order("song").await;
    let offered = async |name: &str| {
        shop.get(&format!("{order}/methods"))
            .await
            .text()
            .contains(name)
    };
    assert!(!offered("Bank of Example").await);

    // One that appears while the shop runs.
    let line = (bank.service_url(), bank.attributes(), true);
    registered.lock().unwrap().push(line);
    eventually("it is offered", async || offered("Bank of Example").await).await;
    assert!(!offered("Closed").await, "it needs an agreement");
    let known = shop.admin("/methods").await;
    assert_eq!(known.as_array().unwrap().len(), 1);
    assert_eq!(known[0]["known_from"], "discovery");

    // One that nobody tells of who does not ask for its name.
    let line = (hidden.service_url(), escaped(&hidden), false);
    registered.lock().unwrap().push(line);
    let find = async |name: &str| {
        let page = shop.get(&format!("{order}/methods")).await.text();
        let fields = [("token", value(&page, "token")), ("name", name.to_owned())];
        let fields: Vec<_> = fields.iter().map(|(key, it)| (*key, it.as_str())).collect();
        shop.post(&format!("{order}/method"), &fields).await
    };
    for nothing in ["Nordbank", "*)(name=*", "Closed"] {
        let page = shop.get(&location(&find(nothing).await)).await.text();
        assert!(page.contains("No method called"), "{nothing}: {page}");
        assert!(!page.contains("Sparkasse"), "{nothing}: {page}");
    }
    let empty = find("  ").await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = shop.get(&location(&find("(nord*").await)).await.text();
    let (first, second) = (page.find("Sparkasse"), page.find("Bank of Example"));
    assert!(first.is_some() && first < second, "{page}");
    let asked = directory.asked(Way::Unicast, |request| match request.body {
        Body::SrvRqst(asked) => asked.predicate.to_owned(),
        _ => String::new(),
    });
    assert!(
        asked.contains(&r"(name=*\28nord\2a*)".to_owned()),
        "{asked:?}"
    );

    // It is paid with like any other.
    let form = shop.choose(&order, &hidden.thumbprint()).await;
    let answer = shop
        .acknowledge(&hidden.acknowledge(&value(&form, "invoice")))
        .await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.get(&format!("{order}/goods")).await.body, song(1_000));

    // One that dies. Whoever has its invoice can still pay it.
    let (waiting, invoice) = shop.invoice("song", &bank).await;
    let gone = bank.service_url();
    registered.lock().unwrap().retain(|(url, ..)| *url != gone);
    let other = shop.order("song").await;
    eventually("it disappears", async || {
        !shop.get(&other).await.text().contains("Bank of Example")
    })
    .await;
    let answer = shop.acknowledge(&bank.acknowledge(&invoice)).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(shop.state(&waiting).await, "paid");
}

#[tokio::test]
async fn a_key_that_is_not_the_one_advertised_is_not_used() {
    let folder = Folder::new();
    std::fs::write(folder.0.join("goods/song.flac"), song(1_000)).unwrap();
    let bank = Bank::start(&folder.0, "Bank", false).await;
    let other = Bank::start(&folder.0, "Other", false).await;
    let shop = Shop::start(
        folder,
        &[&bank],
        GOODS,
        &format!(
            "[[methods.server]]\nurl = \"{}\"\nattributes = \"{}\"\n",
            // Its key set has another key than it says.
            bank.service_url().replace("/pay", "/pay/"),
            other.attributes(),
        ),
    )
    .await;
    let order = shop.order("song").await;
    let page = shop.get(&order).await.text();
    let fields = [
        ("token", value(&page, "token")),
        ("server", other.thumbprint()),
    ];
    let fields: Vec<_> = fields.iter().map(|(key, it)| (*key, it.as_str())).collect();
    let answer = shop.post(&format!("{order}/method"), &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.text().contains("its key could not be fetched"),
        "{}",
        answer.text()
    );
    assert_eq!(shop.state(&order).await, "methods");
}
