//! The tables of a query: what `FROM`, `JOIN` and `WITH` name.

use std::{collections::BTreeSet, rc::Rc};

use sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, TableAlias, TableFactor, TableWithJoins};

use super::{
    ColumnOf, Made,
    query::{Rows, Walk},
    scope::{More, Scope, Table},
};
use crate::manifest::Resource;

impl Walk<'_, '_> {
    pub(super) fn tables(&mut self, from: &TableWithJoins, scope: &mut Scope) {
        self.table(&from.relation, scope);
        for join in &from.joins {
            // Of these, the other side is only looked at.
            if !only_looks(&join.join_operator) {
                self.table(&join.relation, scope);
            }
            match constraint(&join.join_operator) {
                Some(JoinConstraint::Natural) => scope.shared.all = true,
                Some(JoinConstraint::Using(names)) => {
                    let names = names.iter().filter_map(|name| name.0.last()?.as_ident());
                    scope.shared.names.extend(names.map(|name| name.value.clone()));
                }
                _ => {}
            }
        }
    }

    fn table(&mut self, factor: &TableFactor, scope: &mut Scope) {
        let found = match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.by_name(name, alias.as_ref(), scope),
            TableFactor::Derived { subquery, alias, .. } => {
                let rows = self.query(subquery, &Rc::new(scope.clone()));
                table(rows, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.tables(table_with_joins, scope),
            // A function's rows are of no column, however they are called.
            TableFactor::Table { alias, .. }
            | TableFactor::Function { alias, .. }
            | TableFactor::UNNEST { alias, .. } => function(alias.as_ref()),
            _ => {
                self.unknown.push("a part of its FROM".to_owned());
                Table { more: More::Unknown, ..Table::default() }
            }
        };
        scope.tables.push(found);
    }

    fn by_name(&mut self, name: &ObjectName, alias: Option<&TableAlias>, scope: &Scope) -> Table {
        let parts: Vec<String> =
            name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect();
        let mut found = match parts.as_slice() {
            [only] => scope.named(only).cloned(),
            _ => None,
        }
        .unwrap_or_else(|| self.relation(&parts));
        rename(&mut found, alias);
        found.alias = alias.map(|alias| alias.name.value.clone()).or(parts.last().cloned());
        found
    }

    fn relation(&mut self, parts: &[String]) -> Table {
        let manifest = self.project.manifest;
        match manifest.relation(parts) {
            Some(resource) => self.of_resource(resource),
            None => {
                self.unknown.push(format!("what {} is", parts.join(".")));
                Table { more: More::Unknown, ..Table::default() }
            }
        }
    }

    /// A model's, seed's, snapshot's or source's columns, as those who read it see them.
    pub(super) fn of_resource(&mut self, resource: &Resource) -> Table {
        let known = self.project.of(resource);
        let of_it = |made: &Made| {
            let own = ColumnOf { resource: resource.unique_id.clone(), column: made.name.clone() };
            Made::new(made.name.clone(), BTreeSet::from([own]), true)
        };
        let more = if known.unknown.is_empty() { More::None } else { More::Of(resource.unique_id.clone()) };
        Table { alias: None, columns: known.all.iter().map(of_it).collect(), more }
    }
}

/// What a query's rows are called by, in `WITH a(x, y)` and in `FROM (…) a(x, y)`.
pub(super) fn table(rows: Rows, alias: Option<&TableAlias>) -> Table {
    let Rows { columns, more } = rows;
    let mut table = Table { alias: alias.map(|alias| alias.name.value.clone()), columns, more };
    rename(&mut table, alias);
    table
}

/// What a function gives: under the names that it is given there, else under those of its own.
fn function(alias: Option<&TableAlias>) -> Table {
    let names: Vec<_> = alias.into_iter().flat_map(|alias| &alias.columns).collect();
    let more = if names.is_empty() { More::Unknown } else { More::None };
    let columns = names.iter().map(|column| Made::new(column.name.value.clone(), BTreeSet::new(), false)).collect();
    Table { alias: alias.map(|alias| alias.name.value.clone()), columns, more }
}

fn only_looks(join: &JoinOperator) -> bool {
    use JoinOperator::{Anti, LeftAnti, LeftSemi, Semi};
    matches!(join, Semi(_) | LeftSemi(_) | Anti(_) | LeftAnti(_))
}

fn constraint(join: &JoinOperator) -> Option<&JoinConstraint> {
    use JoinOperator::{AsOf, CrossJoin, FullOuter, Inner, Join, Left, LeftOuter, Right, RightOuter};
    match join {
        Join(found)
        | Inner(found)
        | Left(found)
        | LeftOuter(found)
        | Right(found)
        | RightOuter(found)
        | FullOuter(found)
        | CrossJoin(found)
        | AsOf { constraint: found, .. } => Some(found),
        _ => None,
    }
}

fn rename(table: &mut Table, alias: Option<&TableAlias>) {
    let names = alias.into_iter().flat_map(|alias| &alias.columns);
    for (made, column) in table.columns.iter_mut().zip(names) {
        made.name = column.name.value.clone();
    }
}
