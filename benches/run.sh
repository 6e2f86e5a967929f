#!/usr/bin/env bash
# Measures dbmux beside its rivals, both in turn in one run, and prints one table. See docs/benchmarks.md.
#
#   bash benches/run.sh [--quick] [--only ROW]… [--json | --markdown]
#
# Builds what it measures, and makes the rivals' Python environment, where they are not there yet. Build products live
# where `just build` and `test.sh` have theirs, so that DuckDB's C++ is compiled once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dbmux
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

if ! command -v c++ >/dev/null; then
    if [ "$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq g++; else
        echo "a C++ compiler is needed: apt-get install g++" >&2
        exit 69
    fi
fi
cargo build --release --manifest-path "$here/../Cargo.toml" --workspace --bins >&2
python=$(bash "$here/venv.sh")
dbt=$(dirname "$(bash "$here/../testkit/dbt/venv.sh")")/dbt
dbt_mcp=$(dirname "$(sh "$here/../scripts/venv.sh" "$cache/bench-dbt-mcp-venv" "$here/agents/dbt-requirements.txt")")/dbt-core-mcp
lance=$(bash "$here/../testkit/lance/venv.sh")
memories=$(sh "$here/../testkit/memories/venv.sh")
model=$(sh "$here/../crates/memory/tests/model.sh")
# The files that are written to must be on a disk, which the system's temporary directory is not everywhere.
mkdir -p "$cache/bench"
exec "$CARGO_TARGET_DIR/release/dbmux-bench" --dbmux "$CARGO_TARGET_DIR/release/dbmux" --python "$python" \
    --rivals "$here/rivals" --dbt "$dbt" --dbt-mcp "$dbt_mcp" --lance-python "$lance" \
    --memories-python "$memories" --model "$model" --directory "$cache/bench" "$@"
