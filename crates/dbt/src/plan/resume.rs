//! What earlier runs of a plan have done, so that `--resume` need not do it again.
//!
//! A step is known by its command (with its variables), what it needs, the project's files, its environment, and which
//! database files there are: when any of these is another, so is the step.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use xxhash_rust::xxh3::Xxh3;

use super::steps::Step;
use crate::{DbtError, Environment, Project, profile::Profile};

/// What dbt reads; nothing else in a project changes what a step does.
const READ: [&str; 7] = ["sql", "yml", "yaml", "csv", "py", "md", "json"];

/// What a step was when it was done, by the scenario's and its own name.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    done: BTreeMap<String, String>,
}

impl Ledger {
    /// What earlier runs of this plan have written.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) fn open(project: &Project, plan: &Path) -> Result<Self, DbtError> {
        let plan = plan.canonicalize().unwrap_or_else(|_| plan.to_owned());
        let mut hash = Xxh3::new();
        hash.update(plan.as_os_str().as_encoded_bytes());
        let path = project.root.join(".dbmux").join(format!("plan-{:016x}.json", hash.digest()));
        let done = match fs::read(&path) {
            // What was cut short by a full disk is as good as nothing.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(DbtError::File { path, reason: error.to_string() }),
        };
        Ok(Self { path, done })
    }

    /// Whether it was done as it is now.
    pub(super) fn has(&self, name: &str, mark: &str) -> bool {
        self.done.get(name).is_some_and(|done| done == mark)
    }

    /// It is done; or, with `None`, not any more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn set(&mut self, name: &str, mark: Option<&str>) -> Result<(), DbtError> {
        match mark {
            Some(mark) => self.done.insert(name.to_owned(), mark.to_owned()),
            None => self.done.remove(name),
        };
        let refused = |error: io::Error| DbtError::File { path: self.path.clone(), reason: error.to_string() };
        let text = serde_json::to_vec_pretty(&self.done).map_err(|error| refused(error.into()))?;
        let next = self.path.with_extension("next");
        fs::write(&next, text).and_then(|()| fs::rename(&next, &self.path)).map_err(refused)
    }
}

/// What all steps of a scenario have in common: what dbt reads, and the variables that are named there.
pub(super) fn ground(project: &Project, environment: &Environment, profiles: &[Profile]) -> Result<u64, DbtError> {
    let mut files = Vec::new();
    let failed = |error: io::Error| DbtError::File { path: project.root.clone(), reason: error.to_string() };
    collect(&project.root, project, &mut files).map_err(failed)?;
    files.extend(profiles.iter().map(|profile| profile.file.clone()));
    files.sort();
    files.dedup();
    let mut hash = Xxh3::new();
    let mut all = Vec::new();
    for file in files {
        hash.update(file.as_os_str().as_encoded_bytes());
        all.extend(fs::read(&file).map_err(failed)?);
    }
    for profile in profiles {
        hash.update(format!("{} {} {}", profile.name, profile.target, profile.adapter).as_bytes());
    }
    let text = String::from_utf8_lossy(&all);
    for (name, value) in environment.iter() {
        let named = name.to_str().is_some_and(|name| {
            name.starts_with("DBT_") || text.contains(&format!("'{name}'")) || text.contains(&format!("\"{name}\""))
        });
        if named {
            hash.update(name.as_encoded_bytes());
            hash.update(value.as_encoded_bytes());
        }
    }
    hash.update(&all);
    Ok(hash.digest())
}

fn collect(directory: &Path, project: &Project, into: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(directory) {
        // dbt could not read it either.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if hidden || path == project.target_path || path == project.log_path {
            continue;
        }
        let read = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() && !path.join("pyvenv.cfg").exists() {
            collect(&path, project, into)?;
        } else if read.is_some_and(|extension| READ.contains(&extension)) && path.is_file() {
            into.push(path);
        }
    }
    Ok(())
}

/// Each step's mark, in their order.
pub(super) fn marks(steps: &[Step], ground: u64, databases: &[PathBuf]) -> Vec<String> {
    let files: Vec<_> =
        databases.iter().map(|path| (path, fs::metadata(path).ok().map(|found| (found.dev(), found.ino())))).collect();
    let mut marks: Vec<String> = Vec::with_capacity(steps.len());
    for step in steps {
        let mut hash = Xxh3::new();
        hash.update(&ground.to_le_bytes());
        hash.update(format!("{files:?}").as_bytes());
        hash.update(format!("{:?}", step.command.args()).as_bytes());
        for need in &step.needs {
            // Steps stand behind what they need.
            hash.update(marks[*need].as_bytes());
        }
        marks.push(format!("{:016x}", hash.digest()));
    }
    marks
}
