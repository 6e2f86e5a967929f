//! What makes vectors of texts.
//!
//! An [`Embedder`] is a folder with a sentence-transformers model ([`Folder`]), or an HTTP endpoint as OpenAI has it
//! ([`Endpoint`]), or one's own.

mod endpoint;
mod folder;
mod model;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures::future::BoxFuture;

pub use self::{endpoint::Endpoint, folder::Folder};
use crate::{ask::Call, line::GRACE};

/// Texts that are embedded at once.
const TOGETHER: usize = 32;

/// Makes vectors of texts. It bounds by itself how many texts it works on at the same time.
pub trait Embedder: Send + Sync + 'static {
    /// The model's name. Only vectors that were made under the same name are compared.
    fn model(&self) -> &str;

    /// A vector for each text, in their order. Dropped, it need not go on.
    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>>;
}

/// Why there is no vector.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The folder has no model that can be used.
    #[error("{}: {message}", path.display())]
    Folder {
        /// What was looked at.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The model failed.
    #[error("the model failed: {0}")]
    Model(String),
    /// The endpoint cannot be reached, or does not answer in time.
    #[error("{url} cannot be reached: {message}")]
    Unreachable {
        /// The endpoint.
        url: String,
        /// Why.
        message: String,
    },
    /// The endpoint refuses.
    #[error("{url} answers {status}: {message}")]
    Refused {
        /// The endpoint.
        url: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// What came is no vector.
    #[error("what the embedder gave cannot be used: {0}")]
    Nonsense(String),
    /// The call's time is over.
    #[error("the embedder took longer than {} s", .0.as_secs_f64())]
    OutOfTime(Duration),
}

impl EmbedError {
    /// Whether trying again may help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Folder { .. } | Self::Model(_) | Self::Nonsense(_) | Self::OutOfTime(_) => false,
        }
    }

    /// What to do next; empty where nothing true can be said.
    pub fn suggestion(&self) -> String {
        match self {
            Self::Folder { .. } => "name a folder with a sentence-transformers model of the kind BERT".to_owned(),
            Self::Unreachable { .. } => "start it, or check its address".to_owned(),
            Self::Refused { status: 401 | 403, .. } => "check its key".to_owned(),
            Self::Refused { status: 404, .. } => "check its address, and the model's name".to_owned(),
            Self::OutOfTime(_) => "wait longer, or embed fewer texts at once".to_owned(),
            Self::Refused { .. } | Self::Model(_) | Self::Nonsense(_) => String::new(),
        }
    }
}

/// The embedder that a text names: the address of an endpoint, or a folder.
///
/// # Errors
/// [`EmbedError::Folder`], [`EmbedError::Unreachable`] for an address that is none; [`EmbedError::Nonsense`] for an endpoint
/// without a model's name.
pub fn open(place: &str, model: Option<&str>, key: Option<&str>) -> Result<Arc<dyn Embedder>, EmbedError> {
    if !(place.starts_with("http://") || place.starts_with("https://")) {
        return Ok(Arc::new(Folder::open(place)?));
    }
    let model = model.ok_or_else(|| EmbedError::Nonsense(format!("{place} was given without a model's name")))?;
    Ok(Arc::new(Endpoint::open(place, model, key)?))
}

/// Vectors of length 1 for all texts: within the call's time, and again where that may help.
pub(crate) async fn all(
    embedder: &dyn Embedder,
    texts: Vec<String>,
    call: &Call<'_>,
) -> Result<Vec<Vec<f32>>, EmbedError> {
    let mut vectors = Vec::with_capacity(texts.len());
    for some in texts.chunks(TOGETHER) {
        vectors.extend(some_of(embedder, some, call).await?);
    }
    Ok(vectors)
}

async fn some_of(embedder: &dyn Embedder, texts: &[String], call: &Call<'_>) -> Result<Vec<Vec<f32>>, EmbedError> {
    let waits = &call.shared.retry.waits;
    let mut begun = 1;
    loop {
        let left = call.deadline.left().max(GRACE);
        let made = tokio::time::timeout(left, embedder.embed(texts.to_vec())).await;
        let error = match made.unwrap_or(Err(EmbedError::OutOfTime(left))) {
            Ok(vectors) => return checked(vectors, texts.len()),
            Err(error) => error,
        };
        match waits.get(begun).filter(|wait| error.is_temporary() && **wait < call.deadline.left()) {
            Some(wait) => tokio::time::sleep(*wait).await,
            None => return Err(error),
        }
        begun += 1;
    }
}

fn checked(vectors: Vec<Vec<f32>>, texts: usize) -> Result<Vec<Vec<f32>>, EmbedError> {
    if vectors.len() != texts {
        return Err(EmbedError::Nonsense(format!("{} vectors for {texts} texts", vectors.len())));
    }
    vectors
        .into_iter()
        .map(|vector| unit(vector).map_err(|why| EmbedError::Nonsense(format!("a vector {why}"))))
        .collect()
}

/// A vector of the same direction with length 1, and with zeros behind it up to a whole number of bytes of bits: they do
/// not change any angle.
pub(crate) fn unit(mut vector: Vec<f32>) -> Result<Vec<f32>, String> {
    if vector.is_empty() || vector.len() > 8192 {
        return Err(format!("has {} numbers", vector.len()));
    }
    let length = vector.iter().map(|number| f64::from(*number).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length == 0.0 {
        return Err("has no direction".to_owned());
    }
    #[expect(clippy::cast_possible_truncation, reason = "no number of it is larger than 1")]
    vector.iter_mut().for_each(|number| *number = (f64::from(*number) / length) as f32);
    vector.resize(vector.len().next_multiple_of(8), 0.0);
    Ok(vector)
}

/// As sqlite-vec has vectors: 32-bit numbers, one behind the other.
pub(crate) fn bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// From [`bytes`].
pub(crate) fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}

/// Its code, as `vec_quantize_binary` makes it: a bit for each number that is above 0.
pub(crate) fn code(vector: &[f32]) -> Vec<u8> {
    let bits = |eight: &[f32]| {
        eight.iter().enumerate().fold(0, |bits, (index, number)| bits | (u8::from(*number > 0.0) << index))
    };
    vector.chunks(8).map(bits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_has_length_one_and_whole_bytes_of_bits() {
        let vector = unit(vec![3.0, 4.0]).unwrap();
        assert_eq!(vector, [0.6, 0.8, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(floats(&bytes(&vector)), vector);
        assert_eq!(code(&vector), [0b11]);
        for nonsense in [vec![], vec![0.0], vec![f32::NAN], vec![f32::INFINITY], vec![1.0; 8193]] {
            assert!(unit(nonsense).is_err());
        }
        // Squared, it is more than a 32-bit number can be.
        assert_eq!(unit(vec![f32::MAX]).unwrap()[0], 1.0);
    }

    #[test]
    fn as_many_vectors_as_texts() {
        assert!(matches!(checked(vec![vec![1.0]], 2), Err(EmbedError::Nonsense(_))));
        assert_eq!(checked(vec![vec![2.0]], 1).unwrap()[0][0], 1.0);
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        let refused = |status| EmbedError::Refused { url: String::new(), status, message: String::new() };
        assert!(refused(503).is_temporary() && refused(429).is_temporary());
        assert!(!refused(401).is_temporary() && !EmbedError::Model(String::new()).is_temporary());
    }

    #[test]
    fn a_place_is_an_address_or_a_folder() {
        assert!(matches!(open("http://localhost:1/v1", None, None), Err(EmbedError::Nonsense(_))));
        assert_eq!(open("http://localhost:1/v1", Some("m"), None).unwrap().model(), "m");
        assert!(matches!(open("/no/such/folder", None, None), Err(EmbedError::Folder { .. })));
    }
}
