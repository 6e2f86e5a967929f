//! The databases that tools may use, by the names that callers give them. Each has one client, made when it is asked for.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dbmux_client::{Client, ClientOptions};
use parking_lot::Mutex;

use crate::{dbt::Dbt, failure::Failure, options::McpOptions};

/// What the memories' database is called.
const MEMORY: &str = "memory";

/// One that tools may use.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// What callers call it: its file's name without the ending, where that is nobody else's; else its path.
    pub(crate) name: String,
    /// As it was given.
    pub(crate) path: PathBuf,
}

impl Database {
    /// Whether it is called so: by its name or its path.
    fn is(&self, asked: &str) -> bool {
        let same = |path: &Path| path == Path::new(asked);
        self.name == asked || same(&self.path) || self.path.canonicalize().is_ok_and(|path| same(&path))
    }
}

/// All of them.
pub(crate) struct Databases {
    all: Vec<Database>,
    /// That of the memories, which is only looked at here.
    memory: Option<Database>,
    /// The dbt project, whose databases are looked at too.
    dbt: Option<Arc<Dbt>>,
    read_only: bool,
    wait: Duration,
    broker_program: Option<PathBuf>,
    clients: Mutex<HashMap<String, Client>>,
}

impl Databases {
    pub(crate) fn new(options: &McpOptions, dbt: Option<Arc<Dbt>>) -> Self {
        Self {
            all: named(&options.databases),
            memory: options.memory.as_ref().map(|(path, _)| Database { name: MEMORY.to_owned(), path: path.clone() }),
            dbt,
            read_only: options.read_only,
            wait: options.wait,
            broker_program: options.broker_program.clone(),
            clients: Mutex::default(),
        }
    }

    pub(crate) fn all(&self) -> &[Database] {
        &self.all
    }

    /// That of a path, whether it was given or not: the dbt project's own.
    pub(crate) fn at(&self, path: &Path) -> Database {
        let same = |own: &&Database| own.path.canonicalize().is_ok_and(|own| own == path);
        let own = || Database { name: path.display().to_string(), path: path.to_owned() };
        self.all.iter().find(same).cloned().unwrap_or_else(own)
    }

    /// Whatever is used here: the memories' database too, and those of the dbt project, as far as they are known.
    pub(crate) fn seen(&self) -> Vec<Database> {
        let mut seen: Vec<_> = self.all.iter().chain(&self.memory).cloned().collect();
        for path in self.dbt.iter().flat_map(|dbt| dbt.databases()) {
            let known = |own: &Database| own.path.canonicalize().is_ok_and(|own| own == path);
            if !seen.iter().any(known) {
                seen.push(self.at(&path));
            }
        }
        seen
    }

    /// The same by a name, or all of them.
    pub(crate) fn look_at(&self, asked: Option<&str>) -> Result<Vec<Database>, Failure> {
        match asked {
            None => Ok(self.seen()),
            Some(asked) => match self.seen().into_iter().find(|seen| seen.is(asked)) {
                Some(seen) => Ok(vec![seen]),
                None => Ok(vec![self.find(Some(asked))?.clone()]),
            },
        }
    }

    /// The one that a caller means: by its name or its path; without either the only one.
    pub(crate) fn find(&self, asked: Option<&str>) -> Result<&Database, Failure> {
        let Some(asked) = asked else {
            return match self.all.as_slice() {
                [only] => Ok(only),
                [] => Err(none()),
                _ => Err(Failure::usage("there are several databases", format!("name one: {}", self.names()))),
            };
        };
        let found = self.all.iter().find(|database| database.is(asked));
        found.ok_or_else(|| match self.all.is_empty() {
            true => none(),
            false => {
                Failure::usage(format!("there is no database \"{asked}\" here"), format!("there are: {}", self.names()))
            }
        })
    }

    /// The way to a database; nothing is opened or started by it. `caller` is what others are told of who asks.
    pub(crate) fn client(&self, database: &Database, caller: Option<&str>) -> Result<Client, Failure> {
        let mut clients = self.clients.lock();
        if let Some(client) = clients.get(&database.name) {
            return Ok(client.clone());
        }
        let options = ClientOptions {
            wait: self.wait,
            read_only: self.read_only,
            create: !self.read_only,
            broker_program: self.broker_program.clone(),
            command: Some(format!("dbmux mcp for {}", caller.unwrap_or("an agent"))),
            ..ClientOptions::default()
        };
        let client = Client::open(&database.path, options)?;
        clients.insert(database.name.clone(), client.clone());
        Ok(client)
    }

    /// A client that starts nothing: for whoever only looks.
    pub(crate) fn onlooker(database: &Database) -> Result<Client, Failure> {
        Ok(Client::open(&database.path, ClientOptions::onlooker())?)
    }

    fn names(&self) -> String {
        self.all.iter().map(|database| database.name.as_str()).collect::<Vec<_>>().join(", ")
    }
}

fn none() -> Failure {
    Failure::usage("this server has no database", "start it with one: dbmux mcp --db PATH")
}

fn named(paths: &[PathBuf]) -> Vec<Database> {
    let stem = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let mut all: Vec<Database> = Vec::new();
    for path in paths {
        if all.iter().any(|known| known.path == *path) {
            continue;
        }
        let alone = paths.iter().filter(|other| *other != path).all(|other| stem(other) != stem(path));
        let name = stem(path).filter(|_| alone).unwrap_or_else(|| path.display().to_string());
        all.push(Database { name, path: path.clone() });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn databases(paths: &[&str]) -> Databases {
        Databases {
            all: named(&paths.iter().map(PathBuf::from).collect::<Vec<_>>()),
            memory: None,
            dbt: None,
            read_only: false,
            wait: Duration::ZERO,
            broker_program: None,
            clients: Mutex::default(),
        }
    }

    #[test]
    fn names_are_short_where_they_are_clear() {
        let names = |paths: &[&str]| databases(paths).all.into_iter().map(|one| one.name).collect::<Vec<_>>();
        assert_eq!(names(&["/a/sales.duckdb", "notes.sqlite"]), ["sales", "notes"]);
        assert_eq!(names(&["/a/sales.duckdb", "/b/sales.duckdb"]), ["/a/sales.duckdb", "/b/sales.duckdb"]);
        assert_eq!(names(&["x.db", "x.db"]), ["x"]);
    }

    #[test]
    fn the_only_one_needs_no_name() {
        let one = databases(&["/a/sales.duckdb"]);
        assert_eq!(one.find(None).unwrap().name, "sales");
        assert_eq!(one.find(Some("/a/sales.duckdb")).unwrap().name, "sales");
        assert!(one.find(Some("other")).unwrap_err().into_result().is_error.unwrap());
        assert!(databases(&["a.db", "b.db"]).find(None).is_err());
        assert!(databases(&[]).find(None).is_err());
    }
}
