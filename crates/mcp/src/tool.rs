//! A tool: what is told of it, and what it does. All are made here, so that arguments, answers and failures are treated in
//! one way.

use std::{pin::Pin, sync::Arc};

use rmcp::model::{CallToolResult, JsonObject, Tool as Definition, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{call::Call, failure::Failure, reply::Reply, schema, server::Shared};

type Running = Pin<Box<dyn Future<Output = CallToolResult> + Send>>;

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// It changes nothing.
    Reads,
    /// It may change or remove what is there.
    Writes,
    /// It makes something new, and leaves what is there.
    Adds,
    /// It makes a file, or replaces one, and leaves the databases as they are.
    Exports,
}

/// A tool.
pub(crate) struct Tool {
    pub(crate) definition: Definition,
    pub(crate) does: Does,
    run: Box<dyn Fn(Arc<Shared>, JsonObject, Call) -> Running + Send + Sync>,
}

impl Tool {
    /// `description` helps a model choose; what the arguments mean, their type's fields say.
    pub(crate) fn new<A, R, F>(
        name: &'static str,
        does: Does,
        description: &'static str,
        run: fn(Arc<Shared>, A, Call) -> F,
    ) -> Self
    where
        A: DeserializeOwned + JsonSchema + Send + 'static,
        R: Serialize + JsonSchema + 'static,
        F: Future<Output = Result<Reply<R>, Failure>> + Send + 'static,
    {
        let annotations = ToolAnnotations::default()
            .read_only(does == Does::Reads)
            .destructive(matches!(does, Does::Writes | Does::Exports))
            .idempotent(does == Does::Reads)
            .open_world(false);
        let definition = Definition::new_with_raw(name, Some(description.into()), schema::input::<A>())
            .with_raw_output_schema(schema::output::<R>())
            .with_annotations(annotations);
        let run = Box::new(move |shared, arguments: JsonObject, call| -> Running {
            let arguments = serde_json::from_value::<A>(arguments.into());
            Box::pin(async move {
                let done = match arguments {
                    Ok(arguments) => run(shared, arguments, call).await,
                    Err(error) => Err(Failure::usage(format!("{name}: {error}"), "see the tool's input schema")),
                };
                done.map_or_else(Failure::into_result, Reply::into_result)
            })
        });
        Self { definition, does, run }
    }

    /// It reaches what is neither a database nor the project: the network.
    #[must_use]
    pub(crate) fn in_the_open(mut self) -> Self {
        self.definition.annotations = self.definition.annotations.map(|annotations| annotations.open_world(true));
        self
    }

    /// Calls it. What goes wrong is its answer.
    pub(crate) async fn call(&self, shared: Arc<Shared>, arguments: JsonObject, call: Call) -> CallToolResult {
        (self.run)(shared, arguments, call).await
    }
}
