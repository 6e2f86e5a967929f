//! Arguments that several tools take.

use std::time::Duration;

use dbmux_client::{Statement, Value};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use crate::failure::Failure;

/// Longer than anybody waits, in seconds.
const LONGEST: f64 = 86_400.0;

/// How long to wait for others; `None`: as the server was started.
pub(super) fn wait(seconds: Option<f64>) -> Result<Option<Duration>, Failure> {
    let Some(seconds) = seconds else { return Ok(None) };
    match Duration::try_from_secs_f64(seconds) {
        Ok(wait) if seconds <= LONGEST => Ok(Some(wait)),
        _ => Err(Failure::usage(format!("\"wait\" is seconds, from 0 to {LONGEST}, not {seconds}"), "")),
    }
}

/// The same for a statement.
pub(super) fn waiting(statement: Statement, seconds: Option<f64>) -> Result<Statement, Failure> {
    Ok(match wait(seconds)? {
        Some(wait) => statement.wait(wait),
        None => statement,
    })
}

/// An argument that may be left out may be `null` as well.
pub(super) fn given<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Gives a statement its values.
pub(super) fn bound(statement: Statement, values: Vec<Json>) -> Result<Statement, Failure> {
    values.into_iter().try_fold(statement, |statement, value| Ok(statement.bind(bindable(value)?)))
}

fn bindable(value: Json) -> Result<Value, Failure> {
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Boolean(value),
        Json::String(text) => Value::Text(text),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => Value::Integer(integer),
            // More digits than a double has stay text: the engine reads it exactly.
            (None, Some(real)) if !number.is_u64() => Value::Real(real),
            _ => Value::Text(number.to_string()),
        },
        Json::Array(_) | Json::Object(_) => {
            let hint = "give it as text, and let SQL take it apart: json_extract(?, '$.a')";
            return Err(Failure::usage("a list or an object cannot be a parameter", hint));
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_keep_every_digit() {
        for (json, value) in [
            (json!(null), Value::Null),
            (json!(true), Value::Boolean(true)),
            (json!(-7), Value::Integer(-7)),
            (json!(0.5), Value::Real(0.5)),
            (json!(u64::MAX), Value::Text("18446744073709551615".to_owned())),
            (json!("a"), Value::Text("a".to_owned())),
        ] {
            assert_eq!(bindable(json).unwrap(), value);
        }
        assert!(bindable(json!([1])).is_err());
    }

    #[test]
    fn a_wait_is_seconds() {
        for good in [None, Some(0.0), Some(1.5), Some(LONGEST)] {
            assert!(waiting(Statement::new("SELECT 1"), good).is_ok(), "{good:?}");
        }
        for bad in [-1.0, f64::NAN, f64::INFINITY, LONGEST * 2.0] {
            assert!(waiting(Statement::new("SELECT 1"), Some(bad)).is_err(), "{bad}");
        }
    }
}
