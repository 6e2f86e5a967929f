//! Peers that speak nonsense, too much, nothing at all, or a protocol of the future: each is told, or let go, and the
//! broker serves the next one.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_proto::{ErrorCode, ErrorDetail, HelloRequest, ProtocolVersion, control_client::ControlClient};
use dbmux_testkit::{Dice, Place, Shell, seed, until};
use hyper_util::rt::TokioIo;
use prost::Message;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";

fn serving() -> (Place, PathBuf) {
    let place = Place::new(env!("CARGO_BIN_EXE_dbmux"));
    place.sql("a.duckdb", "create table t as select 42 as i");
    let socket = place.status("a.duckdb")["socket"].as_str().expect("a socket").into();
    (place, socket)
}

fn connect(socket: &Path) -> UnixStream {
    let stream = UnixStream::connect(socket).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a limit");
    stream
}

/// Sends bytes, and waits for the other end to close.
fn send(socket: &Path, bytes: &[u8]) {
    let mut stream = connect(socket);
    // It may close before it has taken everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the broker keeps a connection that sent {bytes:02x?}: {error}"),
    }
}

fn frame(length: u32, kind: u8, flags: u8, stream: u32) -> Vec<u8> {
    let mut bytes = length.to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes
}

#[test]
fn garbage_harms_nobody() {
    let (place, socket) = serving();
    let mut dice = Dice(seed());
    let mut other = Shell::start(&place, "a.duckdb", &[]);
    other.done("create temp table mine as select 7 as i");
    let broker = place.brokers();
    let mut noise = |length: u64| -> Vec<u8> {
        (0..dice.roll(length)).map(|_| u8::try_from(dice.roll(256)).unwrap_or_default()).collect()
    };
    for _ in 0..100 {
        send(&socket, &noise(3000));
        send(&socket, &[PREFACE, &noise(3000)].concat());
        send(&socket, &[PREFACE, SETTINGS, &noise(3000)].concat());
    }
    for length in [0, 1, 12, PREFACE.len() - 1] {
        send(&socket, &PREFACE[..length]);
    }
    // Lengths that promise more than is allowed, of every kind of frame; and headers that never end.
    for kind in 0..12 {
        for length in [0x00ff_ffff, 0x0010_0000, 5, 0] {
            send(&socket, &[PREFACE, SETTINGS, &frame(length, kind, 0, 1), &[0; 64]].concat());
        }
    }
    let endless: Vec<u8> = (0..2000).flat_map(|_| [frame(64, 9, 0, 1), vec![0x40; 64]].concat()).collect();
    send(&socket, &[PREFACE, SETTINGS, &frame(1, 1, 0, 1), &[0x88], &endless].concat());
    send(&socket, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(other.ask("select i from mine"), "{\"i\":7}");
    assert_eq!(place.sql("a.duckdb", "from t"), "42");
    assert_eq!(place.brokers(), broker, "the broker was replaced");
    until("nothing is left of them", || {
        place.status("a.duckdb")["sessions"].as_array().is_some_and(|all| all.len() == 1)
    });
}

#[test]
fn silent_and_idle_peers_are_not_kept_and_keep_nobody() {
    let (place, socket) = serving();
    let silent: Vec<_> = (0..200).map(|_| connect(&socket)).collect();
    let mut halfway: Vec<_> = (0..50).map(|_| connect(&socket)).collect();
    for stream in &mut halfway {
        stream.write_all(&PREFACE[..10]).expect("it listens");
    }
    assert_eq!(place.sql("a.duckdb", "from t"), "42");
    let stop = place.run(["stop", "a.duckdb", "--wait", "10s"]);
    assert!(stop.status.success(), "{}", String::from_utf8_lossy(&stop.stderr));
    for mut stream in silent.into_iter().chain(halfway) {
        assert!(matches!(stream.read(&mut [0; 64]), Ok(0) | Err(_)), "the broker has gone");
    }
    assert_eq!(place.sql("a.duckdb", "from t"), "42");
}

async fn hello(socket: PathBuf, protocol: Option<ProtocolVersion>, version: &str) -> Result<Vec<u8>, tonic::Status> {
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let socket = socket.clone();
        async move { Ok::<_, std::io::Error>(TokioIo::new(tokio::net::UnixStream::connect(socket).await?)) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://dbmux.localhost");
    let channel = endpoint.connect_with_connector(connector).await.expect("it listens");
    let hello = HelloRequest { protocol, version: version.to_owned(), ..HelloRequest::default() };
    Ok(ControlClient::new(channel).hello(hello).await?.into_inner().session)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_protocol_is_refused_with_both_versions() {
    let (place, socket) = serving();
    let ours = dbmux_proto::protocol();
    let major = |major| Some(ProtocolVersion { major, minor: 3 });
    for (theirs, hint) in [(major(ours.major + 1), "newer"), (major(0), "newer"), (None, "newer")] {
        let status = hello(socket.clone(), theirs, "7.8.9").await.expect_err("another major version");
        let detail = ErrorDetail::decode(status.details()).expect("details");
        assert_eq!(detail.code(), ErrorCode::Protocol, "{detail:?}");
        let theirs = theirs.unwrap_or_default();
        for says in [format!("{}.{}", theirs.major, theirs.minor), format!("{}.{}", ours.major, ours.minor)] {
            assert!(detail.message.contains(&says), "{detail:?} does not say {says}");
        }
        assert!(detail.message.contains("7.8.9"), "{detail:?}");
        assert!(detail.suggestion.contains(hint), "{detail:?}");
    }
    // A newer minor version is no obstacle.
    let newer = ProtocolVersion { major: ours.major, minor: ours.minor + 5 };
    assert_eq!(hello(socket.clone(), Some(newer), "").await.expect("a session").len(), 16);
    assert_eq!(place.sql("a.duckdb", "from t"), "42");
}
