//! An embedder that needs no download: words and pairs of words, hashed into a vector.
//!
//! It knows nothing of meaning, but two texts that share words are near each other, and it gives the same vector everywhere
//! and for ever: the Python program beside this one makes the same. Whoever changes it changes [`MODEL`].

use xxhash_rust::xxh3::xxh3_64;

/// How many numbers a vector has.
pub(crate) const DIMENSIONS: usize = 128;

/// Who embeds, as the index says.
pub(crate) const PROVIDER: &str = "hashing";

/// With what, as the index says.
pub(crate) const MODEL: &str = "words-128";

/// The vector of a text, of length 1; one without any word has length 0.
pub(crate) fn embed(text: &str) -> Vec<f32> {
    let words = words(text);
    // Sums of whole numbers: the same whatever the order.
    let mut sums = vec![0_i32; DIMENSIONS];
    let mut add = |token: &str, weight: i32| {
        let hash = xxh3_64(token.as_bytes());
        let sign = if hash >> 63 == 0 { 1 } else { -1 };
        if let Some(sum) = sums.get_mut((hash % DIMENSIONS as u64) as usize) {
            *sum += sign * weight;
        }
    };
    for word in &words {
        add(word, 2);
    }
    for (one, next) in words.iter().zip(words.iter().skip(1)) {
        add(&format!("{one} {next}"), 1);
    }
    let length = sums.iter().map(|sum| f64::from(*sum) * f64::from(*sum)).sum::<f64>().sqrt();
    let scale = if length > 0.0 { 1.0 / length } else { 0.0 };
    sums.into_iter().map(|sum| (f64::from(sum) * scale) as f32).collect()
}

/// The words of a text, in small letters: `readFile`, `read_file` and `read file` are the same two.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut was_small = false;
    for letter in text.chars() {
        let begins = letter.is_ascii_uppercase() && was_small;
        if (begins || !letter.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
        was_small = letter.is_ascii_lowercase() || letter.is_ascii_digit();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words() {
        assert_eq!(words("readFile(read_file, HTTPServer2Go)"), ["read", "file", "read", "file", "httpserver2", "go"]);
        assert_eq!(words("  … Été\n"), ["été"]);
    }

    #[test]
    fn what_shares_words_is_near() {
        let near = |one: &str, other: &str| embed(one).iter().zip(embed(other)).map(|(a, b)| a * b).sum::<f32>();
        assert!((near("open the file", "open the file") - 1.0).abs() < 1e-5);
        assert!(near("open the file", "the file to open") > 0.6);
        assert!(near("open the file", "a vector of numbers") < 0.4);
        assert!(embed("…").iter().all(|number| *number == 0.0));
    }
}
