//! The calls of a connection: counted until the last byte of their answers is sent, so that a server which leaves knows
//! when a connection is quiet. A panic in an answer ends that answer and nothing else.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use tonic::{Status, body::Body};

use crate::{details, status::internal};

/// How long an idle connection may take to go after it was told to.
const LINGER: Duration = Duration::from_millis(500);

/// The calls of one connection that have not ended.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(crate) fn enter(&self) -> Call {
        self.0.fetch_add(1, Ordering::AcqRel);
        Call(Arc::clone(&self.0))
    }

    /// Ends when the connection has been without calls for a while: its peer was told to go, and does not.
    pub(crate) async fn quiet(&self) {
        let mut was_idle = false;
        loop {
            tokio::time::sleep(LINGER).await;
            let idle = self.0.load(Ordering::Acquire) == 0;
            if idle && was_idle {
                return;
            }
            was_idle = idle;
        }
    }
}

/// One call, until its answer is sent.
pub(crate) struct Call(Arc<AtomicUsize>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer that counts as a call until its end.
pub(crate) struct Counted {
    body: Body,
    /// Its client is not ours.
    standard: bool,
    _call: Call,
}

impl Counted {
    /// `standard`: its client is not ours.
    pub(crate) fn new(body: Body, standard: bool, call: Call) -> Self {
        Self { body, standard, _call: call }
    }
}

impl hyper::body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = std::panic::catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.body).poll_frame(cx)));
        let frame = frame.unwrap_or_else(|_| {
            self.body = Body::empty();
            Poll::Ready(Some(Err(internal("the answer failed unexpectedly; see the log"))))
        });
        match frame {
            Poll::Ready(Some(Ok(mut frame))) if self.standard => {
                frame.trailers_mut().into_iter().for_each(details::pack);
                Poll::Ready(Some(Ok(frame)))
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
