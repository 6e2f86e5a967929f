use std::fs;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new(project: &str, profiles: &str) -> Self {
        let place = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(place.path().join("home/.dbt")).expect("a home");
        fs::write(place.path().join("dbt_project.yml"), project).expect("a project");
        fs::write(place.path().join("home/.dbt/profiles.yml"), profiles).expect("profiles");
        Self(place)
    }

    fn root(&self) -> PathBuf {
        self.0.path().canonicalize().expect("its path")
    }

    fn read(&self, args: &[&str], variables: &[(&str, &str)]) -> Result<Read, DbtError> {
        let mut environment: Environment = variables.iter().copied().collect();
        environment.extend([("HOME", self.root().join("home"))]);
        let command = DbtCommand::parse(args.iter().map(|arg| (*arg).to_owned()).collect());
        let options = ProfileOptions::of(&command, &self.root(), &environment);
        read(&Project::at(&self.root()).expect("a project"), &options)
    }

    fn profile(&self, args: &[&str], variables: &[(&str, &str)]) -> Profile {
        match self.read(args, variables).expect("a profile") {
            Read::Profile(profile) => profile,
            Read::NeedsDbt => panic!("it can be read"),
        }
    }
}

const PROFILES: &str = "
common: &common {type: duckdb, path: a.duckdb}
shop:
  target: dev
  outputs:
    dev:
      <<: *common
      threads: 4
      password: \"{{ env_var('DBT_ENV_SECRET_P') }}\"
      attach:
        - path: other.duckdb
        - {path: other.duckdb, alias: again}
        - {path: 'md:cloud'}
        - {path: x.sqlite, options: {type: sqlite}}
    prod: {type: duckdb, path: '~/prod.duckdb'}
    cloud: {type: snowflake, password: hunter2}
    asked: {type: duckdb, path: \"{{ env_var('D') }}\"}
other:
  outputs:
    default: {type: duckdb}
dynamic:
  target: \"{{ env_var('T', 'dev') }}\"
  outputs: {dev: {type: duckdb}}
";

#[test]
fn options_go_before_variables_and_they_before_what_is_written() {
    let place = Place::new("name: shop\nprofile: shop\n", PROFILES);
    let root = place.root();
    let dev = place.profile(&["run"], &[]);
    assert_eq!((dev.name.as_str(), dev.target.as_str(), dev.threads), ("shop", "dev", Some(4)));
    assert_eq!(dev.databases, [root.join("a.duckdb"), root.join("other.duckdb")]);
    assert_eq!(dev.database, Some(root.join("a.duckdb")));
    assert_eq!(dev.relative, [PathBuf::from("a.duckdb"), PathBuf::from("other.duckdb")]);
    assert_eq!(dev.file, root.join("home/.dbt/profiles.yml"));
    let prod = place.profile(&["run"], &[("DBT_TARGET", "prod")]);
    assert!(prod.relative.is_empty(), "home is home from everywhere");
    assert_eq!((prod.databases, prod.threads), (vec![root.join("home/prod.duckdb")], None));
    assert_eq!(place.profile(&["run", "-t", "dev"], &[("DBT_TARGET", "prod")]), dev);
    assert_eq!(place.profile(&["run"], &[("DBT_TARGET", "prod"), ("DBT_ENGINE_TARGET", "dev")]), dev);
    let cloud = place.profile(&["run", "--target", "cloud"], &[]);
    assert_eq!((cloud.adapter.as_str(), cloud.databases.len()), ("snowflake", 0));
    let other = place.profile(&["run", "--profile", "other"], &[]);
    assert_eq!((other.target.as_str(), other.databases.len()), ("default", 0), "in memory");
    assert_eq!((&cloud.database, &other.database), (&None, &None));
    assert_eq!(place.profile(&["run"], &[("DBT_PROFILE", "other")]), other);
}

#[test]
fn the_working_directory_goes_before_home_and_a_named_directory_before_both() {
    let place = Place::new("name: shop\nprofile: shop\n", PROFILES);
    let elsewhere = |path: &str| format!("shop: {{outputs: {{default: {{type: duckdb, path: {path}}}}}}}\n");
    fs::write(place.root().join("profiles.yml"), elsewhere("here.duckdb")).expect("profiles");
    assert_eq!(place.profile(&["run"], &[]).databases, [place.root().join("here.duckdb")]);
    fs::create_dir(place.root().join("named")).expect("a directory");
    fs::write(place.root().join("named/profiles.yml"), elsewhere("named.duckdb")).expect("profiles");
    let named = [place.root().join("named.duckdb")];
    assert_eq!(place.profile(&["run"], &[("DBT_PROFILES_DIR", "named")]).databases, named);
    assert_eq!(place.profile(&["run", "--profiles-dir", "named"], &[("DBT_PROFILES_DIR", "home")]).databases, named);
}

#[test]
fn what_jinja_decides_is_left_to_dbt() {
    let place = Place::new("name: shop\nprofile: shop\n", PROFILES);
    assert_eq!(place.read(&["run", "--target", "asked"], &[]).expect("an answer"), Read::NeedsDbt);
    assert_eq!(place.read(&["run", "--profile", "dynamic"], &[]).expect("an answer"), Read::NeedsDbt);
    let place = Place::new("name: shop\nprofile: \"{{ env_var('P') }}\"\n", PROFILES);
    assert_eq!(place.read(&["run"], &[]).expect("an answer"), Read::NeedsDbt);
    assert!(matches!(place.read(&["run", "--profile", "shop"], &[]), Ok(Read::Profile(_))));
}

#[test]
fn what_is_missing_is_named_and_no_value_is_repeated() {
    let place = Place::new("name: shop\nprofile: shop\n", PROFILES);
    let said = |args: &[&str]| place.read(args, &[]).expect_err("it is missing").to_string();
    let target = said(&["run", "--target", "nix"]);
    assert!(target.ends_with("profile \"shop\" has no target \"nix\"; it has dev, prod, cloud, asked"), "{target}");
    assert!(said(&["run", "--profile", "nix"]).ends_with("it has no profile \"nix\""));
    assert!(said(&["run", "--profiles-dir", "nix"]).contains("nix/profiles.yml: it is not there"));
    let place = Place::new("name: shop\n", PROFILES);
    let none = place.read(&["run"], &[]).expect_err("no profile").to_string();
    assert!(none.ends_with("dbt_project.yml: it names no profile"), "{none}");
}
