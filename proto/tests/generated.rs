//! Keeps `src/generated.rs` in step with `control.proto`.

use std::{fs, path::PathBuf};

#[test]
fn generated_code_is_current() {
    // Asked when it runs: a build shared between checkouts may have another in it.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).expect("a test is run by cargo");
    let root = root.as_path();
    let out = tempfile::tempdir().expect("a temporary directory");
    let descriptors = protox::compile(["control.proto"], [root]).expect("control.proto compiles");
    tonic_prost_build::configure().out_dir(out.path()).compile_fds(descriptors).expect("code is generated");
    let fresh = fs::read_to_string(out.path().join("dbmux.control.v1.rs")).expect("the generated file");
    let kept = root.join("src/generated.rs");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&kept, &fresh).expect("generated.rs is written");
    }
    assert!(fs::read_to_string(&kept).is_ok_and(|text| text == fresh), "run `UPDATE=1 cargo test -p dbmux-proto`");
}
