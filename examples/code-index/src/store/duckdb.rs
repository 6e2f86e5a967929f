//! On DuckDB: vectors are arrays of a fixed length; words are looked for in each text, for the bundled DuckDB has no
//! full-text search.

use super::sql::Dialect;

pub(super) const DIALECT: Dialect = Dialect {
    prepare: &[
        "CREATE TABLE IF NOT EXISTS files (path VARCHAR PRIMARY KEY, language VARCHAR NOT NULL, hash VARCHAR NOT NULL, \
         chunks BIGINT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS chunks (path VARCHAR NOT NULL, language VARCHAR NOT NULL, provider VARCHAR NOT NULL, \
         model VARCHAR NOT NULL, hash VARCHAR NOT NULL, number BIGINT NOT NULL, line BIGINT NOT NULL, \
         text VARCHAR NOT NULL, embedding FLOAT[128] NOT NULL)",
    ],
    by_meaning: "SELECT path, number, line, language, text, \
         1 - array_cosine_distance(embedding, $1::FLOAT[128]) AS score FROM chunks \
         WHERE provider = $2 AND model = $3 AND ($4::VARCHAR IS NULL OR language = $4)",
    by_words,
};

/// The more of the words, the better.
fn by_words(words: &[String]) -> (String, Vec<String>) {
    let each = (0..words.len()).map(|number| format!("contains(lower(text), ${})::BIGINT", number + 4));
    let score = each.collect::<Vec<_>>().join(" + ");
    let sql = format!(
        "SELECT path, number, line, language, text, ({score})::DOUBLE AS score FROM chunks \
         WHERE provider = $1 AND model = $2 AND ($3::VARCHAR IS NULL OR language = $3) AND {score} > 0"
    );
    (sql, words.to_vec())
}
