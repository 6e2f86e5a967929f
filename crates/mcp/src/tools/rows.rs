//! Rows as a tool tells them: so many, of values that are no longer than a model wants to read.

use std::sync::Arc;

use arrow::array::RecordBatch;
use dbmux_client::Answer;
use dbmux_report::{person, rows::values};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{
    cursors::{Cursors, Found, cursor},
    failure::Failure,
    statement::Waited,
};

/// Rows of one page, where the caller does not say.
pub(super) const ROWS: usize = 100;
/// Rows of one page, at most.
pub(super) const MOST_ROWS: usize = 10_000;
/// Bytes of one page's text, about.
const PAGE_BYTES: usize = 256 << 10;
/// Characters of one text.
const TEXT: usize = 16_384;
/// Values of one list.
const VALUES: usize = 2048;
/// Rows that are read of an answer: what is beyond the first page is kept for its cursor.
const READ_ROWS: usize = 20_000;
/// Bytes of them.
const READ_BYTES: usize = 32 << 20;

/// Rows, and how to get at the others.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Rows {
    /// The database that answered.
    database: String,
    columns: Vec<Column>,
    /// The rows' values, in the columns' order.
    rows: Vec<Vec<Value>>,
    /// Rows that are told here.
    row_count: usize,
    /// Call the same tool with it for the rows behind these; absent at the end.
    next_cursor: Option<String>,
    /// There are more rows than were read, and than the cursors lead to: narrow the query, or export it.
    truncated: bool,
    /// Set where a snapshot answered, because somebody else has the file: the time as of which the rows are true.
    as_of: Option<String>,
    /// Set where somebody was waited for.
    waited: Option<Waited>,
}

/// A column.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Column {
    name: String,
    /// The Arrow type of its values.
    r#type: String,
    nullable: bool,
}

/// Reads an answer as far as it is ever told.
pub(super) async fn read(database: &str, mut answer: Answer) -> Result<Found, Failure> {
    let mut reading = Reading::new(&answer);
    while let Some(batch) = answer.next().await? {
        reading.take(&batch);
        if reading.cut {
            break;
        }
    }
    Ok(reading.found(database, &answer))
}

/// The same of a statement that writes: it is cancelled by who does not read it to its end. Tells how many rows there are.
pub(super) async fn read_to_end(database: &str, mut answer: Answer) -> Result<(Found, u64), Failure> {
    let (mut reading, mut all) = (Reading::new(&answer), 0);
    while let Some(batch) = answer.next().await? {
        all += batch.num_rows() as u64;
        reading.take(&batch);
    }
    Ok((reading.found(database, &answer), all))
}

/// What of an answer is kept.
struct Reading {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
    /// There was more.
    cut: bool,
}

impl Reading {
    fn new(answer: &Answer) -> Self {
        Self { batches: vec![RecordBatch::new_empty(answer.schema())], rows: 0, bytes: 0, cut: false }
    }

    fn take(&mut self, batch: &RecordBatch) {
        let left = if self.bytes < READ_BYTES && !self.cut { READ_ROWS - self.rows } else { 0 };
        let taken = batch.slice(0, batch.num_rows().min(left));
        self.cut |= taken.num_rows() < batch.num_rows();
        if taken.num_rows() > 0 {
            self.rows += taken.num_rows();
            self.bytes += taken.get_array_memory_size();
            self.batches.push(taken);
        }
    }

    fn found(self, database: &str, answer: &Answer) -> Found {
        let as_of = answer.as_of().map(str::to_owned);
        Found { database: database.to_owned(), batches: self.batches, as_of, cut: self.cut }
    }
}

/// One page of what was found, and a cursor to the next one. `number`: of what is kept already.
pub(super) fn page(
    cursors: &Cursors,
    found: &Arc<Found>,
    (from, most): (usize, usize),
    number: Option<u64>,
    waited: Option<Waited>,
) -> Result<Rows, Failure> {
    let (mut rows, mut bytes) = (Vec::new(), 0);
    'full: for batch in found.page(from, most) {
        for mut row in values::rows(&batch)? {
            row.iter_mut().for_each(shorten);
            bytes += row.iter().map(|value| value.to_string().len() + 1).sum::<usize>();
            if bytes > PAGE_BYTES && !rows.is_empty() {
                break 'full;
            }
            rows.push(row);
        }
    }
    let next = from + rows.len();
    let next_cursor = (next < found.rows()).then(|| match number {
        Some(number) => cursor(number, next),
        None => cursors.keep(Arc::clone(found), next),
    });
    Ok(Rows {
        database: found.database.clone(),
        columns: columns(found),
        row_count: rows.len(),
        rows,
        truncated: found.cut,
        next_cursor,
        as_of: found.as_of.clone(),
        waited,
    })
}

fn columns(found: &Found) -> Vec<Column> {
    let schema = found.batches.first().map(RecordBatch::schema);
    let fields = schema.iter().flat_map(|schema| schema.fields().iter());
    let column = |field: &arrow::datatypes::FieldRef| Column {
        name: field.name().clone(),
        r#type: field.data_type().to_string(),
        nullable: field.is_nullable(),
    };
    fields.map(column).collect()
}

/// A text that nobody reads to its end is cut, and says so.
fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.len() > TEXT => {
            let left = text.chars().count();
            if left > TEXT {
                let cut: String = text.chars().take(TEXT).collect();
                *text = format!("{cut}… (cut: {} characters in all)", person::count(left as u64));
            }
        }
        Value::Array(values) => {
            let all = values.len();
            values.truncate(VALUES);
            values.iter_mut().for_each(shorten);
            if all > VALUES {
                values.push(Value::from(format!("… (cut: {} values in all)", person::count(all as u64))));
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(shorten),
        _ => {}
    }
}

impl Rows {
    /// A line a row, each a JSON array, below one with the columns' names.
    pub(super) fn text(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let mut text = format!("{}\n", Value::from(names));
        for row in &self.rows {
            text.push_str(&format!("{}\n", Value::from(row.as_slice())));
        }
        text.push_str(&format!("({}", person::rows(self.row_count as u64)));
        if let Some(cursor) = &self.next_cursor {
            text.push_str(&format!("; more with cursor \"{cursor}\""));
        }
        if self.truncated {
            text.push_str("; there are more, which were not read");
        }
        if let Some(as_of) = &self.as_of {
            text.push_str(&format!("; from a snapshot as of {as_of}"));
        }
        text.push_str(")\n");
        text
    }
}

impl Rows {
    /// The first value, of what counts.
    pub(super) fn first_integer(&self) -> Option<i64> {
        self.rows.first()?.first()?.as_i64()
    }
}
