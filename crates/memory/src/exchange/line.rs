//! One line of an import, as generous as other programs are.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::{Embedding, MemoryError, Metadata, NewMemory};

#[derive(Deserialize)]
struct Line {
    content: String,
    #[serde(default)]
    tags: Tags,
    #[serde(alias = "type")]
    memory_type: Option<String>,
    metadata: Option<Metadata>,
    created_at: Option<Value>,
    created_at_iso: Option<String>,
    updated_at: Option<Value>,
    updated_at_iso: Option<String>,
    embedding: Option<Vec<f32>>,
    embedding_model: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(untagged)]
enum Tags {
    List(Vec<String>),
    Text(String),
    #[default]
    None,
}

/// Reads the line with this number, from 1; an empty one is none.
pub(super) fn read(text: &str, number: usize) -> Result<Option<NewMemory>, MemoryError> {
    let bad = |why: String| MemoryError::InvalidArgument(format!("line {number}: {why}"));
    if text.trim().is_empty() {
        return Ok(None);
    }
    let line: Line = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    crate::memory::checked_content(&line.content).map_err(|error| bad(error.to_string()))?;
    let created_at = moment(line.created_at_iso, line.created_at).map_err(bad)?;
    let updated_at = moment(line.updated_at_iso, line.updated_at).map_err(bad)?;
    let embedding = line.embedding.zip(line.embedding_model).map(|(vector, model)| Embedding { model, vector });
    Ok(Some(NewMemory {
        content: line.content,
        tags: line.tags.list(),
        memory_type: line.memory_type,
        metadata: line.metadata.unwrap_or_default(),
        created_at,
        updated_at,
        embedding,
    }))
}

impl Tags {
    fn list(self) -> Vec<String> {
        match self {
            Self::List(tags) => tags,
            Self::Text(tags) => tags.split(',').map(str::to_owned).collect(),
            Self::None => Vec::new(),
        }
    }
}

/// The text first: it is exact.
fn moment(iso: Option<String>, other: Option<Value>) -> Result<Option<Timestamp>, String> {
    let given = iso.map(Value::String).or(other);
    match given {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => instant(&text).map(Some).ok_or_else(|| format!("{text:?} is no time")),
        Some(Value::Number(seconds)) => {
            let micros = seconds.as_f64().map(|seconds| (seconds * 1e6).round());
            // A number of this size is a whole one.
            #[expect(clippy::cast_possible_truncation, reason = "the range is that of times, and was just looked at")]
            let micros = micros.filter(|micros| micros.abs() < 2.5e17).map(|micros| micros as i64);
            let moment = micros.and_then(|micros| Timestamp::from_microsecond(micros).ok());
            moment.map(Some).ok_or_else(|| format!("{seconds} is no time"))
        }
        Some(other) => Err(format!("{other} is no time")),
    }
}

/// RFC 3339; without a zone it is UTC, as other programs mean it.
fn instant(text: &str) -> Option<Timestamp> {
    let local = |text: &str| text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    text.parse().ok().or_else(|| local(text).map(|zoned| zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_programs_are_read() {
        let line = r#"{"content": "x", "tags": "a, b", "type": "note", "created_at": 1.5, "unknown": [1]}"#;
        let memory = read(line, 1).unwrap().unwrap();
        assert_eq!((memory.tags.len(), memory.memory_type.as_deref()), (2, Some("note")));
        assert_eq!(memory.created_at.unwrap().as_microsecond(), 1_500_000);
        let line = r#"{"content": "x", "tags": null, "created_at": 1, "created_at_iso": "2025-01-02T03:04:05.000006Z",
                       "updated_at": "2025-01-02T03:04:05", "metadata": null}"#;
        let memory = read(line, 1).unwrap().unwrap();
        assert_eq!(memory.created_at.unwrap().to_string(), "2025-01-02T03:04:05.000006Z");
        assert_eq!(memory.updated_at.unwrap().to_string(), "2025-01-02T03:04:05Z");
        assert_eq!(read("  ", 1).unwrap(), None);
    }

    #[test]
    fn what_is_no_memory_is_named_by_its_line() {
        for line in [
            "{}",
            "x",
            r#"{"content": ""}"#,
            r#"{"content": "x", "created_at": "soon"}"#,
            r#"{"content": "x", "created_at": 1e300}"#,
        ] {
            let error = read(line, 7).unwrap_err();
            assert!(error.to_string().starts_with("line 7: "), "{error}");
        }
    }
}
