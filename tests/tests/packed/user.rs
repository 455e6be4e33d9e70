//! The same path for an ordinary user, who has nothing but user namespaces.

use tests::outcome::run;
use tests::require;
use tests::samples::{STATUS, Sample};
use tests::scratch::Scratch;

use super::pack_recipe;

/// A user with an entry in `/etc/passwd`, and one without.
const USERS: [u32; 2] = [65534, 4_217_007];

#[test]
fn an_ordinary_user_packs_and_launches() {
    if !require::root() || !require::user_namespaces() {
        return;
    }
    for user in USERS {
        let scratch = Scratch::of_user("user", user);
        let Some(program) = Sample::GoLike.make(scratch.path()) else { return };
        scratch.pack(&[program]);
        let outcome = run(&mut scratch.launch(&[], "go-like", &["one"])).exits(STATUS);
        assert_eq!(outcome.text(), "go-like: one");
        assert_eq!(outcome.errors(), "");
    }
}

#[test]
fn an_ordinary_user_is_root_only_inside() {
    if !require::root() || !require::user_namespaces() {
        return;
    }
    let scratch = Scratch::of_user("inside", USERS[0]);
    let recipe = "executables = [\"bash\", \"cat\", \"id\", \"stat\"]\n";
    pack_recipe(&scratch, "shell", recipe);
    let volume = format!("{}:/data", scratch.subfolder("data").display());
    let script = "id -u; echo $$; : > /data/made; stat -c %u /data/made; : > /etc/new && echo new";
    let arguments = ["-c", script];
    let outcome = run(&mut scratch.launch(&["--volume", &volume], "shell", &arguments)).ok();
    assert_eq!(outcome.text(), "0\n1\n0\nnew");
    let made = std::fs::metadata(scratch.path().join("data/made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), USERS[0]);
}
