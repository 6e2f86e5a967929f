//! A worker that writes: embeds rows of the seed anew, and inserts chunks of new files, by turns.

use std::collections::HashMap;

use arrow::array::ArrayRef;

use super::{Timed, timed::Called};
use crate::command::probe::{
    dialect::{self, Dialect, NewChunk, Operation},
    embed::{self, Numbers, POOL},
    job::{CHUNKS_OF_A_FILE, Embedded, Inserted, Job, Report},
};

pub(super) struct Writer {
    dialect: Box<dyn Dialect>,
    number: i64,
    rows: u64,
    /// Texts with their embeddings, made before it begins.
    pool: Vec<(String, ArrayRef)>,
    order: Numbers,
    /// Of the next row.
    version: i64,
    next_chunk: i64,
    next_file: i64,
    /// The file that new chunks are of.
    file: i64,
    embedded: HashMap<i64, Embedded>,
    report: Report,
}

impl Writer {
    pub(super) fn new(job: &Job) -> Result<Self, String> {
        let number = i64::from(job.number);
        let pool = (0..POOL).map(|turn| {
            let text = embed::text(number, turn);
            let embedding = dialect::column(embed::embed(&text, job.dims))?;
            Ok((text, embedding))
        });
        Ok(Self {
            dialect: dialect::of(job),
            number,
            rows: u64::from(job.rows),
            pool: pool.collect::<Result<_, String>>()?,
            order: Numbers::new(u64::from(job.number) + 1),
            version: 0,
            next_chunk: job.first_id(),
            next_file: job.first_id(),
            file: 0,
            embedded: HashMap::with_capacity(job.rows as usize),
            report: Report { inserted: Vec::with_capacity(1 << 15), ..Report::default() },
        })
    }

    pub(super) fn work(&mut self, timed: &mut Timed) -> Report {
        timed.begin();
        for turn in 0_i64.. {
            if !timed.goes_on() {
                break;
            }
            match turn % (2 * CHUNKS_OF_A_FILE) {
                0 => self.insert_file(timed),
                even if even % 2 == 0 => self.insert_chunk(timed),
                _ => self.embed(timed),
            }
        }
        let done = std::mem::take(&mut self.report);
        let embedded = self.embedded.drain().map(|(_, last)| last).collect();
        let Report { inserted, files, doubtful, .. } = done;
        Report { inserted, files, doubtful, embedded, ..timed.report() }
    }

    fn insert_file(&mut self, timed: &mut Timed) {
        let id = self.next_file;
        self.next_file += 1;
        let called = write(timed, &self.dialect.insert_file(id));
        match called.outcome {
            Ok(()) => {
                self.file = id;
                self.report.files.push(id);
            }
            Err(error) if error.in_doubt => self.report.doubtful.files.push(id),
            Err(_) => {}
        }
    }

    fn insert_chunk(&mut self, timed: &mut Timed) {
        let (id, version) = (self.next_chunk, self.version);
        self.next_chunk += 1;
        self.version += 1;
        let Some((text, embedding)) = self.of_turn(version) else { return };
        let new = NewChunk { id, file: self.file, text, writer: self.number, version, embedding };
        let Called { outcome, began, ended } = write(timed, &self.dialect.insert_chunk(&new));
        match outcome {
            Ok(()) => self.report.inserted.push(Inserted { id, began, ended }),
            Err(error) if error.in_doubt => self.report.doubtful.chunks.push(id),
            Err(_) => {}
        }
    }

    fn embed(&mut self, timed: &mut Timed) {
        let id = self.order.below(self.rows).cast_signed();
        let version = self.version;
        self.version += 1;
        let Some((_, embedding)) = self.of_turn(version) else { return };
        let called = write(timed, &self.dialect.embed(id, self.number, version, &embedding));
        match called.outcome {
            Ok(()) => {
                let (began, ended) = (called.began, called.ended);
                self.embedded.insert(id, Embedded { id, version, began, ended });
            }
            Err(error) if error.in_doubt => self.report.doubtful.embedded.push((id, version)),
            Err(_) => {}
        }
    }

    fn of_turn(&self, version: i64) -> Option<(String, ArrayRef)> {
        self.pool.get(usize::try_from(version % POOL).ok()?).cloned()
    }
}

fn write(timed: &mut Timed, operation: &Operation) -> Called<()> {
    timed.call(operation, |answer| answer.map(drop))
}
