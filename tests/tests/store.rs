//! The store: images found, unpacked once, leased, removed, and nothing left by whoever was killed.
//!
//! Processes that unpack at the same time, are killed, or are another user's are the support program
//! `hold-snapshot`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::digest::Digest;
use common::oci::archive as oci_archive;
use common::oci::layout::ImageLayout;
use common::report::{Diagnostic as _, render};
use launcher::store::{Ids, ImageSource, Pruning, Snapshot, Store, StoreError};
use rustix::fs::inotify;
use tempfile::TempDir;
use tests::archive::{Header, archive, end};
use tests::images::{self, Layer};
use tests::require;

fn bench() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn simple(content: &str) -> Vec<u8> {
    archive([Header::file("app", content.as_bytes())])
}

fn run(store: &Store, what: impl AsRef<Path>) -> Result<Snapshot, StoreError> {
    store.unpack(&store.get(&ImageSource::from(what.as_ref()))?)
}

fn count(store: &Store, name: &str) -> usize {
    fs::read_dir(store.path().join(name)).map_or(0, Iterator::count)
}

fn blobs(store: &Store) -> usize {
    count(store, "blobs/sha256")
}

const HOLD_SNAPSHOT: &str = env!("CARGO_BIN_EXE_hold-snapshot");

fn spawn(store: &Path, image: impl AsRef<Path>) -> Command {
    let mut command = Command::new(HOLD_SNAPSHOT);
    command.arg(store).arg(image.as_ref()).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The inode that it says; its standard input is still open afterwards.
fn said(child: &mut Child) -> u64 {
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    while !line.contains("unpacked ") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0, "it failed");
    }
    line.rsplit_once("unpacked ").unwrap().1.trim().parse().unwrap()
}

#[test]
fn an_image_is_found_by_name_archive_folder_and_tarball() {
    let (folder, store) = bench();
    let at = |name: &str| folder.path().join(name);
    let tar = simple("found");
    // In another layout, under two names; and that as an archive.
    let layout = ImageLayout::create(&at("layout")).unwrap();
    images::store(&layout, "other:1", &[Layer::gzip(&simple("another"))]);
    let (manifest, _) = images::store(&layout, "app:2", &[Layer::gzip(&tar)]);
    let name = "app:2".parse().unwrap();
    let out = fs::File::create(at("archive.tar")).unwrap();
    oci_archive::write(&layout, &name, &manifest, out).unwrap();
    // What it is, its content says.
    fs::copy(at("archive.tar"), at("archive.gz")).unwrap();
    fs::write(at("rootfs.tar"), &tar).unwrap();
    fs::write(at("rootfs.zst"), zstd::encode_all(&tar[..], 1).unwrap()).unwrap();
    images::store(store.layout(), "app", &[Layer::zstd(&tar)]);
    let mut found: Vec<Snapshot> = Vec::new();
    for what in [
        PathBuf::from("app"),
        PathBuf::from("app:latest"),
        at("layout:2"),
        at("archive.tar"),
        at("archive.tar:2"),
        at("archive.gz"),
        at("rootfs.tar"),
        at("rootfs.zst"),
    ] {
        match run(&store, &what) {
            Ok(snapshot) => found.push(snapshot),
            Err(error) => panic!("{}: {}", what.display(), render(&error)),
        }
    }
    for snapshot in &found {
        assert_eq!(snapshot.digest(), Digest::of(&tar));
        assert_eq!(fs::read(snapshot.path().join("app")).unwrap(), b"found");
    }
    // All are the same layer, which is there once.
    assert_eq!((count(&store, "snapshots"), count(&store, "pending")), (1, 0));
    assert_eq!(store.get(&ImageSource::from(Path::new("app"))).unwrap().label(), "app:latest");
}

#[test]
fn what_is_no_image_is_said_with_a_hint() {
    let (folder, store) = bench();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for name in ["curl", "curl:8.5", "bash"] {
        images::store(store.layout(), name, &[Layer::plain(&simple("x"))]);
    }
    images::store_for(store.layout(), "foreign", &[Layer::plain(&simple("x"))], "s390x");
    let layout = ImageLayout::create(Path::new(&at("two"))).unwrap();
    images::store(&layout, "a:1", &[Layer::plain(&simple("x"))]);
    images::store(&layout, "b:2", &[Layer::plain(&simple("y"))]);
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("text"), "neither tar nor image".repeat(100)).unwrap();
    fs::write(at("short"), "x").unwrap();
    let packed = [Header::file("oci-layout", b"{}").bytes(), end()].concat();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &packed).unwrap();
    fs::write(at("archive.tar.gz"), encoder.finish().unwrap()).unwrap();
    for (what, error, hint) in [
        ("cur".to_owned(), "there is no image `cur`", "did you mean curl:latest or curl:8.5?"),
        ("nothing".to_owned(), "there is no image `nothing`", "`paddle images`"),
        ("./nothing".to_owned(), "there is no image `./nothing`", "path of an OCI archive"),
        ("a\x1b[2Jb".to_owned(), "there is no image `a\\x1b[2Jb`", "path"),
        ("foreign".to_owned(), "there is no image for `linux/", "platform"),
        (at("two"), "2 images are here", "a:1, b:2"),
        (at("two:3"), "there is no image named `3:latest`", "a:1, b:2"),
        (at("folder"), "is a folder, but not an OCI image layout", "tar -C"),
        (at("text"), "is no image", "rootfs tarball"),
        (at("short"), "is no image", "rootfs tarball"),
        ("/dev/null".to_owned(), "is not a regular file", "rootfs tarball"),
        (at("archive.tar.gz"), "is compressed with gzip", "gzip -d"),
    ] {
        let failed = run(&store, &what).unwrap_err();
        let text = render(&failed);
        assert!(text.contains(error), "{what}: expected {error}\n{text}");
        assert!(failed.hint().unwrap().contains(hint), "{what}: expected {hint}\n{text}");
    }
    assert_eq!((count(&store, "snapshots"), count(&store, "pending")), (0, 0));
}

#[test]
fn a_tarball_is_read_again_only_when_it_changed() {
    let (folder, store) = bench();
    let path = folder.path().join("rootfs.tar");
    fs::write(&path, simple("one")).unwrap();
    let known = || store.get(&ImageSource::from(path.as_path())).unwrap().chain();
    assert_eq!(known(), None);
    let first = run(&store, &path).unwrap();
    assert_eq!(known(), Some(first.digest()));
    // Same size, same name, and the time set back: the change of status still tells.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, simple("two")).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(before).unwrap();
    assert_eq!(known(), None);
    let second = run(&store, &path).unwrap();
    assert_eq!(fs::read(second.path().join("app")).unwrap(), b"two");
    assert_eq!(fs::read(first.path().join("app")).unwrap(), b"one");
}

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
