//! Texts of memories: their words are as frequent as words are, a few in every text and many in hardly any.

/// Different words.
const WORDS: f64 = 20_000.0;
/// Words in one text.
const LONG: u64 = 24;

/// The text of one of many.
pub(super) fn of(number: usize) -> String {
    let words: Vec<_> = (0..LONG).map(|place| word(number, place)).collect();
    format!("memory {number}: {}", words.join(" "))
}

/// Two words of it that stand side by side.
pub(super) fn query(number: usize) -> String {
    format!("\"{} {}\"", word(number, 3), word(number, 4))
}

/// A word's rank is as likely as one by its rank (Zipf): the logarithms of all ranks are spread evenly.
fn word(number: usize, place: u64) -> String {
    let hash = (number as u64 * LONG + place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let even = (hash >> 11) as f64 / (1_u64 << 53) as f64;
    format!("w{}", WORDS.powf(even) as u64)
}
