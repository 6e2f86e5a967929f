//! BERT by candle: the mean of a text's token vectors, of length 1.

use std::{fs, path::Path};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::BertModel;
use tokenizers::{PaddingParams, PaddingStrategy, Tokenizer, TruncationParams};

use super::{
    EmbedError,
    folder::{Plan, wrong},
};

/// A model with its weights.
pub(super) struct Model {
    bert: BertModel,
    tokenizer: Tokenizer,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").finish_non_exhaustive()
    }
}

impl Model {
    /// Reads a model. That takes some hundred milliseconds.
    pub(super) fn load(plan: &Plan) -> Result<Self, EmbedError> {
        let path = plan.folder.join("model.safetensors");
        let weights = fs::read(&path).map_err(|error| wrong(&path, error))?;
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu);
        let bert = weights.and_then(|weights| BertModel::load(weights, &plan.config));
        let bert = bert.map_err(|error| wrong(&path, error))?;
        Ok(Self { bert, tokenizer: tokenizer(&plan.folder, plan.longest)? })
    }

    /// A vector for each text.
    pub(super) fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let encoded = self.tokenizer.encode_batch(texts, true);
        let encoded = encoded.map_err(|error| EmbedError::Model(error.to_string()))?;
        let rows = encoded.len();
        let tokens = encoded.iter().flat_map(|text| text.get_ids().iter().copied()).collect();
        let mask = encoded.iter().flat_map(|text| text.get_attention_mask().iter().copied()).collect();
        self.forward(tokens, mask, rows).map_err(|error| EmbedError::Model(error.to_string()))
    }

    fn forward(&self, tokens: Vec<u32>, mask: Vec<u32>, rows: usize) -> candle_core::Result<Vec<Vec<f32>>> {
        let shape = (rows, tokens.len() / rows);
        let tokens = Tensor::from_vec(tokens, shape, &Device::Cpu)?;
        let mask = Tensor::from_vec(mask, shape, &Device::Cpu)?;
        let vectors = self.bert.forward(&tokens, &tokens.zeros_like()?, Some(&mask))?;
        // What was only added to make the texts equally long does not count.
        let mask = mask.to_dtype(DType::F32)?.unsqueeze(2)?;
        let sum = vectors.broadcast_mul(&mask)?.sum(1)?;
        let mean = sum.broadcast_div(&mask.sum(1)?)?;
        let length = mean.sqr()?.sum_keepdim(1)?.sqrt()?;
        mean.broadcast_div(&length)?.to_vec2()
    }
}

/// It cuts what is too long, and makes the texts of a batch equally long.
fn tokenizer(folder: &Path, longest: usize) -> Result<Tokenizer, EmbedError> {
    let path = folder.join("tokenizer.json");
    let mut tokenizer = Tokenizer::from_file(&path).map_err(|error| wrong(&path, error))?;
    let pad = ["[PAD]", "<pad>"].into_iter().find_map(|pad| Some((pad, tokenizer.token_to_id(pad)?)));
    let (pad_token, pad_id) = pad.unwrap_or(("[PAD]", 0));
    let padding = PaddingParams {
        strategy: PaddingStrategy::BatchLongest,
        pad_id,
        pad_token: pad_token.to_owned(),
        ..PaddingParams::default()
    };
    let cut = TruncationParams { max_length: longest, ..TruncationParams::default() };
    tokenizer.with_padding(Some(padding));
    tokenizer.with_truncation(Some(cut)).map_err(|error| wrong(&path, error))?;
    Ok(tokenizer)
}
