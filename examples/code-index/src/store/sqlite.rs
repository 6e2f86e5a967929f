//! On SQLite: vectors are BLOBs of 32-bit floats, for sqlite-vec's functions; words are looked for with FTS5.

use super::sql::Dialect;

pub(super) const DIALECT: Dialect = Dialect {
    prepare: &[
        "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, language TEXT NOT NULL, hash TEXT NOT NULL, \
         chunks INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS chunks (id INTEGER PRIMARY KEY, path TEXT NOT NULL, language TEXT NOT NULL, \
         provider TEXT NOT NULL, model TEXT NOT NULL, hash TEXT NOT NULL, number INTEGER NOT NULL, \
         line INTEGER NOT NULL, text TEXT NOT NULL, embedding BLOB NOT NULL, UNIQUE (path, number)) STRICT",
        // The text itself stays in `chunks` alone.
        "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='chunks', content_rowid='id')",
        "CREATE TRIGGER IF NOT EXISTS chunk_comes AFTER INSERT ON chunks BEGIN \
         INSERT INTO words (rowid, text) VALUES (new.id, new.text); END",
        "CREATE TRIGGER IF NOT EXISTS chunk_goes AFTER DELETE ON chunks BEGIN \
         INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text); END",
    ],
    by_meaning: "SELECT path, number, line, language, text, 1 - vec_distance_cosine(embedding, $1) AS score FROM chunks \
         WHERE provider = $2 AND model = $3 AND ($4 IS NULL OR language = $4)",
    by_words,
};

/// Any of the words; bm25 says which chunks are best.
fn by_words(words: &[String]) -> (String, Vec<String>) {
    // They are letters and digits only.
    let any = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" OR ");
    let sql = "SELECT path, number, line, language, chunks.text AS text, -bm25(words) AS score \
         FROM words JOIN chunks ON chunks.id = words.rowid \
         WHERE provider = $1 AND model = $2 AND ($3 IS NULL OR language = $3) AND words MATCH $4";
    (sql.to_owned(), vec![any])
}
