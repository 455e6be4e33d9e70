//! OCI layouts in folders and archives: atomic, verified, deterministic, and readable when other
//! tools made them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::digest::Digest;
use common::oci::archive::{self, Archive};
use common::oci::blobs::{self, Blobs};
use common::oci::layout::{ImageLayout, LayoutError};
use common::oci::reference::Reference;
use common::oci::select::select;
use common::oci::{Descriptor, ImageIndex, MediaType, Platform, media_type};
use common::report::Diagnostic;
use common::tree::dump::dump_tar;
use serde_json::{Value, json};

fn new() -> (tempfile::TempDir, ImageLayout) {
    let temp = tempfile::tempdir().unwrap();
    let layout = ImageLayout::create(&temp.path().join("parent/layout")).unwrap();
    (temp, layout)
}

fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

/// Names in a folder, sorted.
fn list(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn store(layout: &ImageLayout, media_type: &str, value: &Value) -> Descriptor {
    layout.write(media_type.into(), &serde_json::to_vec(value).unwrap()).unwrap()
}

fn plain(descriptor: &Descriptor) -> Value {
    json!({"mediaType": descriptor.media_type(), "digest": descriptor.digest(), "size": descriptor.size()})
}

/// A manifest with one layer and a configuration for this platform.
fn image(layout: &ImageLayout, architecture: &str, docker: bool) -> Descriptor {
    let [manifest, config, layer] = if docker {
        [media_type::DOCKER_MANIFEST, media_type::DOCKER_CONFIG, media_type::DOCKER_LAYER_GZIP]
    } else {
        [
            "application/vnd.oci.image.manifest.v1+json",
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.oci.image.layer.v1.tar+gzip",
        ]
    };
    let layer = layout.write(layer.into(), format!("layer of {architecture}").as_bytes()).unwrap();
    let config = store(
        layout,
        config,
        &json!({
            "architecture": architecture, "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.digest()]},
        }),
    );
    let text = json!({
        "schemaVersion": 2, "mediaType": manifest, "config": plain(&config), "layers": [plain(&layer)],
    });
    store(layout, manifest, &text)
}

fn index(layout: &ImageLayout, media_type: &str, manifests: &[Value]) -> Descriptor {
    let text = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests});
    store(layout, media_type, &text)
}

fn set_index(layout: &ImageLayout, manifests: &[Value]) {
    let text = json!({"schemaVersion": 2, "manifests": manifests});
    fs::write(layout.path().join("index.json"), text.to_string()).unwrap();
}

fn for_platform(descriptor: &Descriptor, os: &str, architecture: &str) -> Value {
    let mut value = plain(descriptor);
    value["platform"] = json!({"os": os, "architecture": architecture});
    value
}

fn platform(architecture: &str) -> Platform {
    serde_json::from_value(json!({"os": "linux", "architecture": architecture})).unwrap()
}

#[test]
fn a_new_layout_is_what_the_specification_says() {
    let (_temp, layout) = new();
    let text = |name| fs::read_to_string(layout.path().join(name)).unwrap();
    assert_eq!(text("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#);
    let empty = r#"{"manifests":[],"mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#;
    assert_eq!(text("index.json"), empty);
    assert_eq!(list(layout.path()), ["blobs", "index.json", "oci-layout"]);
    // Making it again changes nothing.
    layout.tag(&name("a"), image(&layout, "amd64", false)).unwrap();
    let before = text("index.json");
    ImageLayout::create(layout.path()).unwrap();
    assert_eq!(text("index.json"), before);
}

#[test]
fn blobs_have_their_digest_as_name_and_the_same_mode_everywhere() {
    let (_temp, layout) = new();
    let descriptor = layout.write(MediaType::ImageConfig, b"{}").unwrap();
    assert_eq!(descriptor.digest().to_string(), Digest::of(b"{}").to_string());
    assert_eq!(descriptor.size(), 2);
    let path = layout.blob_path(&Digest::of(b"{}"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(layout.read(&descriptor).unwrap(), b"{}");
    assert!(layout.has(&descriptor).unwrap());
    // A torn blob of that name is replaced.
    fs::write(&path, "{").unwrap();
    assert!(!layout.has(&descriptor).unwrap());
    layout.write(MediaType::ImageConfig, b"{}").unwrap();
    assert_eq!(layout.read(&descriptor).unwrap(), b"{}");
}

#[test]
fn a_dropped_blob_leaves_nothing() {
    let (_temp, layout) = new();
    let mut writer = layout.new_blob().unwrap();
    writer.write_all(b"half").unwrap();
    assert_eq!(list(&layout.path().join("blobs")).len(), 2);
    drop(writer);
    assert_eq!(list(&layout.path().join("blobs")), ["sha256"]);
    assert_eq!(list(&layout.path().join("blobs/sha256")), [""; 0]);
}

/// Where the path of the layout for [`a_killed_writer_is_cleaned_up_after`]'s victim is.
const VICTIM: &str = "CORACLE_TEST_VICTIM";

#[test]
fn a_killed_writer_is_cleaned_up_after() {
    if let Some(path) = std::env::var_os(VICTIM) {
        let mut writer = ImageLayout::open(&PathBuf::from(path)).unwrap().new_blob().unwrap();
        writer.write_all(b"half").unwrap();
        std::io::stdout().write_all(b"\nwriting\n").unwrap();
        std::thread::sleep(std::time::Duration::from_mins(1));
        return;
    }
    let (_temp, layout) = new();
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "a_killed_writer_is_cleaned_up_after"])
        .env(VICTIM, layout.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut output = std::io::BufReader::new(victim.stdout.take().unwrap());
    while !said.contains("\nwriting") {
        assert!(std::io::BufRead::read_line(&mut output, &mut said).unwrap() > 0, "{said}");
    }
    let folder = layout.path().join("blobs");
    assert_eq!(list(&folder).len(), 2);
    // Alive, it is left alone.
    layout.write(MediaType::ImageConfig, b"{}").unwrap();
    assert_eq!(list(&folder).len(), 2);
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_eq!(list(&folder).len(), 2);
    layout.write(MediaType::ImageConfig, b"{}").unwrap();
    assert_eq!(list(&folder), ["sha256"]);
}

#[test]
fn parallel_writers_and_taggers_lose_nothing() {
    let (_temp, layout) = new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let layout = &layout;
            scope.spawn(move || {
                for i in 0..10 {
                    let text = format!("{{\"n\":{}}}", i * thread);
                    let blob = layout.write(MediaType::ImageManifest, text.as_bytes()).unwrap();
                    layout.tag(&name(&format!("app:{thread}-{i}")), blob).unwrap();
                }
            });
        }
    });
    let images = layout.images().unwrap();
    assert_eq!(images.len(), 80);
    assert!(images.is_sorted_by_key(|(name, _)| name.clone()));
    for (_, descriptor) in images {
        layout.read(&descriptor).unwrap();
    }
    assert_eq!(list(&layout.path().join("blobs")), ["sha256"]);
}

#[test]
fn names_move_and_go() {
    let (_temp, layout) = new();
    let (one, two) = (image(&layout, "amd64", false), image(&layout, "arm64", false));
    assert_eq!(layout.tag(&name("app"), one.clone()).unwrap(), None);
    assert_eq!(layout.tag(&name("other"), one.clone()).unwrap(), None);
    let before = layout.tag(&name("app"), two.clone()).unwrap().unwrap();
    assert_eq!(before.digest(), one.digest());
    assert_eq!(layout.find(&name("app")).unwrap().unwrap().digest(), two.digest());
    assert_eq!(layout.find(&name("other")).unwrap().unwrap().digest(), one.digest());
    assert!(layout.untag(&name("app")).unwrap());
    assert!(!layout.untag(&name("app")).unwrap());
    assert_eq!(layout.find(&name("app")).unwrap(), None);
    assert_eq!(layout.images().unwrap().len(), 1);
}

#[test]
fn the_index_does_not_remember_the_order_of_its_making() {
    let bytes = |names: [&str; 3]| {
        let (_temp, layout) = new();
        for text in names {
            layout.tag(&name(text), image(&layout, "amd64", false)).unwrap();
        }
        fs::read(layout.path().join("index.json")).unwrap()
    };
    assert_eq!(bytes(["a", "b", "c"]), bytes(["c", "a", "b"]));
}

/// Both ways to read a blob refuse it; the stream hands out nothing that ends it before.
#[track_caller]
fn refused(blobs: &impl Blobs, descriptor: &Descriptor, message: &str) {
    assert_eq!(blobs.read(descriptor).unwrap_err().to_string(), message);
    let mut read = Vec::new();
    let error = match blobs.open_blob(descriptor) {
        Ok(mut stream) => {
            let error = stream.read_to_end(&mut read).unwrap_err();
            assert!((read.len() as u64) < descriptor.size().max(1), "handed out unverified");
            assert!(stream.read(&mut [0]).is_err(), "went on after an error");
            LayoutError::inside(&error).unwrap().to_string()
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(error, message);
}

#[test]
fn nothing_is_read_unverified() {
    let (_temp, layout) = new();
    let good = layout.write(MediaType::ImageConfig, b"content").unwrap();
    let digest = Digest::of(b"content");
    let path = layout.blob_path(&digest);
    for (bytes, message) in [
        (
            &b"cOntent"[..],
            format!(
                "blob `{digest}` is damaged: its bytes have the digest `{}`",
                Digest::of(b"cOntent")
            ),
        ),
        (b"conten", format!("blob `{digest}` has 6 bytes, its descriptor says 7")),
        (b"content+", format!("blob `{digest}` has 8 bytes, its descriptor says 7")),
    ] {
        fs::write(&path, bytes).unwrap();
        refused(&layout, &good, &message);
    }
    fs::remove_file(&path).unwrap();
    refused(&layout, &good, &format!("blob `{digest}` is missing"));
    fs::create_dir(&path).unwrap();
    refused(&layout, &good, &format!("`{}` is not a regular file", path.display()));
    let odd = json!({"mediaType": "text/plain", "digest": "md5:00", "size": 1});
    let odd: Descriptor = serde_json::from_value(odd).unwrap();
    refused(&layout, &odd, "a descriptor names a blob that cannot be verified");
    let huge = blobs::descriptor(MediaType::ImageConfig, digest, 5 << 20);
    fs::remove_dir(&path).unwrap();
    fs::File::create(&path).unwrap().set_len(5 << 20).unwrap();
    let message =
        format!("blob `{digest}` has 5242880 bytes, more than the 4194304 that are read at once");
    assert_eq!(layout.read(&huge).unwrap_err().to_string(), message);
}

#[test]
fn a_file_that_changes_while_it_is_read_is_noticed() {
    let (_temp, layout) = new();
    let content = vec![b'x'; 300_000];
    let good = layout.write(MediaType::ImageLayer, &content).unwrap();
    let path = layout.blob_path(&Digest::of(&content));
    for (change, part) in
        [(&b"y"[..], "is damaged"), (b"", "has 100000 bytes"), (b"xx", "has 300001 bytes")]
    {
        fs::write(&path, &content).unwrap();
        let mut stream = layout.open_blob(&good).unwrap();
        stream.read_exact(&mut vec![0; 100_000]).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        match change.len() {
            0 => file.set_len(100_000).unwrap(),
            1 => std::os::unix::fs::FileExt::write_all_at(&file, change, 299_999).unwrap(),
            _ => file.set_len(300_002).unwrap(),
        }
        let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
        let error = LayoutError::inside(&error).unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn what_is_no_layout_says_so() {
    let temp = tempfile::tempdir().unwrap();
    let at = temp.path();
    let error = ImageLayout::open(at).unwrap_err();
    assert!(matches!(error, LayoutError::NotALayout { .. }), "{error}");
    assert!(error.hint().unwrap().contains("oci-layout"));
    fs::write(at.join("oci-layout"), r#"{"imageLayoutVersion":"2.0"}"#).unwrap();
    assert!(matches!(ImageLayout::open(at), Err(LayoutError::Version { .. })));
    fs::write(at.join("oci-layout"), "{").unwrap();
    assert!(matches!(ImageLayout::open(at), Err(LayoutError::Json { .. })));
    fs::write(at.join("oci-layout"), vec![b' '; 5 << 20]).unwrap();
    assert!(matches!(ImageLayout::open(at), Err(LayoutError::FileTooLarge { .. })));
}

#[test]
fn a_full_disk_is_named_as_such() {
    let full = std::io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
    let error = LayoutError::io("write", Path::new("/store"))(full);
    assert!(error.hint().unwrap().contains("full"));
}

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

#[test]
fn indexes_of_other_tools_lead_to_the_platform_s_manifest() {
    let (_temp, layout) = new();
    for docker in [false, true] {
        let (amd, arm) = (image(&layout, "amd64", docker), image(&layout, "arm64", docker));
        let kind = if docker {
            media_type::DOCKER_INDEX
        } else {
            "application/vnd.oci.image.index.v1+json"
        };
        // docker: a nested index with attestations; the tag alone in the standard annotation.
        let attestation = for_platform(&arm, "unknown", "unknown");
        let nested = index(
            &layout,
            kind,
            &[
                attestation,
                for_platform(&amd, "linux", "amd64"),
                for_platform(&arm, "linux", "arm64"),
            ],
        );
        let mut entry = plain(&nested);
        entry["annotations"] = json!({
            "io.containerd.image.name": "docker.io/library/app:1", "org.opencontainers.image.ref.name": "1",
        });
        set_index(&layout, &[entry]);
        let full = name("docker.io/library/app:1");
        for (architecture, manifest) in [("amd64", &amd), ("arm64", &arm)] {
            let wanted = platform(architecture);
            assert_eq!(select(&layout, None, &wanted).unwrap().0.digest(), manifest.digest());
            assert_eq!(
                select(&layout, Some(&full), &wanted).unwrap().0.digest(),
                manifest.digest()
            );
        }
        let error = select(&layout, None, &platform("riscv64")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no image for `linux/riscv64`, only for linux/amd64, linux/arm64"
        );
        // skopeo and buildah: one manifest, neither name nor platform.
        set_index(&layout, &[plain(&arm)]);
        assert_eq!(select(&layout, None, &platform("arm64")).unwrap().0.digest(), arm.digest());
        let error = select(&layout, None, &platform("amd64")).unwrap_err();
        assert_eq!(error.to_string(), "there is no image for `linux/amd64`, only for linux/arm64");
    }
}

#[test]
fn a_choice_is_never_guessed() {
    let (_temp, layout) = new();
    let error = select(&layout, None, &platform("amd64")).unwrap_err();
    assert_eq!(error.to_string(), "there is no image for `linux/amd64`, only for nothing");
    let (one, two) = (image(&layout, "amd64", false), image(&layout, "amd64", true));
    layout.tag(&name("one"), one.clone()).unwrap();
    layout.tag(&name("also-one"), one.clone()).unwrap();
    // Two names of one image are no choice.
    assert_eq!(select(&layout, None, &platform("amd64")).unwrap().0.digest(), one.digest());
    layout.tag(&name("two"), two).unwrap();
    let error = select(&layout, None, &platform("amd64")).unwrap_err();
    assert!(matches!(error, LayoutError::Ambiguous { .. }));
    assert_eq!(error.hint().unwrap(), "named images: also-one:latest, one:latest, two:latest");
    let error = select(&layout, Some(&name("three")), &platform("amd64")).unwrap_err();
    assert_eq!(error.to_string(), "there is no image named `three:latest`");
}

#[test]
fn what_is_no_image_is_not_selected() {
    let (_temp, layout) = new();
    let empty = store(&layout, "application/vnd.oci.empty.v1+json", &json!({}));
    let artifact = json!({"schemaVersion": 2, "config": plain(&empty), "layers": []});
    let artifact = store(&layout, "application/vnd.oci.image.manifest.v1+json", &artifact);
    for entry in [artifact, store(&layout, "text/plain", &json!({}))] {
        layout.tag(&name("a"), entry).unwrap();
        let error = select(&layout, Some(&name("a")), &platform("amd64")).unwrap_err();
        assert!(matches!(error, LayoutError::NotAnImage { .. }), "{error}");
    }
    // Indexes without end: each level names the one before.
    let mut inner = image(&layout, "amd64", false);
    for _ in 0..6 {
        inner = index(&layout, "application/vnd.oci.image.index.v1+json", &[plain(&inner)]);
    }
    layout.tag(&name("deep"), inner).unwrap();
    let error = select(&layout, Some(&name("deep")), &platform("amd64")).unwrap_err();
    assert!(matches!(error, LayoutError::TooDeep { .. }), "{error}");
}

#[test]
fn an_index_that_other_tools_wrote_survives_a_tag() {
    let (_temp, layout) = new();
    let (one, two) = (image(&layout, "amd64", true), image(&layout, "arm64", false));
    let mut entry = for_platform(&one, "linux", "amd64");
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "not a name!", "k": "v"});
    set_index(&layout, &[entry.clone()]);
    layout.tag(&name("two"), two).unwrap();
    let index: ImageIndex = layout.index().unwrap();
    assert_eq!(serde_json::to_value(&index.manifests()[0]).unwrap(), entry);
    let names: BTreeMap<_, _> = layout.images().unwrap().into_iter().collect();
    assert_eq!(names.len(), 1);
}
