//! The columns of a query, each with the columns that it is made from.

use std::{collections::BTreeSet, ops::ControlFlow, rc::Rc};

use sqlparser::ast::{
    Expr, Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind,
    SetExpr, SetOperator, SetQuantifier, TableAlias, TableFactor, TableWithJoins, Visit, Visitor,
    WildcardAdditionalOptions,
};

use super::{
    ColumnOf, Columns, Made, ProjectColumns,
    scope::{More, Scope, Table},
};
use crate::manifest::Resource;

/// Those of a whole query.
pub(super) fn columns(project: &mut ProjectColumns<'_>, query: &Query) -> Columns {
    let mut walk = Walk { project, unknown: Vec::new() };
    let rows = walk.query(query, &Rc::default());
    walk.unknown.sort();
    walk.unknown.dedup();
    Columns { all: rows.columns, unknown: walk.unknown }
}

/// What dbt calls an ephemeral model where it puts its SQL into another one's.
const EPHEMERAL: &str = "__dbt__cte__";

struct Walk<'w, 'p> {
    project: &'w mut ProjectColumns<'p>,
    unknown: Vec<String>,
}

/// What a query gives.
#[derive(Default)]
struct Rows {
    columns: Vec<Made>,
    more: More,
}

impl Walk<'_, '_> {
    fn query(&mut self, query: &Query, outer: &Rc<Scope>) -> Rows {
        let mut scope = Scope::inside(outer);
        if let Some(with) = &query.with {
            for named in &with.cte_tables {
                let name = &named.alias.name.value;
                if let (true, SetExpr::SetOperation { left, .. }) = (with.recursive, named.query.body.as_ref()) {
                    // One that is recursive begins with what is not.
                    let begin = self.body(left, &Rc::new(scope.clone()));
                    scope.named.push((name.clone(), table(begin, Some(&named.alias))));
                }
                let found = match self.ephemeral(name) {
                    Some(found) => found,
                    None => table(self.query(&named.query, &Rc::new(scope.clone())), Some(&named.alias)),
                };
                scope.named.push((name.clone(), found));
            }
        }
        if !query.pipe_operators.is_empty() {
            self.unknown.push("pipes are not read".to_owned());
        }
        self.body(&query.body, &Rc::new(scope))
    }

    /// An ephemeral model, by what dbt calls it in another one's SQL.
    fn ephemeral(&mut self, name: &str) -> Option<Table> {
        let manifest = self.project.manifest;
        let model = manifest.ephemeral(name.strip_prefix(EPHEMERAL)?)?;
        Some(Table { alias: Some(name.to_owned()), ..self.of_resource(model) })
    }

    fn body(&mut self, body: &SetExpr, scope: &Rc<Scope>) -> Rows {
        match body {
            SetExpr::Select(select) => self.select(select, scope),
            SetExpr::Query(query) => self.query(query, scope),
            SetExpr::SetOperation { left, op: SetOperator::Except | SetOperator::Minus, .. } => self.body(left, scope),
            SetExpr::SetOperation { left, right, set_quantifier, .. } => {
                let (left, right) = (self.body(left, scope), self.body(right, scope));
                self.union(left, right, set_quantifier)
            }
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.len());
                let columns = (0..width).map(|column| Made::new(format!("col{column}"), BTreeSet::new(), false));
                Rows { columns: columns.collect(), more: More::None }
            }
            _ => {
                self.unknown.push("it is no SELECT".to_owned());
                Rows { columns: Vec::new(), more: More::Unknown }
            }
        }
    }

    fn union(&mut self, mut left: Rows, right: Rows, how: &SetQuantifier) -> Rows {
        let by_name = matches!(how, SetQuantifier::ByName | SetQuantifier::AllByName | SetQuantifier::DistinctByName);
        // Where not all columns are known, their places are not either.
        let placed = left.more == More::None && right.more == More::None;
        for (index, other) in right.columns.into_iter().enumerate() {
            let same = |made: &&mut Made| made.name.eq_ignore_ascii_case(&other.name);
            let own = if by_name || !placed { left.columns.iter_mut().find(same) } else { left.columns.get_mut(index) };
            match own {
                Some(made) => {
                    made.from.extend(other.from);
                    made.as_is &= other.as_is;
                }
                None if by_name => left.columns.push(other),
                None => self.unknown.push(format!("whether {} stands at the place of another column", other.name)),
            }
        }
        let more = if left.more == right.more { left.more } else { More::Unknown };
        Rows { columns: left.columns, more }
    }

    fn select(&mut self, select: &Select, outer: &Rc<Scope>) -> Rows {
        let mut scope = Scope::inside(outer);
        for from in &select.from {
            self.tables(from, &mut scope);
        }
        let mut more = More::None;
        // `FROM t` alone is `SELECT * FROM t`.
        if select.projection.is_empty() {
            let rows = self.star(&scope.tables, &WildcardAdditionalOptions::default(), &scope);
            (scope.selected, more) = (rows.columns, rows.more);
        }
        for item in &select.projection {
            let rows = self.item(item, &scope);
            scope.selected.extend(rows.columns);
            more = match (more, rows.more) {
                (more, More::None) | (More::None, more) => more,
                _ => More::Unknown,
            };
        }
        Rows { columns: scope.selected, more }
    }

    fn item(&mut self, item: &SelectItem, scope: &Scope) -> Rows {
        let columns = match item {
            SelectItem::UnnamedExpr(expr) => vec![self.expression(expr, scope)],
            SelectItem::ExprWithAlias { expr, alias } => {
                vec![Made { name: alias.value.clone(), ..self.expression(expr, scope) }]
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                let made = self.expression(expr, scope);
                aliases.iter().map(|alias| Made { name: alias.value.clone(), ..made.clone() }).collect()
            }
            SelectItem::Wildcard(options) => return self.star(&scope.tables, options, scope),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let called = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
                let tables: Vec<_> = called.map_or_else(Vec::new, |called| scope.called(called).cloned().collect());
                if !tables.is_empty() {
                    return self.star(&tables, options, scope);
                }
                self.unknown.push(format!("what {name}.* stands for"));
                return Rows { columns: Vec::new(), more: More::Unknown };
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                self.unknown.push(format!("the fields of {expr}"));
                return Rows { columns: Vec::new(), more: More::Unknown };
            }
        };
        Rows { columns, more: More::None }
    }

    /// `*`, with what is left out, renamed and replaced.
    fn star(&mut self, tables: &[Table], options: &WildcardAdditionalOptions, scope: &Scope) -> Rows {
        let mut all: Vec<Made> = Vec::new();
        for table in tables {
            match &table.more {
                More::None => {}
                More::Of(resource) => self.unknown.push(format!("which other columns * stands for, of {resource}")),
                More::Unknown => self.unknown.push("which columns * stands for".to_owned()),
            }
            for made in &table.columns {
                let same = all.iter().filter(|other| other.name.eq_ignore_ascii_case(&made.name)).count();
                match all.iter_mut().find(|other| other.name.eq_ignore_ascii_case(&made.name)) {
                    // A column of a join `USING` it stands there once.
                    Some(other) if scope.shared.has(&made.name) => other.from.extend(made.from.iter().cloned()),
                    Some(_) => all.push(Made { name: format!("{}_{same}", made.name), ..made.clone() }),
                    None => all.push(made.clone()),
                }
            }
        }
        let left_out = left_out(options);
        all.retain(|made| !left_out.iter().any(|name| name.eq_ignore_ascii_case(&made.name)));
        for element in options.opt_replace.iter().flat_map(|replace| &replace.items) {
            let name = &element.column_name.value;
            if let Some(made) = all.iter_mut().find(|made| made.name.eq_ignore_ascii_case(name)) {
                *made = Made { name: made.name.clone(), ..self.expression(&element.expr, scope) };
            }
        }
        for renamed in options.opt_rename.iter().flat_map(renamed) {
            if let Some(made) = all.iter_mut().find(|made| made.name.eq_ignore_ascii_case(&renamed.0)) {
                made.name = renamed.1;
            }
        }
        let mut open = tables.iter().map(|table| &table.more).filter(|more| **more != More::None);
        let more = open.next().map_or(More::None, |more| open.next().map_or(more.clone(), |_| More::Unknown));
        Rows { columns: all, more }
    }

    fn tables(&mut self, from: &TableWithJoins, scope: &mut Scope) {
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
    fn of_resource(&mut self, resource: &Resource) -> Table {
        let known = self.project.of(resource);
        let of_it = |made: &Made| {
            let own = ColumnOf { resource: resource.unique_id.clone(), column: made.name.clone() };
            Made::new(made.name.clone(), BTreeSet::from([own]), true)
        };
        let more = if known.unknown.is_empty() { More::None } else { More::Of(resource.unique_id.clone()) };
        Table { alias: None, columns: known.all.iter().map(of_it).collect(), more }
    }

    /// Where a name's values come from; says so where nobody can tell.
    fn name(&mut self, names: &[Ident], scope: &Scope) -> Option<Made> {
        let found = scope.column(names);
        if found.is_none() && scope.may_have_more() {
            let name = names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".");
            self.unknown.push(format!("of which table {name} is, if it is a column"));
        }
        found
    }

    fn expression(&mut self, expr: &Expr, scope: &Scope) -> Made {
        let plain = match expr {
            Expr::Identifier(name) => Some(self.name(std::slice::from_ref(name), scope)),
            Expr::CompoundIdentifier(names) => Some(self.name(names, scope)),
            _ => None,
        };
        if let Some(made) = plain {
            let made = made.unwrap_or_else(|| Made::new("", BTreeSet::new(), false));
            return Made { name: called(expr), ..made };
        }
        let mut within = Within { walk: self, scope, depth: 0, from: BTreeSet::new() };
        let ControlFlow::Continue(()) = expr.visit(&mut within);
        Made::new(called(expr), within.from, false)
    }
}

/// The columns inside of an expression. A query inside of it has names of its own.
struct Within<'a, 'w, 'p> {
    walk: &'a mut Walk<'w, 'p>,
    scope: &'a Scope,
    depth: usize,
    from: BTreeSet<ColumnOf>,
}

impl Visitor for Within<'_, '_, '_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        if self.depth == 0 {
            let made = self.walk.query(query, &Rc::new(self.scope.clone()));
            self.from.extend(made.columns.into_iter().flat_map(|made| made.from));
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<Self::Break> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Self::Break> {
        let found = match expr {
            _ if self.depth > 0 => None,
            Expr::Identifier(name) => self.walk.name(std::slice::from_ref(name), self.scope),
            Expr::CompoundIdentifier(names) => self.walk.name(names, self.scope),
            _ => None,
        };
        self.from.extend(found.into_iter().flat_map(|made| made.from));
        ControlFlow::Continue(())
    }
}

/// What a query's rows are called by, in `WITH a(x, y)` and in `FROM (…) a(x, y)`.
fn table(rows: Rows, alias: Option<&TableAlias>) -> Table {
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

/// What a column is called that has no other name.
fn called(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => names.last().map_or_else(String::new, |name| name.value.clone()),
        Expr::Cast { expr, .. } => called(expr),
        other => other.to_string(),
    }
}

fn left_out(options: &WildcardAdditionalOptions) -> Vec<String> {
    use sqlparser::ast::ExcludeSelectItem::{Multiple, Single};
    let last = |name: &ObjectName| name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
    let excluded = match &options.opt_exclude {
        None => Vec::new(),
        Some(Single(name)) => last(name).into_iter().collect(),
        Some(Multiple(names)) => names.iter().filter_map(last).collect(),
    };
    let excepted = options.opt_except.iter();
    let excepted =
        excepted.flat_map(|except| std::iter::once(&except.first_element).chain(&except.additional_elements));
    excluded.into_iter().chain(excepted.map(|name| name.value.clone())).collect()
}

fn renamed(rename: &sqlparser::ast::RenameSelectItem) -> Vec<(String, String)> {
    use sqlparser::ast::RenameSelectItem::{Multiple, Single};
    let pair = |ident: &Ident, alias: &Ident| (ident.value.clone(), alias.value.clone());
    match rename {
        Single(one) => vec![pair(&one.ident, &one.alias)],
        Multiple(several) => several.iter().map(|one| pair(&one.ident, &one.alias)).collect(),
    }
}
