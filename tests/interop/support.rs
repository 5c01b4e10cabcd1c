//! What the tests share: the binary, the big images, a registry.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Once,
};

#[allow(unused_imports, reason = "shared with tests that use less of it")]
pub use portcullis_tests::{Registry, cache, free_port, is_on, json, portcullis, run, skip};

pub fn data() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let path = std::env::var_os("PORTCULLIS_TEST_DATA").map_or(default, PathBuf::from);
    if !path.is_dir() {
        skip("real data: PORTCULLIS_TEST_DATA names no folder");
        return None;
    }
    Some(path)
}

/// The folder of the big images, built once by the recipe beside the test data.
pub fn images() -> Option<PathBuf> {
    static BUILD: Once = Once::new();
    let folder = cache().join("images");
    let recipe = std::env::var_os("PORTCULLIS_BENCH")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/bench"), PathBuf::from)
        .join("make-images.sh");
    if !recipe.is_file() {
        skip("big images: PORTCULLIS_BENCH names no folder with make-images.sh");
        return None;
    }
    BUILD.call_once(|| {
        let mut make = Command::new("bash");
        make.arg(&recipe).arg(&folder).args(["debian-base", "python-app", "node-app"]);
        // The recipe leaves a registry running: its output is not waited for.
        let status = make.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        assert!(status.success(), "the big images could not be built");
        _ = Command::new("bash").arg(&recipe).arg(&folder).arg("registry-stop").status();
    });
    Some(folder)
}

/// The full database, built once from the real advisories.
pub fn database() -> Option<PathBuf> {
    static BUILD: Once = Once::new();
    let data = data()?;
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("whole.db");
    BUILD.call_once(|| {
        let mut build = portcullis();
        build.args(["db", "build", "-o"]).arg(&path);
        for folder in ["osv", "kev", "epss"] {
            build.arg("--from").arg(data.join(folder));
        }
        run(&mut build, &[0]);
    });
    Some(path)
}
