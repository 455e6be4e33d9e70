//! OCI layouts in folders and archives: atomic, verified, deterministic, and readable when other
//! tools made them.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod archives;
mod selection;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::digest::Digest;
use common::oci::blobs::{self, Blobs};
use common::oci::layout::{ImageLayout, LayoutError};
use common::oci::reference::Reference;
use common::oci::{Descriptor, MediaType, Platform, media_type};
use common::report::Diagnostic;
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
