//! Whose files they are, and whose store.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use common::digest::Digest;
use common::oci::layout::ImageLayout;
use launcher::store::{Ids, Store};
use tests::archive::{Header, archive};
use tests::images::{self, Layer};
use tests::require;

use super::{HOLD_SNAPSHOT, bench, run, said, simple};

/// An id that no user of the host has.
const USER: u32 = 61_234;

#[test]
fn an_ordinary_user_gets_the_files_and_a_store_of_another_is_refused() {
    if !require::root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("store");
    let tar = archive([
        Header::folder("closed").octal(100, 8, 0o555),
        Header::file("closed/a", b"x").octal(108, 8, 7).octal(116, 8, 8).octal(100, 8, 0o6755),
        Header::file("closed/su", b"x").octal(100, 8, 0o4755),
        Header::folder("nothing").octal(100, 8, 0),
    ]);
    let layout = ImageLayout::create(&path).unwrap();
    images::store(&layout, "app", &[Layer::gzip(&tar)]);
    for entry in [path.clone(), path.join("blobs"), path.join("blobs/sha256")] {
        chown(entry, Some(USER), Some(USER)).unwrap();
    }
    // A program that the user can reach.
    let program = folder.path().join("program");
    fs::copy(HOLD_SNAPSHOT, &program).unwrap();
    let as_user = || {
        let mut command = Command::new(&program);
        command
            .arg(&path)
            .arg("app")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .uid(USER)
            .gid(USER);
        command
    };
    let mut child = as_user().spawn().unwrap();
    said(&mut child);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let snapshot = path.join("snapshots").join(Digest::of(&tar).hex());
    let expected = format!(
        "0755 {USER}:{USER} dir - /
0555 {USER}:{USER} dir - /closed
0755 {USER}:{USER} file 1 /closed/a 2d711642b726
4755 {USER}:{USER} file 1 /closed/su 2d711642b726
0000 {USER}:{USER} dir - /nothing
"
    );
    assert_eq!(images::dump(&snapshot.join("root")), expected);
    // Whoever is on the host cannot reach the set-uid file.
    assert_eq!(fs::metadata(path.join("snapshots")).unwrap().mode() & 0o777, 0o700);
    let error = Store::open(&path).unwrap_err();
    assert!(error.to_string().contains(&format!("belongs to user {USER}")), "{error}");
    // The user can remove what forbids its owner everything.
    let text = fs::read_to_string(snapshot.join("record")).unwrap();
    fs::write(snapshot.join("record"), text.replace("squashed", "kept")).unwrap();
    let mut child = as_user().spawn().unwrap();
    said(&mut child);
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::read_dir(path.join("pending")).unwrap().count(), 0);
}

#[test]
fn root_keeps_the_owners_of_the_image() {
    if !require::root() {
        return;
    }
    let (_folder, store) = bench();
    images::store(store.layout(), "app", &[Layer::plain(&simple("x"))]);
    assert_eq!(run(&store, "app").unwrap().ids(), Ids::Kept);
}
