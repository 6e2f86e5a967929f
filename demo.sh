#!/usr/bin/env bash
# Builds dbmux, and runs its demo. Installs what the build needs. Arguments are the demo's: `bash demo.sh --seconds 3`.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/scripts/setup.sh"

compilers
# As the tests do: with one package alone the crates that it uses have other features, and are compiled once more.
cargo build --release --locked --manifest-path "$here/Cargo.toml" --workspace --bins
echo "dbmux is here: $CARGO_TARGET_DIR/release/dbmux" >&2
exec "$CARGO_TARGET_DIR/release/dbmux" demo "$@"
