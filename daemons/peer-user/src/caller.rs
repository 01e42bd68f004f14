//! Requests under a credential.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use tokio::time::{Instant, sleep};
use tollwire_peer::SERVICE_REQUEST_FIELD;
use tollwire_web::client::{Answer, Client};

use crate::{Credential, Party, UserError};

/// How long the same is asked again. A request's nonce is taken for a minute.
const PATIENCE: Duration = Duration::from_secs(40);
/// The pause before it is asked again, the first and the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);
/// What became of a session that was to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It ended.
    Now,
    /// The provider knows of none that is open.
    Before,
}

/// Who has a credential, and needs nothing else to use it; a clone is the same.
#[derive(Clone)]
pub struct Caller {
    client: Client,
    patience: Duration,
}

impl Caller {
    /// One who calls with `client`: a provider may be anywhere, for a manager says where he is.
    pub fn new(client: Client) -> Self {
        Self {
            client,
            patience: PATIENCE,
        }
    }

    /// With another time for repetitions: at most 50 seconds do.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
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
    pub(crate) async fn ask(
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
