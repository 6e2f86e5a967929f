//! What a tool answers: a text for a model, and the same for a program.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;

/// A tool's answer.
pub(crate) struct Reply<R> {
    pub(crate) text: String,
    /// As the tool's output schema says.
    pub(crate) structured: R,
}

impl<R: Serialize> Reply<R> {
    pub(crate) fn new(text: impl Into<String>, structured: R) -> Self {
        Self { text: text.into(), structured }
    }

    pub(crate) fn into_result(self) -> CallToolResult {
        let mut result = CallToolResult::success(vec![ContentBlock::text(self.text)]);
        // A plain struct of texts, numbers and values cannot fail to be one.
        result.structured_content = serde_json::to_value(self.structured).ok();
        result
    }
}
