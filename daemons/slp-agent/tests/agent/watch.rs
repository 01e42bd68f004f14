//! Services that come and go.

use std::sync::{Arc, Mutex};

use tollwire_slp_agent::Change;

use crate::fake::{
    Way, advert, agent, free_port, is_discovery, reply, services, settings, user_agent,
};

#[tokio::test]
async fn what_comes_and_goes_is_told() {
    let port = free_port().await;
    let there = Arc::new(Mutex::new(vec!["service:x://1"]));
    let now = there.clone();
    let _directory = agent(9, port, move |request, way| match way {
        _ if is_discovery(request) => reply(
            request,
            advert("service:directory-agent://127.0.0.9", "DEFAULT"),
        ),
        Way::Multicast => None,
        _ => reply(request, services(now.lock().unwrap().iter().copied())),
    })
    .await;
    let mut quick = settings(port);
    quick.timers.watch_seconds = 1;
    let user = user_agent(quick);
    let mut watch = user.watch("service:x", "").unwrap();
    let added = |change: Option<Change>| match change {
        Some(Change::Added(service)) => service.url,
        other => panic!("{other:?}"),
    };
    assert_eq!(added(watch.next().await), "service:x://1");
    *there.lock().unwrap() = vec!["service:x://1", "service:x://2"];
    assert_eq!(added(watch.next().await), "service:x://2");
    *there.lock().unwrap() = vec!["service:x://2"];
    assert_eq!(
        watch.next().await,
        Some(Change::Removed("service:x://1".into()))
    );
}
