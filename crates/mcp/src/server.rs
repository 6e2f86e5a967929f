//! The server: what it offers, and who is called.

use std::{io, sync::Arc};

use dbmux_memory::{ClientOptions, Memories, MemoryError, MemoryOptions};
use rmcp::{
    ErrorData, RoleServer, ServerHandler, ServiceExt,
    model::{
        CallToolRequestParams, CallToolResponse, GetPromptRequestParams, GetPromptResponse, Implementation,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ReadResourceRequestParams, ReadResourceResponse, ServerCapabilities, ServerConfig,
    },
    service::RequestContext,
    transport::io::stdio_pipes,
};
use tokio_util::sync::CancellationToken;

use crate::{
    call::Call,
    cursors::Cursors,
    databases::Databases,
    dbt::Dbt,
    options::McpOptions,
    prompts, resources,
    stdio::Watched,
    tool::{Does, Tool},
    tools,
};

/// What all tools have in common.
pub(crate) struct Shared {
    pub(crate) options: McpOptions,
    pub(crate) databases: Databases,
    pub(crate) cursors: Cursors,
    pub(crate) memories: Option<Memories>,
    pub(crate) dbt: Option<Arc<Dbt>>,
    /// Cancelled when the client of standard input and output has gone away.
    pub(crate) gone: CancellationToken,
}

/// One server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Server {
    shared: Arc<Shared>,
    tools: Arc<[Tool]>,
}

impl Server {
    /// Opens nothing.
    pub(crate) fn new(options: McpOptions) -> Result<Self, MemoryError> {
        let tools = tools::all(&options).into_iter();
        let tools =
            tools.filter(|tool| !options.read_only || matches!(tool.does, Does::Reads | Does::Exports)).collect();
        let dbt = Dbt::new(&options);
        let (databases, memories) = (Databases::new(&options, dbt.clone()), memories(&options)?);
        let (cursors, gone) = (Cursors::default(), CancellationToken::new());
        let shared = Shared { options, databases, cursors, memories, dbt, gone };
        Ok(Self { shared: Arc::new(shared), tools })
    }
}

impl Server {
    /// What a model is told of the whole: of what there is.
    fn instructions(&self) -> String {
        let has = |name: &str| self.tools.iter().any(|tool| tool.definition.name == name);
        let mut text = String::new();
        if has("query") {
            text.push_str("Databases that many processes use at once, through dbmux. Read with `query`");
            text.push_str(if has("execute") { ", write with `execute`. " } else { ". " });
        }
        if has("get_project_info") {
            text.push_str("A dbt project: `get_project_info` describes it; ");
            text.push_str(if has("build_models") { "`build_models` builds it. " } else { "it is only read. " });
        }
        if has("memory_search") {
            text.push_str("Memories of earlier sessions: search them with `memory_search`");
            text.push_str(if has("memory_store") { ", and store what later ones should know. " } else { ". " });
        }
        text.push_str(
            "Tools wait while somebody else has a file, and say for whom. When something is locked, `who_holds` and \
             `lock_status` tell by whom, and what to do. Nothing has to be opened or closed.",
        );
        text
    }
}

fn memories(options: &McpOptions) -> Result<Option<Memories>, MemoryError> {
    let Some((path, embedder)) = &options.memory else { return Ok(None) };
    let client = ClientOptions {
        wait: options.wait,
        read_only: options.read_only,
        create: !options.read_only,
        broker_program: options.broker_program.clone(),
        command: Some("dbmux mcp, for memories".to_owned()),
        ..ClientOptions::default()
    };
    let options = MemoryOptions { client, embedder: embedder.clone(), ..MemoryOptions::default() };
    Memories::open(path, options).map(Some)
}

/// Serves standard input and output until the client goes away.
///
/// # Errors
/// When the client does not speak MCP, or the memories' path cannot be one.
pub async fn serve_stdio(options: McpOptions) -> io::Result<()> {
    let server = Server::new(options).map_err(io::Error::other)?;
    let (input, output) = stdio_pipes();
    let gone = server.shared.gone.clone();
    let streams = (Watched::new(input, &gone), Watched::new(output, &gone));
    let service = server.serve(streams).await.map_err(io::Error::other)?;
    let ends = service.cancellation_token();
    let watching = tokio::spawn(async move {
        gone.cancelled().await;
        ends.cancel();
    });
    let ended = service.waiting().await.map_err(io::Error::other);
    watching.abort();
    ended.map(drop)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().enable_prompts().enable_resources().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("dbmux", env!("CARGO_PKG_VERSION")))
            .with_instructions(self.instructions())
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.iter().map(|tool| tool.definition.clone()).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = self.tools.iter().find(|tool| tool.definition.name == request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool {}", request.name), None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let call = Call::new(context, self.shared.gone.clone());
        Ok(tool.call(Arc::clone(&self.shared), arguments, call).await.into())
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::all()))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        prompts::get(&self.shared, &request).await.map(Into::into)
    }

    async fn list_resources(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(resources::all(&self.shared)))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(ListResourceTemplatesResult::with_all_items(resources::templates(&self.shared)))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let call = Call::new(context, self.shared.gone.clone());
        resources::read(&self.shared, &request.uri, &call).await.map(Into::into)
    }
}
