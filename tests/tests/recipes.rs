//! The recipes that come with coracle: each is built on this machine, and has to pass its own check.
//!
//! What has to be installed for it is in the recipe, in lines `# needs: PACKAGE ...`, by the names of
//! Debian's packages, which must be in the table of `tests/all`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

/// Seconds for a recipe, which are for debug builds of both programs, and many tests at a time.
const TIME: &str = "220";

/// One test for each recipe; [`every_recipe_has_a_test`] holds the list against the folder.
macro_rules! recipes {
    ($($test:ident = $folder:literal),* $(,)?) => {
        const TESTED: &[&str] = &[$($folder),*];
        $(
            #[test]
            fn $test() {
                check($folder);
            }
        )*
    };
}

recipes! {
    age_keeps_secrets = "age",
    busybox_is_a_shell_with_tools = "busybox",
    curl_verifies_servers_by_name = "curl",
    ffmpeg_encodes_and_probes = "ffmpeg",
    git_commits_and_clones = "git",
    imagemagick_converts = "imagemagick",
    java_serves_from_its_source = "java",
    jq_filters = "jq",
    nginx_serves_and_reloads = "nginx",
    node_serves = "node",
    numpy_computes = "numpy",
    openssl_certifies_and_signs = "openssl",
    perl_works_by_its_modules = "perl",
    php_serves_and_keeps_data = "php",
    postgresql_keeps_data = "postgresql",
    python_web_serves_and_keeps_data = "python-web",
    redis_keeps_data = "redis",
    ripgrep_searches = "ripgrep",
    ruby_serves = "ruby",
    sqlite3_keeps_data = "sqlite3",
    ssh_runs_commands_elsewhere = "ssh",
    toolbox = "toolbox",
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn recipe(folder: &str) -> PathBuf {
    workspace().join("recipes/apps").join(folder).join("recipe.toml")
}

/// The table of `tests/all`: of each Debian package, a program or file that shows that it is there.
fn table() -> BTreeMap<String, String> {
    let script = fs::read_to_string(workspace().join("tests/all")).unwrap();
    let (_, rest) = script.split_once("\nneeds=(\n").unwrap();
    let (table, _) = rest.split_once("\n)").unwrap();
    let words: Vec<&str> = table.split_whitespace().collect();
    words.chunks(2).map(|pair| (pair[1].to_owned(), pair[0].to_owned())).collect()
}

/// Whether all packages that the recipe needs are installed.
fn is_possible(recipe: &str) -> bool {
    let table = table();
    let packages = recipe.lines().filter_map(|line| line.strip_prefix("# needs:"));
    packages.flat_map(str::split_whitespace).all(|package| {
        let shows = table.get(package);
        let shows = shows.unwrap_or_else(|| panic!("`{package}` is not in the table of tests/all"));
        if shows.starts_with('/') {
            require::file(shows).is_some()
        } else {
            require::program(shows).is_some()
        }
    })
}

fn check(folder: &str) {
    let path = recipe(folder);
    let text = fs::read_to_string(&path).unwrap();
    if !require::root() || !is_possible(&text) {
        return;
    }
    let scratch = Scratch::new(&format!("recipe-{folder}"));
    let outcome =
        run(scratch.coracle().args(["check", "--run", "--timeout", TIME]).arg(&path)).ok();
    let steps = outcome.text();
    assert!(!steps.is_empty() && steps.lines().all(|line| line.starts_with("ok ")), "{outcome:?}");
    let kept = fs::read_dir(scratch.store()).unwrap().count();
    assert_eq!(kept, 0, "a check leaves nothing in the store");
}

#[test]
fn every_recipe_has_a_test() {
    let folders: BTreeSet<String> = fs::read_dir(workspace().join("recipes/apps"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let tested: BTreeSet<String> = TESTED.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(folders, tested);
}

#[test]
fn every_recipe_has_a_check() {
    for folder in TESTED {
        let recipe = builder::spec::recipe::Recipe::read(&recipe(folder)).unwrap();
        assert!(recipe.check.is_some(), "{folder}");
    }
}
