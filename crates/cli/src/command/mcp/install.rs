//! `dbmux mcp install`: the server's entry in the configuration of a program that starts it.

use std::{
    env,
    ffi::OsString,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use dbmux_mcp::install::{self, InstallError, Places, Platform, Program, Scope, Server};

use crate::{
    args::{InstallArgs, McpOffer, ProgramArg},
    exit::Exit,
    failure::Failure,
    render,
};

/// What holds where nothing is said.
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// Writes the entry, or shows it.
pub(super) fn run(args: &InstallArgs) -> Result<Exit, Failure> {
    let program = Program::from(args.program);
    let command = env::current_exe()?;
    let server = Server { name: args.name.clone(), ..Server::new(command, arguments(&args.offer)?) };
    let scope = match &args.project {
        None => Scope::User,
        Some(folder) => Scope::Project(std::path::absolute(folder.as_deref().unwrap_or(Path::new(".")))?),
    };
    let file = places()?.file(program, &scope)?;
    let mut out = render::report_output();
    if args.print {
        render::note(&format!("for {}", file.display()));
        writeln!(out, "{}", install::entry(program, &server)?.trim_end())?;
        return Ok(Exit::Done);
    }
    let plan = install::plan(program, &scope, &server, &file)?;
    if !plan.changes() {
        writeln!(out, "{} has it already", file.display())?;
        return Ok(Exit::Done);
    }
    let written = plan.write()?;
    writeln!(out, "{} starts {} now: {}", program.title(), server.name, written.file.display())?;
    if let Some(backup) = written.backup {
        writeln!(out, "as it was: {}", backup.display())?;
    }
    render::note(program.afterwards());
    Ok(Exit::Done)
}

/// Where this user's programs have their files.
fn places() -> Result<Places, Failure> {
    let named = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = env::home_dir().filter(|home| home.is_absolute());
    Ok(Places {
        home: home.ok_or_else(|| Failure::usage("your home directory is not known").with_hint("set HOME"))?,
        // A relative one counts as none, as its specification wants it.
        config_home: named("XDG_CONFIG_HOME").filter(|path| path.is_absolute()),
        claude: named("CLAUDE_CONFIG_DIR"),
        codex: named("CODEX_HOME"),
        platform: if env::consts::OS == "macos" { Platform::MacOs } else { Platform::Linux },
    })
}

/// The server's command line: paths that mean the same wherever the program is started.
fn arguments(offer: &McpOffer) -> Result<Vec<OsString>, Failure> {
    let mut arguments = vec![OsString::from("mcp")];
    for database in &offer.databases {
        arguments.extend(["--db".into(), absolute(database)?]);
    }
    if let Some(project) = &offer.dbt {
        arguments.extend(["--dbt".into(), absolute(project)?]);
    }
    if offer.read_only {
        arguments.push("--read-only".into());
    }
    if let Some(folder) = &offer.exports {
        arguments.extend(["--exports".into(), absolute(folder)?]);
    }
    if let Some(memory) = &offer.memory {
        arguments.push("--memory".into());
        if let Some(path) = memory {
            arguments.push(absolute(path)?);
        }
    }
    if let Some(embedder) = &offer.embedding.embedder {
        let is_address = embedder.contains("://");
        let place = if is_address { embedder.into() } else { absolute(Path::new(embedder))? };
        arguments.extend(["--embedder".into(), place]);
    }
    if let Some(model) = &offer.embedding.embedder_model {
        arguments.extend(["--embedder-model".into(), model.into()]);
    }
    if offer.wait != DEFAULT_WAIT {
        arguments.extend(["--wait".into(), humantime::format_duration(offer.wait).to_string().replace(' ', "").into()]);
    }
    Ok(arguments)
}

fn absolute(path: &Path) -> Result<OsString, Failure> {
    Ok(std::path::absolute(path)?.into_os_string())
}

impl From<ProgramArg> for Program {
    fn from(program: ProgramArg) -> Self {
        match program {
            ProgramArg::ClaudeCode => Self::ClaudeCode,
            ProgramArg::ClaudeDesktop => Self::ClaudeDesktop,
            ProgramArg::Cursor => Self::Cursor,
            ProgramArg::VsCode => Self::VsCode,
            ProgramArg::Codex => Self::Codex,
        }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        let hint = error.suggestion();
        let failure = match error {
            InstallError::Name { .. } | InstallError::NoProject { .. } => Self::usage(error.to_string()),
            _ => Self::system(error.to_string()),
        };
        failure.with_hint(hint)
    }
}
