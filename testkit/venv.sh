#!/bin/sh
# Makes the Python environment that the tests' foreign processes run in, once: prints its interpreter.
# Its place is $DBMUX_TEST_VENV, else dbmux/venv in the user's cache; the tests look there, or at $DBMUX_TEST_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${DBMUX_TEST_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/venv}
stamp=$venv/requirements.txt
if ! cmp -s "$here/requirements.txt" "$stamp"; then
    mkdir -p "$(dirname "$venv")"
    # Two runs at once make it one after the other.
    exec 9>"$venv.lock"
    flock 9
    if ! cmp -s "$here/requirements.txt" "$stamp"; then
        python3 -m venv "$venv" >&2
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
        cp "$here/requirements.txt" "$stamp"
    fi
fi
echo "$venv/bin/python"
