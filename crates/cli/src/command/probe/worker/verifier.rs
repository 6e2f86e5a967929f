//! Reads all there is when it is over.

use crate::command::probe::{
    connection::{CallError, Door},
    dialect,
    job::{Found, Job},
};

pub(super) fn run(job: &Job) -> Result<Found, CallError> {
    let dialect = dialect::of(job);
    let mut connection = Door::new(job)?.connect(false)?;
    let files = connection.run(&dialect.all_files())?;
    let chunks = connection.run(&dialect.all_chunks())?;
    dialect::found(&files, &chunks, job.dims).ok_or_else(|| CallError::new("the tables are not as they were made"))
}
