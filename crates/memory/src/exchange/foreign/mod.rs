//! Memories of other programs' databases. They are asked through the broker of that file, as anybody's: the other program may
//! go on using it meanwhile.

mod chroma;
mod service;

use std::path::{Path, PathBuf};

use dbmux_client::{Client, Session};

use super::{Imported, TOGETHER, line};
use crate::{
    Memories, MemoryError,
    ask::{Ask, run_plain},
    line::Deadline,
};

/// What a file of SQLite begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Chroma's database, in its folder.
const CHROMA: &str = "chroma.sqlite3";

/// Whose database it is.
enum Program {
    /// mcp-memory-service, with the columns that its version has.
    Service { with_deleted: bool },
    /// ChromaDB, with the columns that its version has.
    Chroma { with_schema: bool, with_lists: bool },
}

impl Memories {
    /// Stores the memories of another program: of a database of mcp-memory-service, or of a ChromaDB folder. That one is
    /// only read. What is there already is merged.
    ///
    /// # Errors
    /// [`MemoryError::InvalidArgument`] when it is neither of them, or is not there.
    pub async fn import_database(&self, path: &Path) -> Result<Imported, MemoryError> {
        let file = database(path).ok_or_else(|| unknown(path))?;
        let client = Client::open(&file, self.shared.elsewhere.clone())?;
        let session = client.session().await?;
        let asked = Asked { session, memories: self };
        let program = asked.program().await?.ok_or_else(|| unknown(path))?;
        let pages = match program {
            Program::Service { with_deleted } => service::page(with_deleted),
            Program::Chroma { with_schema, with_lists } => chroma::page(with_schema, with_lists),
        };
        let mut imported = Imported::default();
        let (mut last, mut number) = (i64::MIN, 0);
        loop {
            let ask = Ask::read(format!("{pages} LIMIT {TOGETHER}")).bind(last);
            let rows = asked.run(&ask).await?;
            let mut together = Vec::with_capacity(TOGETHER);
            let mut count = 0;
            for row in rows.iter() {
                (last, count) = (row.integer(0)?, count + 1);
                number += 1;
                // What has no text is no memory.
                together.extend(line::read(&row.text(1)?, number)?);
            }
            if count == 0 {
                return Ok(imported);
            }
            self.import_some(together, &mut imported).await?;
        }
    }
}

/// A session on the other program's database.
struct Asked<'a> {
    session: Session,
    memories: &'a Memories,
}

impl Asked<'_> {
    async fn run(&self, ask: &Ask) -> Result<crate::rows::Rows, MemoryError> {
        run_plain(&self.session, ask, Deadline::after(self.memories.wait())).await
    }

    /// By the tables that it has.
    async fn program(&self) -> Result<Option<Program>, MemoryError> {
        let has = "SELECT (SELECT count(*) FROM pragma_table_info('memories') WHERE name IN ('content', 'content_hash', 'tags')), \
                   (SELECT count(*) FROM pragma_table_info('memories') WHERE name = 'deleted_at'), \
                   (SELECT count(*) FROM sqlite_schema WHERE name IN ('collections', 'segments', 'embedding_metadata')), \
                   (SELECT count(*) FROM pragma_table_info('collections') WHERE name = 'schema_str'), \
                   (SELECT count(*) FROM sqlite_schema WHERE name = 'embedding_metadata_array')";
        let rows = self.run(&Ask::read(has)).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(match (row.integer(0)?, row.integer(2)?) {
            (3, _) => Some(Program::Service { with_deleted: row.integer(1)? > 0 }),
            (_, 3) => Some(Program::Chroma { with_schema: row.integer(3)? > 0, with_lists: row.integer(4)? > 0 }),
            _ => None,
        })
    }
}

/// The database that is meant by a path; `None`: it is none of SQLite's.
fn database(path: &Path) -> Option<PathBuf> {
    let file = if path.is_dir() { path.join(CHROMA) } else { path.to_owned() };
    is_database(&file).then_some(file)
}

/// Whether a path is another program's database, and no list of lines: a folder, or a file of SQLite.
pub(super) fn is_foreign(path: &Path) -> bool {
    path.is_dir() || is_database(path)
}

fn is_database(file: &Path) -> bool {
    let mut begin = [0; MAGIC.len()];
    let read = std::fs::File::open(file).and_then(|mut file| std::io::Read::read_exact(&mut file, &mut begin));
    read.is_ok() && begin == *MAGIC
}

fn unknown(path: &Path) -> MemoryError {
    MemoryError::InvalidArgument(format!(
        "{} is neither a database of mcp-memory-service nor a folder of ChromaDB's",
        path.display()
    ))
}
