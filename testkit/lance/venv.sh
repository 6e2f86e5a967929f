#!/bin/sh
# Makes the Python environment with LanceDB's own package that tests run beside the engine, once: prints its interpreter.
# Its place is $DBMUX_TEST_LANCE_VENV, else dbmux/lance-venv in the user's cache; the tests look there, or at
# $DBMUX_TEST_LANCE_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${DBMUX_TEST_LANCE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/lance-venv}
exec sh "$here/../../scripts/venv.sh" "$venv" "$here/requirements.txt"
