//! What a user asks of his manager.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Request, Response};
use tollwire_jose::Trust;
use tollwire_peer::{
    Identifier, Identity, Listed, MEDIA_TYPE, Nonce, Service, ServiceCredential,
    ServiceCredentialRequest, ServiceList, Signed, open_key,
};
use tollwire_web::client::{Answer, Client};

use crate::{Caller, Credential, Ended, Manager, Party, UserError, now};

/// How far clocks may differ, seconds.
const SKEW: i64 = 60;

/// Who he is, and whose certificates he believes.
struct Known {
    identity: Identity,
    trust: Trust,
}

/// A user of one manager.
pub struct User {
    known: RwLock<Arc<Known>>,
    manager: Manager,
    caller: Caller,
}

impl User {
    /// A user. `client` calls the manager and providers: both may be anywhere, for the manager says where they are.
    pub fn new(identity: Identity, trust: Trust, manager: Manager, client: Client) -> Self {
        Self {
            known: RwLock::new(Arc::new(Known { identity, trust })),
            manager,
            caller: Caller::new(client),
        }
    }

    /// With another time for repetitions: at most 50 seconds do.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.caller = self.caller.with_patience(patience);
        self
    }

    /// From now on he is this, and believes those: certificates and lists of revoked ones end, and are made anew.
    pub fn renew(&self, identity: Identity, trust: Trust) {
        let known = Arc::new(Known { identity, trust });
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
    }

    fn known(&self) -> Arc<Known> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&known)
    }

    /// What the manager has.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn services(&self) -> Result<Vec<Listed>, UserError> {
        let url = self.manager.at("/services");
        let request = || Ok(Request::get(&url).body(Body::empty()));
        let answer = self.caller.ask(Party::Manager, request).await?;
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

    /// A credential for a service of the list; `udp_port` is where datagrams will come from, for a service of them.
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn request(
        &self,
        service: &Listed,
        udp_port: Option<u16>,
    ) -> Result<Credential, UserError> {
        let unable = |error: &dyn std::fmt::Display| UserError::Setting(error.to_string());
        // The key of the certificate that asks is the one that the answer is encrypted to.
        let known = self.known();
        let claims = ServiceCredentialRequest {
            service: Service {
                name: service.name.clone(),
                udp_port,
            },
            request_id: Identifier::random().map_err(|error| unable(&error))?,
            nonce: Nonce::new(now()).map_err(|error| unable(&error))?,
        };
        let token = claims
            .sign(&known.identity)
            .map_err(|error| unable(&error))?;
        let url = self.manager.at("/credentials");
        // The same octets each time: whichever comes first is answered, and the others get that answer.
        let request = || {
            let request = Request::post(&url).header(CONTENT_TYPE, MEDIA_TYPE);
            Ok(request.body(Body::from(token.clone())))
        };
        let answer = self.caller.ask(Party::Manager, request).await?;
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
        let key = open_key(&known.identity, &credential.session_key)
            .map_err(|error| UserError::answer(Party::Manager, error))?;
        Ok(Credential::new(&service.name, credential, key))
    }

    /// [`Caller::open`]
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn open(&self, credential: &Credential) -> Result<(), UserError> {
        self.caller.open(credential).await
    }

    /// [`Caller::close`]
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn close(&self, credential: &Credential) -> Result<Ended, UserError> {
        self.caller.close(credential).await
    }

    /// [`Caller::send`]
    ///
    /// # Errors
    /// [`UserError`]
    pub async fn send(
        &self,
        credential: &Credential,
        request: Request<Body>,
    ) -> Result<Response<Body>, UserError> {
        self.caller.send(credential, request).await
    }

    /// What uses credentials.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// A message that the manager signed.
    fn of_manager<T: Signed>(&self, answer: &Answer) -> Result<T, UserError> {
        let believed = |why: &dyn std::fmt::Display| UserError::answer(Party::Manager, why);
        let token = str::from_utf8(&answer.body).map_err(|error| believed(&error))?;
        let (message, certified) =
            T::verify(token, &self.known().trust, now()).map_err(|error| believed(&error))?;
        if certified.name != self.manager.name() {
            let (found, awaited) = (&certified.name, self.manager.name());
            let why = format!("it is signed by {found:?}, and the manager is {awaited:?}");
            return Err(believed(&why));
        }
        Ok(message)
    }
}
