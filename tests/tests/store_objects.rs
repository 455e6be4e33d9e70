//! Files that several images have are on the disk once, and nothing that is wrong with one of them, or
//! with the folder that finds them, is ever seen in a snapshot.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use launcher::store::{ImageSource, Snapshot, Store};
use tempfile::TempDir;
use tests::archive::{Header, archive};
use tests::images::{self, Layer};
use tests::require;

/// Larger than what is shared, and than what is compared at once.
const SIZE: usize = 300_000;

fn bench() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

/// Bytes that do not repeat.
fn bytes(seed: u32, size: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..size).map(|_| next()).collect()
}

fn image(store: &Store, name: &str, files: &[Header]) {
    let tar = archive(files.iter().cloned());
    images::store(store.layout(), name, &[Layer::zstd(&tar)]);
}

fn run(store: &Store, name: &str) -> Snapshot {
    store.unpack(&store.get(&ImageSource::from(Path::new(name))).unwrap()).unwrap()
}

fn inode(snapshot: &Snapshot, name: &str) -> u64 {
    fs::metadata(snapshot.path().join(name)).unwrap().ino()
}

/// Bytes on the disk below a folder, each inode once.
fn disk(folder: &Path) -> u64 {
    let files = walkdir::WalkDir::new(folder).into_iter().map(|it| it.unwrap().metadata().unwrap());
    let blocks: BTreeMap<u64, u64> =
        files.filter(fs::Metadata::is_file).map(|file| (file.ino(), file.blocks() * 512)).collect();
    blocks.values().sum()
}

fn objects(store: &Store) -> Vec<PathBuf> {
    let folder = store.path().join("objects");
    let files = walkdir::WalkDir::new(folder).into_iter().map(Result::unwrap);
    files.filter(|it| it.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

#[test]
fn what_images_share_is_on_the_disk_and_in_memory_once() {
    let (_folder, store) = bench();
    let libc = bytes(1, SIZE);
    for name in ["one", "two", "three"] {
        let files = [
            Header::file("app", name.as_bytes()),
            Header::file("lib/own", &bytes(name.len().try_into().unwrap(), SIZE)[..40_000]),
            Header::file("lib/libc.so", &libc),
        ];
        image(&store, name, &files);
    }
    let snapshots: Vec<Snapshot> =
        ["one", "two", "three"].iter().map(|name| run(&store, name)).collect();
    // One inode is one set of blocks, and one set of pages.
    for other in &snapshots[1..] {
        assert_eq!(inode(other, "lib/libc.so"), inode(&snapshots[0], "lib/libc.so"));
        assert_ne!(inode(other, "app"), inode(&snapshots[0], "app"), "small files are their own");
    }
    for snapshot in &snapshots {
        assert_eq!(fs::read(snapshot.path().join("lib/libc.so")).unwrap(), libc);
    }
    let used = disk(&store.path().join("snapshots"));
    assert!(used < (SIZE + 4 * 60_000) as u64, "{used} bytes for one libc and three of 40 kB");
}

#[test]
fn what_differs_in_anything_is_a_file_of_its_own() {
    let (_folder, store) = bench();
    let content = bytes(1, SIZE);
    let changed = |at: usize| {
        let mut other = content.clone();
        other[at] ^= 1;
        other
    };
    image(&store, "base", &[Header::file("f", &content)]);
    let base = run(&store, "base");
    // Mode, owner, time; content in the part that finds it, behind that, in the second block, at the end; length.
    let cases = [
        Header::file("f", &content).octal(100, 8, 0o600),
        Header::file("f", &content).octal(108, 8, 7),
        Header::file("f", &content).octal(136, 12, 77),
        Header::file("f", &changed(0)),
        Header::file("f", &changed(20_000)),
        Header::file("f", &changed(200_000)),
        Header::file("f", &changed(SIZE - 1)),
        Header::file("f", &content[..SIZE - 1]),
    ];
    for (number, case) in cases.into_iter().enumerate() {
        let name = format!("case{number}");
        image(&store, &name, std::slice::from_ref(&case));
        let snapshot = run(&store, &name);
        let owner_only = number == 1 && !rustix::process::geteuid().is_root();
        assert!(owner_only || inode(&snapshot, "f") != inode(&base, "f"), "{name}");
        // What it would be in a store where there is no other image.
        let (_alone, other) = bench();
        image(&other, &name, &[case]);
        assert_eq!(
            images::dump(snapshot.path()),
            images::dump(run(&other, &name).path()),
            "{name}"
        );
    }
    assert_eq!(fs::read(base.path().join("f")).unwrap(), content);
}

#[test]
fn two_files_of_one_image_stay_two() {
    let (_folder, store) = bench();
    let content = bytes(1, SIZE);
    let files =
        [Header::file("a", &content), Header::file("b", &content), Header::link("c", b'1', "a")];
    image(&store, "first", &files);
    let first = run(&store, "first");
    let mut more = files.to_vec();
    more.push(Header::file("d", b"x"));
    image(&store, "second", &more);
    let second = run(&store, "second");
    for snapshot in [&first, &second] {
        // A program may take one inode for one file (cp: `a` and `b` are the same file).
        assert_ne!(inode(snapshot, "a"), inode(snapshot, "b"));
        assert_eq!(inode(snapshot, "a"), inode(snapshot, "c"));
    }
    assert_eq!(inode(&first, "a"), inode(&second, "a"));
}

#[test]
fn a_damaged_object_is_never_used() {
    let (_folder, store) = bench();
    let content = bytes(1, SIZE);
    for name in ["one", "two", "three"] {
        image(&store, name, &[Header::file("lib", &content), Header::file(name, b"")]);
    }
    run(&store, "one");
    let [object] = objects(&store).try_into().unwrap();
    // As a power cut may leave it: the size and the time are right, some of the content is not.
    let time = object.metadata().unwrap().modified().unwrap();
    let file = fs::File::options().write(true).open(&object).unwrap();
    file.write_all_at(&[0; 4096], 250_000).unwrap();
    file.set_modified(time).unwrap();
    let two = run(&store, "two");
    assert!(fs::read(two.path().join("lib")).unwrap() == content);
    // Cut short, it is found out by its size, and replaced.
    file.set_len(100).unwrap();
    let three = run(&store, "three");
    assert!(fs::read(three.path().join("lib")).unwrap() == content);
    let [object] = objects(&store).try_into().unwrap();
    assert_eq!(object.metadata().unwrap().ino(), inode(&three, "lib"));
}

#[test]
fn a_store_that_cannot_share_still_unpacks() {
    let (_folder, store) = bench();
    let content = bytes(1, SIZE);
    fs::create_dir(store.path().join("objects")).unwrap();
    fs::set_permissions(store.path().join("objects"), fs::Permissions::from_mode(0o700)).unwrap();
    for part in 0..=255 {
        fs::write(store.path().join(format!("objects/{part:02x}")), "no folder").unwrap();
    }
    for name in ["one", "two"] {
        image(&store, name, &[Header::file("lib", &content), Header::file(name, b"")]);
    }
    let (one, two) = (run(&store, "one"), run(&store, "two"));
    assert!(fs::read(two.path().join("lib")).unwrap() == content);
    assert_ne!(inode(&one, "lib"), inode(&two, "lib"));
}

#[test]
fn what_is_shared_is_listed_and_goes_with_its_last_image() {
    let (_folder, store) = bench();
    let shared = SIZE as u64;
    for (name, own) in [("one", 50_000), ("two", 60_000)] {
        let files = [
            Header::file("lib", &bytes(1, SIZE)),
            Header::file("own", &bytes(own.try_into().unwrap(), own)),
        ];
        image(&store, name, &files);
    }
    run(&store, "one");
    let listed = |store: &Store| -> Vec<(Option<u64>, u64)> {
        store.images().unwrap().iter().map(|image| (image.unpacked, image.shared)).collect()
    };
    assert_eq!(listed(&store), [(Some(shared + 50_000), 0), (None, 0)]);
    run(&store, "two");
    assert_eq!(listed(&store), [(Some(shared + 50_000), shared), (Some(shared + 60_000), shared)]);
    let packed = store.images().unwrap()[0].size;
    let removed = store.remove(&"one".parse().unwrap()).unwrap();
    // What the other has stays, and is not counted as freed.
    assert_eq!(removed.bytes, packed + 50_000);
    assert_eq!(listed(&store), [(Some(shared + 60_000), 0)]);
    assert_eq!(objects(&store).len(), 2);
    let packed = store.images().unwrap()[0].size;
    let removed = store.remove(&"two".parse().unwrap()).unwrap();
    assert_eq!(removed.bytes, packed + shared + 60_000);
    assert!(objects(&store).is_empty());
}

/// An id that no user of the host has.
const USER: u32 = 61_237;

#[test]
fn an_ordinary_user_shares_too() {
    if !require::root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = folder.path().join("store");
    let store = Store::open(&path).unwrap();
    for name in ["one", "two"] {
        // fs.protected_hardlinks looks at set-uid files, and at those that one cannot write to.
        let files = [
            Header::file("lib", &bytes(1, SIZE)).octal(100, 8, 0o444),
            Header::file("su", &bytes(2, SIZE)).octal(100, 8, 0o4755),
            Header::file(name, b""),
        ];
        image(&store, name, &files);
    }
    drop(store);
    for entry in walkdir::WalkDir::new(&path) {
        chown(entry.unwrap().path(), Some(USER), Some(USER)).unwrap();
    }
    let program = folder.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_hold-snapshot"), &program).unwrap();
    for name in ["one", "two"] {
        let mut command = Command::new(&program);
        command
            .arg(&path)
            .arg(name)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .uid(USER)
            .gid(USER);
        assert!(command.status().unwrap().success());
    }
    let mut inodes = BTreeMap::new();
    for snapshot in fs::read_dir(path.join("snapshots")).unwrap() {
        for name in ["lib", "su"] {
            let file = snapshot.as_ref().unwrap().path().join("root").join(name);
            *inodes.entry(file.metadata().unwrap().ino()).or_insert(0) += 1;
        }
    }
    assert_eq!(inodes.into_values().collect::<Vec<_>>(), [2, 2]);
}
