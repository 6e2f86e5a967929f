//! `dbmux sql`: statements from the command line, a file, standard input or a prompt, in one session.

mod catalog;
mod parameters;
mod prompt;
mod runner;
mod stdin;

use std::ffi::OsString;

use clap::ValueEnum;
use dbmux_client::{Client, ClientOptions};

use crate::{
    args::{Format, SqlArgs},
    exit::Exit,
    failure::Failure,
    render::table::Limits,
    split, terminal,
};

use self::runner::Output;
pub(super) use self::runner::Runner;

/// Rows of a table on a terminal.
const ROWS: usize = 1000;

/// What errors call the statements that were typed as an argument.
const COMMAND_LINE: &str = "the command line";

/// Where the statements come from.
enum Source {
    /// Of the command line, or of the file of this name.
    Text(String, Option<String>),
    Stdin,
    Prompt,
}

/// Runs the statements.
pub(crate) fn run(args: SqlArgs) -> Result<Exit, Failure> {
    let source = source(&args)?;
    let parameters = parameters::parse(&args.params)?;
    let client = Client::open(&args.database, options(&args))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut runner = Runner::new(client, output(args.format, args.json, args.max_rows, args.read_only), parameters);
    let done = match source {
        Source::Text(text, file) => runtime.block_on(all(&mut runner, &text, file.as_deref())),
        Source::Stdin => runtime.block_on(async {
            let done = stdin::run(&mut runner).await?;
            committed(&mut runner).await.map(|()| done)
        }),
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

/// Runs the statements of a text. Where one of several fails, it is said which.
async fn all(runner: &mut Runner, text: &str, file: Option<&str>) -> Result<Exit, Failure> {
    let statements = split::statements(text);
    for statement in &statements {
        let done = runner.run(&statement.sql).await;
        done.map_err(|failure| match file {
            Some(file) => failure.at(file, statement),
            None if statements.len() > 1 => failure.at(COMMAND_LINE, statement),
            None => failure,
        })?;
    }
    committed(runner).await.map(|()| Exit::Done)
}

/// What was changed in a transaction that nobody has committed is lost: that is no success.
async fn committed(runner: &mut Runner) -> Result<(), Failure> {
    if !runner.leave().await {
        return Ok(());
    }
    Err(Failure {
        code: "NOT_COMMITTED",
        message: "the statements end inside a transaction; it was rolled back".into(),
        db_path: Some(runner.database().into()),
        ..Failure::default()
    }
    .with_hint("add COMMIT to keep its changes, or ROLLBACK"))
}

fn source(args: &SqlArgs) -> Result<Source, Failure> {
    if let Some(sql) = &args.sql {
        return Ok(Source::Text(sql.clone(), None));
    }
    if let Some(file) = &args.file {
        if file.as_os_str() == "-" {
            return Ok(Source::Stdin);
        }
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
        return Ok(Source::Text(text, Some(file.display().to_string())));
    }
    Ok(if terminal::stdin_is_terminal() { Source::Prompt } else { Source::Stdin })
}

fn options(args: &SqlArgs) -> ClientOptions {
    let version = args.storage_version.iter();
    ClientOptions {
        wait: args.waiting.wait,
        priority: args.waiting.priority.into(),
        read_only: args.read_only,
        reads: args.reads.into(),
        create: !args.read_only,
        engine: args.engine.and_then(|engine| Some(engine.to_possible_value()?.get_name().to_owned())),
        broker_program: chosen_program().map(Into::into),
        broker_arguments: version.flat_map(|version| [OsString::from("--storage-version"), version.into()]).collect(),
        ..ClientOptions::default()
    }
}

/// The program that brokers are started with, where somebody has chosen one.
pub(super) fn chosen_program() -> Option<OsString> {
    std::env::var_os("DBMUX_BIN").filter(|program| !program.is_empty())
}

/// How answers are shown where nothing else was said.
pub(super) fn output(format: Option<Format>, json: bool, max_rows: Option<usize>, read_only: bool) -> Output {
    let terminal = terminal::stdout_is_terminal();
    let usual = if json {
        Format::Json
    } else if terminal {
        Format::Table
    } else {
        Format::Csv
    };
    let rows = max_rows.or(terminal.then_some(ROWS)).filter(|rows| *rows > 0);
    let limits = Limits { rows, width: terminal.then(terminal::width) };
    Output { format: format.unwrap_or(usual), limits, read_only }
}
