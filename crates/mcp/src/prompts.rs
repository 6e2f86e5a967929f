//! Prompts: what a user can have explained.

use dbmux_report::who;
use rmcp::{
    ErrorData,
    model::{GetPromptRequestParams, GetPromptResult, Prompt, PromptArgument, PromptMessage, Role},
};

use crate::{databases::Databases, failure::Failure, server::Shared};

const LOCKED: &str = "database_is_locked";

/// All prompts.
pub(crate) fn all() -> Vec<Prompt> {
    let database =
        PromptArgument::new("database").with_description("Its name or path; not needed where there is only one");
    vec![Prompt::new(
        LOCKED,
        Some("Explain why a database is locked, by whom, and what to do about it"),
        Some(vec![database.with_required(false)]),
    )]
}

/// A prompt, with what is so now.
pub(crate) async fn get(shared: &Shared, request: &GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    if request.name != LOCKED {
        return Err(ErrorData::invalid_params(format!("there is no prompt {}", request.name), None));
    }
    let asked =
        request.arguments.as_ref().and_then(|arguments| arguments.get("database")).and_then(|name| name.as_str());
    let database = shared.databases.find(asked).map_err(Failure::into_error)?;
    let client = Databases::onlooker(database).map_err(Failure::into_error)?;
    let found = who::look(&client).await.map_err(|error| Failure::from(error).into_error())?;
    let text = format!(
        "The database {name} may be locked. This is who has it now, as dbmux sees it:\n\n{who}\n\
         Explain in plain words who has the database, whether anybody waits, and what I can do. Mind: a dbmux broker is in \
         nobody's way, for everybody reads and writes through it; a lease ends with its process; a foreign program keeps \
         its lock until it closes the file or ends; nothing is to be killed without asking me.",
        name = database.name,
        who = who::for_person(&found, client.database()),
    );
    Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]))
}
