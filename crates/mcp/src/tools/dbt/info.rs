//! `get_project_info`.

use std::{collections::BTreeMap, sync::Arc};

use dbmux_dbt::{Project, profile::Profile};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::project;
use crate::{
    call::Call,
    dbt::Locked,
    failure::Failure,
    reply::Reply,
    server::Shared,
    tools::{
        arguments::wait,
        locks::{ProjectLock, project_lock},
    },
};

/// Nothing but patience.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ask {
    /// Seconds to wait for others who run dbt, where it has to parse the project. 0 never waits.
    wait: Option<f64>,
}

/// The project.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Info {
    name: Option<String>,
    directory: String,
    /// Its profile, target, adapter and databases.
    profile: Option<ProfileInfo>,
    dbt_version: Option<String>,
    /// How many resources of each type there are; empty where dbt cannot parse the project.
    resources: BTreeMap<String, usize>,
    /// The packages, itself among them.
    packages: Vec<String>,
    /// Who runs dbt in it, and who waits to.
    lock_status: ProjectLock,
    /// What is wrong with it.
    problems: Vec<String>,
    /// Set where dbt had to parse the project.
    lock: Option<Locked>,
}

/// What it is used with.
#[derive(Debug, Serialize, JsonSchema)]
struct ProfileInfo {
    name: String,
    target: String,
    adapter: String,
    /// The DuckDB files that dbt opens.
    databases: Vec<String>,
    threads: Option<u32>,
    file: String,
}

pub(super) async fn run(shared: Arc<Shared>, asked: Ask, call: Call) -> Result<Reply<Info>, Failure> {
    let dbt = project(&shared)?;
    let found = dbt.project()?;
    let lock_status = project_lock(&dbt, &call).await?;
    let mut info = Info::of(&found, lock_status);
    // One that is broken can be described all the same: that is what one asks for then.
    match dbt.profile(&call).await {
        Ok(profile) => info.profile = Some(ProfileInfo::from(&profile)),
        Err(failure) => info.problems.push(failure.message().to_owned()),
    }
    match dbt.manifest(&call, wait(asked.wait)?).await {
        Ok((manifest, lock)) => {
            for resource in manifest.resources.values() {
                *info.resources.entry(resource.resource_type.clone()).or_insert(0) += 1;
                if !info.packages.contains(&resource.package_name) && !resource.package_name.is_empty() {
                    info.packages.push(resource.package_name.clone());
                }
            }
            info.packages.sort();
            info.dbt_version = Some(manifest.made.dbt_version.clone());
            info.lock = lock;
        }
        Err(failure) => info.problems.push(failure.message().to_owned()),
    }
    Ok(Reply::new(info.text(), info))
}

impl Info {
    fn of(project: &Project, lock_status: ProjectLock) -> Self {
        Self {
            name: project.name.clone(),
            directory: project.root.display().to_string(),
            profile: None,
            dbt_version: None,
            resources: BTreeMap::new(),
            packages: Vec::new(),
            lock_status,
            problems: Vec::new(),
            lock: None,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{} in {}\n", self.name.as_deref().unwrap_or("a dbt project"), self.directory);
        if let Some(ProfileInfo { name, target, adapter, databases, .. }) = &self.profile {
            text.push_str(&format!("profile {name}, target {target}: {adapter} {}\n", databases.join(", ")));
        }
        if let Some(version) = &self.dbt_version {
            let counts: Vec<_> = self.resources.iter().map(|(kind, count)| format!("{count} of type {kind}")).collect();
            text.push_str(&format!("dbt {version}: {}\n", counts.join(", ")));
        }
        self.problems.iter().for_each(|problem| text.push_str(&format!("wrong: {problem}\n")));
        text.push_str(&self.lock_status.text());
        text
    }
}

impl From<&Profile> for ProfileInfo {
    fn from(profile: &Profile) -> Self {
        Self {
            name: profile.name.clone(),
            target: profile.target.clone(),
            adapter: profile.adapter.clone(),
            databases: profile.databases.iter().map(|path| path.display().to_string()).collect(),
            threads: profile.threads,
            file: profile.file.display().to_string(),
        }
    }
}
