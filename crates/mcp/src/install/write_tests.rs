//! Real files.

use std::os::unix::fs::symlink;

use super::*;
use crate::install::{Program, Scope, Server, plan};

fn planned(file: &Path) -> Plan {
    planned_for(&Scope::User, file)
}

fn planned_for(scope: &Scope, file: &Path) -> Plan {
    plan(Program::ClaudeCode, scope, &Server::new("/b/dbmux", ["mcp"]), file).unwrap()
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().mode() & 0o777
}

fn names(directory: &Path) -> Vec<String> {
    let found = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = found.collect();
    names.sort();
    names
}

#[test]
fn a_file_is_made_with_its_directories() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a/b/mcp.json");
    let plan = planned(&file);
    assert_eq!(plan.write().unwrap(), Written { file: file.clone(), backup: None });
    assert_eq!(fs::read_to_string(&file).unwrap(), plan.text());
    assert_eq!((mode(&file), mode(&home.path().join("a"))), (0o600, 0o700));
    assert_eq!(names(file.parent().unwrap()), ["mcp.json"]);
}

#[test]
fn a_projects_file_is_for_everybody() {
    let home = tempfile::tempdir().unwrap();
    let (file, like) = (home.path().join(".mcp.json"), home.path().join("like"));
    fs::write(&like, "").unwrap();
    planned_for(&Scope::Project(home.path().to_owned()), &file).write().unwrap();
    assert_eq!(mode(&file), mode(&like));
}

#[test]
fn what_was_there_is_kept_beside_it_and_so_is_its_mode() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcp.json");
    fs::write(&file, "{\"a\": 1}").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let backup = planned(&file).write().unwrap().backup.unwrap();
    assert_eq!(backup, home.path().join("mcp.json.dbmux-backup"));
    assert_eq!(fs::read_to_string(&backup).unwrap(), "{\"a\": 1}");
    assert_eq!((mode(&file), mode(&backup)), (0o640, 0o640));
    // Nothing to do: nothing is touched.
    let written = fs::metadata(&file).unwrap().ino();
    assert_eq!(planned(&file).write().unwrap().backup, None);
    assert_eq!(fs::metadata(&file).unwrap().ino(), written);
    fs::write(&file, "{}").unwrap();
    let second = planned(&file).write().unwrap().backup.unwrap();
    assert_eq!(second, home.path().join("mcp.json.dbmux-backup.2"));
    assert_eq!(names(home.path()), ["mcp.json", "mcp.json.dbmux-backup", "mcp.json.dbmux-backup.2"]);
}

#[test]
fn links_stay_and_lead_to_the_new_text() {
    let home = tempfile::tempdir().unwrap();
    let (dots, file) = (home.path().join("dots"), home.path().join("mcp.json"));
    fs::create_dir(&dots).unwrap();
    symlink("link.json", dots.join("second.json")).unwrap();
    symlink("dots/second.json", &file).unwrap();
    // It leads to nothing yet.
    symlink("real.json", dots.join("link.json")).unwrap();
    let plan = planned(&file);
    assert!(plan.is_new());
    plan.write().unwrap();
    fs::write(dots.join("real.json"), "{}").unwrap();
    let plan = planned(&file);
    assert_eq!(plan.write().unwrap().backup.unwrap(), home.path().join("mcp.json.dbmux-backup"));
    assert_eq!(fs::read_to_string(dots.join("real.json")).unwrap(), plan.text());
    assert!(fs::symlink_metadata(&file).unwrap().is_symlink());
    assert_eq!(names(&dots), ["link.json", "real.json", "second.json"]);
    symlink("round.json", home.path().join("round.json")).unwrap();
    let refused = followed(&home.path().join("round.json")).unwrap_err().to_string();
    assert!(refused.contains("in a circle"), "{refused}");
}

#[test]
fn what_another_program_wrote_meanwhile_stays() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcp.json");
    let (new, theirs) = (planned(&file), "{\"theirs\": 1}");
    fs::write(&file, theirs).unwrap();
    let over = planned(&file);
    assert!(matches!(new.write(), Err(InstallError::Changed { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
    fs::write(&file, "{\"theirs\": 2}").unwrap();
    assert!(matches!(over.write(), Err(InstallError::Changed { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"theirs\": 2}");
    assert_eq!(names(home.path()), ["mcp.json"]);
    fs::remove_file(&file).unwrap();
    assert!(matches!(over.write(), Err(InstallError::Changed { .. })));
}

#[test]
fn a_read_only_file_stays() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("mcp.json");
    fs::write(&file, "{}").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o400)).unwrap();
    assert!(matches!(planned(&file).write(), Err(InstallError::ReadOnly { .. })));
    assert_eq!((fs::read_to_string(&file).unwrap().as_str(), names(home.path()).len()), ("{}", 1));
}
