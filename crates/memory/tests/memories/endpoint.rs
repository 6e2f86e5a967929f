//! An endpoint on this machine that speaks just enough HTTP.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dbmux_memory::{
    Search, SearchMode,
    embed::{EmbedError, Embedder, Endpoint},
};

use crate::support::{memory, place, with};

/// Answers each request with what this makes of its number and its body.
fn serve(answer: impl Fn(usize, &serde_json::Value) -> (u16, String) + Send + 'static) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            one(stream, |body| answer(number, body));
        }
    });
    (url, count)
}

fn one(mut stream: TcpStream, answer: impl Fn(&serde_json::Value) -> (u16, String)) {
    let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let (status, text) = answer(&serde_json::from_slice(&body).expect("JSON"));
    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", text.len());
    stream.write_all((head + &text).as_bytes()).expect("an answer");
}

/// The vector of a text is its length and its number of spaces; the last one comes first.
fn vectors(body: &serde_json::Value) -> String {
    let texts = body["input"].as_array().expect("texts");
    let item = |(index, text): (usize, &serde_json::Value)| {
        let text = text.as_str().expect("a text");
        serde_json::json!({"index": index, "embedding": [text.len(), text.matches(' ').count()]})
    };
    let data: Vec<_> = texts.iter().enumerate().rev().map(item).collect();
    serde_json::json!({"object": "list", "model": body["model"], "data": data}).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_makes_vectors_and_is_asked_again_when_it_is_busy() {
    let (url, count) = serve(|number, body| {
        assert_eq!(body["model"], "tiny");
        if number == 0 { (503, "busy".to_owned()) } else { (200, vectors(body)) }
    });
    let place = place();
    let memories = with(&place, Arc::new(Endpoint::open(&url, "tiny", Some("key")).expect("an endpoint")));
    let stored = memories.store(vec![memory("long", &[]), memory("a b c d e f g", &[])]).await.expect("stored");
    assert!(stored.iter().all(|stored| stored.embedded), "{stored:?}");
    assert_eq!(count.load(Ordering::Relaxed), 2);
    let found = memories.search(&Search::new("u v w x y z").mode(SearchMode::Semantic)).await.expect("a search");
    assert_eq!((found.mode_used, found.hits[0].memory.content.as_str()), (SearchMode::Semantic, "a b c d e f g"));
    assert_eq!(found.hits[0].memory.embedding_model.as_deref(), Some("tiny"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_or_talks_nonsense_is_told_of() {
    let (url, _) = serve(|_, _| (401, "who are you?".to_owned()));
    let endpoint = Endpoint::open(&url, "tiny", None).expect("an endpoint");
    let error = endpoint.embed(vec!["x".to_owned()]).await.expect_err("it refuses");
    assert!(matches!(&error, EmbedError::Refused { status: 401, message, .. } if message == "who are you?"), "{error}");
    assert!(!error.is_temporary() && error.suggestion().contains("key"));
    let (url, _) = serve(|_, _| (200, "<html>".to_owned()));
    let endpoint = Endpoint::open(&url, "tiny", None).expect("an endpoint");
    assert!(matches!(endpoint.embed(vec!["x".to_owned()]).await, Err(EmbedError::Nonsense(_))));
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let endpoint = Endpoint::open(&format!("http://{gone}"), "tiny", None).expect("an endpoint");
    let error = endpoint.embed(vec!["x".to_owned()]).await.expect_err("nobody is there");
    assert!(matches!(&error, EmbedError::Unreachable { .. }) && error.is_temporary(), "{error}");
}
