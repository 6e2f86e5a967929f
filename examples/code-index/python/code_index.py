"""A source tree in a database, to be searched by meaning and by words, by any number of processes at once: the program
beside this one, in Python. On SQL engines it speaks Flight SQL by ADBC, to LanceDB plain Arrow Flight; of dbmux it needs the
`dbmux` binary ($DBMUX_BIN, else in PATH), which starts the database's owner and tells its socket.

    code_index.py DB index TREE [--processes N]
    code_index.py DB search "words…" [--by meaning|words] [--language L] [--limit N]

Its index is the Rust program's, to the last chunk: either goes on where the other one stopped.
"""

import argparse
import concurrent.futures
import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import pathlib
import random
import subprocess
import sys
import time

import adbc_driver_flightsql.dbapi as flightsql
import adbc_driver_manager
import ignore
import pyarrow as pa
import pyarrow.flight as flight
import semantic_text_splitter
import xxhash

PROVIDER, MODEL, DIMENSIONS = "hashing", "words-128", 128
LARGEST, CHUNK = 1 << 20, 800
VECTOR = pa.list_(pa.float32(), DIMENSIONS)
PATIENCE = 30.0

LANGUAGES = {
    "rs": "rust", "py": "python", "pyi": "python", "md": "markdown", "c": "c", "h": "c", "cc": "c++", "cpp": "c++",
    "cxx": "c++", "hpp": "c++", "go": "go", "java": "java", "js": "javascript", "mjs": "javascript", "jsx": "javascript",
    "ts": "typescript", "tsx": "typescript", "sh": "shell", "bash": "shell", "sql": "sql", "toml": "toml", "yaml": "yaml",
    "yml": "yaml", "json": "json", "html": "html", "css": "css",
}

# The files that are indexed, whole. Every one of the engines understands it.
INDEXED = """SELECT f.path AS path, f.hash AS hash FROM files f
    LEFT JOIN (SELECT path, hash, count(*) AS n FROM chunks GROUP BY path, hash) c ON c.path = f.path AND c.hash = f.hash
    WHERE f.chunks = coalesce(c.n, 0)"""


# The tree: as `src/tree.rs` and `src/embed.rs` have it.


def words(text):
    """`readFile`, `read_file` and `read file` are the same two."""
    found, word, was_small = [], "", False
    for letter in text:
        begins = "A" <= letter <= "Z" and was_small
        if (begins or not letter.isalnum()) and word:
            found.append(word)
            word = ""
        if letter.isalnum():
            word += letter.lower()
        was_small = "a" <= letter <= "z" or "0" <= letter <= "9"
    return found + [word] if word else found


@functools.lru_cache(1 << 16)
def place(token):
    """Where a token counts, and which way."""
    hashed = xxhash.xxh3_64_intdigest(token.encode())
    return hashed % DIMENSIONS, -1 if hashed >> 63 else 1


def embed(text):
    """The vector of a text, of length 1: words and pairs of words, hashed."""
    sums, found = [0] * DIMENSIONS, words(text)
    for tokens, weight in [(found, 2), (map(" ".join, itertools.pairwise(found)), 1)]:
        for token in tokens:
            index, sign = place(token)
            sums[index] += sign * weight
    length = sum(number * number for number in sums) ** 0.5
    return [number / length if length else 0.0 for number in sums]


class File:
    def __init__(self, path):
        content = path.read_bytes() if path.stat().st_size <= LARGEST else b"\0"
        self.path, self.hash = str(path), f"{MODEL} {xxhash.xxh3_128_hexdigest(content)}"
        self.language = LANGUAGES.get(path.suffix[1:], "text")
        self.text = content.decode()
        if "\0" in self.text:
            raise UnicodeError("not a text")

    def chunks(self):
        """Number, line, text and vector of each."""
        split = semantic_text_splitter.TextSplitter(CHUNK).chunk_indices(self.text)
        split = [(offset, text) for offset, text in split if any(letter.isalnum() for letter in text)]
        line, counted = 1, 0
        for number, (offset, text) in enumerate(split):
            line, counted = line + self.text.count("\n", counted, offset), offset
            yield {"number": number, "line": line, "text": text, "embedding": embed(text)}

    def rows(self):
        same = {"path": self.path, "language": self.language, "provider": PROVIDER, "model": MODEL, "hash": self.hash}
        return [same | chunk for chunk in self.chunks()]


def paths(tree):
    """What `.gitignore` names, and what is hidden, stays out."""
    walk = ignore.WalkBuilder(pathlib.Path(tree)).require_git(False).build()
    return sorted(path for path in (pathlib.Path(entry.path()) for entry in walk) if path.is_file())


def files(tree, part, of):
    for path in paths(tree):
        if xxhash.xxh3_64_intdigest(os.fsencode(path)) % of == part:
            with contextlib.suppress(UnicodeError, FileNotFoundError):
                yield File(path)


# The database.


class Database:
    """A connection to the owner of a database, which is started where none runs, and once more where it has gone."""

    def __init__(self, path):
        self.path, self.connection = path, None

    def dbmux(self, *arguments):
        ran = subprocess.run([os.environ.get("DBMUX_BIN", "dbmux"), *arguments], capture_output=True, text=True)
        if ran.returncode:
            raise SystemExit(ran.stderr.strip())
        return ran.stdout

    def open(self):
        """Connects, if need be."""
        if self.connection is None:
            self.dbmux("sql", self.path, "SELECT 1")
            status = json.loads(self.dbmux("status", self.path, "--json"))
            self.connection = self.connect("grpc+unix://" + status["socket"])
        return self.connection

    def again(self, work):
        """Does what may be done twice until it is done: somebody else may write the same, or the owner be killed."""
        end = time.monotonic() + PATIENCE
        while True:
            try:
                return work()
            except (flightsql.Error, flight.FlightError, pa.ArrowException) as error:
                if time.monotonic() > end or is_final(error):
                    raise
                self.close()
                time.sleep(random.uniform(0.001, 0.02))

    def close(self):
        if self.connection is not None:
            connection, self.connection = self.connection, None
            with contextlib.suppress(flightsql.Error, flight.FlightError, pa.ArrowException):
                connection.close()


def is_final(error):
    """What is wrong will be wrong again; a key that somebody else has just inserted (23505) will be found."""
    wrong = isinstance(error, (flightsql.ProgrammingError, flightsql.NotSupportedError, pa.ArrowInvalid))
    return wrong and "duplicate key" not in str(error).lower()


class Sql(Database):
    """On DuckDB and SQLite. A batch of files is one transaction."""

    BATCH = 8

    def connect(self, uri):
        return flightsql.connect(uri)

    def run(self, sql, parameters=None):
        with self.open().cursor() as cursor:
            cursor.execute(sql, parameters)

    def ask(self, sql, parameters=None):
        with self.open().cursor() as cursor:
            cursor.execute(sql, parameters)
            table = cursor.fetch_arrow_table()
        self.open().rollback()
        return table

    def prepare(self):
        def prepare():
            for statement in self.PREPARE:
                self.run(statement)
            self.open().commit()

        self.again(prepare)

    def put(self, files):
        """Answers with how many were not there yet. Done once more, it does nothing."""
        written = sum(self.put_one(file) for file in files)
        self.open().commit()
        return written

    def put_one(self, file):
        # A write comes first: a transaction that has read may find that it can no longer write.
        claim = "INSERT INTO files (path, language, hash, chunks) VALUES (?, ?, '', 0) ON CONFLICT DO NOTHING"
        self.run(claim, (file.path, file.language))
        with self.open().cursor() as cursor:
            cursor.execute("SELECT hash FROM files WHERE path = ?", (file.path,))
            if cursor.fetchone() == (file.hash,):
                return 0
        self.run("DELETE FROM chunks WHERE path = ?", (file.path,))
        rows = file.rows()
        if rows:
            batch = pa.RecordBatch.from_pylist(rows, chunk_schema())
            names, marks = ", ".join(batch.schema.names), ", ".join("?" * batch.num_columns)
            with self.open().cursor() as cursor:
                cursor.executemany(f"INSERT INTO chunks ({names}) VALUES ({marks})", batch)
        self.run("UPDATE files SET hash = ?, chunks = ? WHERE path = ?", (file.hash, len(rows), file.path))
        return 1

    def remove(self, gone):
        for path in gone:
            self.run("DELETE FROM files WHERE path = ?", (path,))
            self.run("DELETE FROM chunks WHERE path = ?", (path,))
        self.open().commit()

    def search(self, asked):
        sql, values = self.by_words(asked) if asked.by == "words" else self.by_meaning(asked)
        names = [str(number + 1) for number in range(len(values))]
        values = pa.RecordBatch.from_arrays(values, names)
        found = self.ask(f"{sql} ORDER BY score DESC, path, number LIMIT {asked.limit}", values)
        return found.to_pylist()

    def by_meaning(self, asked):
        distance, null = self.DISTANCE
        sql = f"""SELECT path, number, line, language, text, 1 - {distance} AS score FROM chunks
            WHERE provider = $2 AND model = $3 AND ({null} IS NULL OR language = $4)"""
        return sql, [pa.array([embed(asked.words)], VECTOR), *filters(asked)]


class DuckDb(Sql):
    DISTANCE = "array_cosine_distance(embedding, $1::FLOAT[128])", "$4::VARCHAR"
    PREPARE = [
        "CREATE TABLE IF NOT EXISTS files (path VARCHAR PRIMARY KEY, language VARCHAR NOT NULL, hash VARCHAR NOT NULL,"
        " chunks BIGINT NOT NULL)",
        "CREATE TABLE IF NOT EXISTS chunks (path VARCHAR NOT NULL, language VARCHAR NOT NULL, provider VARCHAR NOT NULL,"
        " model VARCHAR NOT NULL, hash VARCHAR NOT NULL, number BIGINT NOT NULL, line BIGINT NOT NULL,"
        " text VARCHAR NOT NULL, embedding FLOAT[128] NOT NULL)",
    ]

    def by_words(self, asked):
        found = sorted(set(words(asked.words)))
        score = " + ".join(f"contains(lower(text), ${number + 4})::BIGINT" for number in range(len(found)))
        sql = f"""SELECT path, number, line, language, text, ({score})::DOUBLE AS score FROM chunks
            WHERE provider = $1 AND model = $2 AND ($3::VARCHAR IS NULL OR language = $3) AND {score} > 0"""
        return sql, [*filters(asked), *(pa.array([word]) for word in found)]


class Sqlite(Sql):
    DISTANCE = "vec_distance_cosine(embedding, $1)", "$4"
    PREPARE = [
        "CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, language TEXT NOT NULL, hash TEXT NOT NULL,"
        " chunks INTEGER NOT NULL) STRICT, WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS chunks (id INTEGER PRIMARY KEY, path TEXT NOT NULL, language TEXT NOT NULL,"
        " provider TEXT NOT NULL, model TEXT NOT NULL, hash TEXT NOT NULL, number INTEGER NOT NULL,"
        " line INTEGER NOT NULL, text TEXT NOT NULL, embedding BLOB NOT NULL, UNIQUE (path, number)) STRICT",
        "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='chunks', content_rowid='id')",
        "CREATE TRIGGER IF NOT EXISTS chunk_comes AFTER INSERT ON chunks BEGIN"
        " INSERT INTO words (rowid, text) VALUES (new.id, new.text); END",
        "CREATE TRIGGER IF NOT EXISTS chunk_goes AFTER DELETE ON chunks BEGIN"
        " INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text); END",
    ]

    def by_words(self, asked):
        found = " OR ".join(f'"{word}"' for word in sorted(set(words(asked.words))))
        sql = """SELECT path, number, line, language, chunks.text AS text, -bm25(words) AS score
            FROM words JOIN chunks ON chunks.id = words.rowid
            WHERE provider = $1 AND model = $2 AND ($3 IS NULL OR language = $3) AND words MATCH $4"""
        return sql, [*filters(asked), pa.array([found])]


class Lance(Database):
    """On LanceDB, by plain Arrow Flight: the command is an operation as JSON, or a SELECT; rows are the stream."""

    BATCH = 64

    def connect(self, uri):
        # gRPC in C++ calls a socket by its path, which is no host's name to an HTTP/2 server.
        return flight.connect(uri, generic_options=[("grpc.default_authority", "localhost")])

    def do(self, operation, rows=None):
        command = operation if isinstance(operation, str) else json.dumps(operation)
        if rows is None:
            return self.open().do_get(flight.Ticket(command)).read_all()
        writer, answers = self.open().do_put(flight.FlightDescriptor.for_command(command), rows.schema)
        with writer:
            writer.write_table(rows)
            writer.done_writing()
            answers.read()

    ask = do

    def prepare(self):
        def prepare():
            for table, schema in [("files", file_schema()), ("chunks", chunk_schema())]:
                empty = schema.empty_table()
                self.do({"create_table": {"table": table, "if_exists": "keep"}}, empty)
            if not self.do({"indices": {"table": "chunks"}}).num_rows:
                # Whoever comes second makes the same one again.
                self.do({"create_index": {"table": "chunks", "column": "text", "type": "fts", "replace": True}})

        self.again(prepare)

    def put(self, files):
        these = ", ".join(quoted(file.path) for file in files)
        present = {(row["path"], row["hash"]) for row in self.ask(f"{INDEXED} AND f.path IN ({these})").to_pylist()}
        missing = [file for file in files if (file.path, file.hash) not in present]
        if missing:
            rows = {file.path: file.rows() for file in missing}
            replaced = f"path IN ({', '.join(map(quoted, rows))})"
            chunks = pa.Table.from_pylist([row for some in rows.values() for row in some], chunk_schema())
            if chunks.num_rows:
                on = {"table": "chunks", "on": ["path", "number"], "delete_unmatched_where": replaced}
                self.do({"merge_insert": on}, chunks)
            else:
                self.do({"delete": {"table": "chunks", "where": replaced}})
            done = [
                {"path": file.path, "language": file.language, "hash": file.hash, "chunks": len(rows[file.path])}
                for file in missing
            ]
            self.do({"merge_insert": {"table": "files", "on": ["path"]}}, pa.Table.from_pylist(done, file_schema()))
        return len(missing)

    def remove(self, gone):
        these = f"path IN ({', '.join(map(quoted, gone))})"
        for table in ["files", "chunks"]:
            self.do({"delete": {"table": table, "where": these}})

    def search(self, asked):
        where = f"provider = {quoted(asked.provider)} AND model = {quoted(MODEL)}"
        if asked.language:
            where += f" AND language = {quoted(asked.language)}"
        search = {"table": "chunks", "where": where, "limit": asked.limit}
        search["select"] = ["path", "number", "line", "language", "text"]
        if asked.by == "words":
            search["text"] = " ".join(sorted(set(words(asked.words))))
        else:
            search |= {"vector": embed(asked.words), "metric": "cosine"}
        found = self.do({"search": search}).to_pylist()
        return [row | {"score": row["_score"] if asked.by == "words" else 1 - row["_distance"]} for row in found]


def file_schema():
    text, number = pa.string(), pa.int64()
    return schema({"path": text, "language": text, "hash": text, "chunks": number})


def chunk_schema():
    text, number = pa.string(), pa.int64()
    names = ["path", "language", "provider", "model", "hash"]
    rest = {"number": number, "line": number, "text": text, "embedding": VECTOR}
    return schema(dict.fromkeys(names, text) | rest)


def schema(columns):
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def filters(asked):
    return [pa.array([asked.provider]), pa.array([MODEL]), pa.array([asked.language], pa.string())]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def database(path):
    """By its engine, which the owner knows."""
    starts = Database(path)
    starts.dbmux("sql", path, "SELECT 1")
    engine = json.loads(starts.dbmux("status", path, "--json"))["engine"]
    return {"duckdb": DuckDb, "sqlite": Sqlite, "lance": Lance}[engine](path)


# The commands.


def index(path, tree, part=0, of=1):
    """A part of the tree. Answers with how many files were written, and how many were as they are indexed."""
    where = database(path)
    where.prepare()
    present = dict(where.again(lambda: pairs(where)))
    found = list(files(tree, part, of))
    changed = [file for file in found if present.get(file.path) != file.hash]
    written = 0
    for start in range(0, len(changed), where.BATCH):
        batch = changed[start : start + where.BATCH]
        written += where.again(lambda: where.put(batch))
    where.close()
    return written, len(found) - len(changed)


def pairs(where):
    table = where.ask(INDEXED)
    return zip(table.column("path").to_pylist(), table.column("hash").to_pylist())


def remove(path, tree):
    where = database(path)
    present = set(map(str, paths(tree)))
    gone = [path for path, _ in where.again(lambda: pairs(where))]
    gone = [path for path in gone if path.startswith(f"{tree}/") and path not in present]
    if gone:
        where.again(lambda: where.remove(gone))
    where.close()
    return len(gone)


def run_index(asked):
    tree = os.path.realpath(asked.tree)
    of = asked.processes
    # Spawned, never forked: a connection is one process's.
    with concurrent.futures.ProcessPoolExecutor(of, multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(index, asked.db, tree, part, of) for part in range(of)]
    written, unchanged = map(sum, zip(*(part.result() for part in done)))
    told = {"written": written, "unchanged": unchanged, "removed": remove(asked.db, tree)}
    line = "{written} files indexed, {unchanged} unchanged, {removed} gone"
    print(json.dumps(told) if asked.json else f"{asked.tree}: {line.format(**told)}")


def run_search(asked):
    hits = []
    if words(asked.words):
        where = database(asked.db)
        hits = where.again(lambda: where.search(asked))
        where.close()
    if asked.json:
        print(json.dumps([{name: hit[name] for name in ("path", "line", "language", "score", "text")} for hit in hits]))
        return
    for hit in hits:
        first = next(line for line in hit["text"].splitlines() if words(line))
        print(f"{hit['score']:.3f}  {hit['path']}:{hit['line']}  {first.strip()[:100]}")


def main():
    parser = argparse.ArgumentParser(description="A source tree in a database, to be searched.")
    parser.add_argument("db", metavar="DB")
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("index", help="bring the index up to date with a source tree")
    one.add_argument("tree")
    one.add_argument("--processes", type=int, default=1)
    one.set_defaults(run=run_index)
    other = commands.add_parser("search", help="find what is like some words")
    other.add_argument("words")
    other.add_argument("--limit", type=int, default=5)
    other.add_argument("--by", choices=["meaning", "words"], default="meaning")
    other.add_argument("--language")
    other.add_argument("--provider", default=PROVIDER)
    other.set_defaults(run=run_search)
    for command in (one, other):
        command.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    try:
        asked.run(asked)
    except (flightsql.Error, flight.FlightError, adbc_driver_manager.Error) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
