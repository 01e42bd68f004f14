//! What a user asks of managers and providers.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::time::{Instant, sleep};
use tollwire_jose::Trust;
use tollwire_peer::{
    Identifier, Identity, Listed, MEDIA_TYPE, Nonce, SERVICE_REQUEST_FIELD, Service,
    ServiceCredential, ServiceCredentialRequest, ServiceList, Signed, open_key,
};
use tollwire_web::client::{Answer, Client};

use crate::{Credential, Manager, Party, UserError, now};

/// How long the same is asked again. A request's nonce is taken for a minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// The pause before it is asked again, the first and the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// How far clocks may differ, seconds.
const SKEW: i64 = 60;

/// What became of a session that was to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It ended.
    Now,
    /// The provider knows of none that is open.
    Before,
}

/// A user of one manager.
pub struct User {
    identity: Identity,
    trust: Trust,
    manager: Manager,
    client: Client,
    patience: Duration,
}

impl User {
    /// A user. `client` calls the manager and providers: both may be anywhere, for the manager says where they are.
    pub fn new(identity: Identity, trust: Trust, manager: Manager, client: Client) -> Self {
        Self {
            identity,
            trust,
            manager,
            client,
            patience: PATIENCE,
        }
    }

    /// With another time for repetitions: at most 50 seconds do.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Who he is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the manager has.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn services(&self) -> Result<Vec<Listed>, UserError> {
        let url = self.manager.at("/services");
        let request = || Ok(Request::get(&url).body(Body::empty()));
        let answer = self.ask(Party::Manager, request).await?;
        let list: ServiceList = self.of_manager(&answer)?;
        (list.nonce.check(now(), SKEW))
            .map_err(|error| UserError::answer(Party::Manager, error))?;
        Ok(list.services)
    }

    /// The service of that name.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn service(&self, name: &str) -> Result<Listed, UserError> {
        let services = self.services().await?;
        let mut services = services.into_iter();
        services
            .find(|service| service.name == name)
            .ok_or_else(|| UserError::UnknownService(name.to_owned()))
    }

    /// A credential for a service of the list; `udp_port` is where datagrams will come from, for a service behind a gate.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn request(
        &self,
        service: &Listed,
        udp_port: Option<u16>,
    ) -> Result<Credential, UserError> {
        let unable = |error: &dyn std::fmt::Display| UserError::Setting(error.to_string());
        let claims = ServiceCredentialRequest {
            service: Service {
                name: service.name.clone(),
                udp_port,
            },
            request_id: Identifier::random().map_err(|error| unable(&error))?,
            nonce: Nonce::new(now()).map_err(|error| unable(&error))?,
        };
        let token = claims
            .sign(&self.identity)
            .map_err(|error| unable(&error))?;
        let url = self.manager.at("/credentials");
        // The same octets each time: whichever comes first is answered, and the others get that answer.
        let request = || {
            let request = Request::post(&url).header(CONTENT_TYPE, MEDIA_TYPE);
            Ok(request.body(Body::from(token.clone())))
        };
        let answer = self.ask(Party::Manager, request).await?;
        let credential: ServiceCredential = self.of_manager(&answer)?;
        let wrong = |why: &str| Err(UserError::answer(Party::Manager, why));
        if credential.request_id != claims.request_id {
            return wrong("it is to another request");
        }
        if credential.provider.name != service.provider {
            return wrong("it names another provider than the list of services");
        }
        let validity = &credential.validity;
        if validity.not_before > now().saturating_add(SKEW) || validity.not_after <= now() {
            return wrong("it is not valid now: look at the clocks");
        }
        let key = open_key(&self.identity, &credential.session_key)
            .map_err(|error| UserError::answer(Party::Manager, error))?;
        Ok(Credential::new(&service.name, credential, key))
    }

    /// Opens the session of a service that is not HTTP. Repeated, it stays open.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn open(&self, credential: &Credential) -> Result<(), UserError> {
        self.session(credential, Method::POST).await.map(|_| ())
    }

    /// Ends a credential's session: the provider reports what was used.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn close(&self, credential: &Credential) -> Result<Ended, UserError> {
        match self.session(credential, Method::DELETE).await {
            Ok(_) => Ok(Ended::Now),
            Err(UserError::Refused {
                status: 404 | 410, ..
            }) => Ok(Ended::Before),
            Err(error) => Err(error),
        }
    }

    async fn session(&self, credential: &Credential, method: Method) -> Result<Answer, UserError> {
        let url = &credential.sessions;
        self.ask(Party::Provider, || {
            let body = match method {
                Method::POST => Body::from("{}"),
                _ => Body::empty(),
            };
            let mut request = Request::new(body);
            *request.method_mut() = method.clone();
            *request.uri_mut() = url
                .parse()
                .map_err(|_| UserError::answer(Party::Manager, "no URL"))?;
            let json = HeaderValue::from_static("application/json");
            request.headers_mut().insert(CONTENT_TYPE, json);
            signed(credential, &mut request)?;
            Ok(Ok(request))
        })
        .await
    }

    /// Sends a request (its URI is the whole URL) to the provider, signed. The answer is whatever comes.
    ///
    /// # Errors
    /// [`UserError`]: it was not sent, or there is no answer.
    pub async fn send(
        &self,
        credential: &Credential,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, UserError> {
        signed(credential, &mut request)?;
        let answer = self.client.open(request).await;
        answer.map_err(|error| UserError::Unreachable {
            party: Party::Provider,
            error,
        })
    }

    /// Asks until there is an answer that is one, or it is too late.
    async fn ask(
        &self,
        party: Party,
        request: impl Fn() -> Result<Result<Request<Body>, axum::http::Error>, UserError>,
    ) -> Result<Answer, UserError> {
        let end = Instant::now() + self.patience;
        let mut pause = PAUSE;
        loop {
            let request = request()?.map_err(|error| UserError::Setting(error.to_string()))?;
            let error = match self.client.send(request).await {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => UserError::refused(party, &answer),
                Err(error) => UserError::Unreachable { party, error },
            };
            if !error.may_pass() || Instant::now() + pause >= end {
                return Err(error);
            }
            tracing::debug!(%error, "again");
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A message that the manager signed.
    fn of_manager<T: Signed>(&self, answer: &Answer) -> Result<T, UserError> {
        let believed = |why: &dyn std::fmt::Display| UserError::answer(Party::Manager, why);
        let token = str::from_utf8(&answer.body).map_err(|error| believed(&error))?;
        let (message, certified) =
            T::verify(token, &self.trust, now()).map_err(|error| believed(&error))?;
        if certified.name != self.manager.name() {
            let (found, awaited) = (&certified.name, self.manager.name());
            let why = format!("it is signed by {found:?}, and the manager is {awaited:?}");
            return Err(believed(&why));
        }
        Ok(message)
    }
}

/// Puts a ServiceRequest for it into the request.
fn signed(credential: &Credential, request: &mut Request<Body>) -> Result<(), UserError> {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let token = credential.sign(request.method().as_str(), target)?;
    let token =
        HeaderValue::try_from(token).map_err(|error| UserError::Setting(error.to_string()))?;
    let name = HeaderName::try_from(SERVICE_REQUEST_FIELD);
    let name = name.map_err(|error| UserError::Setting(error.to_string()))?;
    request.headers_mut().insert(name, token);
    Ok(())
}
