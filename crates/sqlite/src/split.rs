//! A text's statements, and the words that they begin with.
//!
//! Where a statement ends is SQLite's own word (`sqlite3_complete`, which knows triggers); it is asked at every semicolon
//! that is outside of quotes and comments. The text need not be prepared for that: what a statement names may be made by
//! the one before it.

use std::ffi::CString;

use dbmux_engine::EngineError;

use crate::{errors, ffi};

/// The statements of a text, in order, without those that are only blanks and comments.
pub(crate) fn split(sql: &str) -> Result<Vec<String>, EngineError> {
    if sql.contains('\0') {
        return Err(errors::sql("a NUL character is no part of a statement: give it as a parameter", "42601"));
    }
    let (mut statements, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some((kind, length)) = token(sql.get(at..).unwrap_or_default()) {
        at += length;
        let so_far = sql.get(start..at).unwrap_or_default();
        if kind == Token::Semicolon && is_complete(so_far) {
            keep(&mut statements, so_far);
            start = at;
        }
    }
    keep(&mut statements, sql.get(start..).unwrap_or_default());
    Ok(statements)
}

/// The first words of a statement, in capitals, at most `count`.
pub(crate) fn words(sql: &str, count: usize) -> Vec<String> {
    let (mut words, mut at) = (Vec::new(), 0);
    while let Some((kind, length)) = token(sql.get(at..).unwrap_or_default()) {
        if kind == Token::Other {
            words.push(sql.get(at..at + length).unwrap_or_default().to_ascii_uppercase());
        }
        at += length;
        if words.len() == count || (kind == Token::Semicolon && !words.is_empty()) {
            break;
        }
    }
    words
}

/// Whether a text is blanks and comments.
pub(crate) fn is_blank(sql: &str) -> bool {
    words(sql, 1).is_empty()
}

fn keep(statements: &mut Vec<String>, text: &str) {
    if !is_blank(text) {
        statements.push(text.trim().to_owned());
    }
}

fn is_complete(text: &str) -> bool {
    CString::new(text).is_ok_and(|text| ffi::is_complete(&text))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Blank,
    Semicolon,
    Other,
}

/// The next token, and its length in bytes. Quotes and comments that do not end go to the end of the text.
fn token(text: &str) -> Option<(Token, usize)> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let until = |end: &str, from: usize| {
        text.get(from..).and_then(|rest| rest.find(end)).map_or(text.len(), |found| from + found + end.len())
    };
    Some(match first {
        b';' => (Token::Semicolon, 1),
        b' ' | b'\t' | b'\n' | b'\r' | b'\x0c' => (Token::Blank, 1),
        b'-' if bytes.get(1) == Some(&b'-') => (Token::Blank, until("\n", 2)),
        b'/' if bytes.get(1) == Some(&b'*') => (Token::Blank, until("*/", 2)),
        b'[' => (Token::Other, until("]", 1)),
        // A doubled quote begins the next piece of the same token, which makes no difference here.
        b'\'' => (Token::Other, until("'", 1)),
        b'"' => (Token::Other, until("\"", 1)),
        b'`' => (Token::Other, until("`", 1)),
        _ => {
            let inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
            (Token::Other, bytes.iter().take_while(|byte| inside(byte)).count().max(1))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_where_sqlite_says() {
        let trigger = "CREATE TRIGGER a AFTER INSERT ON t BEGIN SELECT 1; SELECT ';'; END;";
        for (text, expected) in [
            ("", vec![]),
            (" ; ;-- nothing\n;", vec![]),
            ("SELECT 1", vec!["SELECT 1"]),
            ("SELECT ';'; /* ; */ SELECT \";\" ; -- ;\n", vec!["SELECT ';';", "/* ; */ SELECT \";\" ;"]),
            ("SELECT 'it''s;';SELECT [;], `;`", vec!["SELECT 'it''s;';", "SELECT [;], `;`"]),
            (trigger, vec![trigger]),
            ("SELECT 'unfinished; SELECT 1", vec!["SELECT 'unfinished; SELECT 1"]),
            ("sélect 'é;é'; SELECT 2", vec!["sélect 'é;é';", "SELECT 2"]),
        ] {
            assert_eq!(split(text).expect("statements"), expected, "{text}");
        }
        assert!(split("SELECT '\0'").is_err());
    }

    #[test]
    fn words_are_found_behind_comments() {
        assert_eq!(words("/* a */ -- b\n begin\timmediate;", 3), ["BEGIN", "IMMEDIATE"]);
        assert_eq!(words(";vacuum INTO 'x'", 2), ["VACUUM", "INTO"]);
    }
}
