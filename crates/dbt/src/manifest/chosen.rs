//! Whether a manifest was made for the target, the profile and the variables that one would choose.

use std::{fs::File, io::BufReader, path::Path};

use serde::Deserialize;
use serde_json::Value;

use super::{Made, Manifest};
use crate::profile::ProfileOptions;

/// What dbt calls what it says of its last run.
const RESULTS: &str = "run_results.json";

/// As dbt writes it: `run-results/v6.json` of its published schemas.
#[derive(Debug, Deserialize)]
struct Results {
    metadata: Made,
    args: Arguments,
}

/// What an invocation was told.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Arguments {
    target: Option<String>,
    profile: Option<String>,
    vars: Value,
}

/// Whether a manifest is what dbt would make when it is asked with these options and no variables. The manifest does not
/// say what it was made with; the results of the same invocation do. Where that wrote none (`dbt parse`, `dbt ls`), it is
/// taken for usual.
pub fn is_for(manifest: &Manifest, path: &Path, options: &ProfileOptions) -> bool {
    let results = File::open(path.with_file_name(RESULTS)).ok();
    let results = results.and_then(|file| serde_json::from_reader::<_, Results>(BufReader::new(file)).ok());
    let of_the_same = results.filter(|results| results.metadata.invocation_id == manifest.made.invocation_id);
    of_the_same.is_none_or(|Results { args, .. }| {
        args.target.as_deref() == options.target()
            && args.profile.as_deref() == options.profile()
            && is_none(&args.vars)
    })
}

/// Whether no variables are given: dbt has written them in more than one way.
fn is_none(vars: &Value) -> bool {
    match vars {
        Value::Null => true,
        Value::Object(vars) => vars.is_empty(),
        Value::String(vars) => matches!(vars.trim(), "" | "{}"),
        _ => false,
    }
}
