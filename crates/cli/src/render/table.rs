//! Tables for people: as wide as the terminal, and no longer than one wants to scroll.

use std::io::Write;

use arrow::{
    array::{Array, RecordBatch},
    datatypes::SchemaRef,
    util::display::{ArrayFormatter, FormatOptions},
};
use comfy_table::{Cell, CellAlignment};
use dbmux_report::rows::plain::{self, Nested};
pub(crate) use dbmux_report::table::frame;

use super::{person, sink::Sink};
use crate::failure::Failure;

/// Rows that are laid out together: columns are as wide as these need, and no more has to be kept.
const PAGE: usize = 10_000;
/// Bytes of text that are laid out together, however few rows they are.
const PAGE_BYTES: usize = 4 << 20;

/// Characters of one value that are shown on a terminal.
const VALUE: usize = 200;

/// How large a table may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Rows; the rest is counted, not shown. `None`: all.
    pub(crate) rows: Option<usize>,
    /// Columns of the terminal. `None`: as wide as it gets.
    pub(crate) width: Option<usize>,
}

/// Writes an answer as a table.
pub(crate) struct TableSink<W: Write> {
    output: W,
    limits: Limits,
    header: Vec<(String, bool)>,
    page: Vec<Vec<String>>,
    /// Of the page's values.
    bytes: usize,
    shown: usize,
    rows: u64,
}

impl<W: Write> TableSink<W> {
    pub(crate) fn new(output: W, limits: Limits) -> Self {
        Self { output, limits, header: Vec::new(), page: Vec::new(), bytes: 0, shown: 0, rows: 0 }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let mut table = frame(self.limits.width);
        self.bytes = 0;
        table.set_header(self.header.iter().map(|(name, _)| Cell::new(name)));
        for row in std::mem::take(&mut self.page) {
            table.add_row(row.into_iter().zip(&self.header).map(|(value, (_, number))| {
                let alignment = if *number { CellAlignment::Right } else { CellAlignment::Left };
                Cell::new(value).set_alignment(alignment)
            }));
        }
        for line in table.lines() {
            writeln!(self.output, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for TableSink<W> {
    fn begin(&mut self, schema: &SchemaRef) -> Result<(), Failure> {
        let empty = plain::batch(&RecordBatch::new_empty(SchemaRef::clone(schema)), Nested::AsText)?;
        let columns = empty.schema();
        self.header = columns
            .fields()
            .iter()
            .map(|field| (escaped(field.name(), usize::MAX), field.data_type().is_numeric()))
            .collect();
        Ok(())
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Failure> {
        self.rows += batch.num_rows() as u64;
        let left = self.limits.rows.map_or(usize::MAX, |most| most.saturating_sub(self.shown));
        let batch = plain::batch(&batch.slice(0, batch.num_rows().min(left)), Nested::AsText)?;
        let longest = if self.limits.width.is_some() { VALUE } else { usize::MAX };
        values(&batch, longest, |row| {
            self.bytes += row.iter().map(String::len).sum::<usize>();
            self.page.push(row);
            self.shown += 1;
            if self.page.len() == PAGE || self.bytes >= PAGE_BYTES { self.flush() } else { Ok(()) }
        })
    }

    fn end(&mut self) -> Result<(), Failure> {
        if !self.page.is_empty() || self.rows == 0 {
            self.flush()?;
        }
        if (self.shown as u64) < self.rows {
            writeln!(
                self.output,
                "{} of {}; --max-rows 0 shows all",
                person::count(self.shown as u64),
                person::rows(self.rows)
            )?;
        } else if self.limits.rows.is_some() {
            writeln!(self.output, "{}", person::rows(self.rows))?;
        }
        Ok(self.output.flush()?)
    }
}

/// Gives each row's values as text, one row after the other.
fn values(
    batch: &RecordBatch,
    longest: usize,
    mut take: impl FnMut(Vec<String>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let options = FormatOptions::new()
        .with_null("NULL")
        .with_display_error(true)
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f%:z"));
    let formatters =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref() as &dyn Array, &options));
    let formatters = formatters.collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        take(formatters.iter().map(|column| escaped(&column.value(row).to_string(), longest)).collect())?;
    }
    Ok(())
}

/// Control characters are shown, not obeyed: data must not steer the reader's terminal.
fn escaped(text: &str, longest: usize) -> String {
    let mut shown = String::with_capacity(text.len());
    for (count, c) in text.chars().enumerate() {
        if count == longest {
            shown.push('…');
            break;
        }
        match c {
            '\n' => shown.push_str("\\n"),
            '\t' => shown.push_str("\\t"),
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use arrow::{
        array::StringArray,
        datatypes::{DataType, Field, Schema},
    };

    use super::*;

    struct Counted(Arc<AtomicUsize>);

    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.fetch_add(bytes.len(), Ordering::Relaxed);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_large_answer_is_written_while_it_comes() {
        let written = Arc::new(AtomicUsize::new(0));
        let mut sink = TableSink::new(Counted(Arc::clone(&written)), Limits { rows: None, width: None });
        let schema = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, false)]));
        let text = "x".repeat(100_000);
        let column = StringArray::from_iter_values(std::iter::repeat_n(&text, 10));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(column)]).unwrap();
        sink.begin(&schema).unwrap();
        for given in 1..=20 {
            sink.batch(&batch).unwrap();
            let kept = (given * 1_000_000_usize).saturating_sub(written.load(Ordering::Relaxed));
            assert!(kept < PAGE_BYTES + text.len(), "{kept} bytes are kept");
            assert!(sink.page.len() * text.len() < PAGE_BYTES + text.len());
        }
        sink.end().unwrap();
        assert!(written.load(Ordering::Relaxed) >= 20_000_000);
    }
}
