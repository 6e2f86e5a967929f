//! What `*` stands for.

use sqlparser::ast::{ExcludeSelectItem, Ident, ObjectName, RenameSelectItem, WildcardAdditionalOptions as Options};

use super::{
    Made,
    query::{Rows, Walk},
    scope::{More, Scope, Table},
};

impl Walk<'_, '_> {
    /// `*`, with what is left out, renamed and replaced.
    pub(super) fn star(&mut self, tables: &[Table], options: &Options, scope: &Scope) -> Rows {
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
}

fn left_out(options: &Options) -> Vec<String> {
    use ExcludeSelectItem::{Multiple, Single};
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

fn renamed(rename: &RenameSelectItem) -> Vec<(String, String)> {
    use RenameSelectItem::{Multiple, Single};
    let pair = |ident: &Ident, alias: &Ident| (ident.value.clone(), alias.value.clone());
    match rename {
        Single(one) => vec![pair(&one.ident, &one.alias)],
        Multiple(several) => several.iter().map(|one| pair(&one.ident, &one.alias)).collect(),
    }
}
