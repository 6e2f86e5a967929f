use crate::{args::DemoWorkerArgs, exit::Exit, failure::Failure};
pub(crate) fn run(_args: &DemoWorkerArgs) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
