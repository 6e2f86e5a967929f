"""The Python locks. Asked on standard input, answers on standard output, a line each.

locks.py LIBRARY PATH
  "pairs N"   acquires and releases N times; answers with the seconds of one pair
  "hold MS"   acquires, answers "held", holds, and answers with the moment before the release (CLOCK_MONOTONIC, ns)
  "wait"      acquires, releases, and answers with the moment when it was in
"""

import sys
import time


def lock(library, path):
    """A lock's acquire and release, as the library's own page shows them."""
    if library == "fasteners":
        import fasteners

        lock = fasteners.InterProcessLock(path)
        return lock.acquire, lock.release
    if library == "filelock":
        import filelock

        lock = filelock.FileLock(path)
        return lock.acquire, lock.release
    if library == "portalocker":
        import portalocker

        lock = portalocker.Lock(path, timeout=60)
        return lock.acquire, lock.release
    raise SystemExit(f"no lock is called {library}")


def main():
    acquire, release = lock(sys.argv[1], sys.argv[2])
    for line in sys.stdin:
        word, *number = line.split()
        if word == "pairs":
            count = int(number[0])
            began = time.perf_counter()
            for _ in range(count):
                acquire()
                release()
            print((time.perf_counter() - began) / count, flush=True)
        elif word == "hold":
            acquire()
            print("held", flush=True)
            time.sleep(int(number[0]) / 1000)
            moment = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            release()
            print(moment, flush=True)
        elif word == "wait":
            acquire()
            moment = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            release()
            print(moment, flush=True)


main()
