//! Bodies that pass only as far as they are paid for.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::core::Taken;
use crate::permit::Permit;

/// A body whose octets count as used by a session before they go on. It waits where a grant is used up, and breaks off when
/// the session is over.
pub struct Metered {
    body: Body,
    permit: Arc<Permit>,
    /// What came and may not go on yet.
    held: Bytes,
    /// Until what the session may do has changed.
    change: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Metered {
    /// `body`, on the account of this request's session.
    pub fn new(body: Body, permit: Arc<Permit>) -> Self {
        Self {
            body,
            permit,
            held: Bytes::new(),
            change: None,
        }
    }

    /// Pending until what the session may do has changed.
    fn poll_change(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let permit = &self.permit;
        let change = self.change.get_or_insert_with(|| {
            let signal = permit.signal();
            Box::pin(async move {
                if let Some(mut signal) = signal {
                    // Also when it is closed: the session is over.
                    let _ = signal.changed().await;
                }
            })
        });
        ready!(change.as_mut().poll(context));
        self.change = None;
        Poll::Ready(())
    }

    fn is_over(&self) -> axum::Error {
        axum::Error::new(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the session is over",
        ))
    }
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        loop {
            if !self.held.is_empty() {
                // Before it is asked, so that nothing that changes meanwhile is missed.
                let changed = self.poll_change(context).is_ready();
                match self.permit.take(self.held.len()) {
                    Taken::Octets(count) => {
                        let count = count.min(self.held.len());
                        let octets = self.held.split_to(count);
                        return Poll::Ready(Some(Ok(Frame::data(octets))));
                    }
                    Taken::Ended => return Poll::Ready(Some(Err(self.is_over()))),
                    Taken::Wait if changed => continue,
                    Taken::Wait => return Poll::Pending,
                }
            }
            match pin!(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(octets) if octets.is_empty() => {}
                    Ok(octets) => self.held = octets,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                Poll::Ready(end) => return Poll::Ready(end),
                Poll::Pending => {
                    // What is silent ends with its session too.
                    let changed = self.poll_change(context).is_ready();
                    if self.permit.is_over() {
                        return Poll::Ready(Some(Err(self.is_over())));
                    }
                    if !changed {
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.held.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held.len() as u64;
        let of_body = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = of_body.upper() {
            hint.set_upper(upper.saturating_add(held));
        }
        hint.set_lower(of_body.lower().saturating_add(held));
        hint
    }
}
