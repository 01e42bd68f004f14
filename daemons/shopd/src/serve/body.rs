//! Bodies that say how much of them went out.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::task::JoinHandle;
use tollwire_web::database::{Call, Failure};
use tollwire_web::proxy::{Passing, Watch};

use crate::order::range::Span;
use crate::order::{Effect, Event, Order, Version};
use crate::shop::Shop;
use crate::store::StoreError;
use crate::transfers::Place;

/// Octets that are read at once.
const CHUNK: usize = 64 * 1024;
/// How long to wait until progress that could not be stored is told again.
const PAUSE: Duration = Duration::from_secs(1);

/// A span of a file. What of it went out is stored now and then, and when it ends, however it does.
pub(super) struct FileBody {
    file: Arc<File>,
    at: u64,
    left: u64,
    /// The octets that come next, while they are read.
    reading: Option<JoinHandle<io::Result<Bytes>>>,
    progress: Progress,
}

/// How far a transfer has come.
struct Progress {
    shop: Arc<Shop>,
    token: String,
    version: Version,
    /// What went out and was not told yet.
    span: Span,
    checkpoint: u64,
    place: Option<Place>,
}

impl FileBody {
    /// `span` of a file, which is of an order.
    pub(super) fn new(
        shop: &Arc<Shop>,
        order: &Order,
        file: File,
        version: Version,
        span: Span,
        place: Place,
    ) -> Self {
        Self {
            file: Arc::new(file),
            at: span.start,
            left: span.len(),
            reading: None,
            progress: Progress {
                token: order.token.clone(),
                version,
                span: Span {
                    start: span.start,
                    end: span.start,
                },
                checkpoint: shop.settings().config.delivery.checkpoint_octets,
                place: Some(place),
                shop: Arc::clone(shop),
            },
        }
    }

    fn read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let most = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
        let (file, at) = (Arc::clone(&self.file), self.at);
        let reading = self.reading.get_or_insert_with(|| {
            tokio::task::spawn_blocking(move || {
                let mut octets = vec![0; most];
                let count = file.read_at(&mut octets, at)?;
                octets.truncate(count);
                Ok(octets.into())
            })
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let octets: Bytes = read.map_err(io::Error::other)??;
        if octets.is_empty() {
            // It was cut short meanwhile: another version of it.
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(octets))
    }
}

impl HttpBody for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let octets = match ready!(self.read(context)) {
            Ok(octets) => octets,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        let count = octets.len() as u64;
        self.at = self.at.saturating_add(count);
        self.left = self.left.saturating_sub(count);
        let is_last = self.left == 0;
        self.progress.sent(count, is_last);
        Poll::Ready(Some(Ok(Frame::data(octets))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

impl Progress {
    fn sent(&mut self, octets: u64, is_last: bool) {
        self.span.end = self.span.end.saturating_add(octets);
        if is_last || self.span.len() >= self.checkpoint {
            self.tell();
        }
    }

    /// Tells the order. Whoever asks for it after this finds it told: the database handles calls in their order.
    fn tell(&mut self) {
        let span = self.span;
        if span.is_empty() && self.version.size > 0 {
            return;
        }
        self.span.start = span.end;
        let event = Event::Sent {
            version: self.version.clone(),
            span,
        };
        if let Some(place) = &mut self.place {
            place.sent(span.len());
        }
        self.shop.counters.octets.inc_by(span.len());
        let told = self.shop.handle(&self.token, event.clone());
        let (shop, token) = (Arc::clone(&self.shop), self.token.clone());
        tokio::spawn(settle(shop, token, event, told));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if !self.span.is_empty() {
            self.tell();
        }
    }
}

/// Waits until progress is stored, and tells it again where it was not.
async fn settle(
    shop: Arc<Shop>,
    token: String,
    event: Event,
    mut told: Call<(Order, Vec<Effect>), StoreError>,
) {
    loop {
        match told.await {
            Ok((order, effects)) => return delivered(&shop, &order, &effects),
            Err(Failure::Busy | Failure::NotStored(_)) => {
                tokio::time::sleep(PAUSE).await;
                told = shop.handle(&token, event.clone());
            }
            Err(Failure::Closed) => return,
            Err(fault @ Failure::Refused(_)) => {
                tracing::error!(error = %fault, "what went out could not be stored");
                return;
            }
        }
    }
}

fn delivered(shop: &Shop, order: &Order, effects: &[Effect]) {
    if effects.contains(&Effect::Delivered) {
        shop.counters.delivered.inc();
        tracing::info!(number = order.number, good = order.bought.id, "delivered");
    }
}

/// An empty file went out.
pub(super) fn empty(shop: &Arc<Shop>, order: &Order, version: Version) {
    let event = Event::Sent {
        version,
        span: Span::default(),
    };
    let told = shop.handle(&order.token, event.clone());
    tokio::spawn(settle(Arc::clone(shop), order.token.clone(), event, told));
}

/// What becomes of a body from upstream: its octets are counted, and of a stream it is stored whether it came to its end.
pub(super) struct Upstream {
    stream: Option<Stream>,
    counter: tollwire_runtime::metrics::Counter,
}

/// The stream that this is.
pub(super) struct Stream {
    shop: Arc<Shop>,
    token: String,
    _place: Place,
}

impl Stream {
    pub(super) fn new(shop: &Arc<Shop>, order: &Order, place: Place) -> Self {
        Self {
            shop: Arc::clone(shop),
            token: order.token.clone(),
            _place: place,
        }
    }

    fn ended(&self, whole: bool) -> impl Future<Output = ()> + use<> {
        let event = Event::StreamEnded { whole };
        let told = self.shop.handle(&self.token, event.clone());
        settle(Arc::clone(&self.shop), self.token.clone(), event, told)
    }
}

impl Upstream {
    pub(super) fn pass(
        shop: &Shop,
        body: Body,
        length: Option<u64>,
        stream: Option<Stream>,
    ) -> Body {
        let patience = Duration::from_secs(shop.settings().config.delivery.upstream_seconds);
        let watch = Self {
            stream,
            counter: shop.counters.octets.clone(),
        };
        Body::new(Passing::new(body, length, patience, watch))
    }
}

impl Watch for Upstream {
    fn passed(&mut self, octets: u64) {
        self.counter.inc_by(octets);
    }

    fn ended(&mut self, whole: bool) {
        if let Some(stream) = self.stream.take() {
            tokio::spawn(stream.ended(whole));
        }
    }
}
