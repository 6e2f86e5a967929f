//! What a statement's text alone tells of it.
//!
//! Never trusted for safety, only for two questions: what may be tried again *as a read* (the broker then refuses it if
//! it would write), and what a session may have afterwards that would be lost with it. Whatever is not known for sure
//! counts as the worst.

/// What a statement's text tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Looks as if it only read, and leaves nothing behind in the session.
    Read,
    /// Writes, and leaves nothing behind in the session.
    Write,
    /// Begins a transaction.
    Begin,
    /// Makes a transaction's changes last.
    Commit,
    /// Takes a transaction's changes back.
    Rollback,
    /// May leave something behind in the session, and neither begins nor ends a transaction.
    Stateful,
    /// Anything: several statements, or one whose first word does not tell.
    Anything,
}

impl Shape {
    pub(crate) fn of(sql: &str) -> Self {
        if let Some(operation) = sql.trim_start().strip_prefix('{') {
            return Self::of_operation(operation);
        }
        if has_more_than_one(sql) {
            return Self::Anything;
        }
        match first_word(sql).as_str() {
            "SELECT" | "FROM" | "VALUES" | "SHOW" | "DESCRIBE" | "DESC" | "SUMMARIZE" | "TABLE" | "WITH" => query(sql),
            "EXPLAIN" if !mentions(sql, &["ANALYZE", "ANALYSE"]) => Self::Read,
            "BEGIN" | "START" => Self::Begin,
            "COMMIT" | "END" => Self::Commit,
            "ROLLBACK" | "ABORT" => Self::Rollback,
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "DROP" | "ALTER" | "COPY" | "TRUNCATE" | "CHECKPOINT"
            | "VACUUM" | "ANALYZE" | "COMMENT" | "EXPORT" => query(sql).max_write(),
            "CREATE" if mentions(head(sql), &["TEMP", "TEMPORARY", "SECRET"]) => Self::Stateful,
            "CREATE" => query(sql).max_write(),
            "SET" | "RESET" | "PRAGMA" | "USE" | "ATTACH" | "DETACH" | "INSTALL" | "LOAD" | "PREPARE"
            | "DEALLOCATE" => Self::Stateful,
            _ => Self::Anything,
        }
    }

    /// Of an operation as LanceDB has them: a JSON object with one name.
    fn of_operation(behind_brace: &str) -> Self {
        let name = behind_brace.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next());
        match name {
            Some("search" | "count" | "tables" | "schema" | "versions" | "indices") => Self::Read,
            Some(
                "add" | "merge_insert" | "update" | "delete" | "create_table" | "drop_table" | "create_index"
                | "drop_index" | "optimize",
            ) => Self::Write,
            Some("checkout") => Self::Stateful,
            _ => Self::Anything,
        }
    }

    /// A read, if nothing tells otherwise; here it is a write all the same.
    fn max_write(self) -> Self {
        if self == Self::Read { Self::Write } else { self }
    }
}

/// What looks like a query may change a sequence, write in a `WITH`, or leave a seed behind.
fn query(sql: &str) -> Shape {
    if mentions(sql, &["SETSEED"]) {
        Shape::Stateful
    } else if mentions(sql, &["INSERT", "UPDATE", "DELETE", "MERGE", "NEXTVAL"]) {
        Shape::Write
    } else {
        Shape::Read
    }
}

/// The part of a `CREATE` that says what is made and where.
fn head(sql: &str) -> &str {
    let end = sql.to_ascii_uppercase().find(" AS ").unwrap_or(sql.len());
    let head = sql.get(..end).unwrap_or(sql);
    head.split_once('(').map_or(head, |(head, _)| head)
}

/// Whether one of these words stands anywhere, in a string or a comment too.
fn mentions(sql: &str, these: &[&str]) -> bool {
    let mut words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(|word| these.iter().any(|this| word.eq_ignore_ascii_case(this)))
}

/// The first word, in capitals; comments and opening parentheses are passed over.
fn first_word(sql: &str) -> String {
    let rest = skip(sql);
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    rest[..end].to_uppercase()
}

fn skip(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches(|c: char| c.is_whitespace() || c == '(' || c == ';');
        if sql.starts_with("--") {
            sql = sql.split_once('\n').map_or("", |(_, rest)| rest);
        } else if sql.starts_with("/*") {
            sql = behind_comment(sql);
        } else {
            return sql;
        }
    }
}

/// What follows a comment; comments nest, as the engine's parser has it.
fn behind_comment(sql: &str) -> &str {
    let mut depth = 0;
    let mut rest = sql;
    loop {
        if let Some(inner) = rest.strip_prefix("/*") {
            (depth, rest) = (depth + 1, inner);
        } else if let Some(outer) = rest.strip_prefix("*/") {
            (depth, rest) = (depth - 1, outer);
            if depth == 0 {
                return rest;
            }
        } else {
            let mut characters = rest.chars();
            if characters.next().is_none() {
                return "";
            }
            rest = characters.as_str();
        }
    }
}

/// Errs on the side of "yes": a semicolon in a string makes it say so too.
fn has_more_than_one(sql: &str) -> bool {
    let mut end = sql;
    loop {
        let shorter = end.trim_end().trim_end_matches(';');
        if shorter.len() == end.len() {
            return end.contains(';');
        }
        end = shorter;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_reads_writes_and_what_leaves_state() {
        for (sql, shape) in [
            ("select 1", Shape::Read),
            ("  -- note\n /* x */ (SELECT 1)", Shape::Read),
            ("from t;", Shape::Read),
            ("select 1 ; ; \n", Shape::Read),
            ("with w as (select 1) select * from w", Shape::Read),
            ("with w as (insert into t values (1) returning i) select * from w", Shape::Write),
            ("select nextval('s')", Shape::Write),
            ("select setseed(0.5)", Shape::Stateful),
            ("create table t as select setseed(0.5)", Shape::Stateful),
            ("explain select 1", Shape::Read),
            ("explain analyze create temp table t (i int)", Shape::Anything),
            ("insert into t values (1)", Shape::Write),
            ("create table t (a int)", Shape::Write),
            ("create table t as select temp from weather", Shape::Write),
            ("create or replace temp table t (a int)", Shape::Stateful),
            ("create table if not exists temp.main.t (a int)", Shape::Stateful),
            ("create table \"temp\".t (a int)", Shape::Stateful),
            ("begin", Shape::Begin),
            ("commit;", Shape::Commit),
            ("rollback", Shape::Rollback),
            ("/* /* */ select */ commit", Shape::Commit),
            ("/* never ends", Shape::Anything),
            ("set threads = 1", Shape::Stateful),
            ("select 1; set x = 2", Shape::Anything),
            ("commit; insert into t values (1)", Shape::Anything),
            ("execute p", Shape::Anything),
            ("call f()", Shape::Anything),
            (r#"{"search": {"table": "t", "text": "a; b"}}"#, Shape::Read),
            (r#" { "add" : {"table": "t"}}"#, Shape::Write),
            (r#"{"checkout": {"table": "t", "version": 1}}"#, Shape::Stateful),
            (r#"{"launch": {}}"#, Shape::Anything),
            ("{", Shape::Anything),
            ("", Shape::Anything),
            ("é", Shape::Anything),
        ] {
            assert_eq!(Shape::of(sql), shape, "{sql}");
        }
    }
}
