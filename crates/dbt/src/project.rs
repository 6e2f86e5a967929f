//! A dbt project, by its directory.

use std::path::{Path, PathBuf};

use crate::DbtError;

/// What makes a directory a project.
const FILE: &str = "dbt_project.yml";

/// A dbt project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Canonical.
    pub root: PathBuf,
    /// Where dbt keeps what it has made of the project.
    pub target_path: PathBuf,
    /// Where dbt's log is.
    pub log_path: PathBuf,
}

impl Project {
    /// The project in this directory.
    ///
    /// # Errors
    /// [`DbtError::NoProject`].
    pub fn at(directory: &Path) -> Result<Self, DbtError> {
        let none = || DbtError::NoProject { directory: directory.to_owned() };
        let root = directory.canonicalize().ok().filter(|root| root.join(FILE).is_file()).ok_or_else(none)?;
        Ok(Self { target_path: root.join("target"), log_path: root.join("logs"), root })
    }

    /// The project in this directory, or in the nearest one above it.
    ///
    /// # Errors
    /// [`DbtError::NoProject`].
    pub fn above(directory: &Path) -> Result<Self, DbtError> {
        let none = || DbtError::NoProject { directory: directory.to_owned() };
        let start = directory.canonicalize().map_err(|_| none())?;
        let root = start.ancestors().find(|directory| directory.join(FILE).is_file()).ok_or_else(none)?;
        Self::at(root)
    }
}
