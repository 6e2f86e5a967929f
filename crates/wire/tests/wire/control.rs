//! The Control service.

use dbmux_engine::ErrorCode;
use dbmux_proto::{
    CloseSessionRequest, HelloRequest, LeaseAsk, LeaseState, PROTOCOL_MAJOR, PROTOCOL_MINOR, ProtocolVersion,
    StatsRequest, StatusRequest, StopRequest, WatchRequest, control_client::ControlClient,
};
use futures::TryStreamExt;
use tonic::Code;

use crate::support::{Served, detail, hello};

#[tokio::test]
async fn greets_and_tells() {
    let served = Served::start();
    let session = served.session().await;
    assert_eq!(session.hello.session.len(), 16);
    assert_eq!(session.hello.catalog, "sales");
    assert_eq!(session.hello.protocol, Some(dbmux_proto::protocol()));
    let status = session.control().status(StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.engine, "test");
    session.ask("SELECT 42").await.unwrap();
    let stats = session.control().stats(StatsRequest {}).await.unwrap().into_inner();
    assert_eq!(stats.statements, 1);
    let (hello, peer) = served.service.opened.lock()[0].clone();
    assert_eq!(hello.version, "9.9");
    assert_eq!(peer.pid, std::process::id(), "the kernel's word, not the client's");
    assert!(peer.uid.is_some());
}

#[tokio::test]
async fn speaks_the_lower_minor_version() {
    let served = Served::start();
    let mut control = ControlClient::new(served.connect().await);
    let newer = ProtocolVersion { major: PROTOCOL_MAJOR, minor: PROTOCOL_MINOR + 7 };
    let reply = control.hello(HelloRequest { protocol: Some(newer), ..hello() }).await.unwrap().into_inner();
    assert_eq!(reply.protocol, Some(dbmux_proto::protocol()));
}

#[tokio::test]
async fn refuses_another_major_version_by_name() {
    let served = Served::start();
    let mut control = ControlClient::new(served.connect().await);
    let other = ProtocolVersion { major: PROTOCOL_MAJOR + 1, minor: 3 };
    for protocol in [Some(other), None] {
        let refused = control.hello(HelloRequest { protocol, ..hello() }).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        let detail = detail(&refused);
        assert_eq!(detail.code(), ErrorCode::Protocol);
        let theirs = protocol.unwrap_or_default();
        assert!(detail.message.contains(&format!("{}.{}", theirs.major, theirs.minor)), "{}", detail.message);
        assert!(detail.message.contains(&format!("{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}")), "{}", detail.message);
    }
    assert!(served.service.opened.lock().is_empty());
}

#[tokio::test]
async fn closes_a_session_which_is_then_lost() {
    let served = Served::start();
    let session = served.session().await;
    session.ask("SELECT 42").await.unwrap();
    let close = CloseSessionRequest { session: session.hello.session.clone() };
    session.control().close_session(close).await.unwrap();
    let lost = session.ask("SELECT 42").await.unwrap_err();
    assert_eq!(lost.code(), Code::NotFound);
    assert_eq!(detail(&lost).code(), ErrorCode::SessionLost);
}

#[tokio::test]
async fn watches_and_stops() {
    let served = Served::start();
    let session = served.session().await;
    let watch = WatchRequest { session: session.hello.session.clone(), statement_id: 5 };
    let events: Vec<_> = session.control().watch(watch).await.unwrap().into_inner().try_collect().await.unwrap();
    assert_eq!(
        events.iter().map(|event| (event.ahead, event.elapsed_ms)).collect::<Vec<_>>(),
        [(0, 5), (1, 5), (2, 5)]
    );
    let stopped = session.control().stop(StopRequest { drain_ms: 1500 }).await.unwrap().into_inner();
    assert_eq!(stopped.pid, std::process::id());
    assert_eq!(served.service.stopped.lock().unwrap().as_millis(), 1500);
}

#[tokio::test]
async fn talks_about_a_lease_in_both_directions() {
    let served = Served::start();
    let mut control = ControlClient::new(served.connect().await);
    let (tell, told) = futures::channel::mpsc::unbounded();
    let ask = |in_line| LeaseAsk { command: "dbt build".to_owned(), in_line, ..LeaseAsk::default() };
    tell.unbounded_send(ask(false)).unwrap();
    let mut events = control.lease(told).await.unwrap().into_inner();
    let ready = events.message().await.unwrap().unwrap();
    assert_eq!((ready.state(), ready.as_of.as_str()), (LeaseState::Ready, "dbt build"));
    tell.unbounded_send(ask(true)).unwrap();
    assert_eq!(events.message().await.unwrap().unwrap().state(), LeaseState::Released);
    drop(tell);
    assert_eq!(events.message().await.unwrap(), None);
}
