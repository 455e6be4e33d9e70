//! The recipes that come with coracle.

use std::path::Path;

use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

#[test]
fn the_toolbox_works_with_files_and_text() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("toolbox");
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes/apps");
    scratch.pack(&[apps.join("toolbox/recipe.toml")]);
    let script = r#"
        cd "$(mktemp -d)" && mkdir -p a/b && printf 'one\ntwo\nthree\n' > a/b/words
        tar -czf a.tar.gz a && rm -r a && tar -xzf a.tar.gz
        find . -name words -print0 | xargs -0 grep -n t | sed s/:/=/ | awk -F= '{ print $2, $1 }' | sort
        id -un; echo "$LANG"
    "#;
    let outcome = run(&mut scratch.launch(&["--network", "none"], "toolbox", &["-c", script]));
    assert_eq!(outcome.ok().text(), "three 3\ntwo 2\nroot\nC.UTF-8");
}
