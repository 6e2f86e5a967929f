//! ChromaDB: the `chroma.sqlite3` of its folder. Source: its migrations (`sysdb`, `metadb`, `embeddings_queue`) of version 1.
//!
//! Texts and metadata are in `embedding_metadata`. Vectors are there as long as they wait in `embeddings_queue`; those in the
//! folder's index are made anew, where there is an embedder.

/// The model of Chroma's default embedding function, and of those that say theirs.
const MODEL: &str = "coalesce(c.embeds ->> '$.config.model_name', c.embeds ->> '$.config.model', \
    CASE WHEN c.embeds ->> '$.name' = 'default' AND c.dimension = 384 THEN 'all-MiniLM-L6-v2' END)";

/// A document's number and its line, of those behind a number. Newer versions keep how a collection embeds in its schema.
pub(super) fn page(with_schema: bool, with_lists: bool) -> String {
    let newer = if with_schema {
        "CASE WHEN json_valid(schema_str) THEN \
           schema_str -> '$.keys.\"#embedding\".float_list.vector_index.config.embedding_function' END"
    } else {
        "NULL"
    };
    // Its values, one a row.
    let (lists, tags) = if with_lists {
        (
            "UNION ALL SELECT l.key, json_group_array(json(coalesce(CASE l.bool_value WHEN 1 THEN 'true' WHEN 0 THEN 'false' END, \
               json_quote(coalesce(l.string_value, l.int_value, l.float_value))))) \
             FROM embedding_metadata_array AS l WHERE l.id = e.id AND l.key <> 'tags' GROUP BY l.key",
            "(SELECT json_group_array(l.string_value) FROM embedding_metadata_array AS l \
              WHERE l.id = e.id AND l.key = 'tags' HAVING count(*) > 0)",
        )
    } else {
        ("", "NULL")
    };
    format!(
        "SELECT e.id, json_object('content', d.string_value, \
           'tags', CASE WHEN {tags} IS NOT NULL THEN json({tags}) WHEN json_valid(t.string_value) AND json_type(t.string_value) = 'array' THEN json(t.string_value) \
             ELSE t.string_value END, \
           'memory_type', k.string_value, \
           'metadata', json((SELECT json_group_object(name, json(value)) FROM ( \
             SELECT m.key AS name, coalesce(CASE m.bool_value WHEN 1 THEN 'true' WHEN 0 THEN 'false' END, \
               json_quote(coalesce(m.string_value, m.int_value, m.float_value))) AS value \
             FROM embedding_metadata AS m WHERE m.id = e.id AND m.key NOT IN ('chroma:document', 'tags', 'memory_type') \
             {lists} UNION ALL SELECT 'chroma_collection', json_quote(c.name) \
             UNION ALL SELECT 'chroma_id', json_quote(e.embedding_id)))), \
           'created_at_iso', strftime('%Y-%m-%dT%H:%M:%fZ', e.created_at), \
           'embedding', json((SELECT vec_to_json(q.vector) FROM embeddings_queue AS q \
             WHERE q.id = e.embedding_id AND q.vector IS NOT NULL AND q.encoding = 'FLOAT32' \
               AND q.topic LIKE '%' || c.id ORDER BY q.seq_id DESC LIMIT 1)), \
           'embedding_model', {MODEL}) \
         FROM embeddings AS e JOIN segments AS s ON s.id = e.segment_id JOIN ( \
           SELECT id, name, dimension, coalesce({newer}, \
             CASE WHEN json_valid(config_json_str) THEN config_json_str -> '$.embedding_function' END) AS embeds \
           FROM collections) AS c ON c.id = s.collection \
         JOIN embedding_metadata AS d ON d.id = e.id AND d.key = 'chroma:document' \
         LEFT JOIN embedding_metadata AS t ON t.id = e.id AND t.key = 'tags' \
         LEFT JOIN embedding_metadata AS k ON k.id = e.id AND k.key = 'memory_type' \
         WHERE e.id > ? AND coalesce(d.string_value, '') <> '' ORDER BY e.id"
    )
}
