//! The profile that a dbt command would use, as far as dbmux must know it: which adapter, and which DuckDB files.
//!
//! `profiles.yml` is read here, in under a millisecond, wherever that can be right: its place, the profile's and the
//! target's names are found in dbt's order. Where Jinja stands in something that matters (or YAML's versions differ on it),
//! dbt itself is asked, through a warm one. Nothing here keeps, logs or repeats any other value of a profile: passwords
//! stand beside them.

mod asked;
mod files;
mod jinja;

use std::path::{Path, PathBuf};

pub use self::asked::Asked;
use crate::{
    DbtCommand, DbtError, Environment, ProfileName, Project,
    warm::{Setting, Warm},
    yaml::{self, Node, Placed, Scalar},
};

/// What a profile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Its name in `profiles.yml`.
    pub name: String,
    /// The target, one of its outputs.
    pub target: String,
    /// The output's `type`: `duckdb`, `postgres`, …
    pub adapter: String,
    /// The DuckDB file that it is about, canonical: where models are built, unless they say otherwise. `None` where that is
    /// no file: memory, a server.
    pub database: Option<PathBuf>,
    /// The DuckDB files that dbt opens, attached ones too: canonical, without repetition. One whose directory is missing
    /// is not among them: dbt cannot open it either. None for another adapter.
    pub databases: Vec<PathBuf>,
    /// Those of them that are named relative to wherever dbt runs, as they are named: from another directory, the same
    /// command opens others.
    pub relative: Vec<PathBuf>,
    /// How many threads it sets, if it does.
    pub threads: Option<u32>,
    /// The `profiles.yml`.
    pub file: PathBuf,
}

const FILE: &str = "profiles.yml";

/// What a profile is looked for with.
#[derive(Debug, Clone)]
pub struct ProfileOptions {
    /// The whole command: what dbt is asked with.
    arguments: Vec<String>,
    /// What of it Jinja in a profile, or dbt itself, makes another one of.
    decides: [Option<String>; 3],
    profiles_dir: Option<PathBuf>,
    profile: Option<String>,
    target: Option<String>,
    /// Where dbt would run: relative paths begin here.
    directory: PathBuf,
    home: Option<PathBuf>,
}

impl ProfileOptions {
    /// What a command, given in this directory and environment, says about its profile.
    pub fn of(command: &DbtCommand, directory: &Path, environment: &Environment) -> Self {
        let chosen = |option: &str, variable: &str| command.value(option).or_else(|| environment.dbt(variable));
        Self {
            arguments: command.args().to_vec(),
            decides: ["--vars", "--threads", "--project-dir"].map(|name| command.value(name).map(str::to_owned)),
            profiles_dir: chosen("--profiles-dir", "PROFILES_DIR").map(|chosen| directory.join(chosen)),
            profile: chosen("--profile", "PROFILE").map(str::to_owned),
            target: chosen("--target", "TARGET").map(str::to_owned),
            directory: directory.to_owned(),
            home: environment.get("HOME").filter(|home| !home.is_empty()).map(PathBuf::from),
        }
    }

    /// The `profiles.yml`: of `--profiles-dir`, of `DBT_PROFILES_DIR`, of the working directory, of `~/.dbt`.
    pub fn file(&self) -> Option<PathBuf> {
        if let Some(chosen) = &self.profiles_dir {
            return Some(chosen.join(FILE));
        }
        let here = self.directory.join(FILE);
        if here.exists() {
            return Some(here);
        }
        Some(self.home.as_ref()?.join(".dbt").join(FILE))
    }

    /// The target that is chosen, where one is.
    pub(crate) fn target(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// The profile that is chosen, where one is.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// Whether the same profile is found with both, whatever else their commands say.
    fn finds_what(&self, other: &Self) -> bool {
        let all = |of: &Self| {
            let Self { arguments: _, decides, profiles_dir, profile, target, directory, home } = of.clone();
            (decides, profiles_dir, profile, target, directory, home)
        };
        all(self) == all(other)
    }
}

/// What reading a profile comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// This is what dbt would read.
    Profile(Profile),
    /// Only dbt can tell.
    NeedsDbt,
}

/// Reads the profile without dbt.
///
/// # Errors
/// [`DbtError::Profile`] when it is not there, or lacks what it must have; [`DbtError::Yaml`], [`DbtError::File`].
pub fn read(project: &Project, options: &ProfileOptions) -> Result<Read, DbtError> {
    let Some(file) = options.file() else { return Ok(Read::NeedsDbt) };
    let name = match (&options.profile, &project.profile) {
        (Some(name), _) | (None, Some(ProfileName::Named(name))) => name,
        (None, Some(ProfileName::NeedsDbt)) => return Ok(Read::NeedsDbt),
        (None, None) => {
            let path = project.root.join(crate::PROJECT_FILE);
            return Err(DbtError::Profile { path, reason: "it names no profile".to_owned() });
        }
    };
    let profiles = match file.is_file() {
        true => yaml::read(&file)?,
        false => return Err(DbtError::Profile { path: file, reason: "it is not there".to_owned() }),
    };
    let wrong = |reason: String| DbtError::Profile { path: file.clone(), reason };
    let profile = profiles.given(name).ok_or_else(|| wrong(format!("it has no profile {name:?}")))?;
    let target = match (&options.target, profile.get("target")) {
        (Some(target), _) => target.as_str(),
        (None, None) => "default",
        (None, Some(target)) => match target.text().filter(|_| !target.has_jinja()) {
            Some(target) => target,
            None => return Ok(Read::NeedsDbt),
        },
    };
    let outputs = profile.given("outputs").ok_or_else(|| wrong(format!("profile {name:?} has no outputs")))?;
    let output = outputs.given(target).ok_or_else(|| {
        let known = outputs.names().unwrap_or_default().join(", ");
        wrong(format!("profile {name:?} has no target {target:?}; it has {known}"))
    })?;
    let Some(said) = Said::by(output) else { return Ok(Read::NeedsDbt) };
    let paths = said.paths();
    let adapter = said.adapter.ok_or_else(|| wrong(format!("target {target:?} of profile {name:?} has no type")))?;
    Ok(Read::Profile(Profile {
        name: name.clone(),
        target: target.to_owned(),
        database: said.own.as_deref().and_then(|own| files::database(&adapter, own, options)),
        databases: files::databases(&adapter, &paths, options),
        relative: files::relative(&adapter, &paths),
        adapter,
        threads: said.threads,
        file,
    }))
}

/// Reads the profile, with dbt's help where it is needed.
///
/// # Errors
/// As [`read`]; [`DbtError::Dbt`] with what dbt says; as [`Warm::invoke`].
pub fn read_or_ask(
    project: &Project,
    options: &ProfileOptions,
    setting: &Setting,
    warm: &mut Warm,
) -> Result<Profile, DbtError> {
    match read(project, options)? {
        Read::Profile(profile) => Ok(profile),
        Read::NeedsDbt => Ok(Asked::of(project, options, setting, warm)?.profile()),
    }
}

/// What an output says, of what matters.
struct Said {
    adapter: Option<String>,
    /// Its own path.
    own: Option<String>,
    /// The paths that are attached, with their types, where they have one.
    attached: Vec<(String, Option<String>)>,
    threads: Option<u32>,
}

impl Said {
    /// `None`: only dbt can tell.
    fn by(output: &Placed) -> Option<Self> {
        let adapter = text(output, "type")?;
        let threads = match output.given("threads").map(|threads| &threads.node) {
            None => None,
            Some(Node::Scalar(Scalar::Whole(threads))) => Some(u32::try_from(*threads).ok()?),
            Some(_) => return None,
        };
        let (mut own, mut attached) = (None, Vec::new());
        // A remote one is a server's, which opens what it likes itself.
        if adapter.as_deref() == Some("duckdb") && output.given("remote").is_none() {
            own = text(output, "path")?;
            match output.given("attach").map(|attach| &attach.node) {
                None => {}
                Some(Node::List(list)) => {
                    for one in list {
                        attached.push(attachment(one)?);
                    }
                }
                Some(_) => return None,
            }
        }
        Some(Self { adapter, own, attached, threads })
    }

    /// All of them.
    fn paths(&self) -> Vec<(String, Option<String>)> {
        self.own.iter().map(|own| (own.clone(), None)).chain(self.attached.iter().cloned()).collect()
    }
}

/// A database that is attached, with its type.
fn attachment(one: &Placed) -> Option<(String, Option<String>)> {
    let kind = match (text(one, "type")?, one.given("options")) {
        (None, Some(options)) => text(options, "type")?,
        (kind, _) => kind,
    };
    Some((text(one, "path")??, kind))
}

/// A text, if it is given; the outer `None`: what is given is for dbt to understand.
#[expect(clippy::option_option, reason = "not there, and not to be understood, are different answers")]
fn text(of: &Placed, name: &str) -> Option<Option<String>> {
    match of.given(name) {
        None => Some(None),
        Some(value) if value.has_jinja() => None,
        Some(value) => value.text().map(|text| Some(text.to_owned())),
    }
}

#[cfg(test)]
mod tests;
