//! From a client's batch of one row to SQLite's values.

use arrow::{
    array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, Int64Array, UInt64Array},
    compute::cast,
    datatypes::{DataType, TimeUnit},
    util::display::{ArrayFormatter, FormatOptions},
};
use dbmux_engine::{EngineError, Parameters};
use rusqlite::types::{Value, ValueRef};

use crate::{errors, ffi::Statement};

/// Gives a statement the values of its parameters, by position or by name.
pub(crate) fn bind(statement: &mut Statement, parameters: Option<&Parameters>) -> Result<(), Bind> {
    let wanted = statement.parameter_count();
    let batch = parameters.filter(|batch| batch.num_columns() > 0);
    let Some(batch) = batch else {
        return if wanted == 0 { Ok(()) } else { Err(count(wanted, 0).into()) };
    };
    if batch.num_rows() != 1 {
        return Err(mismatch(format!("parameters are one row; there are {}", batch.num_rows())).into());
    }
    let schema = batch.schema();
    let given: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let places = if is_positional(&given) {
        if given.len() != wanted {
            return Err(count(wanted, given.len()).into());
        }
        (1..=wanted).collect()
    } else {
        by_name(statement, &given)?
    };
    give(statement, places, batch)
}

/// Gives a row's values to the parameters behind the first so many, in order.
pub(crate) fn bind_behind(statement: &mut Statement, before: usize, row: &Parameters) -> Result<(), Bind> {
    give(statement, before + 1.., row)
}

/// Whether they are one row of values that are told apart by their places alone.
pub(crate) fn is_one_row_by_position(parameters: &Parameters) -> bool {
    let schema = parameters.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    parameters.num_rows() == 1 && is_positional(&names)
}

/// Each column's value to the parameter of its place.
fn give(statement: &mut Statement, places: impl IntoIterator<Item = usize>, row: &Parameters) -> Result<(), Bind> {
    for (place, (array, field)) in places.into_iter().zip(row.columns().iter().zip(row.schema_ref().fields())) {
        let value = value(array, field.name())?;
        statement.bind(place, ValueRef::from(&value)).map_err(Bind::Failed)?;
    }
    Ok(())
}

/// Why parameters could not be given.
pub(crate) enum Bind {
    Engine(EngineError),
    Failed(crate::ffi::Failure),
}

impl From<EngineError> for Bind {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// The parameters' names without their signs, or their numbers.
pub(crate) fn names(statement: &Statement) -> Vec<String> {
    let name = |number: usize| statement.parameter_name(number).map(|name| bare(&name).to_owned());
    (1..=statement.parameter_count()).map(|number| name(number).unwrap_or_else(|| number.to_string())).collect()
}

/// Each given name's parameter; every parameter has to have one.
fn by_name(statement: &Statement, given: &[&str]) -> Result<Vec<usize>, EngineError> {
    let names = names(statement);
    let place = |given: &&str| {
        let found = names.iter().position(|name| name == bare(given));
        found
            .map(|index| index + 1)
            .ok_or_else(|| mismatch(format!("the statement has no parameter called \"{given}\"")))
    };
    let places = given.iter().map(place).collect::<Result<Vec<_>, _>>()?;
    match (1..=names.len()).find(|number| !places.contains(number)) {
        Some(number) => {
            let name = names.get(number - 1).map_or("", String::as_str);
            Err(mismatch(format!("the parameter \"{name}\" was not given")))
        }
        None => Ok(places),
    }
}

fn bare(name: &str) -> &str {
    name.trim_start_matches(['$', ':', '@', '?'])
}

/// Columns called `1`, `2`, … or `$1`, … in order, or nothing at all.
fn is_positional(names: &[&str]) -> bool {
    names.iter().enumerate().all(|(index, name)| bare(name).is_empty() || bare(name).parse() == Ok(index + 1))
}

/// What SQLite has for an Arrow value; nothing of it is lost, or it is refused.
fn value(array: &ArrayRef, name: &str) -> Result<Value, EngineError> {
    let kind = array.data_type();
    if array.is_null(0) || *kind == DataType::Null {
        return Ok(Value::Null);
    }
    let failed = |error: arrow::error::ArrowError| mismatch(format!("parameter {name}: {error}"));
    let to = |kind: &DataType| cast(array, kind).map_err(failed);
    Ok(match kind {
        DataType::UInt64 => {
            let value = array.as_any().downcast_ref::<UInt64Array>().map_or(0, |array| array.value(0));
            let fits =
                i64::try_from(value).map_err(|_| unsupported(name, kind, "it is larger than SQLite's integers"))?;
            Value::Integer(fits)
        }
        kind if kind.is_integer() || *kind == DataType::Boolean => {
            let array = to(&DataType::Int64)?;
            Value::Integer(array.as_any().downcast_ref::<Int64Array>().map_or(0, |array| array.value(0)))
        }
        kind if kind.is_floating() => {
            let array = to(&DataType::Float64)?;
            let value = array.as_any().downcast_ref::<Float64Array>().map_or(0.0, |array| array.value(0));
            if value.is_nan() {
                return Err(unsupported(name, kind, "it is no number (NaN), of which SQLite would make NULL"));
            }
            Value::Real(value)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            Value::Text(to(&DataType::LargeUtf8)?.as_string::<i64>().value(0).to_owned())
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            Value::Blob(to(&DataType::LargeBinary)?.as_binary::<i64>().value(0).to_owned())
        }
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) | DataType::Timestamp(..) => {
            Value::Text(time(array).map_err(failed)?)
        }
        DataType::Dictionary(_, values) => return value(&to(values)?, name),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if item.data_type().is_floating() =>
        {
            vector(array, name)?
        }
        kind => {
            return Err(unsupported(name, kind, "SQLite has integers, reals, text and blobs: cast it to one of them"));
        }
    })
}

/// As SQLite's own date and time functions read and write it; a time with a zone is in UTC.
fn time(array: &ArrayRef) -> Result<String, arrow::error::ArrowError> {
    let array = match array.data_type() {
        DataType::Timestamp(unit, Some(_)) => cast(array, &DataType::Timestamp(*unit, Some("+00:00".into())))?,
        DataType::Date64 => cast(array, &DataType::Date32)?,
        _ => array.clone(),
    };
    let zoned = matches!(array.data_type(), DataType::Timestamp(_, Some(_)));
    let array = match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, Some(_)) => cast(&array, &DataType::Timestamp(TimeUnit::Second, None))?,
        DataType::Timestamp(unit, Some(_)) => cast(&array, &DataType::Timestamp(*unit, None))?,
        _ => array,
    };
    let options = FormatOptions::new();
    let text = ArrayFormatter::try_new(array.as_ref(), &options)?.value(0).try_to_string()?;
    let text = text.replacen('T', " ", 1);
    Ok(if zoned { format!("{text}+00:00") } else { text })
}

/// A list of numbers as the vector functions want it: 32-bit floats, one behind the other.
fn vector(array: &ArrayRef, name: &str) -> Result<Value, EngineError> {
    let items = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value(0),
        DataType::LargeList(_) => array.as_list::<i64>().value(0),
        _ => array.as_fixed_size_list().value(0),
    };
    let floats = items.as_any().downcast_ref::<Float32Array>().filter(|floats| floats.null_count() == 0);
    let floats = floats.ok_or_else(|| unsupported(name, array.data_type(), "a vector is a list of 32-bit floats"))?;
    Ok(Value::Blob(floats.values().iter().flat_map(|float| float.to_le_bytes()).collect()))
}

fn unsupported(name: &str, kind: &DataType, why: &str) -> EngineError {
    EngineError::Unsupported { what: format!("the parameter {name} of type {kind}"), why: why.to_owned() }
}

fn count(wanted: usize, given: usize) -> EngineError {
    mismatch(format!("the statement has {wanted} parameters; {given} were given"))
}

fn mismatch(message: String) -> EngineError {
    errors::sql(message, "07001")
}
