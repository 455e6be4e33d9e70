//! Where the built `coracle` and `paddle` are.
//!
//! They belong to other packages than this one, so cargo does not tell their paths to a suite.
//! They are asked for once in each test process, from cargo itself: it builds what is not up to
//! date, and says where the files are. The running `cargo test` holds no lock while tests run, and
//! several suites that ask together wait for one another on cargo's own.
//!
//! In a guest ([`crate::hosts`]) there is no cargo: `CORACLE_TESTS_PROGRAMS` names the folder where they are.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Environment variable: the folder with both programs, where cargo is not.
pub const FOLDER_VARIABLE: &str = "CORACLE_TESTS_PROGRAMS";

/// The built program `coracle`, in the profile of tests.
///
/// # Panics
/// When it does not build.
pub fn coracle() -> &'static Path {
    &debug()["coracle"]
}

/// The built program `paddle`, in the profile of tests.
///
/// # Panics
/// When it does not build.
pub fn paddle() -> &'static Path {
    &debug()["paddle"]
}

/// Both programs as they are shipped, for benchmarks: `(coracle, paddle)`. Takes minutes the first
/// time.
///
/// # Panics
/// When they do not build.
pub fn release() -> (&'static Path, &'static Path) {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let options = ["build", "--bins", "--release", "-p", "builder", "-p", "launcher"];
    let built = BUILT.get_or_init(|| build(&options));
    (&built["coracle"], &built["paddle"])
}

/// Every program in the profile of tests, those of the tests among them.
pub(crate) fn all() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    // The whole workspace, as `cargo test --workspace` does: a choice of packages would choose
    // other features of the dependencies, and build those again.
    BUILT.get_or_init(|| build(&["build", "--bins", "--workspace"]))
}

fn debug() -> &'static BTreeMap<String, PathBuf> {
    static GIVEN: OnceLock<Option<BTreeMap<String, PathBuf>>> = OnceLock::new();
    let given = GIVEN.get_or_init(|| {
        let folder = PathBuf::from(std::env::var_os(FOLDER_VARIABLE)?);
        Some(["coracle", "paddle"].map(|name| (name.to_owned(), folder.join(name))).into())
    });
    given.as_ref().unwrap_or_else(|| all())
}

/// Runs cargo, and returns the executables by name, as its messages name them.
pub(crate) fn build(options: &[&str]) -> BTreeMap<String, PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a member's parent");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(workspace).args(options);
    command.arg("--message-format=json-render-diagnostics");
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{errors}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}
