#!/bin/sh
# Makes a Python environment with what a list of requirements names, once, and prints its interpreter:
# `venv.sh DIRECTORY REQUIREMENTS`. It is made anew when the list has changed. $PYTHON: what it is made with.
set -eu
venv=$1
requirements=$2
python=${PYTHON:-python3}
stamp=$venv/requirements.txt
if ! cmp -s "$requirements" "$stamp"; then
    mkdir -p "$(dirname "$venv")"
    # Where the distribution keeps `venv` in a package of its own.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" = 0 ]; then apt-get update -qq >&2 && apt-get install -y -qq python3-venv >&2; else
            echo "Python's venv is needed: apt-get install python3-venv" >&2
            exit 69
        fi
    fi
    # Two runs at once make it one after the other.
    exec 9>"$venv.lock"
    flock 9
    if ! cmp -s "$requirements" "$stamp"; then
        "$python" -m venv "$venv" >&2
        "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >&2
        cp "$requirements" "$stamp"
    fi
fi
echo "$venv/bin/python"
