//! A folder with a sentence-transformers model.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use candle_transformers::models::bert::Config;
use futures::future::BoxFuture;
use serde::Deserialize;
use tokio::sync::{OnceCell, Semaphore};

use super::{EmbedError, Embedder, model::Model};

/// What sentence-transformers calls the parts of a model that are known here.
const KNOWN: [&str; 3] = ["Transformer", "Pooling", "Normalize"];

/// A model in a folder: BERT, the mean of its words' vectors, of length 1. What is longer than the model's own limit is cut.
///
/// The folder is looked at at once; the weights are read for the first text, and stay. One batch is embedded at a time, on
/// all of the machine's cores, in tokio's pool for what blocks.
#[derive(Debug)]
pub struct Folder {
    name: String,
    plan: Plan,
    model: OnceCell<Arc<Model>>,
    turn: Arc<Semaphore>,
}

/// What is known of a model before its weights are read.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) folder: PathBuf,
    pub(super) config: Config,
    /// The longest text, in tokens.
    pub(super) longest: usize,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Sentences {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
struct Pooling {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
}

impl Folder {
    /// Looks at a folder: `config.json`, `tokenizer.json` and `model.safetensors` must be there, and `modules.json`,
    /// `sentence_bert_config.json` and the pooling's `config.json` are minded where they are. The model is called as the
    /// folder is.
    ///
    /// # Errors
    /// [`EmbedError::Folder`], with what is missing, or of a kind that is not known here.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, EmbedError> {
        let given = folder.as_ref();
        let folder = given.canonicalize().map_err(|error| wrong(given, error))?;
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        Self::named(folder, name)
    }

    /// The same, under a name of one's own: what it makes is compared with other vectors of that name.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn named(folder: impl Into<PathBuf>, name: impl Into<String>) -> Result<Self, EmbedError> {
        let plan = Plan::of(folder.into())?;
        Ok(Self { name: name.into(), plan, model: OnceCell::new(), turn: Arc::new(Semaphore::new(1)) })
    }

    /// How many numbers its vectors have.
    pub fn dimensions(&self) -> usize {
        self.plan.config.hidden_size
    }

    async fn run(&self, texts: Vec<String>) -> Result<Vec<Vec<f32>>, EmbedError> {
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let model = self.model.get_or_try_init(|| self.load()).await?;
        let model = Arc::clone(model);
        // The turn goes along: a caller who goes away does not let the next one in before the work has ended.
        blocking(move || {
            let made = model.embed(&texts);
            drop(turn);
            made
        })
        .await
    }

    async fn load(&self) -> Result<Arc<Model>, EmbedError> {
        let plan = self.plan.clone();
        blocking(move || Model::load(&plan).map(Arc::new)).await
    }
}

impl Embedder for Folder {
    fn model(&self) -> &str {
        &self.name
    }

    fn embed(&self, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        Box::pin(self.run(texts))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbedError> + Send + 'static,
) -> Result<T, EmbedError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(EmbedError::Model(error.to_string())))
}

impl Plan {
    fn of(folder: PathBuf) -> Result<Self, EmbedError> {
        let config_path = folder.join("config.json");
        let config: Config = read(&config_path)?;
        if config.model_type.as_deref().is_some_and(|kind| kind != "bert") {
            let kind = config.model_type.unwrap_or_default();
            return Err(wrong(&config_path, format!("the model is of the kind {kind}, and only bert is known here")));
        }
        for name in ["tokenizer.json", "model.safetensors"] {
            let path = folder.join(name);
            fs::metadata(&path).map_err(|error| wrong(&path, error))?;
        }
        look_at_modules(&folder)?;
        let sentences: Option<Sentences> = read_if_there(&folder.join("sentence_bert_config.json"))?;
        let longest = sentences.and_then(|sentences| sentences.max_seq_length).unwrap_or(usize::MAX);
        let longest = longest.min(config.max_position_embeddings);
        Ok(Self { folder, config, longest })
    }
}

/// Refuses parts that would be left out: the vectors would be others than the model's own.
fn look_at_modules(folder: &Path) -> Result<(), EmbedError> {
    let path = folder.join("modules.json");
    let modules: Vec<Module> = read_if_there(&path)?.unwrap_or_default();
    for module in modules {
        let kind = module.kind.rsplit('.').next().unwrap_or_default();
        if !KNOWN.contains(&kind) {
            return Err(wrong(&path, format!("the model has a part of the kind {kind}, which is not known here")));
        }
        if kind == "Pooling" {
            let path = folder.join(&module.path).join("config.json");
            let pooling: Pooling = read(&path)?;
            let others = pooling.pooling_mode_cls_token
                || pooling.pooling_mode_max_tokens
                || pooling.pooling_mode_mean_sqrt_len_tokens;
            if others || !pooling.pooling_mode_mean_tokens {
                return Err(wrong(&path, "only the mean of the tokens is known here"));
            }
        }
    }
    Ok(())
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, EmbedError> {
    let text = fs::read_to_string(path).map_err(|error| wrong(path, error))?;
    serde_json::from_str(&text).map_err(|error| wrong(path, error))
}

fn read_if_there<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, EmbedError> {
    if path.exists() { read(path).map(Some) } else { Ok(None) }
}

pub(super) fn wrong(path: &Path, message: impl ToString) -> EmbedError {
    EmbedError::Folder { path: path.to_owned(), message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"{"vocab_size": 2, "hidden_size": 384, "num_hidden_layers": 1, "num_attention_heads": 1,
        "intermediate_size": 1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "max_position_embeddings": 512,
        "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12, "pad_token_id": 0, "model_type": "KIND"}"#;

    fn folder(kind: &str, others: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("config.json", &CONFIG.replace("KIND", kind));
        write("tokenizer.json", "");
        write("model.safetensors", "");
        others.iter().for_each(|(name, text)| write(name, text));
        folder
    }

    #[test]
    fn a_folder_says_what_it_is() {
        let folder = folder("bert", &[("sentence_bert_config.json", r#"{"max_seq_length": 256}"#)]);
        let model = Folder::named(folder.path(), "m").unwrap();
        assert_eq!((model.model(), model.dimensions(), model.plan.longest), ("m", 384, 256));
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let modules = r#"[{"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}]"#;
        for (folder, named) in [
            (folder("roberta", &[]), "the kind roberta"),
            (folder("bert", &[("modules.json", r#"[{"path": "", "type": "a.b.Dense"}]"#)]), "the kind Dense"),
            (folder("bert", &[("modules.json", modules), ("1_Pooling/config.json", "{}")]), "only the mean"),
            (folder("bert", &[("modules.json", modules)]), "1_Pooling"),
        ] {
            let error = Folder::open(folder.path()).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        assert!(Folder::open(empty.path()).unwrap_err().to_string().contains("config.json"));
    }
}
