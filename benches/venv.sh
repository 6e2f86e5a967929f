#!/bin/sh
# Makes the Python environment that the rivals run in, once, in the user's cache: prints its interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/bench-venv
stamp=$venv/requirements.txt
if ! cmp -s "$here/requirements.txt" "$stamp"; then
    mkdir -p "$(dirname "$venv")"
    # Where the distribution keeps `venv` in a package of its own.
    if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ]; then apt-get update -qq >&2 && apt-get install -y -qq python3-venv >&2; else
            echo "Python's venv is needed: apt-get install python3-venv" >&2
            exit 69
        fi
    fi
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
