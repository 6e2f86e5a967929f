//! Results on standard output: a table, or with `--json` one array of objects.

use std::io::Write;

use arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    util::display::{ArrayFormatter, FormatOptions},
};
use comfy_table::Table;
use serde_json::Value;

use crate::failure::Failure;

/// Shows what a statement answered.
pub(crate) fn rows(schema: &SchemaRef, batches: &[RecordBatch], json: bool) -> Result<(), Failure> {
    if json {
        return as_json(batches);
    }
    let mut table = table(schema.fields().iter().map(|field| field.name().as_str()));
    let options = FormatOptions::new().with_null("NULL").with_display_error(true);
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            table.add_row(columns.iter().map(|column| column.value(row).to_string()));
        }
    }
    print(&table.to_string())
}

/// Shows objects that all have the same keys.
pub(crate) fn objects(objects: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return print(&objects.to_string());
    }
    let all: Vec<_> = objects.as_array().into_iter().flatten().filter_map(Value::as_object).collect();
    let mut table = table(all.first().into_iter().flat_map(|object| object.keys()).map(String::as_str));
    for object in all {
        table.add_row(object.values().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    }
    print(&table.to_string())
}

/// Writes a line.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{text}")?;
    Ok(output.flush()?)
}

fn table<'a>(header: impl Iterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_FULL_CONDENSED).force_no_tty().set_header(header);
    table
}

fn as_json(batches: &[RecordBatch]) -> Result<(), Failure> {
    let mut writer = arrow_json::WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, arrow_json::writer::JsonArray>(std::io::stdout().lock());
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()?;
    print("")
}
