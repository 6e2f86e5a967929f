//! The tables, made once by whoever comes first.
//!
//! Everything is written by way of two tables that are empty between statements, `memory_incoming` and `memory_changes`:
//! a plain `INSERT` of one row is what the broker commits together with those of other processes, and the triggers do the
//! rest in the same transaction. In a trigger it is `ON CONFLICT`, never `OR REPLACE`: the statement that sets the trigger off
//! overrules the latter. A memory that was there before is stored by its trigger alone, and its own row left out: so whoever
//! stores one is told by the number of rows whether it is new.

use std::sync::atomic::{AtomicBool, Ordering};

use dbmux_client::{Client, ErrorCode, Session, Statement};
use tokio::sync::Mutex;

use crate::{
    MemoryError,
    ask::{Ask, run_plain},
    line::Deadline,
    rows::Rows,
};

/// The version that this program makes and knows; older ones it brings up to it.
pub(crate) const VERSION: i64 = 3;

/// What the trigger says of a change to what is not there.
pub(crate) const NO_SUCH_MEMORY: &str = "dbmux: no such memory";

/// Where the tables are read from, or written to, in order. Times are microseconds since 1970, in UTC. `origin` is a number
/// by chance, of the call that made the memory.
const STATEMENTS: [&str; 28] = [
    "CREATE TABLE IF NOT EXISTS dbmux_memory (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS memories (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, content TEXT NOT NULL, \
     type TEXT, metadata TEXT NOT NULL CHECK (json_valid(metadata)), created INTEGER NOT NULL, \
     updated INTEGER NOT NULL, origin INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS memories_created ON memories (created)",
    TYPED,
    "CREATE TABLE IF NOT EXISTS memory_tags (tag TEXT NOT NULL, memory INTEGER NOT NULL, PRIMARY KEY (tag, memory)) \
     WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS memory_tags_memory ON memory_tags (memory, tag)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS memory_words USING fts5 (content, content = 'memories', content_rowid = 'id', \
     tokenize = 'unicode61 remove_diacritics 2')",
    "CREATE TABLE IF NOT EXISTS memory_vectors (memory INTEGER PRIMARY KEY, model TEXT NOT NULL, vector BLOB NOT NULL)",
    // A bit for each number of a vector: small enough to look at all of them.
    "CREATE TABLE IF NOT EXISTS memory_codes (memory INTEGER PRIMARY KEY, model TEXT NOT NULL, code BLOB NOT NULL)",
    BLOCKS,
    "CREATE TABLE IF NOT EXISTS memory_incoming (hash TEXT, content TEXT, type TEXT, metadata TEXT, tags TEXT, \
     created INTEGER, updated INTEGER, origin INTEGER, model TEXT, vector BLOB)",
    "CREATE TABLE IF NOT EXISTS memory_changes (hash TEXT, new_hash TEXT, content TEXT, sets_type INTEGER, type TEXT, \
     replaces_metadata INTEGER, metadata TEXT, replaces_tags INTEGER, tags TEXT, without_tags TEXT, updated INTEGER, \
     model TEXT, vector BLOB)",
    INCOMING_STORED,
    INCOMING_DONE,
    "CREATE TRIGGER IF NOT EXISTS memory_changes_arrive AFTER INSERT ON memory_changes BEGIN \
       SELECT RAISE(ABORT, 'dbmux: no such memory') \
         WHERE NOT EXISTS (SELECT 1 FROM memories WHERE hash = new.hash); \
       DELETE FROM memory_tags WHERE memory = (SELECT id FROM memories WHERE hash = new.hash) \
         AND (new.replaces_tags OR tag IN (SELECT value FROM json_each(new.without_tags))); \
       INSERT INTO memory_tags (tag, memory) \
         SELECT t.value, m.id FROM memories AS m, json_each(new.tags) AS t WHERE m.hash = new.hash \
         ON CONFLICT DO NOTHING; \
       UPDATE memories SET hash = coalesce(new.new_hash, hash), content = coalesce(new.content, content), \
           type = CASE WHEN new.sets_type THEN new.type ELSE type END, \
           metadata = CASE WHEN new.metadata IS NULL THEN metadata WHEN new.replaces_metadata THEN new.metadata \
             ELSE json_patch(metadata, new.metadata) END, \
           updated = max(updated, new.updated) \
         WHERE hash = new.hash; \
       INSERT INTO memory_vectors (memory, model, vector) \
         SELECT id, new.model, new.vector FROM memories \
           WHERE hash = coalesce(new.new_hash, new.hash) AND new.vector IS NOT NULL \
         ON CONFLICT (memory) DO UPDATE SET model = excluded.model, vector = excluded.vector; \
       DELETE FROM memory_changes WHERE rowid = new.rowid; \
     END",
    "CREATE TRIGGER IF NOT EXISTS memories_made AFTER INSERT ON memories BEGIN \
       INSERT INTO memory_words (rowid, content) VALUES (new.id, new.content); \
       UPDATE dbmux_memory SET value = value + 1 WHERE key = 'revision'; \
     END",
    "CREATE TRIGGER IF NOT EXISTS memories_changed AFTER UPDATE ON memories BEGIN \
       UPDATE dbmux_memory SET value = value + 1 WHERE key = 'revision'; \
     END",
    // A vector is of the text that it was made of.
    "CREATE TRIGGER IF NOT EXISTS memories_rewritten AFTER UPDATE OF content ON memories \
       WHEN old.content IS NOT new.content BEGIN \
       INSERT INTO memory_words (memory_words, rowid, content) VALUES ('delete', old.id, old.content); \
       INSERT INTO memory_words (rowid, content) VALUES (new.id, new.content); \
       DELETE FROM memory_vectors WHERE memory = old.id; \
     END",
    "CREATE TRIGGER IF NOT EXISTS memories_gone AFTER DELETE ON memories BEGIN \
       INSERT INTO memory_words (memory_words, rowid, content) VALUES ('delete', old.id, old.content); \
       DELETE FROM memory_tags WHERE memory = old.id; \
       DELETE FROM memory_vectors WHERE memory = old.id; \
       UPDATE dbmux_memory SET value = value + 1 WHERE key = 'revision'; \
     END",
    "CREATE TRIGGER IF NOT EXISTS memory_vectors_made AFTER INSERT ON memory_vectors BEGIN \
       INSERT INTO memory_codes (memory, model, code) \
         VALUES (new.memory, new.model, vec_quantize_binary(new.vector)) \
         ON CONFLICT (memory) DO UPDATE SET model = excluded.model, code = excluded.code; \
       UPDATE dbmux_memory SET value = value + 1 WHERE key = 'revision'; \
     END",
    "CREATE TRIGGER IF NOT EXISTS memory_vectors_changed AFTER UPDATE ON memory_vectors BEGIN \
       INSERT INTO memory_codes (memory, model, code) \
         VALUES (new.memory, new.model, vec_quantize_binary(new.vector)) \
         ON CONFLICT (memory) DO UPDATE SET model = excluded.model, code = excluded.code; \
       UPDATE dbmux_memory SET value = value + 1 WHERE key = 'revision'; \
     END",
    "CREATE TRIGGER IF NOT EXISTS memory_vectors_gone AFTER DELETE ON memory_vectors BEGIN \
       DELETE FROM memory_codes WHERE memory = old.memory; \
     END",
    CODE_MADE,
    CODE_CHANGED,
    CODE_GONE,
    // A program of version 1 may be at it at the same time.
    NO_TRIGGER_OF_1,
    NO_INDEX_OF_1,
    // Last: whoever finds this finds all of it.
    "INSERT OR IGNORE INTO dbmux_memory VALUES ('schema', 3), ('revision', 0)",
];

/// Most have none.
const TYPED: &str = "CREATE INDEX IF NOT EXISTS memories_typed ON memories (type, created) WHERE type IS NOT NULL";
const INCOMING_STORED: &str = "CREATE TRIGGER IF NOT EXISTS memory_incoming_stored BEFORE INSERT ON memory_incoming BEGIN \
     INSERT INTO memories (hash, content, type, metadata, created, updated, origin) \
       VALUES (new.hash, new.content, new.type, new.metadata, new.created, new.updated, new.origin) \
       ON CONFLICT (hash) DO UPDATE SET type = coalesce(excluded.type, type), \
         metadata = json_patch(metadata, excluded.metadata), created = min(created, excluded.created), \
         updated = max(updated, excluded.updated); \
     INSERT INTO memory_tags (tag, memory) \
       SELECT t.value, m.id FROM memories AS m, json_each(new.tags) AS t WHERE m.hash = new.hash \
       ON CONFLICT DO NOTHING; \
     INSERT INTO memory_vectors (memory, model, vector) \
       SELECT id, new.model, new.vector FROM memories WHERE hash = new.hash AND new.vector IS NOT NULL \
       ON CONFLICT (memory) DO UPDATE SET model = excluded.model, vector = excluded.vector; \
     SELECT RAISE(IGNORE) FROM memories WHERE hash = new.hash AND origin <> new.origin; \
   END";
const INCOMING_DONE: &str = "CREATE TRIGGER IF NOT EXISTS memory_incoming_done AFTER INSERT ON memory_incoming BEGIN \
     DELETE FROM memory_incoming WHERE rowid = new.rowid; \
   END";

/// The codes again, sixteen memories' in a row: a search looks at all of them.
const BLOCKS: &str = "CREATE TABLE IF NOT EXISTS memory_code_blocks (model TEXT NOT NULL, block INTEGER NOT NULL, \
     codes BLOB NOT NULL, PRIMARY KEY (model, block)) WITHOUT ROWID";
const CODE_MADE: &str = "CREATE TRIGGER IF NOT EXISTS memory_codes_made AFTER INSERT ON memory_codes BEGIN \
     INSERT INTO memory_code_blocks (model, block, codes) \
       VALUES (new.model, new.memory >> 4, codes_with(NULL, new.memory & 15, new.code)) \
       ON CONFLICT (model, block) DO UPDATE SET codes = codes_with(codes, new.memory & 15, new.code); \
   END";
const CODE_CHANGED: &str = "CREATE TRIGGER IF NOT EXISTS memory_codes_changed AFTER UPDATE ON memory_codes BEGIN \
     UPDATE memory_code_blocks SET codes = codes_with(codes, old.memory & 15, NULL) \
       WHERE model = old.model AND block = old.memory >> 4; \
     INSERT INTO memory_code_blocks (model, block, codes) \
       VALUES (new.model, new.memory >> 4, codes_with(NULL, new.memory & 15, new.code)) \
       ON CONFLICT (model, block) DO UPDATE SET codes = codes_with(codes, new.memory & 15, new.code); \
     DELETE FROM memory_code_blocks WHERE model = old.model AND block = old.memory >> 4 AND length(codes) = 0; \
   END";
const CODE_GONE: &str = "CREATE TRIGGER IF NOT EXISTS memory_codes_gone AFTER DELETE ON memory_codes BEGIN \
     UPDATE memory_code_blocks SET codes = codes_with(codes, old.memory & 15, NULL) \
       WHERE model = old.model AND block = old.memory >> 4; \
     DELETE FROM memory_code_blocks WHERE model = old.model AND block = old.memory >> 4 AND length(codes) = 0; \
   END";

const NO_TRIGGER_OF_1: &str = "DROP TRIGGER IF EXISTS memory_incoming_arrives";
const NO_INDEX_OF_1: &str = "DROP INDEX IF EXISTS memories_type";

/// From versions 1 and 2, in an order in which whatever is stored between two of them is stored, and whatever goes is gone:
/// one trigger of version 1 did what two do now, and codes were by themselves.
const UPGRADE: [&str; 11] = [
    BLOCKS,
    CODE_GONE,
    CODE_CHANGED,
    CODE_MADE,
    // By the trigger.
    "UPDATE memory_codes SET code = code",
    TYPED,
    NO_INDEX_OF_1,
    INCOMING_STORED,
    INCOMING_DONE,
    NO_TRIGGER_OF_1,
    "UPDATE dbmux_memory SET value = 3 WHERE key = 'schema' AND value < 3",
];

/// What the triggers need of the broker: one that an older program has started lacks it, and nothing could be stored there
/// any more.
const NEEDED: &str = "SELECT codes_with(NULL, 0, x'')";

/// Whether the tables are known to be there.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    known: AtomicBool,
    looking: Mutex<()>,
    read_only: bool,
}

impl Schema {
    pub(crate) fn new(read_only: bool) -> Self {
        Self { read_only, ..Self::default() }
    }

    /// Whether the tables are known to be those of this program's version.
    pub(crate) fn is_current(&self) -> bool {
        self.known.load(Ordering::Acquire)
    }

    /// Looks anew the next time.
    pub(crate) fn forget(&self) {
        self.known.store(false, Ordering::Release);
    }

    /// Makes the tables, where nobody has, and brings them up to date before they are written to.
    pub(crate) async fn ensure(
        &self,
        client: &Client,
        session: &Session,
        writes: bool,
        deadline: Deadline,
    ) -> Result<(), MemoryError> {
        if self.is_current() {
            return Ok(());
        }
        let _only_one = deadline.wait("while the tables were being looked for", self.looking.lock()).await?;
        if self.is_current() {
            return Ok(());
        }
        match self.look(client, session, deadline).await? {
            Some(VERSION) => match check(client, session, deadline).await {
                // Its tables can be read all the same, but for what is made for searches.
                Err(MemoryError::OlderBroker { .. }) if !writes => return Ok(()),
                checked => checked?,
            },
            // They can be read as they are.
            Some(_) if self.read_only || !writes => return Ok(()),
            Some(_) => run(client, &UPGRADE, deadline).await?,
            None => {
                run(client, &STATEMENTS, deadline).await?;
                // A program of an older version may have made its own at the same time.
                if self.look(client, session, deadline).await? != Some(VERSION) {
                    run(client, &UPGRADE, deadline).await?;
                }
            }
        }
        self.known.store(true, Ordering::Release);
        Ok(())
    }

    /// The version of the tables, where they are there; what they are, if they are not ours.
    async fn look(&self, client: &Client, session: &Session, deadline: Deadline) -> Result<Option<i64>, MemoryError> {
        let version = Ask::read("SELECT value FROM dbmux_memory WHERE key = 'schema'");
        let database = || client.database().to_owned();
        let known = |rows: &Rows| match rows.first().map(|row| row.integer(0)).transpose()? {
            Some(found) if found > VERSION => Err(MemoryError::Newer { database: database(), found, known: VERSION }),
            found => Ok(found),
        };
        match run_plain(session, &version, deadline).await {
            Ok(rows) => known(&rows),
            // It is made with its tables.
            Err(error) if error.code() == ErrorCode::NoSuchDatabase && !self.read_only => Ok(None),
            Err(error) if error.said().contains("no such table") => {
                let others = Ask::read("SELECT name FROM sqlite_schema WHERE name IN ('memories', 'memory_tags')");
                let found = run_plain(session, &others, deadline).await?.texts()?;
                if let Some(name) = found.first() {
                    // Another process may have made them between the two looks.
                    if let Ok(rows) = run_plain(session, &version, deadline).await {
                        return known(&rows);
                    }
                    let found = format!("it has a table {name} that another program made");
                    return Err(MemoryError::NotAStore { database: database(), found });
                }
                if self.read_only {
                    let found = "nothing is stored there yet".to_owned();
                    return Err(MemoryError::NotAStore { database: database(), found });
                }
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// In a session of its own, which nobody gets afterwards.
async fn run(client: &Client, statements: &[&str], deadline: Deadline) -> Result<(), MemoryError> {
    let session = deadline.wait("while the broker was being reached", client.session()).await??;
    // Each by itself, and whoever does the same at the same time does no harm: in a transaction those who wait for its end
    // would keep the broker from going on with it.
    // The first one makes the database, where there is none, or a table that does no harm by itself.
    for (index, sql) in statements.iter().enumerate() {
        session.execute(Statement::new(*sql).wait(deadline.left())).await?;
        if index == 0 {
            check(client, &session, deadline).await?;
        }
    }
    Ok(())
}

async fn check(client: &Client, session: &Session, deadline: Deadline) -> Result<(), MemoryError> {
    match session.execute(Statement::new(NEEDED).wait(deadline.left())).await {
        Err(error) if error.to_string().contains("no such function") => {
            Err(MemoryError::OlderBroker { database: client.database().to_owned() })
        }
        answer => Ok(answer.map(drop)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_and_the_words_are_those_in_the_statements() {
        let last = STATEMENTS.last().unwrap();
        assert!(last.contains(&format!("('schema', {VERSION})")));
        assert!(STATEMENTS.iter().any(|sql| sql.contains(NO_SUCH_MEMORY)));
    }
}
