#!/bin/sh
# Makes the Python environment of the programs whose memories are imported, once: prints its interpreter.
# Its place is $DBMUX_TEST_MEMORIES_VENV, else dbmux/memories-venv in the user's cache; the tests look there, or at
# $DBMUX_TEST_MEMORIES_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${DBMUX_TEST_MEMORIES_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/memories-venv}
# mcp-memory-service needs a Python whose SQLite loads extensions; not every build does.
for PYTHON in python3 /usr/bin/python3; do
    if "$PYTHON" -c 'import sqlite3; sqlite3.connect(":memory:").enable_load_extension(True)' 2>/dev/null; then
        break
    fi
done
export PYTHON
exec sh "$here/../../scripts/venv.sh" "$venv" "$here/requirements.txt"
