//! What the program can read and write.

use super::Bench;

#[test]
fn writes_stay_in_the_container() {
    let Some(bench) = Bench::new("writes") else { return };
    bench.probe(&[], &["write", "/data/new"]).ok();
    let missing = bench.probe(&[], &["read", "/data/new"]).exits(1);
    assert_eq!(missing.text(), "No such file or directory", "another container's write is seen");
}

#[test]
fn a_read_only_root_takes_no_writes() {
    let Some(bench) = Bench::new("read-only") else { return };
    for path in ["/new", "/data/plain", "/etc/passwd"] {
        let refused = bench.probe(&["--read-only"], &["write", path]).exits(1);
        assert_eq!(refused.text(), "Read-only file system", "{path}");
    }
    bench.probe(&["--read-only", "--tmpfs", "/data"], &["write", "/data/new"]).ok();
}

#[test]
fn a_volume_is_shared_with_the_host() {
    let Some(bench) = Bench::new("volume") else { return };
    let folder = bench.scratch.subfolder("shared");
    let volume = format!("{}:/mnt/deep", folder.display());
    bench.probe(&["-v", &volume], &["write", "/mnt/deep/file"]).ok();
    assert_eq!(std::fs::read_to_string(folder.join("file")).unwrap(), "written\n");
    let read_only = format!("{volume}:ro");
    assert_eq!(
        bench.probe(&["-v", &read_only], &["read", "/mnt/deep/file"]).ok().text(),
        "written"
    );
    let refused = bench.probe(&["-v", &read_only], &["write", "/mnt/deep/file"]).exits(1);
    assert_eq!(refused.text(), "Read-only file system");
    // A single file, and one that is not there.
    let file = format!("{}:/etc/one:ro", folder.join("file").display());
    assert_eq!(bench.probe(&["-v", &file], &["read", "/etc/one"]).ok().text(), "written");
    let absent = format!("{}:/mnt", folder.join("absent").display());
    bench.probe(&["-v", &absent], &["exit", "0"]).exits(125).says(&["absent"]);
}

#[test]
fn devices_are_opened_through_a_volume_only_if_it_says_so() {
    let Some(bench) = Bench::new("devices") else { return };
    let read = |how: &str| {
        bench.probe(&["-v", &format!("/dev/null:/data/null:{how}")], &["read", "/data/null"])
    };
    assert_eq!(read("ro").exits(1).text(), "Permission denied");
    assert_eq!(read("dev").ok().text(), "");
}

#[test]
fn a_tmpfs_is_empty_limited_and_gone_afterwards() {
    let Some(bench) = Bench::new("tmpfs") else { return };
    let outcome = bench.probe(&["--tmpfs", "/data:size=64k"], &["read", "/data/plain"]).exits(1);
    assert_eq!(outcome.text(), "No such file or directory");
    let mounts = bench.probe(&["--tmpfs", "/data:size=64k"], &["read", "/proc/self/mounts"]).ok();
    let line = mounts.text().lines().find(|line| line.contains(" /data ")).map(str::to_owned);
    assert!(line.as_ref().is_some_and(|line| line.contains("size=64k")), "{line:?}");
}
