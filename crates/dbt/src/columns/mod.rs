//! Which columns a column is made from, by the SQL that dbt compiled.
//!
//! The SQL is read by a parser, not run. What it cannot tell is said: a `*` over a source whose columns nobody has described,
//! SQL that the parser does not know, a model in Python.

mod from;
mod query;
mod scope;
mod star;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    rc::Rc,
};

use sqlparser::{ast::Statement, dialect, parser::Parser};

use crate::{
    DbtError,
    manifest::{Direction, Manifest, Resource},
};

/// The longest SQL that is read, in bytes: a chain of so many operators is as deep.
const LONGEST_SQL: usize = 128 << 10;
/// What a thread needs to read the deepest of it, in bytes of stack, of which it uses what it needs.
pub const STACK: usize = 1 << 30;
/// The longest header of a seed that is read, in bytes.
const LONGEST_HEADER: usize = 1 << 20;

/// A column of a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ColumnOf {
    /// The resource's `unique_id`.
    pub resource: String,
    /// Its name.
    pub column: String,
}

/// A column, and what it is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// The columns whose values are in it; those of a condition or a join are not.
    pub from: BTreeSet<ColumnOf>,
    /// It is one of them as it is, perhaps under another name.
    pub as_is: bool,
}

/// A resource's columns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// In their order, as far as they are known.
    pub all: Vec<Made>,
    /// What could not be told, and why.
    pub unknown: Vec<String>,
}

/// A step of a column's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The column that is made.
    pub to: ColumnOf,
    /// One that it is made from.
    pub from: ColumnOf,
    /// Whether it is that one as it is.
    pub as_is: bool,
    /// Steps from the column that was asked for, from 1.
    pub distance: usize,
}

/// The columns of a project, worked out as they are asked for.
pub struct ProjectColumns<'a> {
    manifest: &'a Manifest,
    /// Where the seeds are.
    root: &'a Path,
    known: BTreeMap<String, Rc<Columns>>,
    /// Those that are being worked out: a project has no cycles, but a manifest is a file.
    open: BTreeSet<String>,
}

impl<'a> ProjectColumns<'a> {
    /// Of a manifest, and of the directory that the project is in.
    pub fn new(manifest: &'a Manifest, root: &'a Path) -> Self {
        Self { manifest, root, known: BTreeMap::new(), open: BTreeSet::new() }
    }

    /// A resource's columns.
    pub fn of(&mut self, resource: &Resource) -> Rc<Columns> {
        if let Some(known) = self.known.get(&resource.unique_id) {
            return Rc::clone(known);
        }
        if !self.open.insert(resource.unique_id.clone()) {
            return Rc::new(Columns::unknown(format!("{} is made from itself", resource.unique_id)));
        }
        let columns = Rc::new(match resource.resource_type.as_str() {
            "seed" => self.of_seed(resource),
            "model" | "snapshot" => self.of_sql(resource),
            _ => described(resource),
        });
        self.open.remove(&resource.unique_id);
        self.known.insert(resource.unique_id.clone(), Rc::clone(&columns));
        columns
    }

    /// The way of a column, so many steps far: the nearest first. With what could not be told.
    ///
    /// # Errors
    /// [`DbtError::NoColumn`] when the resource is known to have none of this name.
    pub fn way(
        &mut self,
        resource: &Resource,
        column: &str,
        direction: Direction,
        most: Option<usize>,
    ) -> Result<(Vec<Step>, Vec<String>), DbtError> {
        let own = self.of(resource);
        let found = own.all.iter().find(|made| made.name.eq_ignore_ascii_case(column));
        if found.is_none() && own.unknown.is_empty() && !own.all.is_empty() {
            let known = own.all.iter().map(|made| made.name.clone()).collect();
            let (resource, column) = (resource.unique_id.clone(), column.to_owned());
            return Err(DbtError::NoColumn { resource, column, known });
        }
        let column = found.map_or_else(|| column.to_owned(), |made| made.name.clone());
        let begin = ColumnOf { resource: resource.unique_id.clone(), column };
        let mut unknown = BTreeSet::new();
        let mut seen = BTreeSet::from([begin.clone()]);
        let (mut steps, mut next) = (Vec::new(), VecDeque::from([(begin, 0)]));
        while let Some((at, distance)) = next.pop_front() {
            if most.is_some_and(|most| distance >= most) {
                break;
            }
            for (to, from, as_is) in self.beside(&at, direction, &mut unknown) {
                let far = if direction == Direction::Up { &from } else { &to };
                if seen.insert(far.clone()) {
                    next.push_back((far.clone(), distance + 1));
                }
                steps.push(Step { to, from, as_is, distance: distance + 1 });
            }
        }
        Ok((steps, unknown.into_iter().collect()))
    }

    /// The columns that one is made from, or that are made from it.
    fn beside(
        &mut self,
        at: &ColumnOf,
        direction: Direction,
        unknown: &mut BTreeSet<String>,
    ) -> Vec<(ColumnOf, ColumnOf, bool)> {
        let makers: Vec<&Resource> = match direction {
            Direction::Up => self.manifest.resources.get(&at.resource).into_iter().collect(),
            Direction::Down => {
                let below = self.manifest.beside(&at.resource, direction);
                below.filter_map(|id| self.manifest.resources.get(id)).filter(|one| one.is_relation()).collect()
            }
        };
        let mut found = Vec::new();
        for maker in makers {
            let columns = self.of(maker);
            unknown.extend(columns.unknown.iter().cloned());
            for made in &columns.all {
                let to = ColumnOf { resource: maker.unique_id.clone(), column: made.name.clone() };
                let of_it = |from: &&ColumnOf| direction == Direction::Up || **from == *at;
                if direction == Direction::Down || to == *at {
                    found.extend(made.from.iter().filter(of_it).map(|from| (to.clone(), from.clone(), made.as_is)));
                }
            }
        }
        found
    }

    fn of_sql(&mut self, resource: &Resource) -> Columns {
        let what = &resource.unique_id;
        if !resource.is_made_by_sql() {
            return Columns::unknown(format!("{what} is no SQL"));
        }
        let Some(sql) = &resource.compiled_code else {
            return Columns::unknown(format!("{what} has not been compiled"));
        };
        let dialect = dialect::dialect_from_str(self.manifest.made.adapter_type.as_deref().unwrap_or("duckdb"));
        let dialect = dialect.unwrap_or_else(|| Box::new(dialect::GenericDialect {}));
        if sql.len() > LONGEST_SQL {
            return Columns::unknown(format!("{what} is longer than {LONGEST_SQL} bytes"));
        }
        match Parser::parse_sql(dialect.as_ref(), sql).as_deref() {
            Ok([Statement::Query(query)]) => {
                let mut columns = query::columns(self, query);
                if resource.resource_type == "snapshot" {
                    columns.all.extend(SNAPSHOTS_OWN.map(|name| Made::new(name, BTreeSet::new(), false)));
                }
                columns.unknown.iter_mut().for_each(|reason| *reason = format!("{what}: {reason}"));
                columns
            }
            Ok(_) => Columns::unknown(format!("{what} is not one query")),
            Err(error) => Columns::unknown(format!("{what}: {error}")),
        }
    }

    /// A seed's columns are its file's.
    fn of_seed(&self, resource: &Resource) -> Columns {
        let path = self.root.join(&resource.original_file_path);
        let separator = resource.config.get("delimiter").and_then(|delimiter| delimiter.as_str()).unwrap_or(",");
        match header(&path, separator) {
            Ok(names) if !names.is_empty() => Columns::plain(names),
            _ => described(resource),
        }
    }
}

/// The columns that dbt adds to each snapshot, by their usual names.
const SNAPSHOTS_OWN: [&str; 4] = ["dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to"];

/// A source's columns are those that are described: there may be more.
fn described(resource: &Resource) -> Columns {
    let mut columns = Columns::plain(resource.columns.iter().map(|column| column.name.clone()));
    columns.unknown.push(format!("{} may have columns that are not described", resource.unique_id));
    columns
}

/// The first line's fields, none of which has a separator or a line end in it.
fn header(path: &Path, separator: &str) -> std::io::Result<Vec<String>> {
    let mut line = String::new();
    std::io::Read::take(BufReader::new(File::open(path)?), LONGEST_HEADER as u64).read_line(&mut line)?;
    let fields = line.trim_start_matches('\u{feff}').trim_end().split(separator);
    Ok(fields.map(|field| field.trim().trim_matches('"').to_owned()).filter(|field| !field.is_empty()).collect())
}

impl Columns {
    fn unknown(reason: String) -> Self {
        Self { all: Vec::new(), unknown: vec![reason] }
    }

    fn plain(names: impl IntoIterator<Item = String>) -> Self {
        let all = names.into_iter().map(|name| Made::new(name, BTreeSet::new(), false)).collect();
        Self { all, unknown: Vec::new() }
    }
}

impl Made {
    fn new(name: impl Into<String>, from: BTreeSet<ColumnOf>, as_is: bool) -> Self {
        Self { name: name.into(), from, as_is }
    }
}
