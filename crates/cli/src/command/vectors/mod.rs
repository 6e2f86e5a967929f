//! `dbmux vectors`: LanceDB's operations, from the command line.

mod operation;
mod rows;

use dbmux_client::{Client, ClientOptions, Statement};

use super::sql::{self, Runner};
use crate::{
    args::vectors::{Operation, VectorsArgs},
    exit::Exit,
    failure::Failure,
};

/// The engine's name, as brokers know it.
const ENGINE: &str = "lance";

pub(crate) fn run(args: &VectorsArgs) -> Result<Exit, Failure> {
    let before = operation::before(&args.operation).map(|operation| Statement::new(operation.to_string()));
    let statement = statement(&args.operation)?;
    let options = ClientOptions {
        wait: args.waiting.wait,
        priority: args.waiting.priority.into(),
        create: matches!(args.operation, Operation::CreateTable(_)),
        engine: Some(ENGINE.to_owned()),
        broker_program: sql::chosen_program().map(Into::into),
        ..ClientOptions::default()
    };
    let client = Client::open(&args.database, options)?;
    let output = sql::output(args.format, args.json, args.max_rows, false);
    super::block_on(async {
        let mut runner = Runner::new(client, output, Vec::new());
        if let Some(before) = before {
            runner.run_quietly(before).await?;
        }
        runner.run_statement(statement).await.map(|()| Exit::Done)
    })
}

fn statement(operation: &Operation) -> Result<Statement, Failure> {
    let statement = Statement::new(operation::of(operation)?.to_string());
    let rows = match operation {
        Operation::Add(args) => Some(&args.rows),
        Operation::MergeInsert(args) => Some(&args.rows.rows),
        Operation::CreateTable(args) => args.rows.as_ref(),
        Operation::Run(args) => args.rows.as_ref(),
        _ => None,
    };
    Ok(match rows {
        Some(file) => statement.rows(rows::read(file)?),
        None => statement,
    })
}
