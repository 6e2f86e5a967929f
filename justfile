# Every task that a person needs. `just` lists them.

export CARGO_TARGET_DIR := env("CARGO_TARGET_DIR", env("XDG_CACHE_HOME", env("HOME") / ".cache") / "dbmux/target")

_default:
    @just --list

# Build the `dbmux` binary.
build:
    cargo build --release --workspace --bins

# Build, and run the demo.
demo *ARGS:
    bash demo.sh {{ARGS}}

# Everything that CI checks.
test *ARGS:
    bash test.sh {{ARGS}}

# Format, lint, licences.
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo deny check licenses bans sources

# The API's documentation.
docs:
    cargo doc --release --workspace --no-deps

# Measure against the rivals, and print the README's table.
bench *ARGS:
    bash benches/run.sh {{ARGS}}

# Kill, stop and starve real processes for a long time: so many minutes each.
soak MINUTES="10":
    DBMUX_SOAK_MINUTES={{MINUTES}} cargo nextest run --release --profile soak --workspace -E 'package(dbmux)' --run-ignored only
