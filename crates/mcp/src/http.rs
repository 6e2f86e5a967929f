//! The server over HTTP, for whoever has the token.

use std::{
    convert::Infallible,
    fs, io,
    io::Write,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;
use tower::{Service, service_fn};

use crate::{options::McpOptions, server::Server};

/// How long a client may be silent: its agent may think, or be asleep, for a day.
const SILENT: Duration = Duration::from_secs(24 * 3600);
/// Before the next try, where a connection cannot be taken.
const BREATH: Duration = Duration::from_millis(50);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The token would be readable on the way.
    #[error("{address} can be reached from outside, and HTTP keeps no secret: give a loopback address")]
    NotLoopback {
        /// As it was given.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// As it was given.
        address: SocketAddr,
        /// The system's.
        error: io::Error,
    },
    /// The token cannot be kept.
    #[error("cannot write the token to {}: {error}", path.display())]
    Token {
        /// The token's file.
        path: PathBuf,
        /// The system's.
        error: io::Error,
    },
    /// The memories' path cannot be one.
    #[error("{0}")]
    Memory(String),
}

/// Serves an address until the process ends: `/mcp`, for whoever has the token, which is generated and written to a file
/// that only this user can read: which one, `token_file` says by the port. `ready` is told both.
///
/// # Errors
/// When the address cannot be listened on, or the token cannot be written.
pub async fn serve_http(
    options: McpOptions,
    address: SocketAddr,
    token_file: impl FnOnce(u16) -> PathBuf,
    ready: impl FnOnce(SocketAddr, &PathBuf),
) -> Result<(), HttpError> {
    if !address.ip().is_loopback() {
        return Err(HttpError::NotLoopback { address });
    }
    let listener = TcpListener::bind(address).await.map_err(|error| HttpError::Listen { address, error })?;
    let bound = listener.local_addr().map_err(|error| HttpError::Listen { address, error })?;
    let token = token();
    let token_file = token_file(bound.port());
    if let Err(error) = keep(&token_file, &token) {
        return Err(HttpError::Token { path: token_file, error });
    }
    let expected: Arc<str> = format!("Bearer {token}").into();
    let server = Server::new(options).map_err(|error| HttpError::Memory(error.to_string()))?;
    let config = StreamableHttpServerConfig::default().enforce_origin_validation();
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.keep_alive = Some(SILENT);
    let mcp = StreamableHttpService::new(move || Ok(server.clone()), Arc::new(sessions), config);
    ready(bound, &token_file);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, for example: one that ends gives some back.
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(BREATH).await;
                continue;
            }
        };
        let (mcp, expected) = (mcp.clone(), Arc::clone(&expected));
        let guarded = service_fn(move |request: Request<Incoming>| {
            let (mut mcp, refused) = (mcp.clone(), refusal(&request, &expected));
            async move {
                match refused {
                    Some(refused) => Ok(refused),
                    None => mcp.call(request).await,
                }
            }
        });
        tokio::spawn(async move {
            let connection = auto::Builder::new(TokioExecutor::new());
            let serving =
                connection.serve_connection_with_upgrades(TokioIo::new(stream), TowerToHyperService::new(guarded));
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
}

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What those are told who have no token, or ask for something else.
fn refusal(request: &Request<Incoming>, expected: &str) -> Option<Answer> {
    let given = request.headers().get(header::AUTHORIZATION).map(http::HeaderValue::as_bytes).unwrap_or_default();
    let (status, text) = if !same(given, expected.as_bytes()) {
        (StatusCode::UNAUTHORIZED, "the token is missing, or another one\n")
    } else if request.uri().path() != "/mcp" {
        (StatusCode::NOT_FOUND, "there is only /mcp\n")
    } else {
        return None;
    };
    let mut answer = Response::new(Full::new(Bytes::from_static(text.as_bytes())).boxed());
    *answer.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, http::HeaderValue::from_static("Bearer"));
    }
    Some(answer)
}

/// Whether two texts are the same, in a time that does not tell where they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other)) == 0
}

/// 256 random bits.
fn token() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the token to a file that only this user can read, from its first moment on.
fn keep(path: &Path, token: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o600)).tempfile_in(folder)?;
    writeln!(file, "{token}")?;
    file.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_this_user_s_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/token");
        keep(&path, &token()).unwrap();
        let first = fs::read_to_string(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        keep(&path, &token()).unwrap();
        assert_ne!(first, fs::read_to_string(&path).unwrap());
        assert_eq!(first.trim().len(), 64);
    }

    #[test]
    fn only_the_same_is_the_same() {
        assert!(same(b"Bearer a", b"Bearer a"));
        for other in [b"Bearer b".as_slice(), b"", b"Bearer ", b"Bearer aa"] {
            assert!(!same(other, b"Bearer a"));
        }
    }
}
