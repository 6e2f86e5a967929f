//! Where things are in the text of a JSON file, which may have comments.

use std::ops::Range;

use serde_json::Value;

use super::entry::Style;

/// A file's text as strict JSON, byte for byte: spaces are in the place of what JSON does not have.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) text: String,
    /// Where commas were before a closing bracket.
    commas: Vec<usize>,
}

/// A member of an object, by its bytes.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) key: Range<usize>,
    pub(super) value: Range<usize>,
}

impl Plain {
    /// Without `comments`, only a byte order mark is passed over, and the rest left to the parser to refuse.
    pub(super) fn of(text: &str, comments: bool) -> Self {
        let mut plain = Self { text: String::with_capacity(text.len()), commas: Vec::new() };
        let mut comma = None;
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let comment = if comments { comment_length(rest) } else { 0 };
            let length = if comment > 0 {
                comment
            } else if first == '"' {
                string_length(rest)
            } else {
                first.len_utf8()
            };
            let (token, after) = rest.split_at(length);
            let mark = first == '\u{feff}' && plain.text.is_empty();
            if comment > 0 || mark {
                plain.text.extend(token.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
            } else {
                match (first, comma) {
                    ('}' | ']', Some(at)) => {
                        plain.text.replace_range(at..=at, " ");
                        plain.commas.push(at);
                        comma = None;
                    }
                    (',', _) => comma = comments.then_some(plain.text.len()),
                    _ if first.is_ascii_whitespace() => {}
                    _ => comma = None,
                }
                plain.text.push_str(token);
            }
            rest = after;
        }
        plain
    }

    /// The outermost value.
    pub(super) fn root(&self) -> Range<usize> {
        let trimmed = self.text.trim_ascii_start();
        let start = self.text.len() - trimmed.len();
        start..start + trimmed.trim_ascii_end().len()
    }

    /// Whether a comma was in there before a closing bracket.
    pub(super) fn has_comma(&self, range: &Range<usize>) -> bool {
        self.commas.iter().any(|at| range.contains(at))
    }

    /// Nothing, where it is no object. The text must be JSON.
    pub(super) fn members(&self, object: &Range<usize>) -> Vec<Member> {
        let text = &self.text[object.clone()];
        let mut members = Vec::new();
        let mut at = 1;
        let skip = |at: usize, also: u8| {
            let passed = text.bytes().skip(at).take_while(|byte| byte.is_ascii_whitespace() || *byte == also);
            at + passed.count()
        };
        while text.starts_with('{') {
            let key = skip(at, b',');
            let colon = key + text.get(key..).map_or(0, string_length);
            let value = skip(colon, b':');
            let end = value + text.get(value..).map_or(0, value_length);
            if key == colon || value == end {
                break;
            }
            let placed = |range: Range<usize>| object.start + range.start..object.start + range.end;
            members.push(Member { key: placed(key..colon), value: placed(value..end) });
            at = end;
        }
        members
    }

    /// The last member with this key, as it is the one that counts.
    pub(super) fn member(&self, object: &Range<usize>, key: &str) -> Option<Member> {
        let named = |member: &Member| {
            serde_json::from_str(&self.text[member.key.clone()]).is_ok_and(|found: Value| found == *key)
        };
        self.members(object).into_iter().rfind(named)
    }

    /// What begins the line of this byte.
    pub(super) fn indent(&self, at: usize) -> &str {
        let start = self.text[..at].rfind('\n').map_or(0, |feed| feed + 1);
        let line = &self.text[start..at];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// `None`: the whole file is one line.
    pub(super) fn style(&self) -> Option<Style> {
        let root = self.root();
        let first = self.members(&root).into_iter().next().map(|member| member.key.start);
        if first.is_some() && !self.text[root].contains('\n') {
            return None;
        }
        let unit = first.map(|at| self.indent(at)).filter(|indent| !indent.is_empty()).unwrap_or("  ");
        let newline = if self.text.contains("\r\n") { "\r\n" } else { "\n" };
        Some(Style { unit: unit.to_owned(), newline })
    }
}

/// Nothing, where no comment begins, or none ends.
fn comment_length(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    let inside = text.strip_prefix("/*").and_then(|inside| inside.find("*/"));
    inside.map_or(0, |inside| inside + "/**/".len())
}

/// With its quotes; nothing, where no string begins.
fn string_length(text: &str) -> usize {
    if !text.starts_with('"') {
        return 0;
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn value_length(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += string_length(&text[at..]) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth > 1 => depth -= 1,
            b'}' | b']' => return at + depth,
            b',' if depth == 0 => return at,
            _ if depth == 0 && byte.is_ascii_whitespace() => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_lacks_becomes_spaces() {
        let text = "\u{feff}{ // ü\n \"a//b\": [1, 2 /* , */,\n], /* x\r\n*/ }";
        let plain = Plain::of(text, true);
        assert_eq!(plain.text.len(), text.len());
        assert_eq!(plain.text.lines().count(), text.lines().count());
        let value: Value = serde_json::from_str(&plain.text).unwrap();
        assert_eq!(value, serde_json::json!({ "a//b": [1, 2] }));
        assert_eq!(plain.commas.len(), 2);
        for kept in [r#"{"a": "\\\" // /* "}"#, "{\"a\": 1} /* open", "/"] {
            assert_eq!(Plain::of(kept, true).text, kept);
        }
        assert_eq!(Plain::of("{} // no", false).text, "{} // no");
    }

    #[test]
    fn members_are_found_by_their_bytes() {
        let text = r#" {"a": {"x": [1, "}", {}]}, "b" :"\"," , "c":-1e3,"\u0061": null} "#;
        let plain = Plain::of(text, false);
        let values = plain.members(&plain.root()).into_iter().map(|member| &text[member.value]);
        assert_eq!(values.collect::<Vec<_>>(), [r#"{"x": [1, "}", {}]}"#, r#""\",""#, "-1e3", "null"]);
        let last = plain.member(&plain.root(), "a").unwrap();
        assert_eq!(&text[last.value], "null");
        assert!(plain.member(&plain.root(), "x").is_none());
        assert!(Plain::of("[1]", false).member(&(0..3), "1").is_none());
    }
}
