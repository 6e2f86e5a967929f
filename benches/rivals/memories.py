"""mcp-memory-service 12.2.0, whose processes open the SQLite file themselves: what `benches/src/row/memories` does
through dbmux. Told what to do on standard input; answers with a line of the seconds of each operation, those that
failed as a negative number.

memories.py seed PATH COUNT    stores the memories; ends at the end of standard input
memories.py work PATH NUMBER   "OPERATION SECONDS PAUSE": does it until the seconds are over, the pause between two

store    what its tool memory_store ends in. When a memory is stored it is compared with each one that is there (a
         search for conflicts, by the vectors), and no setting turns that off
batch    the same memory by store_batch, as a batch of one: no tool stores so, but nothing is compared
search   what its tool memory_search does in the mode "exact": LIKE over all contents, of which the newest ten are
         taken. No index, and yet several times faster than its one search by words that has one (BM25 over trigrams,
         the half of the mode "hybrid" that needs no vector)

The journal is a WAL, and `synchronous` is NORMAL, as it is by default: when a store is done it is in the system's
cache, and a loss of power may undo it, for only a checkpoint syncs. Ours syncs each.
"""

import asyncio
import logging
import os
import sys
import time

# Before the import, which reads some of them. What its server does besides (quality, entities, consolidation, backups,
# checks of the file) is above this class, and so does not run at all.
os.environ.update({
    # No model: vectors are hashes of the text. There is no way to have none.
    "MCP_MEMORY_USE_ONNX": "0",
    # Otherwise it refuses them for a database that has memories.
    "MCP_MEMORY_ALLOW_HASH_EMBEDDINGS": "1",
    # Else `store` compares the memory with those of the last day before it stores it, too.
    "MCP_SEMANTIC_DEDUP_ENABLED": "false",
    # What its guide tells those who have several processes to set; WAL and NORMAL are the defaults.
    "MCP_MEMORY_SQLITE_PRAGMAS": "busy_timeout=15000,cache_size=20000",
    "MCP_SYNC_EVENTLOG": "off",
})
logging.basicConfig(level=logging.ERROR)

from mcp_memory_service.models.memory import Memory
from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage
from mcp_memory_service.utils.hashing import generate_content_hash

LIMIT, BATCH, TOLD = 10, 500, 3
# As in texts.rs.
WORDS, LONG = 20_000.0, 24


def word(number, place):
    hashed = ((number * LONG + place + 1) * 0x9E3779B97F4A7C15) % (1 << 64)
    return f"w{int(WORDS ** ((hashed >> 11) / (1 << 53)))}"


def text(number):
    return f"memory {number}: " + " ".join(word(number, place) for place in range(LONG))


def own(number, turn):
    return f"of {number}: {text(turn)}"


def memory(content, tag):
    return Memory(content=content, content_hash=generate_content_hash(content), tags=[tag])


async def opened(path):
    storage = SqliteVecMemoryStorage(path)
    await storage.initialize()
    return storage


def check(stored):
    done, why = stored
    if not done:
        raise RuntimeError(why)


class Worker:
    def __init__(self, storage, number):
        self.storage, self.number, self.turn, self.failures = storage, number, 0, 0

    def operation(self, name):
        """What is to be measured, its arguments made."""
        self.turn += 1
        new = memory(own(self.number, self.turn), "load")
        one = (self.number * 1009 + self.turn) % 1000
        query = f"{word(one, 3)} {word(one, 4)}"
        return {"store": (self.store, new), "batch": (self.batch, new), "search": (self.search, query)}[name]

    async def store(self, new):
        check(await self.storage.store(new))

    async def batch(self, new):
        check((await self.storage.store_batch([new]))[0])

    async def search(self, query):
        found = await self.storage.search_memories(query=query, mode="exact", limit=LIMIT)
        assert found["memories"], found.get("error", f"nothing is found: {query}")

    async def once(self, name):
        operation, argument = self.operation(name)
        began = time.perf_counter()
        try:
            await operation(argument)
            return time.perf_counter() - began
        except Exception as error:
            took = time.perf_counter() - began
            self.failures += 1
            if self.failures <= TOLD:
                print(f"{name} failed: {error}", file=sys.stderr, flush=True)
            return -took

    async def work(self, name, seconds, pause):
        began, times = time.perf_counter(), []
        while time.perf_counter() - began < seconds:
            times.append(await self.once(name))
            await asyncio.sleep(pause)
        return times


async def seed(path, count):
    storage = await opened(path)
    for begin in range(0, count, BATCH):
        numbers = range(begin, min(begin + BATCH, count))
        stored = await storage.store_batch([memory(text(number), f"t{number % 10}") for number in numbers])
        for one in stored:
            check(one)
    # The last one to close moves all from the WAL to the file.
    await storage.close()
    print("ready", flush=True)
    sys.stdin.read()


async def work(path, number):
    worker = Worker(await opened(path), number)
    print("ready", flush=True)
    for line in sys.stdin:
        name, seconds, pause = line.split()
        print(*await worker.work(name, float(seconds), float(pause)), flush=True)
    await worker.storage.close()


def main():
    role, path, number = sys.argv[1:]
    asyncio.run({"seed": seed, "work": work}[role](path, int(number)))


main()
