//! `dbmux memory`: the store of memories that agents share, by hand.

mod place;
mod show;
mod verify;

pub(super) use place::{embedder, place};

use std::io::{self, BufReader, Write};

use dbmux_memory::{
    ClientOptions, Delete, Filter, List, Memories, MemoryError, MemoryOptions, Metadata, NewMemory, Search, SearchMode,
    TagChange, TagMatch, Update, Zoned, time_range,
};
use dbmux_report::{code_name, person};

use crate::{
    args::{Among, MemoryArgs, MemoryCommand, SearchModeArg},
    exit::Exit,
    failure::Failure,
    render, terminal,
};

/// Does it.
pub(crate) fn run(args: MemoryArgs) -> Result<Exit, Failure> {
    let memories = open(&args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(work(&memories, args.command, args.json))
}

fn open(args: &MemoryArgs) -> Result<Memories, Failure> {
    let client = ClientOptions {
        wait: args.wait,
        broker_program: super::sql::chosen_program().map(Into::into),
        ..ClientOptions::default()
    };
    let options = MemoryOptions { client, embedder: embedder(&args.embedding)?, ..MemoryOptions::default() };
    Ok(Memories::open(place(args.memory.as_deref())?, options)?)
}

async fn work(memories: &Memories, command: MemoryCommand, json: bool) -> Result<Exit, Failure> {
    let shown = match command {
        MemoryCommand::Add { content, tags, memory_type, metadata } => {
            let content = if content == "-" { io::read_to_string(io::stdin())? } else { content };
            let metadata = metadata.map_or(Ok(Metadata::new()), |text| object(&text))?;
            let new = NewMemory { tags, memory_type, metadata, ..NewMemory::new(content) };
            show::stored(&memories.store(vec![new]).await?, json)
        }
        MemoryCommand::Search { query, mode, min_score, among, limit } => {
            let search = Search::new(query.join(" ")).mode(mode.into()).filter(filter(among)?).limit(limit);
            show::found(&memories.search(&Search { min_score, ..search }).await?, json)
        }
        MemoryCommand::List { among, limit, offset } => {
            let list = List { filter: filter(among)?, limit, offset, count: !json, ..List::default() };
            show::page(&memories.list(&list).await?, json)
        }
        MemoryCommand::Update { hash, content, tags, memory_type } => {
            let tags = tags.map_or(TagChange::Keep, TagChange::Set);
            let update = Update { content, tags, memory_type, ..Update::default() };
            show::memories(std::slice::from_ref(&memories.update(&hash, &update).await?), json)
        }
        MemoryCommand::Delete { hashes, among, yes } => {
            let filter = Filter { hashes, ..filter(among)? };
            let deleted = memories.delete(&Delete { dry_run: !yes, ..Delete::of(filter) }).await?;
            show::deleted(&deleted, json)
        }
        MemoryCommand::Stats => show::stats(&memories.stats().await?, json),
        MemoryCommand::Export { among, vectors } => {
            let mut out = render::shared_output();
            memories.export(&filter(among)?, vectors, &mut out).await?;
            Ok(out.flush()?)
        }
        MemoryCommand::Import { file } => {
            let imported = match file {
                Some(path) => memories.import_from(&path).await?,
                None => memories.import(&mut BufReader::new(io::stdin())).await?,
            };
            show::imported(&imported, json)
        }
        MemoryCommand::Reembed { all } => {
            let mut told = 0;
            let done = memories.reembed(all, |made, of| {
                // Each hundredth of them is news enough.
                if terminal::stderr_is_terminal() && !json && (made - told) * 100 >= of {
                    told = made;
                    anstream::eprintln!("{} of {}", person::count(made), person::count(of));
                }
            });
            show::reembedded(&done.await?, json)
        }
        MemoryCommand::Verify { worker: Some(tag), .. } => return verify::work(memories, &tag).await,
        MemoryCommand::Verify { processes, .. } => return verify::run(memories, processes.into(), json).await,
    };
    shown.map(|()| Exit::Done)
}

fn object(text: &str) -> Result<Metadata, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::usage(format!("--metadata is no JSON object: {error}")))
}

fn filter(among: Among) -> Result<Filter, Failure> {
    let time = among.time.as_deref().map(|text| time_range(text, &Zoned::now())).transpose()?.unwrap_or_default();
    let tag_match = if among.all_tags { TagMatch::All } else { TagMatch::Any };
    Ok(Filter { tags: among.tags, tag_match, memory_type: among.memory_type, time, hashes: Vec::new() })
}

impl From<SearchModeArg> for SearchMode {
    fn from(mode: SearchModeArg) -> Self {
        match mode {
            SearchModeArg::Semantic => Self::Semantic,
            SearchModeArg::Exact => Self::Exact,
            SearchModeArg::Hybrid => Self::Hybrid,
        }
    }
}

impl From<MemoryError> for Failure {
    fn from(error: MemoryError) -> Self {
        let failure = Self { code: code_name(error.code()), ..Self::system(error.to_string()) };
        let failure = failure.with_hint(error.suggestion());
        match error {
            MemoryError::Client(error) => error.into(),
            MemoryError::InvalidArgument(_) | MemoryError::Time { .. } => failure.with_exit(Exit::Usage),
            other if other.is_temporary() => failure.with_exit(Exit::TryAgain),
            _ => failure,
        }
    }
}
