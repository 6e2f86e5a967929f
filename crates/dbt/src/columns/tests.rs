use std::fs;

use serde_json::json;

use super::*;
use crate::manifest::{self, Manifest};

/// A source, a seed, and models with this SQL, each from those that its SQL names.
fn project(models: &[(&str, &str)]) -> (tempfile::TempDir, Manifest) {
    let place = tempfile::tempdir().expect("a directory");
    fs::write(place.path().join("grades.csv"), "grade,\"salary\"\n1,2\n").expect("a seed");
    let at = |kind: &str, name: &str| {
        json!({ "unique_id": format!("{kind}.p.{name}"), "name": name, "resource_type": kind, "schema": "main",
                "database": "db", "original_file_path": format!("{name}.csv") })
    };
    let mut nodes = json!({ "seed.p.grades": at("seed", "grades") });
    let mut parents = json!({});
    let mut children = json!({});
    for (name, sql) in models {
        let id = format!("model.p.{name}");
        nodes[&id] = at("model", name);
        nodes[&id]["compiled_code"] = json!(sql);
        let others = models.iter().map(|(other, _)| format!("model.p.{other}"));
        let others = others.chain(["seed.p.grades", "source.p.raw"].map(str::to_owned));
        let named = |other: &String| sql.contains(other.rsplit('.').next().unwrap_or_default()) && *other != id;
        let from: Vec<_> = others.filter(named).collect();
        for other in &from {
            if children[other].is_null() {
                children[other] = json!([]);
            }
            children[other].as_array_mut().expect("a list").push(json!(id));
        }
        parents[&id] = json!(from);
    }
    nodes["model.p.inlined"] = at("model", "inlined");
    nodes["model.p.inlined"]["config"] = json!({ "materialized": "ephemeral" });
    nodes["model.p.inlined"]["compiled_code"] = json!("select grade as step from grades");
    let mut source = at("source", "raw");
    source["columns"] = json!({ "id": { "name": "id" }, "total": { "name": "total" } });
    let written = json!({
        "metadata": { "adapter_type": "duckdb" }, "nodes": nodes, "sources": { "source.p.raw": source },
        "parent_map": parents, "child_map": children,
    });
    let file = place.path().join("manifest.json");
    fs::write(&file, written.to_string()).expect("a manifest");
    let manifest = manifest::read(&file).expect("a manifest");
    (place, manifest)
}

/// `name <- column, column`, with `=` for one that is as it is.
fn made(models: &[(&str, &str)]) -> Vec<String> {
    let (place, manifest) = project(models);
    let mut columns = ProjectColumns::new(&manifest, place.path());
    let last = manifest.find(models.last().expect("one").0).expect("a model");
    let columns = columns.of(last);
    let short = |of: &ColumnOf| format!("{}.{}", of.resource.rsplit('.').next().unwrap_or_default(), of.column);
    let told = columns.all.iter().map(|made| {
        let from: Vec<_> = made.from.iter().map(short).collect();
        format!("{} {} {}", made.name, if made.as_is { "=" } else { "<-" }, from.join(", "))
    });
    told.chain(columns.unknown.iter().map(|reason| format!("? {reason}"))).collect()
}

fn one(sql: &str) -> Vec<String> {
    made(&[("m", sql)])
}

#[test]
fn names_are_followed_through_all_that_a_query_is_made_of() {
    assert_eq!(
        one("select grade as g, salary * 2 as double from db.main.grades"),
        ["g = grades.grade", "double <- grades.salary"]
    );
    assert_eq!(
        one("with a as (select * from grades), b(x, y) as (select * from a) select y, b.x from b"),
        ["y = grades.salary", "x = grades.grade"]
    );
    assert_eq!(
        one("select s.grade, r.total + salary as sum from grades s join raw r on r.id = s.grade"),
        ["grade = grades.grade", "sum <- grades.salary, raw.total"]
    );
    assert_eq!(one("select grade from grades union all select total from raw"), ["grade = grades.grade, raw.total"]);
    assert_eq!(one("select * exclude (grade) replace (salary + 1 as salary) from grades"), ["salary <- grades.salary"]);
    assert_eq!(one("select t.* from (select salary as pay from grades) t, raw"), ["pay = grades.salary"]);
    assert_eq!(
        one("select * from grades join (select grade, 1 as one from grades) using (grade)"),
        ["grade = grades.grade", "salary = grades.salary", "one <- "]
    );
    assert_eq!(
        one("select grade + 1 as next, next * 2 as later from grades"),
        ["next <- grades.grade", "later <- grades.grade"]
    );
    assert_eq!(one("from grades"), ["grade = grades.grade", "salary = grades.salary"]);
}

#[test]
fn a_query_inside_of_an_expression_has_names_of_its_own() {
    assert_eq!(
        one("select (select max(total) from raw where raw.id = g.grade) as most from grades g"),
        ["most <- raw.total"]
    );
    assert_eq!(
        one("select sum(salary) over (partition by grade order by salary) as run from grades"),
        ["run <- grades.grade, grades.salary"]
    );
    assert_eq!(
        one("select case when grade > 1 then salary end as high, count(*) as n from grades group by 1"),
        ["high <- grades.grade, grades.salary", "n <- "]
    );
}

#[test]
fn staging_models_are_followed_through_sources_that_nobody_has_described() {
    let sql =
        "with source as (select * from raw), renamed as (select other as name, id from source) select * from renamed";
    assert_eq!(&one(sql)[..2], ["name = raw.other", "id = raw.id"]);
    assert_eq!(&one("select s.other from (select * from raw) s")[..1], ["other = raw.other"]);
    assert_eq!(
        one("with __dbt__cte__inlined as (select 1) select step from __dbt__cte__inlined"),
        ["step = inlined.step"]
    );
}

#[test]
fn columns_meet_as_sql_has_it() {
    assert_eq!(
        one("select grade, salary from grades union all by name select salary, grade from grades"),
        ["grade = grades.grade", "salary = grades.salary"]
    );
    assert_eq!(one("select grade from grades except select salary from grades"), ["grade = grades.grade"]);
    assert_eq!(
        one("select * from grades a join grades b on a.grade = b.salary"),
        ["grade = grades.grade", "salary = grades.salary", "grade_1 = grades.grade", "salary_1 = grades.salary"]
    );
    assert_eq!(
        one("select * from grades g semi join raw r on r.id = g.grade"),
        ["grade = grades.grade", "salary = grades.salary"]
    );
    let recursive =
        "with recursive t as (select grade as g from grades union all select t.g + 1 from t) select g from t";
    assert_eq!(one(recursive), ["g <- grades.grade"]);
    assert_eq!(&one("select r.id, u.item from raw r, unnest(r.items) as u(item)")[..2], ["id = raw.id", "item <- "]);
    let inner = one("select (select max(r.total) - g.grade from raw r) as d from grades g");
    assert_eq!(inner[0], "d <- grades.grade, raw.total");
}

#[test]
fn what_cannot_be_told_is_said() {
    let star = one("select * from raw");
    assert_eq!(&star[..2], ["id = raw.id", "total = raw.total"], "those that are described");
    assert!(star[2].contains("source.p.raw"), "{star:?}");
    assert_eq!(one("select other from raw"), ["other = raw.other"], "a column that nobody has described");
    assert!(one("select from where")[0].starts_with("? model.p.m: "), "no SQL");
    assert_eq!(one("insert into x select 1"), ["? model.p.m is not one query"]);
    assert!(one("")[0].starts_with("? model.p.m is not one query"));
    assert_eq!(one("select g from range(5) t(g)"), ["g <- "], "a function's rows");
    for untold in [
        "select *, 1 as one from read_parquet('x.parquet')",
        "select x.* from grades",
        "select * from nowhere",
        "select other from raw a join raw b on a.id = b.id",
    ] {
        assert!(
            one(untold).last().is_some_and(|last| last.starts_with("? model.p.m: ")),
            "{untold}: {:?}",
            one(untold)
        );
    }
    let long = format!("select 1{} as deep from grades", "+1".repeat(100_000));
    assert!(one(&long)[0].contains("longer than"), "it would be as deep as it is long");
    let cycle = made(&[("a", "select x from b"), ("b", "select x from a")]);
    assert_eq!(cycle, ["x = a.x"]);
}

#[test]
fn a_columns_way_is_told_up_and_down() {
    let models =
        [("one", "select grade, salary from grades"), ("two", "select salary * 12 as year, grade as g from one")];
    let (place, manifest) = project(&models);
    let mut columns = ProjectColumns::new(&manifest, place.path());
    let told = |steps: &[Step]| {
        steps
            .iter()
            .map(|step| format!("{} {}<-{}", step.distance, step.to.column, step.from.column))
            .collect::<Vec<_>>()
    };
    let two = manifest.find("two").expect("it");
    let (up, unknown) = columns.way(two, "YEAR", Direction::Up, None).expect("a way");
    assert_eq!((told(&up), unknown.len()), (vec!["1 year<-salary".to_owned(), "2 salary<-salary".to_owned()], 0));
    let grades = manifest.find("grades").expect("it");
    let (down, _) = columns.way(grades, "grade", Direction::Down, None).expect("a way");
    assert_eq!(told(&down), ["1 grade<-grade", "2 g<-grade"]);
    let (near, _) = columns.way(grades, "grade", Direction::Down, Some(1)).expect("a way");
    assert_eq!(near.len(), 1);
    assert!(matches!(columns.way(two, "salary", Direction::Up, None), Err(DbtError::NoColumn { known, .. })
        if known == ["year", "g"]));
}

proptest::proptest! {
    #[test]
    fn whatever_the_sql_is_there_is_an_answer(sql in "(select|from|with|\\(|\\)|\\*|,| |a|b|grades|raw|union|\\.|as|1){0,24}") {
        made(&[("m", &sql)]);
    }
}
