//! PLACEHOLDER until the real one.
use std::path::{Path, PathBuf};

use crate::{
    DbtCommand, DbtError, Environment, Project,
    warm::{Setting, Warm},
};

/// x
#[derive(Debug, Clone)]
pub struct Profile {
    pub databases: Vec<PathBuf>,
    pub threads: Option<u32>,
    pub file: PathBuf,
}
/// x
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    db: Option<String>,
}
impl ProfileOptions {
    pub fn of(_c: &DbtCommand, _d: &Path, e: &Environment) -> Self {
        Self { db: e.text("DBMUX_TEST_DB").map(str::to_owned) }
    }
}
pub fn read_or_ask(p: &Project, o: &ProfileOptions, _s: &Setting, _w: &mut Warm) -> Result<Profile, DbtError> {
    Ok(Profile {
        databases: o.db.iter().map(PathBuf::from).collect(),
        threads: Some(1),
        file: p.root.join("profiles.yml"),
    })
}
