//! How what somebody typed becomes an image.

use std::fs;
use std::path::{Path, PathBuf};

use common::digest::Digest;
use common::oci::archive as oci_archive;
use common::oci::layout::ImageLayout;
use common::report::{Diagnostic as _, render};
use launcher::store::{ImageSource, Snapshot};
use tests::archive::{Header, end};
use tests::images::{self, Layer};

use super::{bench, count, run, simple};

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
