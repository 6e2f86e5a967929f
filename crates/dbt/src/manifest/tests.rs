use std::{fs, time::Duration};

use dbmux_testkit::until;

use super::*;
use crate::{DbtCommand, Environment, Project, profile::ProfileOptions};

/// raw → staged → mart, beside it an exposure and a test.
fn shop() -> Manifest {
    let text = r#"{
        "metadata": {"dbt_version": "1.11.0", "project_name": "shop", "adapter_type": "duckdb"},
        "nodes": {
            "model.shop.staged": {"unique_id": "model.shop.staged", "name": "staged", "resource_type": "model",
                "package_name": "shop", "database": "shop", "schema": "main", "alias": "stg",
                "relation_name": "\"shop\".\"main\".\"stg\"", "original_file_path": "models/staged.sql",
                "tags": ["daily"], "config": {"materialized": "view"}, "later": {"versions": "add"}},
            "model.shop.mart": {"unique_id": "model.shop.mart", "name": "mart", "resource_type": "model",
                "package_name": "shop", "schema": "main", "database": "shop"},
            "test.shop.mart": {"unique_id": "test.shop.mart", "name": "mart", "resource_type": "test",
                "package_name": "shop"}
        },
        "sources": {"source.shop.raw.orders": {"unique_id": "source.shop.raw.orders", "name": "orders",
            "source_name": "raw", "resource_type": "source", "schema": "raw", "database": "shop",
            "identifier": "orders_v2"}},
        "exposures": {"exposure.shop.board": {"unique_id": "exposure.shop.board", "name": "board",
            "resource_type": "exposure"}},
        "parent_map": {"model.shop.staged": ["source.shop.raw.orders"], "model.shop.mart": ["model.shop.staged"],
            "test.shop.mart": ["model.shop.mart"], "exposure.shop.board": ["model.shop.mart"]},
        "child_map": {"source.shop.raw.orders": ["model.shop.staged"], "model.shop.staged": ["model.shop.mart"],
            "model.shop.mart": ["exposure.shop.board", "test.shop.mart"]}
    }"#;
    let place = tempfile::NamedTempFile::new().expect("a file");
    fs::write(place.path(), text).expect("its text");
    read(place.path()).expect("a manifest")
}

#[test]
fn a_resource_is_found_by_whatever_people_call_it() {
    let shop = shop();
    for asked in [
        "model.shop.staged",
        "staged",
        "shop.staged",
        "models/staged.sql",
        "shop.main.stg",
        "\"shop\".\"main\".\"stg\"",
    ] {
        assert_eq!(shop.find(asked).expect(asked).unique_id, "model.shop.staged", "{asked}");
    }
    assert_eq!(shop.find("raw.orders").expect("a source").resource_type, "source");
    assert_eq!(shop.find("mart").expect("the model, not the test").resource_type, "model");
    let near = |asked: &str| match shop.find(asked) {
        Err(DbtError::NoResource { near, .. }) => near,
        other => panic!("{asked}: {other:?}"),
    };
    assert_eq!(near("stagde_orders"), ["source.shop.raw.orders"]);
    assert_eq!(near(""), [""; 0]);
}

#[test]
fn a_relation_is_found_by_as_much_of_its_name_as_sql_says() {
    let shop = shop();
    let found = |name: &[&str]| {
        let name: Vec<_> = name.iter().map(|part| (*part).to_owned()).collect();
        shop.relation(&name).map(|resource| resource.unique_id.as_str())
    };
    assert_eq!(found(&["STG"]), Some("model.shop.staged"));
    assert_eq!(found(&["shop", "raw", "orders_v2"]), Some("source.shop.raw.orders"));
    assert_eq!(found(&["other", "main", "stg"]), None);
    assert_eq!(found(&["staged"]), None, "its name in the database is another");
    assert_eq!(found(&[]), None);
}

#[test]
fn relatives_come_nearest_first_and_as_far_as_is_asked_for() {
    let shop = shop();
    let of = |name: &str, direction, most| {
        let related = shop.related(shop.find(name).expect(name), direction, most);
        related.iter().map(|one| (one.resource.unique_id.clone(), one.distance)).collect::<Vec<_>>()
    };
    assert_eq!(
        of("staged", Direction::Down, None),
        [("model.shop.mart".to_owned(), 1), ("exposure.shop.board".to_owned(), 2), ("test.shop.mart".to_owned(), 2)]
    );
    assert_eq!(of("raw.orders", Direction::Down, Some(1)), [("model.shop.staged".to_owned(), 1)]);
    assert_eq!(of("mart", Direction::Up, None).last().expect("one").0, "source.shop.raw.orders");
    assert_eq!(of("mart", Direction::Up, Some(0)), []);
}

#[test]
fn a_manifest_is_old_once_something_that_dbt_reads_has_changed() {
    let place = tempfile::tempdir().expect("a directory");
    let root = place.path().canonicalize().expect("its path");
    for directory in ["models", "target", "logs", ".git", "venv", "elsewhere"] {
        fs::create_dir(root.join(directory)).expect(directory);
    }
    for file in ["dbt_project.yml", "models/a.sql", "venv/pyvenv.cfg", "elsewhere/b.sql"] {
        fs::write(root.join(file), "name: shop").expect(file);
    }
    let project = Project::at(&root).expect("a project");
    let path = root.join("target/manifest.json");
    // As dbt has it: the time is that before the first file was read.
    let made = |made: std::time::SystemTime| Manifest {
        made: Made { generated_at: humantime::format_rfc3339_micros(made).to_string(), ..Made::default() },
        files: ["models/a.sql".to_owned()].into(),
        ..Manifest::default()
    };
    let now = std::time::SystemTime::now() + Duration::from_millis(1);
    let fresh = made(now);
    until("the clock goes on", || std::time::SystemTime::now() > now);
    assert!(is_fresh(&fresh, &path, &project));
    for file in ["target/x.sql", "logs/y.sql", ".git/z.sql", "venv/x.py", "models/a.txt"] {
        fs::write(root.join(file), "").expect(file);
        assert!(is_fresh(&fresh, &path, &project), "{file}");
    }
    assert!(!is_fresh(&made(now - Duration::from_secs(60)), &path, &project), "while dbt ran");
    assert!(!is_fresh(&Manifest::default(), &path, &project), "nobody knows when");
    fs::rename(root.join("elsewhere/b.sql"), root.join("models/b.sql")).expect("it is moved");
    assert!(!is_fresh(&fresh, &path, &project), "one has come");
    fs::remove_file(root.join("models/b.sql")).expect("it goes");
    assert!(is_fresh(&fresh, &path, &project));
    fs::remove_file(root.join("models/a.sql")).expect("it goes");
    assert!(!is_fresh(&fresh, &path, &project), "one has gone");
}

#[test]
fn a_manifest_is_of_others_once_they_have_chosen_a_target_or_variables() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("manifest.json");
    let options = |variables: &[(&str, &str)]| {
        let environment: Environment = variables.iter().copied().collect();
        ProfileOptions::of(&DbtCommand::parse(vec!["run".to_owned()]), place.path(), &environment)
    };
    let (usual, by_variable) = (options(&[]), options(&[("DBT_TARGET", "prod")]));
    let made = Made { invocation_id: "7".to_owned(), ..Made::default() };
    let manifest = Manifest { made, ..Manifest::default() };
    assert!(is_for(&manifest, &path, &usual), "nobody says anything else");
    for (args, is_usual) in [
        (r#"{"which": "run", "vars": {}}"#, true),
        (r#"{"vars": "{}", "target": null}"#, true),
        (r#"{"vars": {"employees": 5}}"#, false),
        (r#"{"vars": "employees: 5"}"#, false),
        (r#"{"vars": {}, "target": "prod"}"#, false),
        (r#"{"vars": {}, "profile": "other"}"#, false),
    ] {
        let write = |number: &str| {
            let text = format!(r#"{{"metadata": {{"invocation_id": "{number}"}}, "args": {args}, "results": []}}"#);
            fs::write(place.path().join("run_results.json"), text).expect("results");
        };
        write("7");
        assert_eq!(is_for(&manifest, &path, &usual), is_usual, "{args}");
        assert_eq!(is_for(&manifest, &path, &by_variable), args.contains("prod"), "{args}");
        write("8");
        assert!(is_for(&manifest, &path, &usual), "{args}: of another invocation");
    }
    fs::write(place.path().join("run_results.json"), "{\"metadata\"").expect("half of it");
    assert!(is_for(&manifest, &path, &usual));
}
