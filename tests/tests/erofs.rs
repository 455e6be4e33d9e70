//! Images that are mounted and not unpacked: a root file system in one EROFS file, by itself or as the layer of an
//! image.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::digest::Digest;
use common::oci::layout::ImageLayout;
use launcher::store::{ImageSource, Store, erofs};
use rustix::fs::{FileType, Mode, OFlags, mknodat, openat};
use tests::images::{self, Layer};
use tests::outcome::{Outcome, run};
use tests::require;
use tests::scratch::Scratch;

/// A folder of a test with a file system at `root.erofs`.
struct Bench {
    scratch: Scratch,
    file: PathBuf,
}

impl Bench {
    /// For root, where the kernel has EROFS and mkfs.erofs(1) is there. `None` skips the test.
    fn new(name: &str) -> Option<Self> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        if !known.contains("erofs") && !Path::new("/sys/fs/erofs").exists() {
            require::skip(format_args!("needs a kernel with EROFS"));
            return None;
        }
        let mkfs = require::program("mkfs.erofs")?;
        let shell = require::program("busybox")?;
        if !require::root() {
            return None;
        }
        let scratch = Scratch::new(name);
        let root = scratch.subfolder("root");
        for folder in ["bin", "etc", "tmp", "own"] {
            fs::create_dir(root.join(folder)).unwrap();
        }
        fs::copy(shell, root.join("bin/busybox")).unwrap();
        std::os::unix::fs::symlink("busybox", root.join("bin/sh")).unwrap();
        fs::write(root.join("etc/passwd"), "app:x:1234:1234::/:/bin/sh\n").unwrap();
        fs::write(root.join("etc/group"), "app:x:1234:\n").unwrap();
        fs::write(root.join("own/file"), "content of the image\n").unwrap();
        chown(root.join("own"), Some(1234), Some(1234)).unwrap();
        // The host's null device, which an image must not bring along.
        let device = rustix::fs::makedev(1, 3);
        let all = Mode::from_raw_mode(0o666);
        let folder = fs::File::open(&root).unwrap();
        mknodat(folder, "null", FileType::CharacterDevice, all, device).unwrap();
        let file = scratch.path().join("root.erofs");
        // A fixed time and UUID: what is the same, has the same digest.
        let uuid = "-U00000000-0000-0000-0000-000000000000";
        run(Command::new(mkfs).args(["-T0", uuid]).arg(&file).arg(&root)).ok();
        Some(Self { scratch, file })
    }

    /// `paddle run --allow-erofs OPTIONS root.erofs /bin/sh -c SCRIPT`.
    fn shell(&self, options: &[&str], script: &str) -> Outcome {
        let options = [&["--allow-erofs"], options].concat();
        run(&mut self.scratch.launch(&options, "./root.erofs", &["/bin/sh", "-c", script]))
    }

    fn store(&self) -> Store {
        Store::open(&self.scratch.store()).unwrap()
    }

    fn layout(&self) -> ImageLayout {
        self.store().layout().clone()
    }
}

/// Snapshots and unfinished ones.
fn count(store: &Path) -> (usize, usize) {
    let count = |name| fs::read_dir(store.join(name)).map_or(0, Iterator::count);
    (count("snapshots"), count("pending"))
}

#[test]
fn a_file_system_is_mounted_where_it_is() {
    let Some(bench) = Bench::new("erofs-file") else { return };
    let before = fs::read(&bench.file).unwrap();
    // What the program writes goes to a layer of its own; read-only, it writes nothing.
    let script = "cat /own/file; echo more >> /own/file && cat /own/file; id -u";
    let shown = "content of the image\ncontent of the image\nmore\n0";
    assert_eq!(bench.shell(&[], script).ok().text(), shown);
    assert_eq!(bench.shell(&["--userns"], script).ok().text(), shown);
    for options in [&["--read-only"][..], &["--read-only", "--userns"]] {
        let outcome = bench.shell(options, "cat /own/file; echo more > /own/file").exits(1);
        assert_eq!(outcome.text(), "content of the image");
        assert!(outcome.errors().contains("Read-only file system"), "{outcome:?}");
    }
    // Users and owners are the image's.
    let script = "id -u; stat -c %u:%g /own; echo x > /own/new && cat /own/new";
    for options in [&["--user", "app"][..], &["--user", "app", "--userns"]] {
        assert_eq!(bench.shell(options, script).ok().text(), "1234\n1234:1234\nx", "{options:?}");
    }
    assert_eq!(fs::read(&bench.file).unwrap(), before);
    assert_eq!(count(&bench.scratch.store()), (0, 0), "nothing was unpacked");
    let plan = run(&mut bench.scratch.launch(
        &["--allow-erofs", "--print-plan"],
        "./root.erofs",
        &["/bin/sh"],
    ));
    assert!(plan.ok().text().contains("\"lower\": \"erofs\""));
}

#[test]
fn volumes_of_the_folder_that_the_file_is_in_are_the_host_s() {
    let Some(bench) = Bench::new("erofs-volume") else { return };
    let own = bench.scratch.subfolder("own");
    fs::write(own.join("file"), "of the host").unwrap();
    let volume = format!("{}:/data", own.display());
    let host = "/:/host:ro".to_owned();
    let script = format!("cat /data/file /host{}/file && cat /own/file", own.display());
    for options in [&[][..], &["--read-only"], &["--userns"], &["--read-only", "--userns"]] {
        let options = [options, &["-v", &volume, "-v", &host]].concat();
        let outcome = bench.shell(&options, &script).ok();
        assert_eq!(outcome.text(), "of the hostof the hostcontent of the image", "{options:?}");
    }
}

#[test]
fn r10_devices_of_a_file_system_are_closed() {
    let Some(bench) = Bench::new("erofs-device") else { return };
    for options in [&[][..], &["--read-only"], &["--userns"], &["--read-only", "--userns"]] {
        let outcome = bench.shell(options, "test -c /null && cat /null").exits(1);
        assert!(outcome.errors().contains("Permission denied"), "{outcome:?}");
    }
}

#[test]
fn nobody_mounts_a_file_system_unasked_and_only_root_does() {
    let Some(bench) = Bench::new("erofs-unasked") else { return };
    let mut unasked = bench.scratch.launch(&[], "./root.erofs", &["/bin/sh"]);
    run(&mut unasked).exits(125).says(&["`./root.erofs` is a file system", "--allow-erofs"]);
    let tar = fs::read(&bench.file).unwrap();
    let layer = Layer::plain(&tar).with_media_type("application/vnd.erofs");
    images::store(&bench.layout(), "app", &[layer]);
    run(&mut bench.scratch.launch(&[], "app", &["/bin/sh"]))
        .exits(125)
        .says(&["`app:latest` is a file system", "--allow-erofs"]);
    assert_eq!(count(&bench.scratch.store()), (0, 0));
    if !require::user_namespaces() {
        return;
    }
    let user = Scratch::of_user("erofs-user", 65534);
    user.file("root.erofs", &tar);
    run(&mut user.launch(&["--allow-erofs"], "./root.erofs", &["/bin/sh"]))
        .exits(125)
        .says(&["cannot mount the EROFS file system", "only root may mount it"]);
}

#[test]
fn a_damaged_file_system_is_an_error() {
    let Some(bench) = Bench::new("erofs-damaged") else { return };
    let whole = fs::read(&bench.file).unwrap();
    // The superblock's checksum, block size and root folder; and a file that ends behind it.
    for (at, cut) in [(1028, whole.len()), (1036, whole.len()), (1038, whole.len()), (0, 1200)] {
        let mut wrong = whole[..cut].to_vec();
        if at > 0 {
            wrong[at] ^= 0xff;
        }
        bench.scratch.file("wrong.erofs", &wrong);
        let options = ["--allow-erofs"];
        let outcome = run(&mut bench.scratch.launch(&options, "./wrong.erofs", &["/bin/sh"]));
        outcome.exits(125).says(&["cannot mount the EROFS file system", "hint:"]);
    }
}

#[test]
fn a_layer_of_an_image_is_verified_and_mounted() {
    let Some(bench) = Bench::new("erofs-layer") else { return };
    let bytes = fs::read(&bench.file).unwrap();
    let (layout, store) = (bench.layout(), bench.store());
    let plain = Layer::plain(&bytes);
    let zstd = Layer::zstd(&bytes);
    let mut chains = std::collections::BTreeSet::new();
    for (name, layer) in [
        ("plain", plain.clone().with_media_type("application/vnd.erofs")),
        ("first", plain.clone().with_media_type("application/vnd.erofs.layer.v1")),
        ("packed", zstd.clone().with_media_type("application/vnd.erofs+zstd")),
        ("both", zstd.with_media_type("application/vnd.erofs.layer.v1+zstd")),
    ] {
        images::store(&layout, name, &[layer]);
        let command = ["/bin/busybox", "cat", "/own/file"];
        let options = ["--allow-erofs", "--entrypoint", ""];
        let outcome = run(&mut bench.scratch.launch(&options, name, &command)).ok();
        assert_eq!(outcome.text(), "content of the image", "{name}");
        chains.extend(store.get(&ImageSource::from(Path::new(name))).unwrap().chain());
    }
    assert_eq!(chains, [Digest::of(&bytes)].into());
    assert_eq!(count(store.path()), (1, 0), "all are the same file, which is there once");
    let listed = store.images().unwrap();
    assert_eq!(listed[0].unpacked, Some(bytes.len() as u64));
    for image in listed {
        store.remove(&image.name).unwrap();
    }
    assert_eq!(count(store.path()), (0, 0));
}

#[test]
fn u7_a_layer_that_is_not_what_it_says_is_not_mounted() {
    let Some(bench) = Bench::new("erofs-wrong") else { return };
    let bytes = fs::read(&bench.file).unwrap();
    let (layout, store) = (bench.layout(), bench.store());
    let erofs = |bytes: &[u8]| Layer::plain(bytes).with_media_type("application/vnd.erofs");
    let other = tests::archive::archive([]);
    let unpack = |name: &str| {
        let image = store.get(&ImageSource::from(Path::new(name)))?;
        store.unpack(&image)
    };
    for (name, layers, expected) in [
        (
            "digest",
            vec![erofs(&bytes).with_diff_id(Digest::of(b""))],
            "is not what its configuration says",
        ),
        ("archive", vec![erofs(&other)], "is no EROFS file system"),
        ("empty", vec![erofs(b"")], "is no EROFS file system"),
        ("two", vec![erofs(&bytes), Layer::plain(&other)], "an EROFS layer beside others"),
        ("last", vec![Layer::plain(&other), erofs(&bytes)], "an EROFS layer beside others"),
    ] {
        images::store(&layout, name, &layers);
        let error = unpack(name).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
        assert_eq!(count(store.path()), (0, 0), "{name}");
    }
    // The blob itself, changed after it was stored.
    let (_, stored) = images::store(&layout, "torn", &[erofs(&bytes)]);
    let path = layout.blob_path(&stored[0].digest().to_string().parse().unwrap());
    let mut torn = bytes;
    let last = torn.len() - 1;
    torn[last] ^= 1;
    fs::write(path, torn).unwrap();
    unpack("torn").unwrap_err();
    assert_eq!(count(store.path()), (0, 0));
}

#[test]
fn a_kernel_that_mounts_block_devices_only_gets_one() {
    let Some(bench) = Bench::new("erofs-loop") else { return };
    if require::file("/dev/loop-control").is_none() {
        return;
    }
    let file = fs::File::open(&bench.file).unwrap();
    let mount = erofs::mount_on_loop_device(file.as_fd()).unwrap();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let inside = openat(&mount, "own/file", flags, Mode::empty()).unwrap();
    assert_eq!(std::io::read_to_string(fs::File::from(inside)).unwrap(), "content of the image\n");
    assert_eq!(loop_devices(&bench.file), 1);
    drop(mount);
    // The device goes with its last user, a moment later.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while loop_devices(&bench.file) > 0 {
        assert!(std::time::Instant::now() < deadline, "the loop device stays");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn loop_devices(file: &Path) -> usize {
    let backing =
        |device: fs::DirEntry| fs::read_to_string(device.path().join("loop/backing_file"));
    let wanted = file.to_str().unwrap();
    let devices = fs::read_dir("/sys/block").unwrap().map(Result::unwrap);
    devices
        .filter(
            |device| matches!(device.file_name().to_str(), Some(name) if name.starts_with("loop")),
        )
        .filter_map(|device| backing(device).ok())
        .filter(|backing| backing.trim() == wanted)
        .count()
}
