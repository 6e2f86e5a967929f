//! A connection: one client's settings, transaction and temporary objects.

use std::{ffi::CString, sync::Arc};

use libduckdb_sys::v2;

use super::{Failure, Instance, Statement, call};

/// A connection of an instance, which it keeps alive.
pub(crate) struct Connection {
    pub(super) handle: v2::duckdb_v2_connection_handle,
    _instance: Arc<Instance>,
}

// SAFETY: DuckDB's client context takes its own lock in every call; `interrupt` and `progress` are atomics.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

/// A lexical class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenKind {
    /// A keyword of the grammar.
    Keyword,
    /// An identifier, its quotes included.
    Identifier,
    /// A quoted or dollar-quoted string, its quotes included.
    String,
    /// A number.
    Number,
    /// Operators and punctuation.
    Operator,
    /// A semicolon.
    Terminator,
}

/// A piece of SQL; comments are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) kind: TokenKind,
    /// As written.
    pub(crate) text: &'a str,
    /// Where it starts, in bytes.
    pub(crate) start: usize,
}

impl Connection {
    pub(super) fn open(instance: &Arc<Instance>) -> Result<Self, Failure> {
        let mut handle: v2::duckdb_v2_connection_handle = std::ptr::null_mut();
        // SAFETY: the instance is alive; the slot receives an owned handle.
        call(|error| unsafe { v2::duckdb_v2_connection_create(instance.handle, &raw mut handle, error) })?;
        Ok(Self { handle, _instance: Arc::clone(instance) })
    }

    /// Interrupts the running statement, from any thread.
    pub(crate) fn interrupt(&self) {
        // SAFETY: the handle is alive; an error slot is optional, and there is nothing to fail.
        unsafe { v2::duckdb_v2_connection_interrupt(self.handle, std::ptr::null_mut()) };
    }

    /// Percent (negative: unknown), rows done, rows in all, of the running statement, from any thread.
    pub(crate) fn progress(&self) -> (f64, u64, u64) {
        let (mut percent, mut done, mut total) = (-1.0, 0, 0);
        // SAFETY: the handle is alive, and so are the slots.
        unsafe {
            v2::duckdb_v2_connection_progress_get(
                self.handle,
                &raw mut percent,
                &raw mut done,
                &raw mut total,
                std::ptr::null_mut(),
            )
        };
        (percent, done, total)
    }

    /// Splits text into parsed statements.
    pub(crate) fn parse(&self, sql: &str) -> Result<Vec<Statement>, Failure> {
        let Ok(text) = CString::new(sql) else {
            return Err(Failure {
                code: super::Code::DUCKDB_V2_ERROR_QUERY_PARSER,
                message: "Parser Error: the text has a null byte".to_owned(),
            });
        };
        let mut iterator: v2::duckdb_v2_statement_iterator_handle = std::ptr::null_mut();
        // SAFETY: the text outlives the call, which copies it; the slot receives an owned handle, destroyed below.
        call(|error| unsafe { v2::duckdb_v2_parse_sql(self.handle, text.as_ptr(), &raw mut iterator, error) })?;
        let mut statements = Vec::new();
        let parsed = loop {
            let mut statement: v2::duckdb_v2_sql_statement_handle = std::ptr::null_mut();
            // SAFETY: the iterator is alive; the slot receives an owned handle, or null at the end.
            let next =
                call(|error| unsafe { v2::duckdb_v2_statement_iterator_next(iterator, &raw mut statement, error) });
            match next {
                Err(failure) => break Err(failure),
                Ok(()) if statement.is_null() => break Ok(()),
                Ok(()) => statements.push(Statement::adopt(statement)),
            }
        };
        // SAFETY: owned by us, and not used again.
        unsafe { v2::duckdb_v2_statement_iterator_destroy(&raw mut iterator) };
        parsed.map(|()| statements)
    }

    /// Whether `SET` of this setting, with no word on its scope, is everybody's.
    pub(crate) fn is_global_setting(&self, name: &str) -> bool {
        use v2::DUCKDB_V2_SETTING_SCOPE::DUCKDB_V2_SETTING_SCOPE_SESSION as SESSION;
        let name = v2::duckdb_v2_str::from(name);
        let mut config: v2::duckdb_v2_config_handle = std::ptr::null_mut();
        let mut option: v2::duckdb_v2_option_handle = std::ptr::null_mut();
        // SAFETY: the handle and the slots are alive; the config is borrowed from the connection; a name that DuckDB
        // does not know (yet: an extension's) leaves the option null.
        unsafe {
            v2::duckdb_v2_connection_get_config(self.handle, &raw mut config, std::ptr::null_mut());
            let null = std::ptr::null_mut();
            v2::duckdb_v2_config_get_option_by_name(config, &raw const name, &raw mut option, null);
            let mut session = true;
            if !option.is_null() {
                v2::duckdb_v2_option_supports_scope(option, SESSION, &raw mut session, null);
                v2::duckdb_v2_option_destroy(&raw mut option);
            }
            !session
        }
    }

    /// Runs statements of our own, which answer nothing, to their end.
    pub(crate) fn run(&self, sql: &str) -> Result<(), Failure> {
        for statement in self.parse(sql)? {
            statement.execute(self, &[], 0)?.drain()?;
        }
        Ok(())
    }

    /// Splits text into tokens; comments are left out. `None` when the text ends inside a string, an identifier or a
    /// comment.
    pub(crate) fn tokenize<'a>(&self, sql: &'a str) -> Option<Vec<Token<'a>>> {
        let view = v2::duckdb_v2_str::from(sql);
        let mut iterator: v2::duckdb_v2_token_iterator_handle = std::ptr::null_mut();
        // SAFETY: the text outlives the call; the slot receives an owned handle, destroyed below.
        call(|error| unsafe { v2::duckdb_v2_tokenize_sql(self.handle, &raw const view, &raw mut iterator, error) })
            .ok()?;
        let mut unterminated = true;
        // SAFETY: the iterator is alive.
        unsafe {
            v2::duckdb_v2_token_iterator_ends_unterminated(iterator, &raw mut unterminated, std::ptr::null_mut())
        };
        let mut tokens = if unterminated { None } else { Some(Vec::new()) };
        while let Some(collected) = tokens.as_mut() {
            let mut kind = v2::DUCKDB_V2_TOKEN_TYPE::DUCKDB_V2_TOKEN_TYPE_INVALID;
            let (mut start, mut length) = (0, 0);
            // SAFETY: the iterator and the slots are alive.
            let next = call(|error| unsafe {
                v2::duckdb_v2_token_iterator_next(iterator, &raw mut kind, &raw mut start, &raw mut length, error)
            });
            let span = usize::try_from(start).ok().zip(usize::try_from(start + length).ok());
            let text = span.and_then(|(start, end)| sql.get(start..end).map(|text| (start, text)));
            match (next, token_kind(kind), text) {
                (Ok(()), Lexeme::Token(kind), Some((start, text))) => collected.push(Token { kind, text, start }),
                (Ok(()), Lexeme::Comment, _) => {}
                (Ok(()), Lexeme::End, _) => break,
                _ => tokens = None,
            }
        }
        // SAFETY: owned by us, and not used again.
        unsafe { v2::duckdb_v2_token_iterator_destroy(&raw mut iterator) };
        tokens
    }
}

/// What the tokenizer may give.
enum Lexeme {
    Token(TokenKind),
    Comment,
    End,
    Unknown,
}

fn token_kind(kind: v2::DUCKDB_V2_TOKEN_TYPE) -> Lexeme {
    use v2::DUCKDB_V2_TOKEN_TYPE as Type;
    match kind {
        Type::DUCKDB_V2_TOKEN_TYPE_KEYWORD => Lexeme::Token(TokenKind::Keyword),
        Type::DUCKDB_V2_TOKEN_TYPE_IDENTIFIER => Lexeme::Token(TokenKind::Identifier),
        Type::DUCKDB_V2_TOKEN_TYPE_STRING_LITERAL => Lexeme::Token(TokenKind::String),
        Type::DUCKDB_V2_TOKEN_TYPE_NUMBER_LITERAL => Lexeme::Token(TokenKind::Number),
        Type::DUCKDB_V2_TOKEN_TYPE_OPERATOR => Lexeme::Token(TokenKind::Operator),
        Type::DUCKDB_V2_TOKEN_TYPE_TERMINATOR => Lexeme::Token(TokenKind::Terminator),
        Type::DUCKDB_V2_TOKEN_TYPE_COMMENT => Lexeme::Comment,
        Type::DUCKDB_V2_TOKEN_TYPE_END_OF_INPUT => Lexeme::End,
        _ => Lexeme::Unknown,
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // SAFETY: owned by us, and not used again; an open transaction is rolled back.
        unsafe { v2::duckdb_v2_connection_destroy(&raw mut self.handle) };
    }
}
