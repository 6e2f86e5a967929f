//! Standard input and output, which also tell that the client has gone away: what runs for it ends then.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// One of them.
pub(crate) struct Watched<T> {
    inner: T,
    gone: CancellationToken,
}

impl<T> Watched<T> {
    /// `gone` is cancelled when there is nothing more to read, or nobody who reads what is written.
    pub(crate) fn new(inner: T, gone: &CancellationToken) -> Self {
        Self { inner, gone: gone.clone() }
    }

    fn watch<A>(&self, done: Poll<io::Result<A>>) -> Poll<io::Result<A>> {
        if matches!(done, Poll::Ready(Err(_))) {
            self.gone.cancel();
        }
        done
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let done = Pin::new(&mut self.inner).poll_read(context, into);
        if matches!(done, Poll::Ready(Ok(()))) && into.filled().len() == before && into.remaining() > 0 {
            self.gone.cancel();
        }
        self.watch(done)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.watch(done)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.inner).poll_flush(context);
        self.watch(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
