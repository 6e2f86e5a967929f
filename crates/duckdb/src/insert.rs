//! Single-row inserts of constants, which may be committed together: what DuckDB makes of them.
//!
//! Many rows are the same as many statements: DuckDB casts each value of a VALUES list to its column's own type, as it does
//! for one row. Literals are carried over as they were written.

use dbmux_engine::InsertShape;
pub(crate) use dbmux_engine::insert::{Insert, Item, recognise};

use crate::ffi::Cell;

/// The statement that inserts rows of this shape from a collection.
pub(crate) fn statement(shape: &InsertShape) -> String {
    let columns = if shape.columns.is_empty() { String::new() } else { format!(" ({})", shape.columns.join(", ")) };
    format!("INSERT INTO {}{columns} FROM dbmux_rows", shape.table)
}

/// What a literal stands for, as DuckDB's parser would take it.
pub(crate) fn cell(literal: &str) -> Cell<'_> {
    match literal.bytes().next() {
        Some(b'\'') => {
            let inside = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
            Cell::Text(if inside.contains("''") { inside.replace("''", "'").into() } else { inside.into() })
        }
        Some(b't' | b'T') => Cell::Boolean(true),
        Some(b'f' | b'F') => Cell::Boolean(false),
        Some(b'n' | b'N') => Cell::Null,
        _ => Cell::Number(literal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_what_they_stand_for() {
        for (literal, expected) in [("'it''s'", "it's"), ("''", ""), ("''''", "'"), ("'plain'", "plain")] {
            assert!(matches!(cell(literal), Cell::Text(text) if text == expected), "{literal}");
        }
        assert!(matches!(cell("-1.5"), Cell::Number("-1.5")));
        assert!(matches!(cell("True"), Cell::Boolean(true)));
        assert!(matches!(cell("nULL"), Cell::Null));
        let shape = recognise("INSERT INTO a.t (b, \"c d\") VALUES (1, 2)").unwrap().shape;
        assert_eq!(statement(&shape), "INSERT INTO a.t (b, \"c d\") FROM dbmux_rows");
    }
}
