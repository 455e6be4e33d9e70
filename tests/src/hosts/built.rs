//! The executables of the suites and of the programs, for a guest: cargo builds them, and says where they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::Work;
use crate::programs;

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// `(name of the suite, executable)`.
    suites: Vec<(String, PathBuf)>,
    /// `coracle`, `paddle` and the tools of the tests.
    programs: Vec<PathBuf>,
}

/// Builds these suites, as `cargo test --workspace` does, which shares what it has built with this.
///
/// # Panics
/// When they do not build.
pub fn suites(names: &[&str]) -> Built {
    let mut options = vec!["test", "--workspace", "--no-run"];
    for name in names {
        options.extend(["--test", name]);
    }
    // Without a name, cargo would build all of them.
    let found = if names.is_empty() { BTreeMap::new() } else { programs::build(&options) };
    Built {
        suites: names.iter().map(|&name| (name.to_owned(), found[name].clone())).collect(),
        programs: programs::all().values().cloned().collect(),
    }
}

impl Built {
    /// Lays everything where tests expect it, and returns what a script has to start with: programs and suites by name on
    /// `PATH`, and no test that skips itself.
    pub fn lay(&self, work: &mut Work) -> String {
        work.file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
        let mut folders = String::new();
        for program in &self.programs {
            work.program(program);
            let folder = program.parent().unwrap_or(program).display().to_string();
            if !folders.contains(&folder) {
                write!(folders, "{folder}").ok();
            }
        }
        let mut head = format!(
            "export CORACLE_TESTS_STRICT=1 CORACLE_TESTS_PROGRAMS={folders} PATH={folders}:$PATH\n"
        );
        for (name, executable) in &self.suites {
            work.program(executable);
            writeln!(head, "{name}() {{ {} \"$@\"; }}", executable.display()).ok();
        }
        head
    }
}
