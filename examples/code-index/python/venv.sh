#!/bin/sh
# Makes the Python environment that `code_index.py` runs in, once, in the user's cache: prints its interpreter.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
exec sh "$here/../../../scripts/venv.sh" "${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/code-index-venv" "$here/requirements.txt"
