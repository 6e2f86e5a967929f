#!/usr/bin/env bash
# Runs every check: formatting, lints, licences, and all tests. Installs or fetches what it needs. Arguments go to
# nextest: `bash test.sh -E 'binary(output)'`.
set -euo pipefail
cd "$(dirname "$0")"
. scripts/setup.sh

compilers
programs
tools
bash testkit/venv.sh
bash testkit/dbt/venv.sh
bash testkit/lance/venv.sh
sh testkit/node/install.sh
sh crates/memory/tests/model.sh
sh testkit/memories/venv.sh
sh examples/code-index/python/venv.sh

step() { printf '\n== %s\n' "$*"; }

# A workspace of its own, as a user's program is.
example=(--manifest-path examples/code-index/Cargo.toml)

step "format"
cargo fmt --all --check
cargo fmt "${example[@]}" --check
step "licences"
cargo deny check licenses bans sources
cargo deny "${example[@]}" --config deny.toml check licenses bans sources
step "lint"
cargo clippy --release --locked --workspace --all-targets -- -D warnings
step "build"
cargo build --release --locked --workspace
step "test"
cargo nextest run --release --locked --workspace "$@"
step "test the code index"
cargo clippy --release --locked "${example[@]}" --all-targets -- -D warnings
cargo nextest run --release --locked "${example[@]}"
step "test the lock's portable ground"
cargo clippy --release --locked -p dbmux-lock --features portable --all-targets -- -D warnings
cargo nextest run --release --locked -p dbmux-lock --features portable
step "test the documentation's examples"
cargo test --release --doc -p dbmux-lock -p dbmux-client
