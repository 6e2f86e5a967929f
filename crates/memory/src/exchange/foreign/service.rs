//! mcp-memory-service: its `sqlite_vec.db`. Source: `storage/mixins/migrations.py` of its version 12.
//!
//! The times as numbers are what that program goes by: of some memories the texts beside them have another zone.
//! Vectors are made anew, where there is an embedder: which model theirs are of, the database does not say.

/// A memory's number and its line, of those behind a number.
pub(super) fn page(with_deleted: bool) -> String {
    // A memory without tags is tagged with that. What it has deleted stays for a while, so that other machines hear of it.
    let there = if with_deleted { " AND deleted_at IS NULL" } else { "" };
    format!(
        "SELECT id, json_object('content', content, 'tags', nullif(tags, 'untagged'), 'memory_type', memory_type, \
           'metadata', CASE WHEN json_valid(metadata) AND json_type(metadata) = 'object' THEN json(metadata) END, \
           'created_at', created_at, 'updated_at', updated_at) \
         FROM memories WHERE id > ? AND content IS NOT NULL AND content <> ''{there} ORDER BY id"
    )
}
