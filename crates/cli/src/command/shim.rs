//! `dbmux shim`: programs of others' names that call dbmux, so that whoever calls them is protected too.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    args::{Shim, ShimArgs, ShimCommand, ShimListArgs, ShimPlace},
    exit::Exit,
    failure::Failure,
    render,
};

/// What our shims are known by: nothing else is overwritten, or removed.
const MARK: &str = "# dbmux shim:";

/// Does it.
pub(crate) fn run(command: ShimCommand) -> Result<Exit, Failure> {
    match command {
        ShimCommand::Install(args) => install(&args),
        ShimCommand::Remove(args) => remove(&args),
        ShimCommand::List(args) => list(&args),
    }
}

fn install(args: &ShimArgs) -> Result<Exit, Failure> {
    let directory = directory(&args.place)?;
    fs::create_dir_all(&directory).map_err(|error| refused(&directory, &error))?;
    let path = directory.join(name(args.program));
    if path.exists() && !is_ours(&path) {
        return Err(Failure::usage(format!("{} is there already, and is no shim of dbmux", path.display()))
            .with_hint("choose another directory with --dir"));
    }
    let program = std::env::current_exe()?;
    let quoted = shlex::try_quote(&program.to_string_lossy()).map(std::borrow::Cow::into_owned);
    let quoted = quoted.map_err(|error| Failure::system(format!("{}: {error}", program.display())))?;
    // Whoever runs it meanwhile sees the old one or the new one.
    let next = directory.join(format!(".{}.{}", name(args.program), std::process::id()));
    let text = format!(
        "#!/bin/sh\n{MARK} `dbmux shim remove {0}` takes it away.\nexec {quoted} {0} -- \"$@\"\n",
        name(args.program)
    );
    let written = fs::write(&next, text)
        .and_then(|()| fs::set_permissions(&next, fs::Permissions::from_mode(0o755)))
        .and_then(|()| fs::rename(&next, &path));
    written.map_err(|error| refused(&path, &error))?;
    let mut out = render::report_output();
    writeln!(out, "{}", path.display())?;
    match first_in_path(name(args.program)) {
        Some(first) if first == path => {}
        _ => render::note(&format!(
            "put it first, in your shell's start-up file or for one Makefile:\n  export PATH=\"{}:$PATH\"",
            directory.display()
        )),
    }
    Ok(Exit::Done)
}

fn remove(args: &ShimArgs) -> Result<Exit, Failure> {
    let path = directory(&args.place)?.join(name(args.program));
    if !path.exists() {
        return Err(Failure::usage(format!("{} is not there", path.display())));
    }
    if !is_ours(&path) {
        return Err(Failure::usage(format!("{} is no shim of dbmux", path.display())));
    }
    fs::remove_file(&path).map_err(|error| refused(&path, &error))?;
    Ok(Exit::Done)
}

fn list(args: &ShimListArgs) -> Result<Exit, Failure> {
    let directory = directory(&args.place)?;
    let path = directory.join(name(Shim::Dbt));
    let there = is_ours(&path);
    let first = first_in_path(name(Shim::Dbt)).is_some_and(|first| first == path);
    let mut out = render::report_output();
    if args.json {
        let all: Vec<_> = there
            .then(|| json!({ "program": name(Shim::Dbt), "path": path, "first_in_path": first }))
            .into_iter()
            .collect();
        writeln!(out, "{}", json!(all))?;
    } else if there {
        let place = if first { "first in PATH" } else { "not first in PATH: it is not used" };
        writeln!(out, "{}   {}   ({place})", name(Shim::Dbt), path.display())?;
    } else {
        writeln!(out, "no shims in {}", directory.display())?;
    }
    Ok(Exit::Done)
}

fn name(shim: Shim) -> &'static str {
    match shim {
        Shim::Dbt => "dbt",
    }
}

fn directory(place: &ShimPlace) -> Result<PathBuf, Failure> {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let usual =
        || Some(named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")))?.join("dbmux/shims"));
    let chosen =
        place.dir.clone().or_else(usual).ok_or_else(|| Failure::usage("there is no HOME: name it with --dir"))?;
    Ok(std::path::absolute(chosen)?)
}

fn is_ours(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.lines().nth(1).is_some_and(|line| line.starts_with(MARK)))
}

fn first_in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    Failure::system(format!("{}: {error}", path.display()))
}
