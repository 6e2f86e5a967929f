//! Values for a statement's parameters, from the command line.

use dbmux_client::{Statement, Value};

use crate::failure::Failure;

/// A value, and its name where it has one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::command) struct Parameter {
    name: Option<String>,
    value: Value,
}

/// Reads `VALUE` and `NAME=VALUE`. All have names, or none has.
pub(super) fn parse(texts: &[String]) -> Result<Vec<Parameter>, Failure> {
    let parameters: Vec<_> = texts.iter().map(|text| parameter(text)).collect();
    let named = parameters.iter().filter(|parameter| parameter.name.is_some()).count();
    if named != 0 && named != parameters.len() {
        return Err(Failure::usage(
            "--param takes either names for all values or for none; write '…' around text with a `=`",
        ));
    }
    Ok(parameters)
}

/// Gives a statement its values.
pub(super) fn bind(statement: Statement, parameters: &[Parameter]) -> Statement {
    parameters.iter().fold(statement, |statement, parameter| match &parameter.name {
        Some(name) => statement.bind_named(name.clone(), parameter.value.clone()),
        None => statement.bind(parameter.value.clone()),
    })
}

fn parameter(text: &str) -> Parameter {
    let named = text.split_once('=').filter(|(name, _)| is_name(name));
    match named {
        Some((name, rest)) => Parameter { name: Some(name.to_owned()), value: value(rest) },
        None => Parameter { name: None, value: value(text) },
    }
}

fn is_name(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    starts && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

fn value(text: &str) -> Value {
    if let Some(quoted) = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
        return Value::Text(quoted.replace("''", "'"));
    }
    match text.to_ascii_lowercase().as_str() {
        "null" => return Value::Null,
        "true" => return Value::Boolean(true),
        "false" => return Value::Boolean(false),
        _ => {}
    }
    if is_plain_number(text) {
        if let Ok(integer) = text.parse() {
            return Value::Integer(integer);
        }
        // An integer of more digits, or a decimal that a double would change, stays text: the engine reads it exactly.
        if let Ok(real) = text.parse::<f64>()
            && real.to_string() == text
        {
            return Value::Real(real);
        }
    }
    Value::Text(text.to_owned())
}

/// `-1.5`, `7`: not `007`, `+1`, `1_000`, `inf`, which are somebody's text.
fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    !leading_zero
        && digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.bytes().all(|c| c.is_ascii_digit() || c == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_they_look_like() {
        for (text, expected) in [
            ("7", Value::Integer(7)),
            ("-7", Value::Integer(-7)),
            ("2.5", Value::Real(2.5)),
            ("true", Value::Boolean(true)),
            ("NULL", Value::Null),
            ("007", Value::Text("007".into())),
            ("'7'", Value::Text("7".into())),
            ("'it''s a=b'", Value::Text("it's a=b".into())),
            ("170141183460469231731687303715884105727", Value::Text("170141183460469231731687303715884105727".into())),
            ("0.1000000000000000055", Value::Text("0.1000000000000000055".into())),
            ("inf", Value::Text("inf".into())),
            ("", Value::Text(String::new())),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn names_stand_before_the_first_equals_sign() {
        assert_eq!(parameter("id=7"), Parameter { name: Some("id".into()), value: Value::Integer(7) });
        assert_eq!(parameter("q=a=b"), Parameter { name: Some("q".into()), value: Value::Text("a=b".into()) });
        assert_eq!(parameter("1=1").name, None);
        assert!(parse(&["a=1".into(), "2".into()]).is_err());
    }
}
