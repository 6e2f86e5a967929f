#!/bin/sh
# Installs the npm packages that the tests' JavaScript needs, once, in the user's cache: prints the folder.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=${DBMUX_TEST_NODE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/node}
mkdir -p "$folder"
# Two runs at once make it one after the other.
exec 9>"$folder.lock"
flock 9
if ! cmp -s "$here/package-lock.json" "$folder/installed.json"; then
    cp "$here/package.json" "$here/package-lock.json" "$folder/"
    (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
    cp "$here/package-lock.json" "$folder/installed.json"
fi
echo "$folder"
