//! Schemas as every client takes them. Some map them to a dialect in which a type is one word, and every schema an object.

use std::sync::Arc;

use rmcp::{
    handler::server::common::{schema_for_input, schema_for_output},
    model::JsonObject,
};
use schemars::JsonSchema;
use serde_json::{Value, json};

/// What a tool takes. What may be left out is not said to be `null`: it is taken all the same.
pub(crate) fn input<A: JsonSchema + 'static>() -> Arc<JsonObject> {
    // Every argument type is an object: there is always a schema.
    portable(&schema_for_input::<A>().unwrap_or_default(), |kind, _| kind)
}

/// What a tool answers. What is not known is `null`.
pub(crate) fn output<R: JsonSchema + 'static>() -> Arc<JsonObject> {
    portable(&schema_for_output::<R>(), |kind, none| json!({ "anyOf": [kind, none] }))
}

fn portable(schema: &JsonObject, optional: fn(Value, Value) -> Value) -> Arc<JsonObject> {
    let mut schema = Value::from(schema.clone());
    walk(&mut schema, optional);
    match schema {
        Value::Object(schema) => Arc::new(schema),
        _ => Arc::default(),
    }
}

fn walk(schema: &mut Value, optional: fn(Value, Value) -> Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for (name, part) in object.iter_mut() {
        match (name.as_str(), &mut *part) {
            ("properties" | "$defs", Value::Object(parts)) => parts.values_mut().for_each(|part| walk(part, optional)),
            ("items", Value::Bool(true)) => *part = json!({ "description": "Any value." }),
            ("items", part) => walk(part, optional),
            ("anyOf" | "oneOf" | "allOf", Value::Array(parts)) => {
                parts.iter_mut().for_each(|part| walk(part, optional))
            }
            _ => {}
        }
    }
    // How wide a number is here (`uint64`) is no format that clients know.
    if object
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| format.starts_with("uint") || format.starts_with("int"))
    {
        object.remove("format");
    }
    let kinds = object.get("type").and_then(Value::as_array).cloned().unwrap_or_default();
    let [kind, Value::String(null)] = kinds.as_slice() else { return };
    if null != "null" {
        return;
    }
    object.insert("type".to_owned(), kind.clone());
    let description = object.remove("description");
    *schema = optional(schema.take(), json!({ "type": "null" }));
    if let (Some(description), Some(object)) = (description, schema.as_object_mut()) {
        object.insert("description".to_owned(), description);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Example {
        /// A text.
        text: Option<String>,
        values: Vec<Value>,
        parts: Vec<Part>,
    }

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is asked for")]
    struct Part {
        number: Option<u64>,
    }

    #[test]
    fn a_type_is_one_word_and_a_schema_an_object() {
        let input = Value::from(input::<Example>().as_ref().clone());
        assert_eq!(input["properties"]["text"], json!({ "type": "string", "description": "A text." }));
        assert_eq!(input["properties"]["values"]["items"], json!({ "description": "Any value." }));
        let number = &input["$defs"]["Part"]["properties"]["number"];
        assert_eq!((&number["type"], &number["format"]), (&json!("integer"), &Value::Null));
        let output = Value::from(output::<Example>().as_ref().clone());
        let text = json!({ "anyOf": [{ "type": "string" }, { "type": "null" }], "description": "A text." });
        assert_eq!(output["properties"]["text"], text);
    }
}
