//! Splits text into statements at the semicolons that end them: not those in quotes, dollar quotes or comments.
//!
//! The client has no engine, and a prompt must know whether a statement is complete before anybody runs it.

/// A statement, and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Without its semicolon.
    pub(crate) sql: String,
    /// The line of the text on which it begins, from 1.
    pub(crate) line: usize,
    /// Which one of the text it is, from 1.
    pub(crate) number: usize,
}

/// Takes text as it arrives, and gives statements as they are complete.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    text: String,
    /// Line feeds before it.
    lines: usize,
    /// Statements that were given.
    given: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Inside {
    Code,
    Quote(char),
    Dollar(String),
    Line,
    /// Comments nest.
    Block(usize),
}

impl Splitter {
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The next complete statement; empty ones are passed over.
    pub(crate) fn next(&mut self) -> Option<Statement> {
        while let Some(end) = end(&self.text) {
            let text: String = self.text.drain(..=end).collect();
            if let Some(statement) = self.taken(text.trim_end_matches(';'), &text) {
                return Some(statement);
            }
        }
        None
    }

    /// What is left at the end of the text, where it is a statement.
    pub(crate) fn rest(&mut self) -> Option<Statement> {
        let rest = std::mem::take(&mut self.text);
        self.taken(&rest, &rest)
    }

    /// `text` is over; what counts of it is `code`.
    fn taken(&mut self, code: &str, text: &str) -> Option<Statement> {
        let feeds = |text: &str| text.matches('\n').count();
        let blank = &code[..code.len() - code.trim_start().len()];
        let line = self.lines + feeds(blank) + 1;
        self.lines += feeds(text);
        if !has_code(code) {
            return None;
        }
        self.given += 1;
        Some(Statement { sql: code.trim().to_owned(), line, number: self.given })
    }

    /// Nothing but blanks and comments waits.
    pub(crate) fn is_empty(&self) -> bool {
        !has_code(&self.text)
    }
}

/// All statements of a text.
pub(crate) fn statements(text: &str) -> Vec<Statement> {
    let mut splitter = Splitter::default();
    splitter.push(text);
    let mut all: Vec<_> = std::iter::from_fn(|| splitter.next()).collect();
    all.extend(splitter.rest());
    all
}

/// Whether a statement asks for values: `?`, `$1` or `$name` outside quotes and comments.
pub(crate) fn has_parameters(text: &str) -> bool {
    let asks = |at: usize, c: char| c == '?' || (c == '$' && dollar_tag(&text[at..]).is_none());
    scan(text, |at, c, inside| (*inside == Inside::Code && asks(at, c)).then_some(())).is_some()
}

/// Where the first statement's semicolon is.
fn end(text: &str) -> Option<usize> {
    scan(text, |at, c, inside| (c == ';' && *inside == Inside::Code).then_some(at))
}

fn has_code(text: &str) -> bool {
    let is_code = |at: usize, c: char, inside: &Inside| {
        let comment = text[at..].starts_with("--") || text[at..].starts_with("/*");
        let code = match inside {
            Inside::Code => !c.is_whitespace() && c != ';' && !comment,
            Inside::Quote(_) | Inside::Dollar(_) => true,
            Inside::Line | Inside::Block(_) => false,
        };
        code.then_some(())
    };
    scan(text, is_code).is_some()
}

/// Walks over the text; `see` is asked at each character that stands in code, in quotes or in comments.
fn scan<T>(text: &str, see: impl Fn(usize, char, &Inside) -> Option<T>) -> Option<T> {
    let mut inside = Inside::Code;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if let Some(seen) = see(at, c, &inside) {
            return Some(seen);
        }
        let (next, length) = step(&text[at..], c, &inside);
        inside = next;
        at += length;
    }
    None
}

/// What follows after the character `c` at the begin of `rest`, and how much was taken.
fn step(rest: &str, c: char, inside: &Inside) -> (Inside, usize) {
    let one = c.len_utf8();
    match inside {
        Inside::Code => match c {
            '\'' | '"' => (Inside::Quote(c), one),
            '-' if rest.starts_with("--") => (Inside::Line, 2),
            '/' if rest.starts_with("/*") => (Inside::Block(1), 2),
            '$' => match dollar_tag(rest) {
                Some(tag) => {
                    let length = tag.len();
                    (Inside::Dollar(tag), length)
                }
                None => (Inside::Code, one),
            },
            _ => (Inside::Code, one),
        },
        Inside::Quote(quote) if c == *quote => (Inside::Code, one),
        Inside::Dollar(tag) if rest.starts_with(tag.as_str()) => (Inside::Code, tag.len()),
        Inside::Line if c == '\n' => (Inside::Code, one),
        Inside::Block(1) if rest.starts_with("*/") => (Inside::Code, 2),
        Inside::Block(depth) if rest.starts_with("*/") => (Inside::Block(depth - 1), 2),
        Inside::Block(depth) if rest.starts_with("/*") => (Inside::Block(depth + 1), 2),
        same => (same.clone(), one),
    }
}

/// `$$` or `$tag$` at the begin of the text.
fn dollar_tag(rest: &str) -> Option<String> {
    let end = rest[1..].find('$')? + 1;
    let tag = &rest[1..end];
    let plain = tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_ascii_digit());
    plain.then(|| rest[..=end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        statements(text).into_iter().map(|statement| statement.sql).collect()
    }

    #[test]
    fn knows_where_each_statement_begins() {
        let text = "-- a report\nselect 1;\n\n;\n  select 2; select '\n';\nselect 3";
        let places: Vec<_> = statements(text).iter().map(|statement| (statement.number, statement.line)).collect();
        assert_eq!(places, [(1, 1), (2, 5), (3, 5), (4, 7)]);
        let mut splitter = Splitter::default();
        splitter.push("select 1;\n");
        assert_eq!(splitter.next().unwrap().line, 1);
        splitter.push("\nselect 2;");
        assert_eq!(splitter.next().unwrap().line, 3);
    }

    #[test]
    fn splits_where_statements_end() {
        assert_eq!(split("select 1; select 2"), ["select 1", "select 2"]);
        assert_eq!(split(";; select 1;;"), ["select 1"]);
        assert_eq!(split("select ';' as \"a;b\"; select 2;"), ["select ';' as \"a;b\"", "select 2"]);
        assert_eq!(split("select 'it''s; here'; select 2"), ["select 'it''s; here'", "select 2"]);
        assert_eq!(split("select $$a;b$$; select $x$;$y$;$x$"), ["select $$a;b$$", "select $x$;$y$;$x$"]);
        assert_eq!(split("select $1; select $2"), ["select $1", "select $2"]);
        assert_eq!(
            split("-- a; b\nselect 1 /* ; /* ; */ ; */ ; select 2 -- ;"),
            ["-- a; b\nselect 1 /* ; /* ; */ ; */", "select 2 -- ;"]
        );
        assert_eq!(split("-- nothing\n /* here */ ;"), Vec::<String>::new());
        assert_eq!(split("select 'ü;ß'; select 'ж'"), ["select 'ü;ß'", "select 'ж'"]);
    }

    #[test]
    fn sees_parameters_where_they_are() {
        assert!(has_parameters("select ?"));
        assert!(has_parameters("select $1 + $x"));
        assert!(!has_parameters("select '?', \"$1\" -- ?"));
        assert!(!has_parameters("select $$?$$"));
    }

    #[test]
    fn gives_statements_as_they_arrive() {
        let mut splitter = Splitter::default();
        splitter.push("select 'a");
        assert_eq!(splitter.next(), None);
        splitter.push(";b'; insert");
        assert_eq!(splitter.next().unwrap().sql, "select 'a;b'");
        assert_eq!(splitter.next(), None);
        assert!(!splitter.is_empty());
        assert_eq!(splitter.rest().unwrap().sql, "insert");
        assert!(splitter.is_empty());
    }
}
