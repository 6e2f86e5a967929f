//! What makes two texts the same memory.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The SHA-256 of a text in small letters without the space around it, as 64 hexadecimal digits.
///
/// That is what mcp-memory-service calls a memory's `content_hash`: a memory keeps its name when it is taken over.
pub fn content_hash(content: &str) -> String {
    let normal = content.trim_matches(is_space).to_lowercase();
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(normal.as_bytes()) {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What Python's `str.strip` takes away: four separators more than Rust's `trim`.
pub(crate) fn is_space(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{1c}'..='\u{1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each made by mcp-memory-service 12.4.0's `generate_content_hash`.
    #[test]
    fn hashes_are_those_of_mcp_memory_service() {
        for (content, expected) in [
            ("hello world", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
            ("  Hello World\n", "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"),
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("ΌΔΟΣ ΣΊΣΥΦΟΣ", "c057b4f7c1a04f83d1e648fd26545aac7d70b56f88d97f1e183b82b43730b143"),
            ("\u{1f}GRÖSSE ẞ\u{3000}", "12f34881aeaa6fb1cf1c29ac1ef489a0dd11480927989dc1bca6aa1c3ff8dfdf"),
            ("İstanbul", "4a4df120f7d1f3c286f58651abfcec2aade892ace635f96f02b946c96e6e1f86"),
            ("a\0b", "59b271ae1bbcb1d31d41929817f4b16fb439eb4f31520b5ad1d5ce98920a7138"),
        ] {
            assert_eq!(content_hash(content), expected, "{content:?}");
        }
    }

    #[test]
    fn case_and_the_space_around_do_not_count() {
        assert_eq!(content_hash("  Hello World\n"), content_hash("hello world"));
        assert_ne!(content_hash("hello  world"), content_hash("hello world"));
    }
}
