//! Connections and what ends with them.

use std::time::Duration;

use dbmux_engine::ErrorCode;
use dbmux_proto::{CloseSessionRequest, PROTOCOL_MAJOR, Statement, StatusRequest, control_client::ControlClient};
use tonic::Code;

use crate::{
    sql::{fetch, status_of},
    support::{Served, hello, read, standard_detail},
};

/// Waits until something that happens elsewhere is so; fails after ten seconds.
async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok(), "{what}");
}

#[tokio::test]
async fn a_call_without_a_session_gets_the_connections_own() {
    let served = Served::start();
    let mut client = served.standard().await;
    assert_eq!(served.service.open_sessions(), 0, "opened at the first call that needs one");
    for _ in 0..2 {
        let info = client.execute("SELECT 42".to_owned(), None).await.unwrap();
        fetch(&mut client, &info).await.unwrap();
    }
    let (hello, peer) = served.service.opened.lock()[0].clone();
    assert_eq!((served.service.opened.lock().len(), peer.pid), (1, std::process::id()));
    assert_eq!(hello.protocol.unwrap().major, PROTOCOL_MAJOR);
    assert!(hello.default_wait_ms > 0);
    let mut other = served.standard().await;
    other.execute("SELECT 42".to_owned(), None).await.unwrap();
    assert_eq!(served.service.open_sessions(), 2);
    drop(client);
    until("its session ends with the connection", || served.service.open_sessions() == 1).await;
    drop(other);
    until("and the other's too", || served.service.open_sessions() == 0).await;
}

#[tokio::test]
async fn sessions_end_with_the_connection_they_were_opened_on() {
    let served = Served::start();
    let (first, other) = (served.session().await, served.session().await);
    let second = ControlClient::new(first.channel.clone()).hello(hello()).await.unwrap().into_inner();
    let close = CloseSessionRequest { session: second.session };
    ControlClient::new(first.channel.clone()).hello(hello()).await.unwrap();
    assert_eq!(served.service.open_sessions(), 4);
    first.control().close_session(close).await.unwrap();
    assert_eq!(served.service.open_sessions(), 3);
    let stream = first.open(Statement { sql: "endless".to_owned(), ..Statement::default() }).await.unwrap();
    drop((first, stream));
    until("its sessions end, the other connection's does not", || served.service.open_sessions() == 1).await;
    other.ask("SELECT 42").await.unwrap();
    assert_eq!(served.service.closed.lock().len(), 3, "each once");
}

#[tokio::test]
async fn a_lost_session_is_told_once() {
    let served = Served::start();
    let mut client = served.standard().await;
    client.execute("SELECT 42".to_owned(), None).await.unwrap();
    served.service.lose_sessions();
    let lost = status_of(client.execute("SELECT 42".to_owned(), None).await.unwrap_err());
    assert_eq!((lost.code(), standard_detail(&lost).code()), (Code::NotFound, ErrorCode::SessionLost));
    client.execute("SELECT 42".to_owned(), None).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_statement() {
    let served = Served::start();
    let session = served.session().await;
    let mut stream = session.open(Statement { sql: "endless".to_owned(), ..Statement::default() }).await.unwrap();
    for _ in 0..5 {
        stream.message().await.unwrap().unwrap();
    }
    assert_eq!(served.service.running.load(std::sync::atomic::Ordering::SeqCst), 1);
    drop(stream);
    let idle = || served.service.running.load(std::sync::atomic::Ordering::SeqCst) == 0;
    until("the stream is dropped", idle).await;
    let stream = session.open(Statement { sql: "wait".to_owned(), ..Statement::default() });
    let begun = until("it runs", || !idle());
    tokio::select! {
        _ = stream => panic!("nobody let it go on"),
        () = begun => {}
    }
    until("a statement that waits is dropped too", idle).await;
}

#[tokio::test]
async fn a_shutdown_lets_running_calls_end() {
    let served = Served::start();
    let service = served.service.clone();
    let session = served.session().await;
    let idle = served.session().await;
    let waiting = session.open(Statement { sql: "wait".to_owned(), ..Statement::default() });
    let socket = served.socket.clone();
    let stopping = async {
        until("it runs", || service.running.load(std::sync::atomic::Ordering::SeqCst) == 1).await;
        let ended = served.stop();
        until("no new connection is taken", || std::os::unix::net::UnixStream::connect(&socket).is_err()).await;
        assert!(!ended.is_finished());
        service.go.cancel();
        ended.await
    };
    let (stream, ended) = tokio::join!(waiting, stopping);
    assert_eq!(read(stream.unwrap()).await.unwrap()[0].num_rows(), 1);
    ended.unwrap().unwrap();
    assert!(idle.control().status(StatusRequest {}).await.is_err());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_silent_peers() {
    let served = Served::start();
    let silent = tokio::net::UnixStream::connect(&served.socket).await.unwrap();
    let mut half = tokio::net::UnixStream::connect(&served.socket).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    served.session().await;
    tokio::time::timeout(Duration::from_secs(5), served.stop()).await.unwrap().unwrap().unwrap();
    drop((silent, half));
}
