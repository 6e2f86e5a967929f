//! The columns of a query, each with the columns that it is made from.

use std::{collections::BTreeSet, ops::ControlFlow, rc::Rc};

use sqlparser::ast::{
    Expr, Ident, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier,
    Visit, Visitor, WildcardAdditionalOptions,
};

use super::{
    ColumnOf, Columns, Made, ProjectColumns,
    from::table,
    scope::{More, Scope, Table},
};

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

pub(super) struct Walk<'w, 'p> {
    pub(super) project: &'w mut ProjectColumns<'p>,
    pub(super) unknown: Vec<String>,
}

/// What a query gives.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) columns: Vec<Made>,
    pub(super) more: More,
}

impl Walk<'_, '_> {
    pub(super) fn query(&mut self, query: &Query, outer: &Rc<Scope>) -> Rows {
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

    /// Where a name's values come from; says so where nobody can tell.
    fn name(&mut self, names: &[Ident], scope: &Scope) -> Option<Made> {
        let found = scope.column(names);
        if found.is_none() && scope.may_have_more() {
            let name = names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".");
            self.unknown.push(format!("of which table {name} is, if it is a column"));
        }
        found
    }

    pub(super) fn expression(&mut self, expr: &Expr, scope: &Scope) -> Made {
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

/// What a column is called that has no other name.
fn called(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => names.last().map_or_else(String::new, |name| name.value.clone()),
        Expr::Cast { expr, .. } => called(expr),
        other => other.to_string(),
    }
}
