//! Why a tool failed: a code, who was in the way, and what to do. It is the tool's answer, never an error of the protocol.

use std::io;

use dbmux_client::ClientError;
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
    code: &'static str,
    message: String,
    hint: String,
    /// Trying again later may help: nothing has happened.
    temporary: bool,
    /// The client's own, with who was in the way.
    error: Option<Box<ClientError>>,
}

impl Failure {
    /// The arguments make no sense.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: "INVALID_ARGUMENT", message: message.into(), hint: hint.into(), temporary: false, error: None }
    }

    /// The system refused something.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        Self { code: "SYSTEM", message: format!("{what}: {error}"), hint: String::new(), temporary: false, error: None }
    }

    /// The caller has given up.
    pub(crate) fn cancelled() -> Self {
        Self {
            code: "CANCELLED",
            message: "it was cancelled".to_owned(),
            hint: String::new(),
            temporary: false,
            error: None,
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
        match self.code {
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
        if let Some(holder) = self.error.as_ref().and_then(|error| error.holder()) {
            text.push_str(&format!("\nheld by: {}", person::holder(holder)));
        }
        if let Some(ahead) = self.error.as_ref().map(|error| error.ahead()).filter(|ahead| *ahead > 0) {
            text.push_str(&format!("\nahead of you: {ahead}"));
        }
        if !self.hint.is_empty() {
            text.push_str(&format!("\nhint: {}", self.hint));
        }
        text
    }

    /// With `null` for what is not known.
    fn for_program(&self) -> Value {
        let error = self.error.as_deref();
        json!({
            "code": self.code,
            "message": self.message.trim_end(),
            "database": error.and_then(ClientError::db_path),
            "holder": error.and_then(ClientError::holder).map(parts::holder),
            "waited_s": error.and_then(ClientError::waited).map(|waited| waited.as_secs_f64()),
            "ahead": error.map_or(0, ClientError::ahead),
            "sqlstate": error.and_then(ClientError::detail).map(|detail| &detail.sqlstate).filter(|state| !state.is_empty()),
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
        Self {
            code: code_name(error.code()),
            message: error.to_string(),
            hint,
            temporary,
            error: Some(Box::new(error)),
        }
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        let (code, message, hint) = (code_name(error.code()), error.to_string(), error.suggestion());
        let temporary = error.is_temporary();
        match error {
            MemoryError::Client(error) => error.into(),
            _ => Self { code, message, hint, temporary, error: None },
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Client(error) => error.into(),
            other => {
                Self { code: "SYSTEM", message: other.to_string(), hint: String::new(), temporary: false, error: None }
            }
        }
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self { code: "SYSTEM", message: error.to_string(), hint: String::new(), temporary: false, error: None }
    }
}
