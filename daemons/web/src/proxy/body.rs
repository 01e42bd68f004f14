//! A body from upstream on its way to a client.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

/// Who wants to know what becomes of a body.
pub trait Watch: Send + Unpin + 'static {
    /// So many octets of it go to the client next.
    fn passed(&mut self, _octets: u64) {}
    /// It came to its end, or broke off: then, or because nobody reads on. Told once.
    fn ended(&mut self, _whole: bool) {}
}

impl Watch for () {}

/// What comes from upstream, as long as it comes: silence ends it.
pub struct Passing<W: Watch> {
    body: Body,
    /// Octets that are still to come, where their number is known.
    left: Option<u64>,
    patience: Duration,
    silence: Pin<Box<Sleep>>,
    watch: W,
    is_over: bool,
}

impl<W: Watch> Passing<W> {
    /// `body`, of so many octets where that was told ([`super::length`]), which may be silent so long.
    pub fn new(body: Body, length: Option<u64>, patience: Duration, watch: W) -> Self {
        let mut passing = Self {
            body,
            left: length,
            patience,
            silence: Box::pin(tokio::time::sleep(patience)),
            watch,
            is_over: false,
        };
        if length == Some(0) {
            passing.end(true);
        }
        passing
    }

    fn end(&mut self, whole: bool) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.watch.ended(whole);
        }
    }
}

impl<W: Watch> HttpBody for Passing<W> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = pin!(&mut self.body).poll_frame(context);
        let Poll::Ready(frame) = polled else {
            ready!(self.silence.as_mut().poll(context));
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(
                io::ErrorKind::TimedOut,
            )))));
        };
        let patience = self.patience;
        self.silence.as_mut().reset(Instant::now() + patience);
        match &frame {
            Some(Ok(frame)) => {
                let count = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.watch.passed(count);
                self.left = self.left.map(|left| left.saturating_sub(count));
                if self.left == Some(0) {
                    self.end(true);
                }
            }
            // Where the length was told, this is the end only after as much.
            None => {
                let whole = self.left.unwrap_or(0) == 0;
                self.end(whole);
            }
            Some(Err(_)) => self.end(false),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<W: Watch> Drop for Passing<W> {
    fn drop(&mut self) {
        self.end(false);
    }
}
