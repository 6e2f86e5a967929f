//! A connection's bytes. The first ones are read before HTTP/2 is: whoever does not begin as an HTTP/2 client does, or
//! does not begin at all, is told apart by name and is not kept.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    net::UnixStream,
};

/// What every HTTP/2 client sends first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a peer may take to send it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A peer that is not an HTTP/2 client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoClient {
    #[error("it does not speak HTTP/2 (no connection preface)")]
    Garbage,
    #[error("it sent nothing for {} s", PATIENCE.as_secs())]
    Silent,
    #[error("it went away at once: {0}")]
    Gone(#[source] io::Error),
}

/// A stream whose preface was read already, and is given again.
pub(crate) struct Prefaced {
    given: usize,
    stream: UnixStream,
}

impl Prefaced {
    /// Reads the preface.
    pub(crate) async fn expect(mut stream: UnixStream) -> Result<Self, NoClient> {
        let mut preface = [0; PREFACE.len()];
        let mut read = 0;
        let all = async {
            while read < preface.len() {
                let count = stream.read(&mut preface[read..]).await.map_err(NoClient::Gone)?;
                if count == 0 {
                    return Err(NoClient::Gone(io::ErrorKind::UnexpectedEof.into()));
                }
                read += count;
                if preface[..read] != PREFACE[..read] {
                    return Err(NoClient::Garbage);
                }
            }
            Ok(())
        };
        tokio::time::timeout(PATIENCE, all).await.map_err(|_| NoClient::Silent)??;
        Ok(Self { given: 0, stream })
    }
}

impl AsyncRead for Prefaced {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let rest = PREFACE.get(self.given..).unwrap_or_default();
        if rest.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..count]);
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Prefaced {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
