//! Single-row inserts of constants, which may be committed together: as far as that is SQL of every engine.
//!
//! A text is recognised only if it is, to the letter, `INSERT INTO table [(columns)] VALUES (value, …)` with values that
//! are literals or numbered parameters, and nothing else: no comment, no other clause, no expression, no prefixed
//! string. Literals are told as they were written: what they stand for is the engine's to say.

use crate::InsertShape;

/// A recognised insert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Insert<'a> {
    /// What it may be committed together with.
    pub shape: InsertShape,
    /// Its values, in order.
    pub values: Vec<Item<'a>>,
}

/// One value of the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// As written.
    Literal(&'a str),
    /// The number of a parameter, from 1.
    Parameter(usize),
}

/// Recognises an insert; `None` whenever in doubt.
pub fn recognise(sql: &str) -> Option<Insert<'_>> {
    let mut text = Lexer { rest: sql };
    text.keyword("insert")?;
    text.keyword("into")?;
    let table = text.name()?;
    let columns = if text.symbol('(') { text.columns()? } else { Vec::new() };
    text.keyword("values")?;
    text.expect('(')?;
    let values = text.values()?;
    text.symbol(';');
    if !text.is_at_end() || (!columns.is_empty() && columns.len() != values.len()) {
        return None;
    }
    let shape = InsertShape { table, columns, width: values.len() };
    Some(Insert { shape, values })
}

/// Reads from the start of what is left.
struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_blanks();
        self.rest.is_empty()
    }

    /// The next `length` bytes, if that is where a character ends.
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn symbol(&mut self, symbol: char) -> bool {
        self.skip_blanks();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, symbol: char) -> Option<()> {
        self.symbol(symbol).then_some(())
    }

    /// A bare word: ASCII letters, digits and underscores.
    fn word(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        let first = self.rest.bytes().next()?;
        if !(first.is_ascii_alphabetic() || first == b'_') {
            return None;
        }
        let is_inside = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let length = self.rest.bytes().take_while(|byte| is_inside(byte)).count();
        let word = self.take(length)?;
        // Letters beyond ASCII, a prefixed string (`E'…'`), a dollar in a name: none of ours.
        let follows = self.rest.bytes().next();
        (!follows.is_some_and(|byte| !byte.is_ascii() || matches!(byte, b'\'' | b'$' | b'"'))).then_some(word)
    }

    fn keyword(&mut self, keyword: &str) -> Option<()> {
        self.word()?.eq_ignore_ascii_case(keyword).then_some(())
    }

    /// Text in quotes, doubled ones inside, the quotes included.
    fn quoted(&mut self, quote: u8) -> Option<&'a str> {
        let bytes = self.rest.as_bytes();
        if bytes.first() != Some(&quote) {
            return None;
        }
        let mut at = 1;
        loop {
            match (*bytes.get(at)?, bytes.get(at + 1)) {
                (byte, Some(next)) if byte == quote && *next == quote => at += 2,
                (byte, _) if byte == quote => break,
                _ => at += 1,
            }
        }
        self.take(at + 1)
    }

    fn identifier(&mut self) -> Option<&'a str> {
        self.skip_blanks();
        if self.rest.starts_with('"') { self.quoted(b'"') } else { self.word() }
    }

    /// A name of up to three parts, as written.
    fn name(&mut self) -> Option<String> {
        let mut name = self.identifier()?.to_owned();
        for _ in 0..2 {
            if !self.symbol('.') {
                break;
            }
            name.push('.');
            name.push_str(self.identifier()?);
        }
        Some(name)
    }

    fn columns(&mut self) -> Option<Vec<String>> {
        let mut columns = Vec::new();
        loop {
            columns.push(self.identifier()?.to_owned());
            if !self.symbol(',') {
                break;
            }
        }
        self.expect(')')?;
        Some(columns)
    }

    fn values(&mut self) -> Option<Vec<Item<'a>>> {
        let mut values = Vec::new();
        let mut positional = 0;
        loop {
            values.push(self.value(&mut positional)?);
            if !self.symbol(',') {
                break;
            }
        }
        self.expect(')')?;
        let numbered = values.iter().filter(|value| matches!(value, Item::Parameter(_))).count();
        // `?` and `$1` side by side mean different things to different people.
        (positional == 0 || positional == numbered).then_some(values)
    }

    fn value(&mut self, positional: &mut usize) -> Option<Item<'a>> {
        self.skip_blanks();
        match self.rest.bytes().next()? {
            b'?' => {
                self.take(1)?;
                *positional += 1;
                // `?1` is no value of ours.
                (!self.rest.starts_with(|next: char| next.is_ascii_digit())).then_some(Item::Parameter(*positional))
            }
            b'$' => {
                self.take(1)?;
                let digits = self.digits();
                let follows = self.rest.bytes().next();
                let ends = !follows.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'));
                let number: usize = digits.parse().ok()?;
                (ends && (1..=1000).contains(&number)).then_some(Item::Parameter(number))
            }
            b'\'' => self.quoted(b'\'').map(Item::Literal),
            b'0'..=b'9' | b'.' | b'-' => self.number().map(Item::Literal),
            _ => {
                let word = self.word()?;
                let known = ["null", "true", "false"].iter().any(|known| word.eq_ignore_ascii_case(known));
                known.then_some(Item::Literal(word))
            }
        }
    }

    fn digits(&mut self) -> &'a str {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        self.take(length).unwrap_or_default()
    }

    /// `-12`, `3.5`, `1e9`: a sign right before the digits, and no other characters behind them.
    fn number(&mut self) -> Option<&'a str> {
        let start = self.rest;
        if self.rest.starts_with('-') {
            self.take(1)?;
        }
        let mut count = self.digits().len();
        if self.rest.starts_with('.') {
            self.take(1)?;
            count += self.digits().len();
        }
        if count == 0 {
            return None;
        }
        if self.rest.starts_with(['e', 'E']) {
            self.take(1)?;
            if self.rest.starts_with(['-', '+']) {
                self.take(1)?;
            }
            if self.digits().is_empty() {
                return None;
            }
        }
        let length = start.len() - self.rest.len();
        let ends = matches!(self.rest.bytes().next(), Some(b',' | b')' | b' ' | b'\t' | b'\r' | b'\n'));
        ends.then(|| start.get(..length)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(sql: &str) -> Option<Vec<Item<'_>>> {
        recognise(sql).map(|insert| insert.values)
    }

    #[test]
    fn plain_inserts_are_recognised() {
        use Item::{Literal, Parameter};
        for (sql, expected) in [
            ("INSERT INTO t VALUES (1)", vec![Literal("1")]),
            ("insert\ninto\tt values(1,2);", vec![Literal("1"), Literal("2")]),
            ("INSERT INTO t(a, \"b c\") VALUES (-1.5, 'it''s')", vec![Literal("-1.5"), Literal("'it''s'")]),
            (
                "INSERT INTO c.s.\"t\" VALUES (NULL, TRUE, false)",
                vec![Literal("NULL"), Literal("TRUE"), Literal("false")],
            ),
            ("INSERT INTO t VALUES (?, ?)", vec![Parameter(1), Parameter(2)]),
            ("INSERT INTO t VALUES ($2, $1, 3)", vec![Parameter(2), Parameter(1), Literal("3")]),
            ("INSERT INTO t VALUES (1e5, .5, 2.)", vec![Literal("1e5"), Literal(".5"), Literal("2.")]),
            ("INSERT INTO t VALUES ('é;)--')", vec![Literal("'é;)--'")]),
        ] {
            assert_eq!(values(sql), Some(expected), "{sql}");
        }
        let shape = recognise("INSERT INTO c.\"T\" (a , b) VALUES (1,2)").unwrap().shape;
        assert_eq!(shape, InsertShape { table: "c.\"T\"".into(), columns: vec!["a".into(), "b".into()], width: 2 });
    }

    #[test]
    fn whatever_is_in_doubt_is_not() {
        for sql in [
            "INSERT INTO t VALUES (1), (2)",
            "INSERT INTO t VALUES (1) RETURNING *",
            "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
            "INSERT OR REPLACE INTO t VALUES (1)",
            "INSERT OR IGNORE INTO t VALUES (1)",
            "INSERT INTO t VALUES (DEFAULT)",
            "INSERT INTO t DEFAULT VALUES",
            "INSERT INTO t SELECT 1",
            "INSERT INTO t BY NAME VALUES (1)",
            "INSERT INTO t AS x VALUES (1)",
            "INSERT INTO t VALUES (1 + 1)",
            "INSERT INTO t VALUES (now())",
            "INSERT INTO t VALUES (nextval('s'))",
            "INSERT INTO t VALUES ((SELECT 1))",
            "INSERT INTO t VALUES ('1'::INTEGER)",
            "INSERT INTO t VALUES (DATE '2020-01-01')",
            "INSERT INTO t VALUES (E'\\n')",
            "INSERT INTO t VALUES (X'00')",
            "INSERT INTO t VALUES ($$text$$)",
            "INSERT INTO t VALUES ($name)",
            "INSERT INTO t VALUES (?, $1)",
            "INSERT INTO t VALUES (?1)",
            "INSERT INTO t VALUES ('a' 'b')",
            "INSERT INTO t VALUES (0x10)",
            "INSERT INTO t VALUES (1_000)",
            "INSERT INTO t VALUES (- 1)",
            "INSERT INTO t VALUES (+1)",
            "INSERT INTO t VALUES (--1\n1)",
            "INSERT INTO t VALUES (1 /* one */)",
            "INSERT INTO t VALUES (1); SELECT 1",
            "INSERT INTO t VALUES (1) ;;",
            "INSERT INTO t VALUES ('unfinished)",
            "INSERT INTO t VALUES (1",
            "INSERT INTO t (a, b) VALUES (1)",
            "INSERT INTO t () VALUES (1)",
            "INSERT INTO a.b.c.d VALUES (1)",
            "INSERT INTO tä VALUES (1)",
            "INSERT INTO t VALUES (current_date)",
            "WITH x AS (SELECT 1) INSERT INTO t VALUES (1)",
            "",
        ] {
            assert_eq!(values(sql), None, "{sql}");
        }
    }
}
