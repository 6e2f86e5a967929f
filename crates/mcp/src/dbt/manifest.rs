//! The project's manifest, made anew by dbt where something has changed since.

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use dbmux_dbt::{
    DbtError,
    manifest::{self, Manifest},
};
use tokio::task::spawn_blocking;

use super::{Dbt, Locked};
use crate::{call::Call, failure::Failure};

/// One that was read.
pub(super) struct Kept {
    path: PathBuf,
    changed: SystemTime,
    manifest: Arc<Manifest>,
}

impl Dbt {
    /// What there is in the project now. Where dbt had to parse it, with whom that waited for.
    pub(crate) async fn manifest(
        self: &Arc<Self>,
        call: &Call,
        wait: Option<std::time::Duration>,
    ) -> Result<(Arc<Manifest>, Option<Locked>), Failure> {
        let project = self.project()?;
        let path = manifest::place(&project, &self.options.environment);
        let (dbt, place) = (Arc::clone(self), path.clone());
        let fresh = call.unless_cancelled(blocking(move || {
            // One that dbt is writing just now cannot be read: it will be asked, and has its turn after that.
            let read = dbt.read(place.clone()).ok();
            let usual = dbt.profile_options(&project);
            let is_good = |manifest: &Arc<Manifest>| {
                manifest::is_for(manifest, &place, &usual) && manifest::is_fresh(manifest, &place, &project)
            };
            Ok(read.filter(is_good))
        }));
        if let Some(fresh) = fresh.await? {
            return Ok((fresh, None));
        }
        let ran = self.run(call, vec!["parse".to_owned()], wait).await?;
        if ran.code != 0 {
            return Err(Failure::dbt(&ran.log));
        }
        let dbt = Arc::clone(self);
        let read = call.unless_cancelled(blocking(move || Ok(dbt.read(path)?))).await;
        // Another dbt may be at it by now.
        Ok((read.map_err(Failure::for_the_moment)?, Some(ran.locked)))
    }

    /// The same with the SQL that these resources are made by: dbt compiles the project where it is not there, unless
    /// nothing may be written.
    pub(crate) async fn compiled(
        self: &Arc<Self>,
        call: &Call,
        wait: Option<std::time::Duration>,
        needs: impl Fn(&Manifest) -> Result<bool, DbtError>,
    ) -> Result<(Arc<Manifest>, Option<Locked>), Failure> {
        let (found, locked) = self.manifest(call, wait).await?;
        // Compiling runs the project's macros, which may do anything.
        if self.read_only || !needs(&found)? {
            return Ok((found, locked));
        }
        let ran = self.run(call, vec!["compile".to_owned()], wait).await?;
        if ran.code == 2 {
            return Err(Failure::dbt(&ran.log));
        }
        let (found, _) = self.manifest(call, wait).await?;
        Ok((found, Some(ran.locked)))
    }

    /// What is there, however old: nothing is run for it. `None`: there is none.
    pub(crate) fn old_manifest(&self) -> Option<Arc<Manifest>> {
        let project = self.project().ok()?;
        self.read(manifest::place(&project, &self.options.environment)).ok()
    }

    fn read(&self, path: PathBuf) -> Result<Arc<Manifest>, DbtError> {
        let wrong = |error: std::io::Error| DbtError::File { path: path.clone(), reason: error.to_string() };
        let changed = path.metadata().and_then(|found| found.modified()).map_err(wrong)?;
        let mut kept = self.manifest.lock();
        if let Some(kept) = kept.as_ref().filter(|kept| kept.path == path && kept.changed == changed) {
            return Ok(Arc::clone(&kept.manifest));
        }
        let manifest = Arc::new(manifest::read(&path)?);
        *kept = Some(Kept { path, changed, manifest: Arc::clone(&manifest) });
        Ok(manifest)
    }
}

/// Does what may take its time on a thread of its own.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.map_err(|error| Failure::system("a thread", &error.into()))?
}
