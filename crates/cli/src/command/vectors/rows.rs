//! Rows for an operation, from a file: Arrow's, JSON, or comma-separated values.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek},
    path::Path,
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, FixedSizeListArray, RecordBatch},
    compute::{cast, concat_batches},
    datatypes::{DataType, Field, Schema},
    error::ArrowError,
    ipc::reader::{FileReader, StreamReader},
};
use serde_json::Value;

use crate::failure::Failure;

/// What begins a file of Arrow's that is no stream.
const ARROW_FILE: &[u8] = b"ARROW1";
/// Lines of a CSV file whose values tell the columns' types.
const LOOKED_AT: usize = 10_000;

/// All rows of a file.
pub(super) fn read(path: &Path) -> Result<RecordBatch, Failure> {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    let read = match extension.as_deref().and_then(|extension| extension.to_str()) {
        _ if path.as_os_str() == "-" => json(io::stdin().lock()),
        Some("json" | "jsonl" | "ndjson") => File::open(path).map_err(Into::into).and_then(json),
        Some("csv") => csv(path),
        Some("arrow" | "arrows" | "ipc" | "feather") => ipc(path),
        _ => {
            let text = format!("{} is none of .json, .jsonl, .csv, .arrow: rows are read from these", path.display());
            return Err(Failure::usage(text));
        }
    };
    read.and_then(|rows| vectors(&rows)).map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

fn ipc(path: &Path) -> Result<RecordBatch, ArrowError> {
    let mut file = BufReader::new(File::open(path)?);
    let mut start = [0; ARROW_FILE.len()];
    let whole = file.read_exact(&mut start).is_ok() && start == ARROW_FILE;
    file.rewind()?;
    if whole {
        let reader = FileReader::try_new(file, None)?;
        gather(&reader.schema(), reader)
    } else {
        let reader = StreamReader::try_new(file, None)?;
        gather(&reader.schema(), reader)
    }
}

fn csv(path: &Path) -> Result<RecordBatch, ArrowError> {
    let mut file = File::open(path)?;
    let format = arrow_csv::reader::Format::default().with_header(true);
    let (schema, _) = format.infer_schema(BufReader::new(&file), Some(LOOKED_AT))?;
    file.rewind()?;
    let schema = Arc::new(schema);
    gather(&schema, arrow_csv::ReaderBuilder::new(Arc::clone(&schema)).with_header(true).build(BufReader::new(file))?)
}

/// One object after the other, or arrays of them.
fn json(source: impl Read) -> Result<RecordBatch, ArrowError> {
    let mut rows = Vec::new();
    for value in serde_json::Deserializer::from_reader(BufReader::new(source)).into_iter() {
        match value.map_err(|error| ArrowError::JsonError(error.to_string()))? {
            Value::Array(values) => rows.extend(values),
            value => rows.push(value),
        }
    }
    if rows.is_empty() {
        return Err(ArrowError::JsonError("there are no rows in it".to_owned()));
    }
    let schema = Arc::new(arrow_json::reader::infer_json_schema_from_iterator(rows.iter().map(Ok))?);
    let mut decoder =
        arrow_json::ReaderBuilder::new(Arc::clone(&schema)).with_batch_size(rows.len()).build_decoder()?;
    decoder.serialize(&rows)?;
    decoder.flush()?.ok_or_else(|| ArrowError::JsonError("there are no rows in it".to_owned()))
}

fn gather(
    schema: &Arc<Schema>,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
) -> Result<RecordBatch, ArrowError> {
    concat_batches(schema, &batches.collect::<Result<Vec<_>, _>>()?)
}

/// Makes vectors of what is meant as such: a text file knows lists only.
fn vectors(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        match vector(field, column)? {
            Some(vector) => {
                fields.push(Arc::new(field.as_ref().clone().with_data_type(vector.data_type().clone())));
                columns.push(vector);
            }
            None => {
                fields.push(Arc::clone(field));
                columns.push(Arc::clone(column));
            }
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// By its name, and by its values: all are of one length. The rule is LanceDB's own, for Python.
fn vector(field: &Field, column: &ArrayRef) -> Result<Option<ArrayRef>, ArrowError> {
    let name = field.name().to_ascii_lowercase();
    let Some(lists) = column.as_list_opt::<i32>().filter(|_| name.contains("vec") || name.contains("embedding")) else {
        return Ok(None);
    };
    let mut lengths = (0..lists.len()).filter(|row| lists.is_valid(*row)).map(|row| lists.value_length(row));
    let Some(length) = lengths.next().filter(|length| *length > 0 && lists.value_type().is_numeric()) else {
        return Ok(None);
    };
    if lengths.any(|other| other != length) {
        return Ok(None);
    }
    let item = Arc::new(Field::new("item", DataType::Float32, true));
    let vector = cast(column, &DataType::FixedSizeList(item, length))?;
    debug_assert!(vector.as_any().is::<FixedSizeListArray>());
    Ok(Some(vector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_each_kind_of_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path
        };
        let lines =
            read(&at("a.jsonl", "{\"id\": 1, \"vector\": [1, 2.5]}\n{\"id\": 2, \"vector\": [3, 4]}\n")).expect("rows");
        assert_eq!(lines.num_rows(), 2);
        assert!(matches!(
            lines.schema().field_with_name("vector").expect("it").data_type(),
            DataType::FixedSizeList(_, 2)
        ));
        let array = read(&at("b.json", "[{\"id\": 1, \"tags\": [1, 2]}]")).expect("rows");
        assert!(matches!(array.schema().field_with_name("tags").expect("it").data_type(), DataType::List(_)));
        let csv = read(&at("c.csv", "id,text\n1,a\n2,b\n3,c\n")).expect("rows");
        assert_eq!((csv.num_rows(), csv.schema().field(0).data_type().clone()), (3, DataType::Int64));
        let mut bytes = Vec::new();
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(&mut bytes, &csv.schema()).expect("a writer");
        writer.write(&csv).and_then(|()| writer.finish()).expect("it is written");
        let path = folder.path().join("d.arrow");
        std::fs::write(&path, bytes).expect("a file");
        assert_eq!(read(&path).expect("rows"), csv);
        for (name, text) in [("e.json", "[]"), ("f.json", "{"), ("g.txt", "x"), ("h.arrow", "x")] {
            assert!(read(&at(name, text)).is_err(), "{name}");
        }
    }
}
