//! Makes the tables, and the rows that are there when it begins: directly, for both modes begin with copies of the same.

use crate::command::probe::{
    connection::{CallError, Connection},
    dialect::{self, NewChunk, Operation},
    direct::Direct,
    embed,
    job::{CHUNKS_OF_A_FILE, Job},
};

/// Rows that are inserted at once.
const AT_ONCE: usize = 500;

pub(super) fn run(job: &Job) -> Result<(), CallError> {
    let dialect = dialect::of(job);
    let mut session = Direct::new(job)?.open(true)?;
    for table in dialect.tables() {
        session.run(&table)?;
    }
    let files: Vec<Operation> = (0..job.files()).map(|id| dialect.insert_file(id)).collect();
    for some in files.chunks(AT_ONCE) {
        session.insert_all(some)?;
    }
    let rows: Vec<i64> = (0..i64::from(job.rows)).collect();
    for ids in rows.chunks(AT_ONCE) {
        let some = ids.iter().map(|id| Ok(dialect.insert_chunk(&chunk(*id, job.dims)?)));
        session.insert_all(&some.collect::<Result<Vec<_>, CallError>>()?)?;
    }
    session.close()
}

fn chunk(id: i64, dims: u16) -> Result<NewChunk, CallError> {
    let text = embed::seed_text(id);
    let embedding = dialect::column(embed::embed(&text, dims)).map_err(CallError::new)?;
    Ok(NewChunk { id, file: id / CHUNKS_OF_A_FILE, text, writer: -1, version: 0, embedding })
}
