#!/bin/sh
# Makes the Python environment that the tests' foreign processes run in, once: prints its interpreter.
# Its place is $DBMUX_TEST_VENV, else dbmux/venv in the user's cache; the tests look there, or at $DBMUX_TEST_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${DBMUX_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/venv}
exec sh "$here/../scripts/venv.sh" "$venv" "$here/requirements.txt"
