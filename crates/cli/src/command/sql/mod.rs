//! `dbmux sql`: statements from the command line, a file, standard input or a prompt, in one session.

mod parameters;
mod prompt;
mod runner;
mod stdin;

use std::ffi::OsString;

use dbmux_client::{Client, ClientOptions};

use crate::{
    args::{Format, SqlArgs},
    exit::Exit,
    failure::Failure,
    render::table::Limits,
    split, terminal,
};

use self::runner::{Output, Runner};

/// Rows of a table on a terminal.
const ROWS: usize = 1000;

/// Where the statements come from.
enum Source {
    Text(String),
    Stdin,
    Prompt,
}

/// Runs the statements.
pub(crate) fn run(args: SqlArgs) -> Result<Exit, Failure> {
    let source = source(&args)?;
    let parameters = parameters::parse(&args.params)?;
    let client = Client::open(&args.database, options(&args))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut runner = Runner::new(client, output(&args), parameters);
    let done = match source {
        Source::Text(text) => runtime.block_on(async {
            for statement in split::statements(&text) {
                runner.run(&statement).await?;
            }
            Ok(Exit::Done)
        }),
        Source::Stdin => runtime.block_on(stdin::run(&mut runner)),
        Source::Prompt => prompt::run(&runtime, &mut runner),
    };
    drop(runner);
    // A thread that reads standard input may never come back.
    runtime.shutdown_background();
    done.map_err(|failure| match failure.code {
        "READ_ONLY" if args.read_only && failure.suggestion.is_empty() => failure.with_hint("leave out --read-only"),
        "BROKER_UNAVAILABLE" => match chosen_program() {
            Some(program) => {
                let program = program.display().to_string();
                failure.with_hint(format!("DBMUX_BIN={program} is what it is started with: name a dbmux, or unset it"))
            }
            None => failure,
        },
        _ => failure,
    })
}

fn source(args: &SqlArgs) -> Result<Source, Failure> {
    if let Some(sql) = &args.sql {
        return Ok(Source::Text(sql.clone()));
    }
    if let Some(file) = &args.file {
        if file.as_os_str() == "-" {
            return Ok(Source::Stdin);
        }
        let text = std::fs::read_to_string(file);
        return Ok(Source::Text(text.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?));
    }
    Ok(if terminal::stdin_is_terminal() { Source::Prompt } else { Source::Stdin })
}

fn options(args: &SqlArgs) -> ClientOptions {
    let version = args.storage_version.iter();
    ClientOptions {
        wait: args.waiting.wait,
        priority: args.waiting.priority.into(),
        read_only: args.read_only,
        create: !args.read_only,
        broker_program: chosen_program().map(Into::into),
        broker_arguments: version.flat_map(|version| [OsString::from("--storage-version"), version.into()]).collect(),
        ..ClientOptions::default()
    }
}

/// The program that brokers are started with, where somebody has chosen one.
fn chosen_program() -> Option<OsString> {
    std::env::var_os("DBMUX_BIN").filter(|program| !program.is_empty())
}

fn output(args: &SqlArgs) -> Output {
    let terminal = terminal::stdout_is_terminal();
    let usual = if args.json {
        Format::Json
    } else if terminal {
        Format::Table
    } else {
        Format::Csv
    };
    let rows = args.max_rows.or(terminal.then_some(ROWS)).filter(|rows| *rows > 0);
    let limits = Limits { rows, width: terminal.then(terminal::width) };
    Output { format: args.format.unwrap_or(usual), limits, read_only: args.read_only }
}
