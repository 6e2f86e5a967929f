//! Whether a manifest says what the project's files say.

use std::{fs::Metadata, os::unix::fs::MetadataExt, path::Path, time::SystemTime};

use walkdir::{DirEntry, WalkDir};

use super::Manifest;
use crate::Project;

/// What dbt reads.
const READ: [&str; 6] = ["sql", "yml", "yaml", "csv", "py", "md"];

/// Whether dbt has read the project's files as they are now: none of them is newer, and none is gone. What dbt writes
/// itself, and what is hidden, does not count; links are followed, as dbt does.
pub fn is_fresh(manifest: &Manifest, path: &Path, project: &Project) -> bool {
    // dbt notes the time before it reads a file, and writes the manifest long afterwards, twice.
    let Ok(made) = humantime::parse_rfc3339_weak(&manifest.made.generated_at) else { return false };
    if manifest.files.iter().any(|file| !project.root.join(file).exists()) {
        return false;
    }
    let target = path.parent();
    let counts = |entry: &DirEntry| {
        let path = entry.path();
        let hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        // A Python environment in the project is large, and none of dbt's.
        let environment = || path.join("pyvenv.cfg").exists();
        !hidden && Some(path) != target && path != project.target_path && path != project.log_path && !environment()
    };
    let entries = WalkDir::new(&project.root).follow_links(true).into_iter().filter_entry(counts);
    // What cannot be looked at dbt cannot read either.
    let mut files = entries.filter_map(Result::ok).filter(is_read);
    files.all(|file| file.metadata().is_ok_and(|found| changed(&found).is_some_and(|changed| changed < made)))
}

fn is_read(entry: &DirEntry) -> bool {
    let extension = entry.path().extension().and_then(|extension| extension.to_str());
    entry.file_type().is_file() && extension.is_some_and(|extension| READ.contains(&extension))
}

/// When it was written, or came to this place: a file that is moved keeps the time when it was written.
fn changed(found: &Metadata) -> Option<SystemTime> {
    let (seconds, nanoseconds) = (u64::try_from(found.ctime()).ok()?, u32::try_from(found.ctime_nsec()).ok()?);
    let moved = SystemTime::UNIX_EPOCH + std::time::Duration::new(seconds, nanoseconds);
    Some(found.modified().ok()?.max(moved))
}
