//! What names mean at a place in a query.

use std::{collections::BTreeSet, rc::Rc};

use sqlparser::ast::Ident;

use super::{ColumnOf, Made};

/// The columns that a table has beside those that are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum More {
    /// None.
    #[default]
    None,
    /// Others, of this resource, under their own names.
    Of(String),
    /// Others, and nobody knows whence.
    Unknown,
}

/// A table at a place in a query.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// What it is called there; the last part of its name, where it has no other.
    pub(super) alias: Option<String>,
    pub(super) columns: Vec<Made>,
    pub(super) more: More,
}

/// The tables of a `FROM`, and the tables that a `WITH` has named.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    pub(super) tables: Vec<Table>,
    pub(super) named: Vec<(String, Table)>,
    /// Columns that the same `SELECT` has named already: others may be made from them.
    pub(super) selected: Vec<Made>,
    /// Columns that a join has in common.
    pub(super) shared: Shared,
    /// Around a query inside of another one.
    pub(super) outer: Option<Rc<Scope>>,
}

/// Columns that the tables of a join have in common: they stand in `*` once.
#[derive(Debug, Clone, Default)]
pub(super) struct Shared {
    pub(super) names: Vec<String>,
    /// All that have the same name: `NATURAL`.
    pub(super) all: bool,
}

impl Shared {
    pub(super) fn has(&self, name: &str) -> bool {
        self.all || self.names.iter().any(|shared| shared.eq_ignore_ascii_case(name))
    }
}

impl Scope {
    /// One inside of another one.
    pub(super) fn inside(outer: &Rc<Scope>) -> Self {
        Self { outer: Some(Rc::clone(outer)), ..Self::default() }
    }

    /// What a `WITH` calls by this name: the innermost.
    pub(super) fn named(&self, name: &str) -> Option<&Table> {
        let own = self.named.iter().rev().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, table)| table);
        own.or_else(|| self.outer.as_ref()?.named(name))
    }

    /// The tables that are called so.
    pub(super) fn called<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Table> {
        self.tables.iter().filter(move |table| table.is_called(name))
    }

    /// Whether a name that is not found may be one of these tables' all the same.
    pub(super) fn may_have_more(&self) -> bool {
        self.tables.iter().any(|table| table.more != More::None)
    }

    /// Where a column's values come from, and whether it is that column as it is; `None`: it is not of these tables, or
    /// nobody can tell of which.
    pub(super) fn column(&self, name: &[Ident]) -> Option<Made> {
        let [qualifiers @ .., column] = name else { return None };
        let found = match qualifiers.last() {
            None => self.unqualified(&column.value),
            Some(table) => self.called(&table.value).next().and_then(|table| table.column(&column.value)),
        };
        found.or_else(|| self.outer.as_ref()?.column(name)).or_else(|| self.part(qualifiers))
    }

    /// `s.field`, where `s` is a column that is known: a part of it.
    fn part(&self, qualifiers: &[Ident]) -> Option<Made> {
        let [.., whole] = qualifiers else { return None };
        let made = self.tables.iter().find_map(|table| table.known(&whole.value))?;
        Some(Made { as_is: false, ..made.clone() })
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
        let mut open = self.tables.iter().filter(|table| table.more != More::None);
        open.next().filter(|_| open.next().is_none())?.column(column)
    }
}

impl Table {
    fn is_called(&self, name: &str) -> bool {
        self.alias.as_ref().is_some_and(|alias| alias.eq_ignore_ascii_case(name))
    }

    fn known(&self, column: &str) -> Option<&Made> {
        self.columns.iter().find(|made| made.name.eq_ignore_ascii_case(column))
    }

    fn column(&self, column: &str) -> Option<Made> {
        self.known(column).cloned().or_else(|| match &self.more {
            More::Of(resource) => {
                let from = ColumnOf { resource: resource.clone(), column: column.to_owned() };
                Some(Made::new(column, BTreeSet::from([from]), true))
            }
            More::None | More::Unknown => None,
        })
    }
}
