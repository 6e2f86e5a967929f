//! The columns of a query, each with the columns that it is made from.

use std::{collections::BTreeSet, ops::ControlFlow, rc::Rc};

use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableAlias,
    TableFactor, TableWithJoins, Visit, Visitor, WildcardAdditionalOptions,
};

use super::{
    ColumnOf, Columns, Made, ProjectColumns,
    scope::{Scope, Table},
};

/// Those of a whole query.
pub(super) fn columns(project: &mut ProjectColumns<'_>, query: &Query) -> Columns {
    let mut walk = Walk { project, unknown: Vec::new() };
    let all = walk.query(query, &Rc::default());
    Columns { all, unknown: walk.unknown }
}

struct Walk<'w, 'p> {
    project: &'w mut ProjectColumns<'p>,
    unknown: Vec<String>,
}

impl Walk<'_, '_> {
    fn query(&mut self, query: &Query, outer: &Rc<Scope>) -> Vec<Made> {
        let mut scope = Scope { outer: Some(Rc::clone(outer)), ..Scope::default() };
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            // One that is recursive begins with what is not: its columns are named there.
            let columns = self.query(&named.query, &Rc::new(scope.clone()));
            let table = table(columns, Some(&named.alias));
            scope.named.push((named.alias.name.value.clone(), table));
        }
        if !query.pipe_operators.is_empty() {
            self.unknown.push("pipes are not read".to_owned());
        }
        self.body(&query.body, &Rc::new(scope))
    }

    fn body(&mut self, body: &SetExpr, scope: &Rc<Scope>) -> Vec<Made> {
        match body {
            SetExpr::Select(select) => self.select(select, scope),
            SetExpr::Query(query) => self.query(query, scope),
            SetExpr::SetOperation { left, right, .. } => {
                let (mut all, more) = (self.body(left, scope), self.body(right, scope));
                for (made, other) in all.iter_mut().zip(more) {
                    made.from.extend(other.from);
                    made.as_is &= other.as_is;
                }
                all
            }
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.len());
                (0..width).map(|column| Made::new(format!("col{column}"), BTreeSet::new(), false)).collect()
            }
            other => {
                self.unknown.push(format!("not read: {other}"));
                Vec::new()
            }
        }
    }

    fn select(&mut self, select: &Select, outer: &Rc<Scope>) -> Vec<Made> {
        let mut scope = Scope { outer: Some(Rc::clone(outer)), ..Scope::default() };
        for from in &select.from {
            self.tables(from, &mut scope);
        }
        // `FROM t` alone is `SELECT * FROM t`.
        if select.projection.is_empty() {
            return self.star(&scope.tables, &WildcardAdditionalOptions::default(), &scope);
        }
        for item in &select.projection {
            let made = self.item(item, &scope);
            scope.selected.extend(made);
        }
        scope.selected
    }

    fn item(&mut self, item: &SelectItem, scope: &Scope) -> Vec<Made> {
        match item {
            SelectItem::UnnamedExpr(expr) => vec![self.expression(expr, scope)],
            SelectItem::ExprWithAlias { expr, alias } => {
                vec![Made { name: alias.value.clone(), ..self.expression(expr, scope) }]
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                let made = self.expression(expr, scope);
                aliases.iter().map(|alias| Made { name: alias.value.clone(), ..made.clone() }).collect()
            }
            SelectItem::Wildcard(options) => self.star(&scope.tables, options, scope),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let called = name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.as_str());
                let of_it =
                    |table: &&Table| table.alias.as_deref().zip(called).is_some_and(|(a, b)| a.eq_ignore_ascii_case(b));
                let tables: Vec<_> = scope.tables.iter().filter(of_it).cloned().collect();
                self.star(&tables, options, scope)
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                self.unknown.push(format!("the fields of {expr} are not known"));
                Vec::new()
            }
        }
    }

    /// `*`, with what is left out, renamed and replaced.
    fn star(&mut self, tables: &[Table], options: &WildcardAdditionalOptions, scope: &Scope) -> Vec<Made> {
        let mut all: Vec<Made> = Vec::new();
        for table in tables {
            if let Some(resource) = &table.more {
                self.unknown.push(format!("* may stand for more columns of {resource} than are described"));
            }
            for made in &table.columns {
                // A column of a join `USING` it stands there once.
                match all.iter_mut().find(|other| other.name.eq_ignore_ascii_case(&made.name)) {
                    Some(other) => other.from.extend(made.from.iter().cloned()),
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
        all
    }

    fn tables(&mut self, from: &TableWithJoins, scope: &mut Scope) {
        self.table(&from.relation, scope);
        for join in &from.joins {
            self.table(&join.relation, scope);
        }
    }

    fn table(&mut self, factor: &TableFactor, scope: &mut Scope) {
        let found = match factor {
            TableFactor::Table { name, alias, args: None, .. } => self.by_name(name, alias.as_ref(), scope),
            TableFactor::Derived { subquery, alias, .. } => {
                let columns = self.query(subquery, &Rc::new(scope.clone()));
                table(columns, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => return self.tables(table_with_joins, scope),
            other => {
                // A function's rows are of no column, however they are called.
                if !matches!(
                    other,
                    TableFactor::Table { .. } | TableFactor::Function { .. } | TableFactor::UNNEST { .. }
                ) {
                    self.unknown.push(format!("not read: {other}"));
                }
                return;
            }
        };
        scope.tables.push(found);
    }

    fn by_name(&mut self, name: &ObjectName, alias: Option<&TableAlias>, scope: &Scope) -> Table {
        let parts: Vec<String> =
            name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect();
        let last = parts.last().cloned();
        if let ([only], found) = (parts.as_slice(), parts.first().and_then(|name| scope.named(name)))
            && let Some(found) = found
        {
            return Table {
                alias: Some(alias.map_or(only.clone(), |alias| alias.name.value.clone())),
                ..found.clone()
            };
        }
        let mut found = self.relation(&parts);
        rename(&mut found, alias);
        found.alias = alias.map(|alias| alias.name.value.clone()).or(last);
        found
    }

    /// A model's, seed's, snapshot's or source's columns, as those who read it see them.
    fn relation(&mut self, parts: &[String]) -> Table {
        let manifest = self.project.manifest;
        let Some(resource) = manifest.relation(parts) else {
            return Table { alias: None, columns: Vec::new(), more: Some(parts.join(".")) };
        };
        let known = self.project.of(resource);
        let of_it = |made: &Made| {
            let own = ColumnOf { resource: resource.unique_id.clone(), column: made.name.clone() };
            Made::new(made.name.clone(), BTreeSet::from([own]), true)
        };
        let more = (!known.unknown.is_empty()).then(|| resource.unique_id.clone());
        Table { alias: None, columns: known.all.iter().map(of_it).collect(), more }
    }

    fn expression(&mut self, expr: &Expr, scope: &Scope) -> Made {
        let plain = match expr {
            Expr::Identifier(name) => scope.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => scope.column(names),
            _ => None,
        };
        if let Some(made) = plain {
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
            self.from.extend(made.into_iter().flat_map(|made| made.from));
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
            Expr::Identifier(name) => self.scope.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.scope.column(names),
            _ => None,
        };
        self.from.extend(found.into_iter().flat_map(|made| made.from));
        ControlFlow::Continue(())
    }
}

/// What a query's rows are called by, in `WITH a(x, y)` and in `FROM (…) a(x, y)`.
fn table(columns: Vec<Made>, alias: Option<&TableAlias>) -> Table {
    let mut table = Table { alias: alias.map(|alias| alias.name.value.clone()), columns, more: None };
    rename(&mut table, alias);
    table
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
