#!/bin/sh
# Makes the Python environment with dbt that tests and benches run, once: prints its interpreter.
# Its place is $DBMUX_TEST_DBT_VENV, else dbmux/dbt-venv in the user's cache; the tests look there, or at
# $DBMUX_TEST_DBT_PYTHON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
venv=${DBMUX_TEST_DBT_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/dbt-venv}
exec sh "$here/../../scripts/venv.sh" "$venv" "$here/requirements.txt"
