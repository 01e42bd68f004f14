//! One request of HTTP.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use clap::Args;
use http_body_util::BodyExt as _;
use tollwire_peer_user::{Caller, Credential};

use super::party::Party;
use super::{Source, load};
use crate::context::{Context, warn};
use crate::failure::Failure;
use crate::files::of;

/// Octets of a body that is sent.
const LARGEST: u64 = 64 << 20;

#[derive(Debug, Args)]
pub(super) struct Fetch {
    #[command(flatten)]
    source: Source,
    /// What is behind the service's address, /today?unit=c, or the whole URL.
    target: String,
    /// The method [default: GET, or POST with --data-file].
    #[arg(long, short = 'X')]
    method: Option<Method>,
    /// A header field, "Accept: text/plain"; can be repeated.
    #[arg(long, short = 'H', value_parser = header)]
    header: Vec<(HeaderName, HeaderValue)>,
    /// The body, from a file.
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// Where the answer's body goes instead of standard output.
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || "a header field is written like \"Accept: text/plain\"".to_owned();
    let (name, value) = text.split_once(':').ok_or_else(wrong)?;
    let name = name.trim().parse().map_err(|_| wrong())?;
    let value = value.trim().parse().map_err(|_| wrong())?;
    Ok((name, value))
}

pub(super) async fn run(
    fetch: Fetch,
    party: &Party,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let body = match &fetch.data_file {
        Some(path) => {
            let length = path.metadata().map_err(of(path))?.len();
            if length > LARGEST {
                let what = "more than 64 MiB: `tollctl peer proxy` passes bodies of any length";
                return Err(Failure::Wrong(format!("{}: {what}", path.display())));
            }
            Some(std::fs::read(path).map_err(of(path))?)
        }
        None => None,
    };
    match (&fetch.source.credential, &fetch.source.service) {
        (Some(credential), _) => {
            let credential = load(credential)?;
            ask(&fetch, body, &party.caller()?, &credential, context).await
        }
        (None, service) => {
            let user = party.user()?;
            let service = service.as_deref().unwrap_or_default();
            let listed = user.service(service).await?;
            let credential = user.request(&listed, None).await?;
            let asked = ask(&fetch, body, user.caller(), &credential, context).await;
            if let Err(error) = user.close(&credential).await {
                warn(&format!("the session is left to end by itself: {error}"));
            }
            asked
        }
    }
}

async fn ask(
    fetch: &Fetch,
    body: Option<Vec<u8>>,
    caller: &Caller,
    credential: &Credential,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let usual = match body.is_some() {
        true => Method::POST,
        false => Method::GET,
    };
    let mut request = Request::new(body.map_or_else(Body::empty, Body::from));
    *request.method_mut() = fetch.method.clone().unwrap_or(usual);
    *request.uri_mut() = credential.url(&fetch.target)?;
    for (name, value) in &fetch.header {
        request.headers_mut().append(name, value.clone());
    }
    let response = caller.send(credential, request).await?;
    let status = response.status();
    match &fetch.output {
        Some(path) => {
            let mut file = File::create(path).map_err(of(path))?;
            pass(response, &mut file).await?;
        }
        None => pass(response, context.out).await?,
    }
    match status.is_success() {
        true => Ok(()),
        false => Err(Failure::Wrong(format!("the provider answers {status}"))),
    }
}

/// Writes a body as it comes.
async fn pass(response: Response<Body>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let broken = |error| Failure::Wrong(format!("the answer broke off: {error}"));
        if let Ok(octets) = frame.map_err(broken)?.into_data() {
            out.write_all(&octets)?;
        }
    }
    Ok(out.flush()?)
}
