//! Rules: what fires each, and what it ships, over made-up roots: nothing of what they are about has to be installed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod lists;
mod regional;
mod shipped;
mod triggers;

use std::os::unix::fs::symlink;
use std::path::Path;

use builder::interrupt::Interrupt;
use builder::plan::{Plan, Why};
use builder::resolve::rules::RuleSet;
use builder::resolve::{Options, Sysroot};
use builder::spec::ImageSpec;
use builder::spec::recipe::Recipe;
use builder::{Error, Surroundings};
use common::progress::Progress;
use tests::elf::{Elf, Symbol, library, program};

const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
/// Where libraries are.
const LIBRARIES: &str = "/usr/lib/x86_64-linux-gnu";
/// The program of every root.
const APP: &str = "/usr/bin/app";

/// A root with a loader. `L/` at the start of a path stands for [`LIBRARIES`].
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().unwrap());
        library("ld-linux-x86-64.so.2", &[]).write(&root.at(LOADER));
        root.object("L/libc.so.6", &library("libc.so.6", &[]));
        root
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(&long(path)[1..])
    }

    fn object(&self, path: &str, elf: &Elf) {
        elf.write(&self.at(path));
    }

    fn text(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(target, path).unwrap();
    }

    /// What `recipe` makes of this root, and the warnings.
    fn plan(&self, recipe: &str, rules: Option<&Path>) -> Result<(Plan, Vec<String>), Error> {
        let recipe = Recipe::parse(recipe).unwrap();
        let spec = ImageSpec::new(&recipe, None, false).unwrap();
        let sysroot = Sysroot::open(self.0.path()).unwrap();
        let around = Surroundings {
            sysroot: &sysroot,
            options: Options::default(),
            path: b"/usr/bin".to_vec(),
            rules: RuleSet::load(rules).unwrap().switched(&spec.rules).unwrap(),
            progress: Progress::new(true),
            interrupt: Interrupt::default(),
        };
        builder::plan(&spec, &around)
    }
}

/// The whole path of what a table writes short.
fn long(path: &str) -> String {
    match path.strip_prefix("L/") {
        Some(rest) => format!("{LIBRARIES}/{rest}"),
        None => path.to_owned(),
    }
}

/// The program of a root, with what it needs and imports.
fn app(needed: &[&str], symbols: &[&str]) -> Elf {
    let needed: Vec<&str> = needed.iter().copied().chain(["libc.so.6"]).collect();
    let app = program(LOADER, &needed);
    symbols.iter().fold(app, |app, symbol| app.symbol(Symbol::undefined(symbol)))
}

/// Paths of a plan that a rule has put there, links and folders left out.
fn shipped(plan: &Plan, rule: &str) -> Vec<String> {
    use builder::plan::Node;
    let by_rule = |why: &Why| matches!(why, Why::Rule { rule: by, .. } if by == rule);
    plan.entries
        .iter()
        .filter(|(_, entry)| entry.why.iter().any(by_rule))
        .filter(|(_, entry)| matches!(entry.node, Node::File { .. } | Node::HardLink { .. }))
        .map(|(path, _)| path.to_string())
        .collect()
}
