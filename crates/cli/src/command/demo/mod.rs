pub(crate) mod worker;
use crate::{args::DemoArgs, exit::Exit, failure::Failure};
pub(crate) fn run(_args: &DemoArgs) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
