//! What sessions say in SQL.

use dbmux_client::Statement;
use dbmux_testkit::Kind;
use proptest::prelude::*;

use super::Said;

/// The tables that are written to, and by which columns each is read in order.
pub(super) const TABLES: [(&str, &str); 3] =
    [("keyed", "1, 2, 3"), ("loose", "1, 2, 3, 4, 5"), ("\"odd name\"", "1, 2")];

/// Makes them anew.
pub(super) fn make_tables(kind: Kind) -> String {
    // A column whose values have a form of their own.
    let strange = if kind == Kind::DuckDb { "integer[]" } else { "blob" };
    let drop = TABLES.map(|(table, _)| format!("drop table if exists {table};")).concat();
    let old = (1000..1010).map(|i| format!("({i}, 'old', 1)")).collect::<Vec<_>>().join(", ");
    format!(
        "{drop}
        create table keyed (id integer primary key, word varchar check (length(word) < 6), n tinyint default 7);
        create table loose (id bigint, x double, w varchar not null, d date, l {strange});
        create table \"odd name\" (\"a b\" integer, \"SELECT\" varchar);
        insert into keyed values {old}"
    )
}

/// One thing that a session does. Numbers are its own: the session's number stands in front of them.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Into the table with a key: the number, a word, a small number as it is written.
    Keyed(u16, String, &'static str),
    /// A row that is there already, or that another session may write too.
    Shared(u16),
    Loose(u16, &'static str, String),
    Parameters(u16, Option<String>),
    Odd(u16),
    /// Not merged: it must agree with what is.
    Several(u16),
    Returning(u16),
    OrIgnore(u16),
    Update(u16),
    Delete(u16),
    Wrong(&'static str),
    /// A transaction of two inserts: committed, or not.
    Transaction(u16, bool),
    /// From here on the session has state of its own.
    Temporary,
}

pub(super) fn step(kind: Kind) -> impl Strategy<Value = Step> {
    let number = 0_u16..12;
    let small = prop::sample::select(vec!["1", "NULL", "-128", "300", "'12'", "'x'", "1.6", "true", "DEFAULT"]);
    let x = prop::sample::select(vec![
        "1",
        "1e3",
        "NULL",
        "'nan'",
        "-0.0",
        "'x'",
        "170141183460469231731687303715884105727",
    ]);
    let strange = if kind == Kind::DuckDb { ["[1, NULL]", "[]"] } else { ["x'01ff'", "x''"] };
    let rest = prop::sample::select(vec![
        format!("'w', '2024-02-29', {}", strange[0]),
        "NULL, NULL, NULL".to_owned(),
        "'quote '' and ü', '2023-02-29', NULL".to_owned(),
        "'w', '1992-01-01', '[1, 2]'".to_owned(),
        format!("'w;', NULL, {}", strange[1]),
    ]);
    let wrong = prop::sample::select(vec![
        "insert into missing values (1)",
        "insert into keyed values (1)",
        "insert into keyed (id, nothing) values (1, 2)",
        "insert into keyed (id, id) values (1, 2)",
        "insert into loose values (1, 2, 3, 4, 5, 6)",
        "insert into keyed values (nothing)",
        "insert into keyed values",
    ]);
    prop_oneof![
        9 => (number.clone(), "[a-z]{0,7}", small).prop_map(|(n, word, small)| Step::Keyed(n, word, small)),
        4 => (0_u16..20).prop_map(Step::Shared),
        9 => (number.clone(), x, rest).prop_map(|(n, x, rest)| Step::Loose(n, x, rest)),
        4 => (number.clone(), proptest::option::of("[a-z]{0,7}")).prop_map(|(n, word)| Step::Parameters(n, word)),
        2 => number.clone().prop_map(Step::Odd),
        1 => number.clone().prop_map(Step::Several),
        1 => number.clone().prop_map(Step::Returning),
        1 => number.clone().prop_map(Step::OrIgnore),
        1 => number.clone().prop_map(Step::Update),
        1 => number.clone().prop_map(Step::Delete),
        2 => wrong.prop_map(Step::Wrong),
        1 => (number, any::<bool>()).prop_map(|(n, commits)| Step::Transaction(n, commits)),
        1 => Just(Step::Temporary),
    ]
}

impl Step {
    /// The statements, for this session, at this place in its script.
    pub(super) fn statements(&self, session: usize, at: usize) -> Vec<Said> {
        let id = |n: &u16| 10_000 * (session + 1) + usize::from(*n);
        // A key that was deleted may not come again: the engine remembers it for as long as others may see it.
        let fresh = 10_000 * (session + 1) + 100 + 10 * at;
        let plain = |sql: String| vec![(sql.clone(), sql.into())];
        match self {
            Self::Keyed(n, word, small) => plain(format!("insert into keyed values ({}, '{word}', {small})", id(n))),
            Self::Shared(n) => plain(format!("INSERT INTO keyed (word, id) VALUES ('all', {});", 995 + n)),
            Self::Loose(n, x, rest) => plain(format!("insert into loose values ({}, {x}, {rest})", id(n))),
            Self::Parameters(n, word) => {
                let sql = "insert into keyed (id, word) values ($1, $2)";
                let number = i64::try_from(id(n)).expect("a small number");
                vec![(format!("{sql} ({number}, {word:?})"), Statement::new(sql).bind(number).bind(word.clone()))]
            }
            Self::Odd(n) => plain(format!("insert into \"odd name\" (\"a b\", \"SELECT\") values ({}, 'x')", id(n))),
            Self::Several(n) => plain(format!("insert into keyed values ({fresh}, 'a', 1), ({}, 'b', 2)", id(n))),
            Self::Returning(n) => plain(format!("insert into keyed values ({}, 'r', 1) returning id", id(n))),
            Self::OrIgnore(n) => plain(format!("insert or ignore into keyed values ({}, 'i', 1)", id(n))),
            Self::Update(n) => plain(format!("update keyed set word = word || 'u' where id = {}", id(n))),
            Self::Delete(n) => plain(format!("delete from loose where id = {}", id(n))),
            Self::Wrong(sql) => plain((*sql).to_owned()),
            Self::Transaction(n, commits) => {
                let end = if *commits { "commit" } else { "rollback" };
                let inserts = [fresh + 1, fresh + 2].map(|id| format!("insert into keyed values ({id}, 't', {n})"));
                let all = ["begin".to_owned()].into_iter().chain(inserts).chain([end.to_owned()]);
                all.map(|sql| (sql.clone(), sql.into())).collect()
            }
            Self::Temporary => plain(format!("create temp table if not exists mine as select {session} as i")),
        }
    }
}
