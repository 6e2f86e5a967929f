//! Names and texts as SQL writes them.

/// A name as SQL writes it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL writes it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::{literal, quoted};

    #[test]
    fn quotes() {
        assert_eq!((quoted("a\"b").as_str(), literal("it's").as_str()), ("\"a\"\"b\"", "'it''s'"));
    }
}
