//! An HTTP endpoint as OpenAI has it: Ollama, vLLM, llama.cpp, LM Studio, and others.

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::{Client, Url};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{EmbedError, Embedder};

/// Requests that are under way at the same time.
const TOGETHER: usize = 4;
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take, whatever the caller's time is.
const ANSWER: Duration = Duration::from_secs(120);
/// How much of a refusal's words is told, in characters.
const TOLD: usize = 300;

/// An endpoint with `POST …/embeddings`.
#[derive(Debug)]
pub struct Endpoint {
    client: Client,
    url: Url,
    model: String,
    key: Option<Key>,
    turns: Semaphore,
}

/// Nobody shall print it.
struct Key(String);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: Vec<String>,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

impl Endpoint {
    /// An endpoint: `http://localhost:11434/v1` for Ollama, for example. `/embeddings` is added where it is missing. Nothing is
    /// asked before the first text.
    ///
    /// # Errors
    /// [`EmbedError::Unreachable`] when the address is none.
    pub fn open(url: &str, model: impl Into<String>, key: Option<&str>) -> Result<Self, EmbedError> {
        let bad = |message: String| EmbedError::Unreachable { url: url.to_owned(), message };
        Url::parse(url).map_err(|error| bad(error.to_string()))?;
        let base = url.trim_end_matches('/');
        let full = if base.ends_with("/embeddings") { base.to_owned() } else { format!("{base}/embeddings") };
        let parsed = Url::parse(&full).map_err(|error| bad(error.to_string()))?;
        let client = Client::builder().connect_timeout(CONNECT).timeout(ANSWER).build();
        let client = client.map_err(|error| bad(words(&error)))?;
        let key = key.map(|key| Key(key.to_owned()));
        Ok(Self { client, url: parsed, model: model.into(), key, turns: Semaphore::new(TOGETHER) })
    }

    async fn run(&self, input: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let _turn = self.turns.acquire().await;
        let mut request = self.client.post(self.url.clone()).json(&Request { model: &self.model, input });
        if let Some(key) = &self.key {
            request = request.bearer_auth(&key.0);
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        if !status.is_success() {
            let message = response.text().await.unwrap_or_default().trim().chars().take(TOLD).collect();
            return Err(EmbedError::Refused { url: self.url.to_string(), status: status.as_u16(), message });
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        let answer: Answer =
            serde_json::from_slice(&body).map_err(|error| EmbedError::Nonsense(format!("{}: {error}", self.url)))?;
        Ok(in_order(answer.data))
    }

    fn unreachable(&self, error: &reqwest::Error) -> EmbedError {
        EmbedError::Unreachable { url: self.url.to_string(), message: words(error) }
    }
}

impl Embedder for Endpoint {
    fn model(&self) -> &str {
        &self.model
    }

    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(self.run(texts))
    }
}

/// They may come in any order, and say so.
fn in_order(mut items: Vec<Item>) -> Vec<Vec<f32>> {
    if items.iter().all(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
    }
    items.into_iter().map(|item| item.embedding).collect()
}

/// The innermost reason: the outer ones only say that a request has failed.
fn words(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_completed() {
        for url in ["http://localhost:11434/v1", "http://localhost:11434/v1/", "http://localhost:11434/v1/embeddings"] {
            let endpoint = Endpoint::open(url, "m", None).unwrap();
            assert_eq!(endpoint.url.as_str(), "http://localhost:11434/v1/embeddings");
        }
        assert!(matches!(Endpoint::open("http://", "m", None), Err(EmbedError::Unreachable { .. })));
    }

    #[test]
    fn the_key_is_not_printed() {
        let endpoint = Endpoint::open("http://localhost/v1", "m", Some("secret")).unwrap();
        assert!(!format!("{endpoint:?}").contains("secret"));
    }

    #[test]
    fn vectors_are_brought_into_order() {
        let item = |index, number| Item { index, embedding: vec![number] };
        assert_eq!(in_order(vec![item(Some(1), 1.0), item(Some(0), 0.0)]), [[0.0], [1.0]]);
        assert_eq!(in_order(vec![item(None, 5.0), item(Some(0), 0.0)]), [[5.0], [0.0]]);
    }
}
