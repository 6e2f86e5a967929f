//! `dbmux serve`: the broker in the foreground, for service managers and for looking over its shoulder.

use crate::{args::BrokerArgs, command::broker, exit::Exit, failure::Failure};

pub(crate) fn run(args: &BrokerArgs) -> Result<Exit, Failure> {
    broker::start_and_serve(args, |ready| match ready {
        Ok(socket) => {
            anstream::eprintln!("serving {} on {}", args.path().display(), socket.display());
            Ok(())
        }
        Err(error) => Err(error.clone()),
    })
}
