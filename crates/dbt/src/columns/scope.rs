//! What names mean at a place in a query.

use std::{collections::BTreeSet, rc::Rc};

use sqlparser::ast::Ident;

use super::{ColumnOf, Made};

/// A table at a place in a query.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// What it is called there; the last part of its name, where it has no other.
    pub(super) alias: Option<String>,
    pub(super) columns: Vec<Made>,
    /// It has more columns than these, of this resource.
    pub(super) more: Option<String>,
}

/// The tables of a `FROM`, and the tables that a `WITH` has named.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) tables: Vec<Table>,
    pub(super) named: Vec<(String, Table)>,
    /// Columns that the same `SELECT` has named already: others may be made from them.
    pub(super) selected: Vec<Made>,
    /// Around a query inside of another one.
    pub(super) outer: Option<Rc<Scope>>,
}

impl Scope {
    /// What a `WITH` calls by this name: the innermost.
    pub(super) fn named(&self, name: &str) -> Option<&Table> {
        let own = self.named.iter().rev().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, table)| table);
        own.or_else(|| self.outer.as_ref()?.named(name))
    }

    /// Where a column's values come from, and whether it is that column as it is; `None`: it is not of these tables.
    pub(super) fn column(&self, name: &[Ident]) -> Option<Made> {
        let [qualifiers @ .., column] = name else { return None };
        let found = match qualifiers.last() {
            None => self.unqualified(&column.value),
            Some(table) => self.of_table(&table.value, &column.value),
        };
        // `s.field`, where `s` is a column: a part of it.
        let part = || {
            let whole = self.column(qualifiers)?;
            Some(Made { as_is: false, ..whole })
        };
        found.or_else(part).or_else(|| self.outer.as_ref()?.column(name))
    }

    fn of_table(&self, table: &str, column: &str) -> Option<Made> {
        let called = |one: &&Table| one.alias.as_ref().is_some_and(|alias| alias.eq_ignore_ascii_case(table));
        self.tables.iter().find(called)?.column(column)
    }

    /// A column that several tables have is that of a join `USING` it: of each of them.
    fn unqualified(&self, column: &str) -> Option<Made> {
        let known: Vec<_> = self.tables.iter().filter_map(|table| table.known(column)).collect();
        if let [first, rest @ ..] = known.as_slice() {
            let mut made = (*first).clone();
            made.from.extend(rest.iter().flat_map(|other| other.from.iter().cloned()));
            return Some(made);
        }
        if let Some(made) = self.selected.iter().find(|made| made.name.eq_ignore_ascii_case(column)) {
            return Some(made.clone());
        }
        let mut open = self.tables.iter().filter(|table| table.more.is_some());
        open.next().filter(|_| open.next().is_none())?.column(column)
    }
}

impl Table {
    fn known(&self, column: &str) -> Option<&Made> {
        self.columns.iter().find(|made| made.name.eq_ignore_ascii_case(column))
    }

    fn column(&self, column: &str) -> Option<Made> {
        self.known(column).cloned().or_else(|| {
            let from = ColumnOf { resource: self.more.clone()?, column: column.to_owned() };
            Some(Made::new(column, BTreeSet::from([from]), true))
        })
    }
}
