"""Makes databases with the real programs: `programs.py service FILE`, `programs.py chroma FOLDER`, `programs.py count FILE`."""

import asyncio
import sys

WORDS = "the staging host is called heron"


async def service(path):
    from mcp_memory_service.models.memory import Memory
    from mcp_memory_service.storage.sqlite_vec import SqliteVecMemoryStorage
    from mcp_memory_service.utils.hashing import generate_content_hash

    storage = SqliteVecMemoryStorage(path)
    await storage.initialize()
    memories = [(WORDS, ["hosts", "staging"], "observation", {"who": "ann"}), ("gone", ["x"], None, {})]
    memories += [(f"entry {number} ä\n\"quoted\"", [], "note", {}) for number in range(600)]
    for number, (content, tags, kind, metadata) in enumerate(memories):
        memory = Memory(
            content=content, content_hash=generate_content_hash(content), tags=tags, memory_type=kind, metadata=metadata,
            created_at=1700000000.25 + number,
        )
        stored, why = await storage.store(memory, skip_semantic_dedup=True)
        assert stored, why
    deleted, why = await storage.delete(generate_content_hash("gone"))
    assert deleted, why


def chroma(folder):
    import chromadb

    def vector(one, length):
        return [1.0 if index == one else 0.0 for index in range(length)]

    client = chromadb.PersistentClient(folder)
    notes = client.create_collection("notes")
    metadata = {"tags": "hosts,staging", "memory_type": "note", "weight": 0.5, "old": True, "n": 3}
    notes.add(ids=["a", "b"], documents=[WORDS, "tea is at four"], metadatas=[metadata, {"x": "y", "tags": ["a", "b"], "list": [1, 2]}],
              embeddings=[vector(0, 384), vector(1, 384)])
    notes.add(ids=["g"], documents=["gone"], embeddings=[vector(2, 384)])
    notes.delete(ids=["g"])
    plain = client.create_collection("plain", embedding_function=None)
    plain.add(ids=["p"], documents=["of no model that is known"], embeddings=[[1.0, 2.0]])
    plain.add(ids=["q"], documents=None, embeddings=[[2.0, 1.0]])


def count(folder):
    import chromadb

    print(sum(one.count() for one in chromadb.PersistentClient(folder).list_collections()))


if __name__ == "__main__":
    what, where = sys.argv[1:]
    asyncio.run(service(where)) if what == "service" else {"chroma": chroma, "count": count}[what](where)
