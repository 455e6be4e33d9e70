//! What ends a build before it is done, from outside.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::outcome::run;
use tests::require;
use tests::scratch::Scratch;

use crate::{refused, temporary};

#[test]
fn a_full_disk_leaves_nothing_behind_and_says_so() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("full");
    let small = scratch.subfolder("small");
    let mount = Mount::tmpfs(&small, "size=256k");
    let store = small.join("store");
    let output = small.join("o.tar");
    for arguments in [
        ["build", "/bin/bash", "--store", store.to_str().unwrap()],
        ["build", "/bin/bash", "-o", output.to_str().unwrap()],
        ["build", "/bin/bash", "-o", &format!("{}/", small.join("folder").display())],
    ] {
        let said = refused(&scratch, &arguments, 1);
        assert!(said.contains("No space left on device (os error 28)"), "{said}");
        let file = arguments[3] == output.to_str().unwrap();
        assert!(!file || said.starts_with("error: cannot write `DIR/small/o.tar`\n"), "{said}");
        assert!(said.contains("hint: ") && said.contains("make room"), "{said}");
        assert!(!output.exists() && !small.join("folder").exists());
        assert_eq!(temporary(&small), Vec::<String>::new());
        assert_eq!(
            run(scratch.coracle().args(["images", "--json", "--store"]).arg(&store)).ok().text(),
            "[]"
        );
    }
    drop(mount);
}

#[test]
fn an_interrupted_build_removes_what_it_made_and_dies_of_the_signal() {
    let scratch = Scratch::new("interrupted");
    // Long enough to be met at work: it takes a minute to compress.
    fs::File::create(scratch.path().join("zeros")).unwrap().set_len(8 << 30).unwrap();
    let recipe = "name = \"n\"\n[[files]]\nsource = \"zeros\"\ndestination = \"/zeros\"\n";
    scratch.file("recipe.toml", recipe);
    let partial = |folder: &Path| {
        let names = fs::read_dir(folder).into_iter().flatten();
        names.filter(|e| e.as_ref().unwrap().file_name().as_encoded_bytes()[0] == b'.').count()
    };
    let blobs = scratch.store().join("blobs");
    for (output, folder, signal) in [
        (&["-o", "x.tar.gz"][..], scratch.path(), Signal::SIGINT),
        (&["-o", "x.oci.tar"], scratch.path(), Signal::SIGTERM),
        (&["--format", "oci-dir", "-o", "x"], scratch.path(), Signal::SIGHUP),
        (&[], &blobs, Signal::SIGINT),
    ] {
        let mut build = scratch.coracle();
        let mut child = build.args(["build", "-q", "recipe.toml"]).args(output).spawn().unwrap();
        let started = Instant::now();
        while partial(folder) == 0 {
            assert!(started.elapsed() < Duration::from_mins(1), "{output:?} did not start");
            assert_eq!(child.try_wait().unwrap(), None, "{output:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(signal as i32), "{output:?}");
        assert_eq!(partial(folder), 0, "{output:?} left something");
        assert!(!scratch.path().join("x.tar.gz").exists() && !scratch.path().join("x").exists());
    }
}

/// A file system that is unmounted when dropped.
struct Mount<'p>(&'p Path);

impl<'p> Mount<'p> {
    fn tmpfs(at: &'p Path, options: &str) -> Self {
        nix::mount::mount(
            Some("coracle-test"),
            at,
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            Some(options),
        )
        .unwrap();
        Self(at)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        nix::mount::umount2(self.0, nix::mount::MntFlags::MNT_DETACH).unwrap();
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let scratch = Scratch::new("pipe");
    let program = scratch.path().join("bin/coracle");
    let mut shell = scratch.command(Path::new("/bin/bash"));
    shell.args([
        "-c",
        "set -o pipefail; \"$0\" build --dry-run /bin/bash | head -1",
        program.to_str().unwrap(),
    ]);
    assert_eq!(run(&mut shell).ok().text().lines().count(), 1);
}
