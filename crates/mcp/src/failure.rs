//! Why a tool failed: a code, who was in the way, and what to do. It is the tool's answer, never an error of the protocol.

use std::{borrow::Cow, io, path::PathBuf, time::Duration};

use dbmux_client::{ClientError, Holder};
use dbmux_dbt::DbtError;
use dbmux_memory::MemoryError;
use dbmux_report::{ReportError, code_name, parts, person};
use rmcp::{
    ErrorData,
    model::{CallToolResult, ContentBlock, MetaObject},
};
use serde_json::{Value, json};

/// Where a failure stands in an answer's `_meta`, as an object.
const META: &str = "dbmux/failure";

/// A failed tool.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Cow<'static, str>,
    message: String,
    hint: String,
    /// Trying again later may help: nothing has happened.
    temporary: bool,
    /// Where it is about a database, or dbt: who was in the way.
    about: Option<Box<About>>,
}

/// What is known of a failure about a file.
#[derive(Debug, Default)]
struct About {
    database: Option<PathBuf>,
    holder: Option<Holder>,
    waited: Option<Duration>,
    ahead: usize,
    sqlstate: Option<String>,
}

impl Failure {
    /// The arguments make no sense.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: "INVALID_ARGUMENT".into(),
            message: message.into(),
            hint: hint.into(),
            temporary: false,
            about: None,
        }
    }

    /// The system refused something.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self {
            code: "SYSTEM".into(),
            message: format!("{what}: {error}"),
            hint: String::new(),
            temporary: false,
            about: None,
        }
    }

    /// dbt itself refused, in its own last words.
    pub(crate) fn dbt(log: &str) -> Self {
        const LINES: usize = 40;
        let lines: Vec<_> = log.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        let last = lines.iter().skip(lines.len().saturating_sub(LINES)).copied().collect::<Vec<_>>().join("\n");
        let message = if last.is_empty() { "dbt failed without a word".to_owned() } else { last };
        let hint = "mend what dbt says; get_project_info tells whether the project can be parsed".to_owned();
        Self { code: "DBT".into(), message, hint, temporary: false, about: None }
    }

    /// The same, which a later call may not meet.
    pub(crate) fn for_the_moment(self) -> Self {
        Self { temporary: true, hint: "call it again: dbt writes its files just now".to_owned(), ..self }
    }

    /// The caller has given up.
    pub(crate) fn cancelled() -> Self {
        Self {
            code: "CANCELLED".into(),
            message: "it was cancelled".to_owned(),
            hint: String::new(),
            temporary: false,
            about: None,
        }
    }

    /// Says which of several statements it was, from 1.
    pub(crate) fn at_statement(mut self, number: usize) -> Self {
        self.message = format!("statement {number}: {}", self.message.trim_end());
        self
    }

    /// Says that all of it was rolled back.
    pub(crate) fn with_nothing_done(mut self) -> Self {
        self.message.push_str("; nothing has happened");
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What was asked for is no tool: an error of the protocol, with the same in it.
    pub(crate) fn into_error(self) -> ErrorData {
        let data = self.for_program();
        let hint = if self.hint.is_empty() { String::new() } else { format!(" ({})", self.hint) };
        let text = format!("{}{hint}", self.message.trim_end());
        match self.code.as_ref() {
            "INVALID_ARGUMENT" => ErrorData::invalid_params(text, Some(data)),
            _ => ErrorData::internal_error(text, Some(data)),
        }
    }

    /// As a tool answers. What is for a program stands beside the answer: structured content is as the tool's output schema
    /// says, and clients check that.
    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::error(vec![ContentBlock::text(self.for_model())]);
        let mut meta = MetaObject::new();
        meta.0.insert(META.to_owned(), self.for_program());
        result.meta = Some(meta);
        result
    }

    fn for_model(&self) -> String {
        let mut text = format!("{}: {}", self.code, self.message.trim_end());
        if let Some(holder) = self.about.as_ref().and_then(|about| about.holder.as_ref()) {
            text.push_str(&format!("\nheld by: {}", person::holder(holder)));
        }
        if let Some(ahead) = self.about.as_ref().map(|about| about.ahead).filter(|ahead| *ahead > 0) {
            text.push_str(&format!("\nahead of you: {ahead}"));
        }
        if !self.hint.is_empty() {
            text.push_str(&format!("\nhint: {}", self.hint));
        }
        text
    }

    /// With `null` for what is not known.
    fn for_program(&self) -> Value {
        let about = self.about.as_deref();
        json!({
            "code": self.code,
            "message": self.message.trim_end(),
            "database": about.and_then(|about| about.database.as_ref()),
            "holder": about.and_then(|about| about.holder.as_ref()).map(parts::holder),
            "waited_s": about.and_then(|about| about.waited).map(|waited| waited.as_secs_f64()),
            "ahead": about.map_or(0, |about| about.ahead),
            "sqlstate": about.and_then(|about| about.sqlstate.as_deref()),
            "temporary": self.temporary,
            "hint": (!self.hint.is_empty()).then_some(&self.hint),
        })
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let stopped = error.holder().is_some_and(|holder| holder.stopped);
        let temporary = error.is_temporary();
        let hint = match temporary && !stopped {
            true => "wait longer with \"wait\", or ask who_holds what it waits for".to_owned(),
            false => error.suggestion(),
        };
        let (code, message) = (code_name(error.code()).into(), error.to_string());
        Self { code, message, hint, temporary, about: Some(Box::new(About::from(&error))) }
    }
}

impl From<&ClientError> for About {
    fn from(error: &ClientError) -> Self {
        Self {
            database: error.db_path(),
            holder: error.holder().cloned(),
            waited: error.waited(),
            ahead: error.ahead(),
            sqlstate: error.detail().map(|detail| detail.sqlstate.clone()).filter(|state| !state.is_empty()),
        }
    }
}

impl From<DbtError> for Failure {
    fn from(error: DbtError) -> Self {
        let hint = match error.is_temporary() {
            true => "wait longer with \"wait\"; lock_status tells who runs dbt in the project".to_owned(),
            false => error.suggestion(),
        };
        let (code, message) = (error.code().to_owned().into(), error.to_string());
        let (holder, waited, ahead) = (error.holder(), error.waited(), error.ahead());
        let about = About { holder, waited, ahead, ..About::default() };
        Self { code, message, hint, temporary: error.is_temporary(), about: Some(Box::new(about)) }
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        let (code, message, hint) = (code_name(error.code()).into(), error.to_string(), error.suggestion());
        let temporary = error.is_temporary();
        match error {
            MemoryError::Client(error) => error.into(),
            _ => Self { code, message, hint, temporary, about: None },
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Client(error) => error.into(),
            other => Self {
                code: "SYSTEM".into(),
                message: other.to_string(),
                hint: String::new(),
                temporary: false,
                about: None,
            },
        }
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self { code: "SYSTEM".into(), message: error.to_string(), hint: String::new(), temporary: false, about: None }
    }
}
