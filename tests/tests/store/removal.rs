//! What goes when nobody needs it, and what stays.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::time::Duration;

use launcher::store::{Pruning, StoreError};
use tests::archive::{Header, archive};
use tests::images::{self, Layer};

use super::{bench, blobs, count, run, said, simple, spawn};

#[test]
fn rmi_removes_what_only_that_name_needs() {
    let (_folder, store) = bench();
    let shared = Layer::plain(&simple("shared"));
    let own = Layer::plain(&archive([Header::file("own", b"x")]));
    images::store(store.layout(), "one", &[shared.clone(), own]);
    images::store(store.layout(), "two", &[shared]);
    images::store(store.layout(), "alias", &[Layer::plain(&simple("shared"))]);
    run(&store, "one").unwrap();
    run(&store, "two").unwrap();
    // Two manifests, two configurations, two layers.
    assert_eq!((blobs(&store), count(&store, "snapshots")), (6, 2));
    let removed = store.remove(&"one".parse().unwrap()).unwrap();
    assert_eq!((removed.blobs, removed.snapshots.len(), removed.in_use.len()), (3, 1, 0));
    assert_eq!((blobs(&store), count(&store, "snapshots")), (3, 1));
    // Another name keeps all of it.
    let removed = store.remove(&"alias".parse().unwrap()).unwrap();
    assert_eq!((removed.blobs, removed.snapshots.len()), (0, 0));
    run(&store, "two").unwrap();
    store.remove(&"two".parse().unwrap()).unwrap();
    assert_eq!((blobs(&store), count(&store, "snapshots"), count(&store, "pending")), (0, 0, 0));
    let error = store.remove(&"two".parse().unwrap()).unwrap_err();
    assert!(error.to_string().contains("no image named `two:latest`"));
}

#[test]
fn what_a_container_uses_is_never_removed() {
    let (_folder, store) = bench();
    images::store(store.layout(), "app", &[Layer::plain(&simple("used"))]);
    let mut child = spawn(store.path(), "app").spawn().unwrap();
    said(&mut child);
    let pruned = store.prune(Pruning { keep: Some(0), older_than: None }).unwrap();
    assert_eq!((pruned.names.len(), pruned.in_use.len()), (0, 1));
    let removed = store.remove(&"app".parse().unwrap()).unwrap();
    assert_eq!((removed.snapshots.len(), removed.in_use.len()), (0, 1));
    store.prune(Pruning::default()).unwrap();
    assert_eq!(count(&store, "snapshots"), 1);
    // It is given back even when the process is killed.
    child.kill().unwrap();
    child.wait().unwrap();
    let pruned = store.prune(Pruning::default()).unwrap();
    assert_eq!((pruned.snapshots.len(), count(&store, "snapshots")), (1, 0));
}

#[test]
fn prune_goes_by_last_use() {
    let (folder, store) = bench();
    let hour = 3600;
    let ages = [("a", 1), ("b", 30), ("c", 50)];
    let tarball = folder.path().join("rootfs.tar");
    fs::write(&tarball, simple("nameless")).unwrap();
    for (name, hours) in ages {
        images::store(store.layout(), name, &[Layer::plain(&simple(name))]);
        let snapshot = run(&store, name).unwrap();
        let record = fs::File::open(snapshot.path().with_file_name("record")).unwrap();
        let used = std::time::SystemTime::now() - Duration::from_secs(hours * hour);
        record.set_modified(used).unwrap();
    }
    run(&store, &tarball).unwrap();
    let names = || {
        let images = store.images().unwrap();
        images.iter().map(|image| image.name.name().to_owned()).collect::<String>()
    };
    let prune = |older: Option<u64>, keep| {
        let older_than = older.map(|hours| Duration::from_secs(hours * hour));
        store.prune(Pruning { older_than, keep }).unwrap()
    };
    assert_eq!(prune(Some(60), None).names.len(), 0);
    assert_eq!((names().as_str(), count(&store, "snapshots")), ("abc", 4));
    // Settling is no use.
    let listed = store.images().unwrap();
    assert!(listed[2].last_used.elapsed().unwrap() > Duration::from_secs(49 * hour));
    assert_eq!((listed[0].unpacked, listed[0].size > 1000), (Some(1), true));
    prune(Some(40), None);
    assert_eq!((names().as_str(), count(&store, "snapshots")), ("ab", 3));
    // The tarball was used last of all.
    prune(None, Some(2));
    assert_eq!((names().as_str(), count(&store, "snapshots")), ("a", 2));
    prune(None, None);
    assert_eq!((names().as_str(), count(&store, "snapshots")), ("a", 1));
    assert_eq!(count(&store, "sources"), 0);
    // A blob without a name is spared until nobody can be building with it.
    let blob = store.layout().write("x/y".into(), b"dangling").unwrap();
    let path = store.layout().blob_path(&blob.digest().to_string().parse().unwrap());
    assert_eq!(prune(None, None).blobs, 0);
    let old = std::time::SystemTime::now() - Duration::from_secs(2 * hour);
    fs::File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
    assert_eq!(prune(None, None).blobs, 1);
    run(&store, "a").unwrap();
}

#[test]
fn a_private_area_is_for_its_owner_only_and_goes_whole() {
    let (_folder, store) = bench();
    let area = store.create_private("c1").unwrap();
    assert_eq!(fs::metadata(&area).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(store.private_ids().unwrap(), ["c1"]);
    assert!(store.create_private("c1").is_err());
    // As overlayfs leaves it, and a container that nests folders and plants a link.
    fs::create_dir_all(area.join("work/work")).unwrap();
    fs::set_permissions(area.join("work/work"), fs::Permissions::from_mode(0o0)).unwrap();
    fs::create_dir_all(area.join("d/".repeat(1000))).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("kept"), "").unwrap();
    std::os::unix::fs::symlink(outside.path(), area.join("link")).unwrap();
    assert!(store.remove_private("c1").unwrap());
    assert!(!store.remove_private("c1").unwrap());
    assert!(outside.path().join("kept").exists());
    for id in ["..", "a/b", "", "../snapshots"] {
        assert!(matches!(store.remove_private(id), Err(StoreError::Id(_))), "{id}");
    }
}
