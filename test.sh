#!/usr/bin/env bash
# Runs every check: formatting, lints, licences, and all tests. Installs or fetches what it needs.
#
# Build products live outside the checkout, for DuckDB's C++ takes about twenty minutes on two cores: in
# CARGO_TARGET_DIR, else in the user's cache. A second run finds them there.
set -euo pipefail
cd "$(dirname "$0")"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/dbmux/target}"

if ! command -v c++ >/dev/null; then
    if [ "$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq g++; else
        echo "a C++ compiler is needed: apt-get install g++" >&2
        exit 69
    fi
fi
command -v cargo-nextest >/dev/null || cargo install --locked cargo-nextest
bash testkit/venv.sh

step() { printf '\n== %s\n' "$*"; }

step "format"
cargo fmt --all --check
step "lint"
cargo clippy --release --workspace --all-targets -- -D warnings
if command -v cargo-deny >/dev/null; then
    step "licences"
    cargo deny --offline check licenses bans sources
fi
step "build"
cargo build --release --workspace
step "test"
cargo nextest run --release --workspace "$@"
step "test the documentation's examples"
cargo test --release --doc -p dbmux-lock -p dbmux-client
