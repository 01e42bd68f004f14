//! A provider over its sockets.

use std::net::SocketAddr;
use std::ops::Deref;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use tollwire_peer::{MEDIA_TYPE, Nonce, Policies, Revocation, SERVICE_REQUEST_FIELD};
use tollwire_peer_provider::config::{Manager, Service, Udp};
use tollwire_peer_provider::udp::Relays;
use tollwire_peer_provider::{Config, Provider};
use tollwire_web::Server;
use tollwire_web::client::{Answer, Client};

pub use crate::stage::*;

pub struct World {
    pub stage: Stage,
    pub url: String,
    pub udp: SocketAddr,
    pub client: Client,
    pub provider: Provider,
    pub config: Config,
    running: Vec<tokio::task::JoinHandle<()>>,
    server: Option<Server>,
    relays: Option<Relays>,
}

impl Deref for World {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        &self.stage
    }
}

impl World {
    /// With a service `weather` over HTTP and `game` by datagrams, which go to `game`.
    pub async fn new(game: SocketAddr) -> Self {
        let stage = Stage::new().await;
        let file = |name: &str| stage.folder.0.join(name);
        let config = Config {
            enabled: true,
            certificate: file("provider.pem"),
            key: file("provider.key"),
            roots: file("root.pem"),
            database: file("peers.db"),
            wait_seconds: 1,
            max_retry_seconds: 1,
            manager: vec![Manager {
                name: "manager.example".into(),
                url: stage.manager.clone(),
            }],
            service: vec![Service {
                name: "weather".into(),
                path: "/weather/".into(),
                upstream: format!("{}/app/", stage.upstream),
            }],
            udp: vec![Udp {
                name: "game".into(),
                listen: "127.0.0.1:0".parse().unwrap(),
                upstream: game,
            }],
            ..Config::default()
        };
        config
            .validate("peers")
            .expect("a configuration that works");
        let provider = Provider::open(config.clone(), "peers").await.unwrap();
        let mut world = Self {
            stage,
            url: String::new(),
            udp: nowhere(),
            client: caller(),
            provider,
            config,
            running: Vec::new(),
            server: None,
            relays: None,
        };
        world.serve().await;
        world
    }

    async fn serve(&mut self) {
        let relays = self.provider.listen().await.unwrap();
        self.udp = relays.addresses()[0].1;
        self.relays = Some(relays);
        let routes = self.provider.router().merge(self.provider.admin());
        let server = Server::start(&listening(), routes).await.unwrap();
        self.url = format!("http://{}", server.address().unwrap());
        self.server = Some(server);
        let provider = self.provider.clone();
        self.running
            .push(tokio::spawn(async move { provider.run().await }));
    }

    /// Stops the provider, and starts another on the same files.
    pub async fn restart(&mut self) {
        self.relays = None;
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
        for task in self.running.drain(..) {
            task.abort();
            let _ = task.await;
        }
        self.provider.close().await;
        self.provider = Provider::open(self.config.clone(), "peers").await.unwrap();
        self.serve().await;
    }

    pub async fn post(&self, path: &str, token: String) -> Answer {
        let url = format!("{}/peers/{path}", self.url);
        self.client.post(&url, MEDIA_TYPE, token).await.unwrap()
    }

    /// A user whose credential is there.
    pub async fn user(&self, policies: Policies) -> User {
        let (credential, user) = self.credential(policies);
        let answer = self.post("credentials", self.signed(&credential)).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        user
    }

    pub async fn revoke(&self, user: &User) -> Answer {
        let revocation = Revocation {
            accounting_session_id: user.id.clone(),
            reason: tollwire_peer::Reason::Operator,
            nonce: Nonce::new(now()).unwrap(),
        };
        self.post("revocations", self.signed(&revocation)).await
    }

    pub async fn send(
        &self,
        method: &str,
        target: &str,
        token: Option<&str>,
        body: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.url));
        if let Some(token) = token {
            request = request.header(SERVICE_REQUEST_FIELD, token);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.client.send(request).await.unwrap()
    }

    /// What a user asks for.
    pub async fn ask(&self, user: &User, method: &str, target: &str) -> Answer {
        let token = user.token(method, target);
        self.send(method, target, Some(&token), "").await
    }

    /// The operator's list.
    pub async fn list(&self) -> serde_json::Value {
        let answer = self.send("GET", "/peers/sessions", None, "").await;
        serde_json::from_slice(&answer.body).unwrap()
    }
}
