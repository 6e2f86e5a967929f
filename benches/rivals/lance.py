"""Python's lancedb, which opens the directory itself: what `benches/src/row/lance` does through dbmux. Told for how many
seconds on standard input; answers with a line of numbers.

lance.py seed PATH ROWS       makes the table; then "count" is answered with its rows, and its different keys
lance.py writer PATH NUMBER   "SECONDS": the seconds that it took, its writes, its new rows, its conflicts
lance.py reader PATH NUMBER   "SECONDS": the seconds of each search
lance.py nearest PATH NUMBER  "FILTER|VECTOR": the seconds of the search, and the ten nearest rows' ids
"""

import sys
import time

import lancedb
import numpy as np
import pyarrow as pa

DIMENSIONS, SEED, PROVIDERS = 128, 20_000, ["one", "two", "three", "four"]


def vectors(ids):
    places = np.array(ids, np.uint64)[:, None] * np.uint64(128) + np.arange(1, DIMENSIONS + 1, dtype=np.uint64)
    hashed = (places * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    return hashed.astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def rows(ids):
    flat = pa.array(vectors(ids).ravel(), pa.float32())
    return pa.table({
        "provider": [PROVIDERS[id % 4] for id in ids],
        "text": [f"the text of {id}" for id in ids],
        "embedding": pa.FixedSizeListArray.from_arrays(flat, DIMENSIONS),
        "id": pa.array(ids, pa.int64()),
    })


def is_conflict(error):
    return any(word in str(error).lower() for word in ["conflict", "retry", "too many concurrent"])


class Writer:
    def __init__(self, table, number):
        self.table, self.number, self.next = table, number, 0

    def own(self, count):
        first = (self.number + 1) * 1_000_000_000 + self.next
        return list(range(first, first + count))

    def operation(self):
        if self.number % 2 == 0:
            batch = rows(self.own(10))
            self.next += 10
            return lambda: self.table.add(batch), 10
        batch = rows([(self.next * 7919 + one * 4001) % SEED for one in range(5)] + self.own(5))
        self.next += 5

        def merge():
            self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(batch)

        return merge, 5

    def work(self, seconds):
        began, writes, new, conflicts = time.perf_counter(), 0, 0, 0
        while time.perf_counter() - began < seconds:
            write, rows = self.operation()
            while True:
                try:
                    write()
                    break
                except Exception as error:
                    if not is_conflict(error):
                        raise
                    conflicts += 1
                    self.table.checkout_latest()
            writes, new = writes + 1, new + rows
        return [time.perf_counter() - began, writes, new, conflicts]


class Reader:
    def __init__(self, table, number):
        self.table, self.number = table, number

    def work(self, seconds):
        began, times = time.perf_counter(), []
        while time.perf_counter() - began < seconds:
            vector = vectors([self.number * 1_000_003 + len(times)])[0]
            begun = time.perf_counter()
            # New rows are to be seen, as they are through an owner.
            self.table.checkout_latest()
            search = self.table.search(vector).where(f"provider = '{PROVIDERS[len(times) % 4]}'", prefilter=True)
            found = search.select(["id", "_distance"]).limit(10).to_arrow()
            times.append(time.perf_counter() - begun)
            assert found.num_rows == 10, found.num_rows
        return times


class Seed:
    def __init__(self, database, count):
        self.database = database
        database.create_table("chunks", rows(range(count)))

    def count(self):
        ids = self.database.open_table("chunks").to_arrow().column("id")
        return [len(ids), len(ids.unique())]


class Nearest:
    def __init__(self, table, _):
        self.table = table

    def answer(self, line):
        filter, vector = line.split("|")
        vector = np.array(vector.split(), np.float32)
        begun = time.perf_counter()
        self.table.checkout_latest()
        search = self.table.search(vector).where(filter, prefilter=True).select(["id", "_distance"])
        found = search.limit(10).to_arrow()
        return [time.perf_counter() - begun, *found.column("id").to_pylist()]


def main():
    role, path, number = sys.argv[1:]
    database = lancedb.connect(path)
    if role == "seed":
        worker = Seed(database, int(number))
    else:
        worker = {"writer": Writer, "reader": Reader, "nearest": Nearest}[role](database.open_table("chunks"), int(number))
    print("ready", flush=True)
    for line in sys.stdin:
        line = line.strip()
        if role == "nearest":
            numbers = worker.answer(line)
        else:
            numbers = worker.count() if line == "count" else worker.work(float(line))
        print(*numbers, flush=True)


main()
