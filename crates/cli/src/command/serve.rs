//! `dbmux serve`: the broker in the foreground, for service managers and for looking over its shoulder.

use std::{io::Write, path::Path};

use dbmux_engine::{ErrorCode, ServiceError};
use serde_json::json;

use crate::{
    args::{BrokerArgs, ServeArgs},
    command::broker,
    exit::Exit,
    failure::Failure,
    render,
};

pub(crate) fn run(args: ServeArgs) -> Result<Exit, Failure> {
    let ServeArgs { database, options, json } = args;
    let args = BrokerArgs { database, options };
    broker::start_and_serve(&args, |ready| match ready {
        Ok(socket) if json => {
            let told = tell(&args.database, socket);
            told.map_err(|error| ServiceError::new(ErrorCode::Internal, error.to_string()))
        }
        Ok(socket) => {
            anstream::eprintln!("serving {} on {}", args.database.display(), socket.display());
            Ok(())
        }
        Err(error) => Err(error.clone()),
    })
}

fn tell(database: &Path, socket: &Path) -> std::io::Result<()> {
    // It is served: so it can be found.
    let database = dbmux_os::runtime::canonical_database_path(database).unwrap_or_else(|_| database.to_owned());
    let report = json!({ "database": database, "socket": socket, "pid": std::process::id() });
    let mut out = render::report_output();
    writeln!(out, "{report}")?;
    out.flush()
}
