//! An image as one file.

use std::fs;
use std::path::PathBuf;

use common::digest::Digest;
use common::oci::archive::{self, Archive};
use common::oci::blobs;
use common::oci::layout::{ImageLayout, LayoutError};
use common::oci::select::select;
use common::oci::{Descriptor, MediaType};
use common::tree::dump::dump_tar;

use crate::{for_platform, image, index, name, new, platform, refused};

/// An archive of one image, written to a file.
fn packed(layout: &ImageLayout, manifest: &Descriptor) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image.tar");
    archive::write(layout, &name("app:1"), manifest, fs::File::create(&path).unwrap()).unwrap();
    (temp, path)
}

#[test]
fn an_archive_has_one_image_and_nothing_else() {
    let (_temp, layout) = new();
    let manifest = image(&layout, "amd64", false);
    image(&layout, "arm64", false);
    let (_folder, path) = packed(&layout, &manifest);
    let dump = dump_tar(fs::File::open(&path).unwrap()).unwrap();
    let kinds: Vec<_> = dump.lines().map(|line| line.split('/').count()).collect();
    assert_eq!(kinds, [2, 3, 4, 4, 4, 2, 2], "{dump}");
    let opened = Archive::open(&path).unwrap();
    let (found, read) = select(&opened, Some(&name("app:1")), &platform("amd64")).unwrap();
    assert_eq!(found.digest(), manifest.digest());
    let mut text = String::new();
    opened.open_blob(&read.layers()[0]).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "layer of amd64");
}

#[test]
fn an_archive_s_bytes_depend_on_the_image_only() {
    let bytes = |before: &str| {
        let (_temp, layout) = new();
        layout.write(MediaType::ImageLayer, before.as_bytes()).unwrap();
        let (_folder, path) = packed(&layout, &image(&layout, "amd64", false));
        fs::read(path).unwrap()
    };
    assert_eq!(bytes("one"), bytes("another"));
}

#[test]
fn an_archive_of_an_index_has_all_its_platforms() {
    let (_temp, layout) = new();
    let (one, two) = (image(&layout, "amd64", false), image(&layout, "arm64", false));
    let both = [for_platform(&one, "linux", "amd64"), for_platform(&two, "linux", "arm64")];
    let (_folder, path) =
        packed(&layout, &index(&layout, "application/vnd.oci.image.index.v1+json", &both));
    let opened = Archive::open(&path).unwrap();
    for (architecture, manifest) in [("amd64", one), ("arm64", two)] {
        let (found, _) = select(&opened, None, &platform(architecture)).unwrap();
        assert_eq!(found.digest(), manifest.digest());
    }
}

#[test]
fn a_damaged_blob_is_not_packed() {
    let (_temp, layout) = new();
    let manifest = image(&layout, "amd64", false);
    fs::write(layout.blob_path(&Digest::of(b"layer of amd64")), "LAYER OF AMD64").unwrap();
    let error = archive::write(&layout, &name("a"), &manifest, std::io::sink()).unwrap_err();
    assert!(matches!(error, LayoutError::Mismatch { .. }), "{error}");
}

#[test]
fn archives_are_verified_like_folders() {
    let (_temp, layout) = new();
    let manifest = image(&layout, "amd64", false);
    let (_folder, path) = packed(&layout, &manifest);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(14).position(|window| window == b"layer of amd64").unwrap();
    bytes[at] = b'L';
    fs::write(&path, &bytes).unwrap();
    let opened = Archive::open(&path).unwrap();
    let (_, read) = select(&opened, None, &platform("amd64")).unwrap();
    let digest = Digest::of(b"layer of amd64");
    let found = Digest::of(b"Layer of amd64");
    refused(
        &opened,
        &read.layers()[0],
        &format!("blob `{digest}` is damaged: its bytes have the digest `{found}`"),
    );
    let wrong = blobs::descriptor(MediaType::ImageLayer, digest, 13);
    refused(&opened, &wrong, &format!("blob `{digest}` has 14 bytes, its descriptor says 13"));
    let missing = blobs::descriptor(MediaType::ImageLayer, found, 14);
    refused(&opened, &missing, &format!("blob `{found}` is missing"));
}

#[test]
fn what_is_no_archive_of_a_layout_says_so() {
    use tests::archive::{Header, archive, end};
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("a.tar");
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Archive::open(&path).unwrap_err()
    };
    let marker = || Header::file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
    let index = || Header::file("index.json", br#"{"schemaVersion":2,"manifests":[]}"#);
    assert!(matches!(open(b"\x1f\x8b\x08\0"), LayoutError::Compressed { format: "gzip", .. }));
    assert!(matches!(open(b"\x28\xb5\x2f\xfd"), LayoutError::Compressed { format: "zstd", .. }));
    assert!(matches!(open(b""), LayoutError::Tar { .. }));
    assert!(matches!(open(b"#!/bin/sh\n"), LayoutError::Tar { .. }));
    assert!(matches!(open(&end()), LayoutError::NotALayout { .. }));
    assert!(matches!(open(&archive([marker()])), LayoutError::NotALayout { .. }));
    let docker = open(&archive([Header::file("manifest.json", b"[]")]));
    assert!(matches!(docker, LayoutError::DockerArchive { .. }));
    assert!(matches!(open(&archive([marker(), index(), index()])), LayoutError::Duplicate { .. }));
    fs::write(&path, archive([marker(), Header::link("link", b'2', "/"), index()])).unwrap();
    Archive::open(&path).unwrap();
}
