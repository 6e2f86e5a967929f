//! Whether a manifest says what the project's files say.

use std::{fs, path::Path, time::SystemTime};

use walkdir::{DirEntry, WalkDir};

use crate::Project;

/// Whether it was made after the last change in the project: of a file that dbt reads, or of a directory. What dbt writes
/// itself, and what is hidden, does not count.
pub fn is_fresh(manifest: &Path, project: &Project) -> bool {
    let Ok(made) = fs::metadata(manifest).and_then(|found| found.modified()) else { return false };
    let target = manifest.parent();
    let counts = |entry: &DirEntry| {
        let path = entry.path();
        let hidden = entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".");
        // A Python environment in the project is large, and none of dbt's.
        let environment = || path.join("pyvenv.cfg").exists();
        !hidden && Some(path) != target && path != project.target_path && path != project.log_path && !environment()
    };
    let mut entries = WalkDir::new(&project.root).into_iter().filter_entry(counts);
    entries.all(|entry| {
        entry.is_ok_and(|entry| {
            !is_read(&entry)
                || entry.metadata().is_ok_and(|found| {
                    // Where the system does not tell, it may have changed.
                    found.modified().is_ok_and(|changed: SystemTime| changed < made)
                })
        })
    })
}

/// The root itself changes whenever a database's log comes and goes beside it.
fn is_read(entry: &DirEntry) -> bool {
    const READ: [&str; 6] = ["sql", "yml", "yaml", "csv", "py", "md"];
    let extension = entry.path().extension().and_then(|extension| extension.to_str());
    (entry.file_type().is_dir() && entry.depth() > 0) || extension.is_some_and(|extension| READ.contains(&extension))
}
