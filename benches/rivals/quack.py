"""Quack, DuckDB's own client and server, and DuckDB in one Python process. Asked on standard input, answers on
standard output, a line each.

quack.py serve PORT TOKEN FILE      a server on loopback; answers "ready"
quack.py client PORT TOKEN          its client
quack.py local FILE                 no server: DuckDB in this process

  "run SQL"                runs it where the data is; answers "done"
  "select N SQL"           runs it N times; answers with the seconds of each
  "scan SQL"               to one Arrow table; answers with the seconds, and the rows
  "insert THREADS SECONDS" single-row INSERTs, each acknowledged, of so many threads; answers with how many, and the seconds
"""

import pathlib
import sys
import threading
import time

import duckdb


def with_quack(connection):
    """Loads the two extensions from their packages."""
    import duckdb_extension_httpfs
    import duckdb_extension_quack

    for package, name in [(duckdb_extension_httpfs, "httpfs"), (duckdb_extension_quack, "quack")]:
        file = next(pathlib.Path(package.__file__).parent.glob(f"extensions/*/{name}.duckdb_extension"))
        connection.execute(f"LOAD '{file}'")
    return connection


def serve(port, token, file):
    connection = with_quack(duckdb.connect(file))
    connection.execute(f"CALL quack_serve('quack:localhost:{port}', token='{token}')")
    print("ready", flush=True)
    sys.stdin.read()


def quoted(sql):
    return sql.replace("'", "''")


class Client:
    """Of the ways that Quack has to send a statement, `query` on the attached server is the fastest: `quack_query`
    connects each time, and an INSERT into the attached table takes more turns. Tried with each measure here."""

    def __init__(self, port, token):
        self.connection = with_quack(duckdb.connect())
        self.connection.execute(f"CREATE SECRET (TYPE quack, TOKEN '{token}')")
        self.connection.execute(f"ATTACH 'quack:localhost:{port}' AS remote")

    def run(self, sql):
        self.connection.execute(f"FROM remote.query('{quoted(sql)}')").fetchall()

    def query(self, sql):
        return self.connection.execute(f"FROM remote.query('{quoted(sql)}')")

    def inserter(self):
        cursor = self.connection.cursor()
        return lambda i: cursor.execute(f"FROM remote.query('INSERT INTO log VALUES ({i}, ''some text'')')").fetchall()


class Local:
    def __init__(self, file):
        self.connection = duckdb.connect(file)

    def run(self, sql):
        self.connection.execute(sql)

    def query(self, sql):
        return self.connection.execute(sql)

    def inserter(self):
        cursor = self.connection.cursor()
        return lambda i: cursor.execute("INSERT INTO log VALUES (?, ?)", [i, "some text"])


def insert(peer, threads, seconds):
    """Rows that were acknowledged, and the time until the last one was."""
    counts, failures = [0] * threads, []
    inserters = [peer.inserter() for _ in range(threads)]
    until = time.perf_counter() + seconds

    def work(number):
        try:
            while time.perf_counter() < until:
                inserters[number](number)
                counts[number] += 1
        except Exception as failure:
            failures.append(failure)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    began = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
    return sum(counts), time.perf_counter() - began


def answer(peer, line):
    word, rest = line.rstrip("\n").split(" ", 1)
    if word == "run":
        peer.run(rest)
        return "done"
    if word == "select":
        count, sql = rest.split(" ", 1)
        times = []
        for _ in range(int(count)):
            began = time.perf_counter()
            peer.query(sql).fetchall()
            times.append(time.perf_counter() - began)
        return " ".join(map(str, times))
    if word == "scan":
        began = time.perf_counter()
        table = peer.query(rest).to_arrow_table()
        return f"{time.perf_counter() - began} {table.num_rows}"
    if word == "insert":
        threads, seconds = rest.split()
        count, took = insert(peer, int(threads), float(seconds))
        return f"{count} {took}"
    raise SystemExit(f"not understood: {word}")


def main():
    role, *arguments = sys.argv[1:]
    if role == "serve":
        return serve(*arguments)
    peer = Client(*arguments) if role == "client" else Local(*arguments)
    print("ready", flush=True)
    for line in sys.stdin:
        print(answer(peer, line), flush=True)


main()
