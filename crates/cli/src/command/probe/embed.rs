//! An embedder that needs no model: each word is a direction of its own, and a text the sum of its words.
//!
//! The same text gives the same numbers, to the bit, in every process: what is in a row can be told from who wrote it.

use super::job::SEED;

/// Embeddings that a writer makes before it begins: its versions take turns with them.
pub(super) const POOL: i64 = 256;

const WORDS: [&str; 24] = [
    "lock", "file", "row", "commit", "reader", "writer", "page", "index", "vector", "chunk", "log", "table", "queue",
    "lease", "broker", "session", "column", "batch", "stream", "token", "parse", "merge", "scan", "sync",
];

/// The embedding of a text: of length 1.
pub(super) fn embed(text: &str, dims: u16) -> Vec<f32> {
    let mut sum = vec![0_f32; usize::from(dims)];
    for word in text.split_whitespace() {
        let mut numbers = Numbers::new(hash(word));
        for value in &mut sum {
            *value += numbers.signed();
        }
    }
    let length = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        sum.iter_mut().for_each(|value| *value /= length);
    }
    sum
}

/// What a chunk of the seed says.
pub(super) fn seed_text(id: i64) -> String {
    format!("chunk{id} {}", some_words(id))
}

/// What a writer embeds as its version of a row.
pub(super) fn text(writer: i64, version: i64) -> String {
    let turn = version.rem_euclid(POOL);
    format!("writer{writer} turn{turn} {}", some_words(writer * POOL + turn))
}

fn some_words(number: i64) -> String {
    let mut numbers = Numbers::new(number.cast_unsigned());
    let words: Vec<&str> =
        (0..6).filter_map(|_| WORDS.get(numbers.below(WORDS.len() as u64) as usize).copied()).collect();
    words.join(" ")
}

/// FNV-1a.
fn hash(word: &str) -> u64 {
    word.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Numbers that look random, and are the same each time (SplitMix64).
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed ^ SEED)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// From -1 to 1.
    #[expect(clippy::cast_precision_loss, reason = "24 bits are a float's")]
    fn signed(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_that_share_words_are_near_and_each_version_is_another() {
        let [near, also, far] =
            ["lock file reader", "lock file writer", "vector table page"].map(|text| embed(text, 128));
        assert!((cosine(&near, &near) - 1.0).abs() < 1e-5);
        assert!(cosine(&near, &also) > 0.4 && cosine(&near, &far) < 0.4);
        let mut all: Vec<Vec<u32>> = (0..4)
            .flat_map(|writer| (0..POOL).map(move |version| embed(&text(writer, version), 16)))
            .map(|vector| vector.into_iter().map(f32::to_bits).collect())
            .collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 4 * usize::try_from(POOL).unwrap());
    }
}
