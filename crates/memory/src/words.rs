//! From what somebody types to a query of FTS5.

/// Words that are in every text, and tell nothing of what is looked for.
const EVERYWHERE: [&str; 40] = [
    "a", "an", "and", "are", "as", "at", "be", "by", "did", "do", "does", "for", "from", "how", "i", "in", "is", "it",
    "me", "my", "of", "on", "or", "our", "that", "the", "this", "to", "was", "we", "were", "what", "when", "where",
    "which", "who", "why", "with", "you", "your",
];

/// A query for texts with all of these words, or with any of them. `None`: there is no word in it.
///
/// Words in double quotes stand side by side; a star behind a word stands for its end.
pub(crate) fn query(text: &str, all: bool) -> Option<String> {
    let terms = terms(text);
    let tells = |term: &&Term<'_>| !EVERYWHERE.contains(&term.text.to_lowercase().as_str());
    let telling: Vec<_> = terms.iter().filter(tells).collect();
    let kept: Vec<_> = if all || telling.is_empty() { terms.iter().collect() } else { telling };
    let kept: Vec<_> = kept.into_iter().map(Term::quoted).collect();
    (!kept.is_empty()).then(|| kept.join(if all { " " } else { " OR " }))
}

struct Term<'a> {
    text: &'a str,
    is_beginning: bool,
}

impl Term<'_> {
    /// Nothing in it means anything to FTS5.
    fn quoted(&self) -> String {
        format!("\"{}\"{}", self.text.replace('"', "\"\""), if self.is_beginning { "*" } else { "" })
    }
}

/// What stands between quotes, or between spaces, with a letter or digit in it.
fn terms(text: &str) -> Vec<Term<'_>> {
    let mut terms = Vec::new();
    // FTS5 takes a text only as far as the first NUL.
    for (index, part) in text.split(['"', '\0']).enumerate() {
        if index % 2 == 1 {
            terms.push(Term { text: part, is_beginning: false });
            continue;
        }
        for word in part.split_whitespace() {
            let (word, is_beginning) = word.strip_suffix('*').map_or((word, false), |word| (word, true));
            terms.push(Term { text: word, is_beginning });
        }
    }
    terms.retain(|term| term.text.chars().any(char::is_alphanumeric));
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_whatever_they_are() {
        for (text, expected) in [
            ("red fox", Some(r#""red" "fox""#)),
            (r#"a "red fox" runs"#, Some(r#""a" "red fox" "runs""#)),
            ("NEAR(a b) AND c:d -e", Some(r#""NEAR(a" "b)" "AND" "c:d" "-e""#)),
            ("conf* *", Some(r#""conf"*"#)),
            (r#"never "closed"#, Some(r#""never" "closed""#)),
            ("", None),
            ("--- \" \" !", None),
        ] {
            assert_eq!(query(text, true).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn of_any_word_those_that_tell_something_count() {
        assert_eq!(query("what is the host", false).as_deref(), Some(r#""host""#));
        assert_eq!(query("red fox", false).as_deref(), Some(r#""red" OR "fox""#));
        assert_eq!(query("to be or", false).as_deref(), Some(r#""to" OR "be" OR "or""#));
    }
}
