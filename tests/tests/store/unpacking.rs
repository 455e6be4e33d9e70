//! Snapshots: unpacked once, by whoever comes first, and sound whoever was killed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use launcher::store::{Snapshot, Store};
use rustix::fs::inotify;
use tests::archive::{Header, end};
use tests::images::{self, Layer};

use super::{bench, count, run, said, simple, spawn};

#[test]
fn launches_that_start_together_unpack_once() {
    let (folder, store) = bench();
    let many: Vec<u8> = (0..500)
        .flat_map(|i| Header::file(format!("f{i}"), &vec![7; 20_000]).bytes())
        .chain(end())
        .collect();
    let (_, layers) = images::store(store.layout(), "app", &[Layer::gzip(&many)]);
    let tarball = folder.path().join("rootfs.tar");
    // Other content, since the same would be the same snapshot.
    fs::write(&tarball, [Header::file("other", b"x").bytes(), many].concat()).unwrap();
    let blob = store.layout().blob_path(&layers[0].digest().to_string().parse().unwrap());
    for (what, packed) in [(Path::new("app"), &blob), (&tarball, &tarball)] {
        let watch = inotify::init(inotify::CreateFlags::NONBLOCK).unwrap();
        // A tarball is also opened to look at it; a layer only to unpack it.
        inotify::add_watch(&watch, packed, inotify::WatchFlags::CLOSE_NOWRITE).unwrap();
        let mut children: Vec<Child> =
            (0..3).map(|_| spawn(store.path(), what).spawn().unwrap()).collect();
        let inodes: Vec<u64> = children.iter_mut().map(said).collect();
        assert_eq!(inodes, [inodes[0]; 3], "all use one snapshot");
        for child in &mut children {
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        }
        assert_eq!(count(&store, "pending"), 0);
        if what == Path::new("app") {
            let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(&watch, &mut buffer);
            let mut opened = 0;
            while events.next().is_ok() {
                opened += 1;
            }
            assert_eq!(opened, 1, "the layer was opened once");
        }
    }
    assert_eq!(count(&store, "snapshots"), 2);
}

#[test]
fn what_a_killed_process_left_is_cleared_by_the_next_command() {
    let (_folder, store) = bench();
    let mut many: Vec<u8> = Header::folder("d").octal(100, 8, 0o500).bytes();
    many.extend((0..20_000).flat_map(|i| Header::file(format!("d/{i}"), b"x").bytes()));
    many.extend(end());
    images::store(store.layout(), "app", &[Layer::plain(&many)]);
    let pending = || {
        let key = fs::read_dir(store.path().join("pending")).unwrap().next()?.unwrap().path();
        fs::read_dir(key.join("root/d")).ok().map(Iterator::count)
    };
    for enough in [1, 100, 2000] {
        let mut child = spawn(store.path(), "app").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while pending().is_none_or(|entries| entries < enough) {
            assert!(Instant::now() < deadline, "it never unpacked {enough} entries");
        }
        // Another command meanwhile leaves it alone.
        Store::open(store.path()).unwrap();
        assert!(pending().is_some_and(|entries| entries >= enough));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((count(&store, "snapshots"), count(&store, "pending")), (0, 1));
        Store::open(store.path()).unwrap();
        assert_eq!((count(&store, "snapshots"), count(&store, "pending")), (0, 0));
    }
    let snapshot = run(&store, "app").unwrap();
    assert_eq!(fs::read_dir(snapshot.path().join("d")).unwrap().count(), 20_000);
}

#[test]
fn a_snapshot_of_another_boot_is_used_only_if_it_was_settled() {
    let (_folder, store) = bench();
    images::store(store.layout(), "app", &[Layer::plain(&simple("right"))]);
    let inode = |snapshot: &Snapshot| fs::metadata(snapshot.path()).unwrap().ino();
    let snapshot = run(&store, "app").unwrap();
    let first = inode(&snapshot);
    let record = snapshot.path().with_file_name("record");
    let app = snapshot.path().join("app");
    drop(snapshot);
    // As after a power cut: the record names another boot, and a file is torn.
    let text = fs::read_to_string(&record).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    assert!(text.contains(boot.trim()), "{text}");
    fs::write(&record, text.replace(boot.trim(), "another boot")).unwrap();
    fs::write(&app, "").unwrap();
    let snapshot = run(&store, "app").unwrap();
    assert_eq!(fs::read(&app).unwrap(), b"right");
    assert_ne!(inode(&snapshot), first);
    // Settled, it needs no boot.
    let second = inode(&snapshot);
    snapshot.settle().unwrap();
    assert!(!fs::read_to_string(&record).unwrap().contains(boot.trim()));
    assert_eq!(inode(&run(&store, "app").unwrap()), second);
    // A record that is no record counts as none.
    drop(snapshot);
    fs::write(&record, "").unwrap();
    assert_ne!(inode(&run(&store, "app").unwrap()), second);
    assert_eq!((count(&store, "snapshots"), count(&store, "pending")), (1, 0));
}
