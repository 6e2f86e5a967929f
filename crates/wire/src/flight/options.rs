//! Session options: the catalog and schema that names mean, and whatever else the engine calls a setting.

use std::collections::{BTreeMap, HashMap};

use arrow::{array::AsArray, compute::cast, datatypes::DataType};
use dbmux_engine::{
    ErrorCode, StatementRequest,
    quote::{literal, quoted},
};
use futures::StreamExt;
use tonic::Status;

use crate::{
    connection::Caller,
    status::{internal, status},
};

/// The value of an option.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OptionValue {
    #[prost(oneof = "Value", tags = "1, 2, 3, 4, 5")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(sfixed64, tag = "3")]
    Whole(i64),
    #[prost(double, tag = "4")]
    Number(f64),
    #[prost(message, tag = "5")]
    Texts(Texts),
}

#[derive(Clone, PartialEq, prost::Message)]
struct Texts {
    #[prost(string, repeated, tag = "1")]
    values: Vec<String>,
}

/// `SetSessionOptionsRequest`, and `GetSessionOptionsResult`, which looks the same.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Options {
    #[prost(map = "string, message", tag = "1")]
    options: HashMap<String, OptionValue>,
}

/// `SetSessionOptionsResult`: what was refused.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Refused {
    #[prost(map = "string, message", tag = "1")]
    errors: HashMap<String, Refusal>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Refusal {
    #[prost(enumeration = "Reason", tag = "1")]
    value: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
enum Reason {
    Unspecified = 0,
    InvalidName = 1,
    InvalidValue = 2,
    Error = 3,
}

/// `CloseSessionResult`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Closed {
    /// 1: closed.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}

/// Sets options, each by itself.
pub(super) async fn set(caller: &Caller, request: Options) -> Result<Refused, Status> {
    let mut errors = HashMap::new();
    // The catalog comes before the schema in it.
    for (name, value) in request.options.into_iter().collect::<BTreeMap<_, _>>() {
        let outcome = match statement(&name, value.value) {
            Ok(sql) => caller.session.run(StatementRequest { sql, ..StatementRequest::default() }).await.map(drop),
            Err(reason) => {
                errors.insert(name, Refusal { value: reason.into() });
                continue;
            }
        };
        match outcome {
            Ok(()) => {}
            Err(error) if matches!(error.code(), ErrorCode::Sql | ErrorCode::Refused | ErrorCode::InvalidArgument) => {
                tracing::debug!(%error, name, "a session option was refused");
                errors.insert(name, Refusal { value: Reason::InvalidValue.into() });
            }
            Err(error) => return Err(status(error)),
        }
    }
    Ok(Refused { errors })
}

/// The statement that sets an option.
fn statement(name: &str, value: Option<Value>) -> Result<String, Reason> {
    let value = match value {
        None => return reset(name),
        Some(Value::Text(text)) => text,
        Some(Value::Truth(truth)) => truth.to_string(),
        Some(Value::Whole(whole)) => whole.to_string(),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Texts(_)) => return Err(Reason::InvalidValue),
    };
    match name {
        "catalog" | "schema" => Ok(format!("USE {}", quoted(&value))),
        name if is_setting(name) => Ok(format!("SET SESSION {name} = {}", literal(&value))),
        _ => Err(Reason::InvalidName),
    }
}

fn reset(name: &str) -> Result<String, Reason> {
    if is_setting(name) { Ok(format!("RESET SESSION {name}")) } else { Err(Reason::InvalidName) }
}

fn is_setting(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// The options that standard clients ask for.
pub(super) async fn get(caller: &Caller) -> Result<Options, Status> {
    let sql = caller.session.catalog_sql().current.to_owned();
    let mut answer =
        caller.session.run(StatementRequest { sql, ..StatementRequest::default() }).await.map_err(status)?;
    let mut options = HashMap::new();
    while let Some(batch) = answer.batches.next().await {
        let batch = batch.map_err(status)?;
        for (name, column) in ["catalog", "schema"].into_iter().zip(batch.columns()) {
            let column = cast(column, &DataType::Utf8).map_err(|error| internal(error.to_string()))?;
            if let Some(Some(value)) = column.as_string::<i32>().iter().next() {
                options.insert(name.to_owned(), OptionValue { value: Some(Value::Text(value.to_owned())) });
            }
        }
    }
    Ok(Options { options })
}
