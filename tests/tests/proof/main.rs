//! `coracle check --run` and `coracle build --require-check`: what a check says of images that work, and of
//! those that fail, hang, crash, flood, or attack whoever checks them.
//!
//! The image has a shell and a few tools of this machine; what it does is in the recipe.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail as it does")]

mod end;
mod require_check;
mod servers;
mod steps;
mod suspects;

use std::path::PathBuf;
use std::process::Command;

use tests::outcome::{Outcome, run};
use tests::require;
use tests::scratch::Scratch;

/// What every image of this suite has.
const IMAGE: &str = "name = \"app\"\n\
    executables = [\"/bin/sh\", \"cat\", \"head\", \"id\", \"sleep\", \"yes\"]\n";

/// A folder for one recipe, with a temporary folder that has to be empty again in the end.
struct Case {
    scratch: Scratch,
    recipe: PathBuf,
}

impl Case {
    /// For root. `None` skips the test.
    fn new(name: &str, recipe: &str) -> Option<Self> {
        require::root().then(|| Self::with(Scratch::new(name), recipe))
    }

    fn with(scratch: Scratch, recipe: &str) -> Self {
        scratch.subfolder("tmp");
        let recipe = scratch.file("app.toml", format!("{IMAGE}{recipe}"));
        Self { scratch, recipe }
    }

    /// `coracle VERB`, with this temporary folder.
    fn coracle(&self, arguments: &[&str]) -> Command {
        let mut command = self.scratch.coracle();
        command.args(arguments).env("TMPDIR", self.scratch.path().join("tmp"));
        command
    }

    /// `coracle check --run`, after which nothing may be left.
    fn check(&self, options: &[&str]) -> Outcome {
        let outcome = run(self.coracle(&["check", "--run"]).args(options).arg(&self.recipe));
        self.assert_clean();
        outcome
    }

    fn assert_clean(&self) {
        for folder in ["tmp", "store", "state", "home"] {
            let folder = self.scratch.path().join(folder);
            let left: Vec<_> = std::fs::read_dir(&folder).unwrap().collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

/// A step that runs a script of the shell.
fn script(script: &str) -> String {
    format!("[[check.step]]\nrun = [\"sh\", \"-c\", '''{script}''']\n")
}
