//! The DuckDB files of a project, for who looks for their locks.

use std::path::PathBuf;

use dbmux_dbt::{
    DbtCommand, DbtError, Interpreter, Project,
    find::Search,
    profile::{self, Asked, Profile, ProfileOptions, Read},
    warm::{Setting, Warm},
};

use super::environment;
use crate::render::note;

/// What a project's profile says of its databases.
pub(super) enum Databases {
    /// These.
    Known(Box<Profile>),
    /// Only dbt can tell.
    NeedDbt,
    /// Nobody can.
    Unknown(DbtError),
}

impl Databases {
    /// Reads the profile, as a dbt in the project's directory would: in less than a millisecond.
    pub(super) fn read(project: &Project) -> Self {
        match profile::read(project, &options(project)) {
            Ok(Read::Profile(profile)) => Self::Known(Box::new(profile)),
            Ok(Read::NeedsDbt) => Self::NeedDbt,
            Err(error) => Self::Unknown(error),
        }
    }

    /// Whether only dbt can tell.
    pub(super) fn need_dbt(&self) -> bool {
        matches!(self, Self::NeedDbt)
    }

    /// Asks dbt, where only it can tell: that of `dbmux dbt`. It takes as long as dbt takes to be imported.
    pub(super) fn or_ask(self, project: &Project) -> Self {
        if !self.need_dbt() {
            return self;
        }
        ask(project).map_or_else(Self::Unknown, |profile| Self::Known(Box::new(profile)))
    }

    /// Looks for their locks too; says so where they are not known.
    pub(super) fn add_to(self, project: &Project, search: Search) -> Search {
        match self {
            Self::Known(profile) => {
                let below = below_here(project, &profile);
                search.databases(profile.databases).databases(below).relative_databases(profile.relative)
            }
            Self::NeedDbt => search,
            Self::Unknown(error) => {
                note(&format!(
                    "note: the project's databases are unknown, and who has the lock on them is not looked for: {error}"
                ));
                search
            }
        }
    }
}

fn options(project: &Project) -> ProfileOptions {
    ProfileOptions::of(&DbtCommand::parse(vec!["run".to_owned()]), &project.root, &environment())
}

fn ask(project: &Project) -> Result<Profile, DbtError> {
    let named = std::env::var_os("DBMUX_DBT").map(PathBuf::from);
    let interpreter = Interpreter::find(named.as_deref(), &project.root, &environment())?;
    let options = options(project);
    let setting = Setting::for_profile(interpreter, environment(), &project.root, &options);
    Ok(Asked::of(project, &options, &setting, &mut Warm::usual())?.profile())
}

/// What a dbt that is started here would open, where this is inside of the project. Elsewhere, and in a project inside of
/// it, files of these names are others'.
fn below_here(project: &Project, profile: &Profile) -> Vec<PathBuf> {
    let is_inside = |here: &PathBuf| Project::above(here).is_ok_and(|here| here.root == project.root);
    let here = std::env::current_dir().ok().filter(|here| *here != project.root && is_inside(here));
    here.map_or_else(Vec::new, |here| {
        profile.relative.iter().map(|name| here.join(name)).filter(|path| path.exists()).collect()
    })
}
