//! Every format that `coracle build` writes and `paddle run` takes.

use tests::outcome::run;
use tests::require;
use tests::samples::{STATUS, Sample};
use tests::scratch::Scratch;

/// Output, options of `build`, and whether the image knows what it starts (a root filesystem does not).
const ROWS: &[(&str, &[&str], bool)] = &[
    ("image.oci.tar", &[], true),
    ("image.oci.tar", &["--compression", "zstd"], true),
    ("image.oci.tar", &["--compression", "none"], true),
    ("image", &["--format", "oci-dir"], true),
    ("root.tar", &[], false),
    ("root.tar.gz", &[], false),
    ("root.tar.zst", &[], false),
];

#[test]
fn what_is_written_can_be_launched() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("formats");
    let Some(program) = Sample::Glibc.make(scratch.path()) else { return };
    // A program from outside of the system's folders gets a place in `/usr/local/bin`.
    let inside = ["--entrypoint", "/usr/local/bin/glibc"];
    for (out, build, starts_by_itself) in ROWS {
        let mut command = scratch.coracle();
        run(command.args(["build", "--force", "-o", out]).args(*build).arg(&program)).ok();
        let options: &[&str] = if *starts_by_itself { &[] } else { &inside };
        let outcome = run(&mut scratch.launch(options, out, &["one"])).exits(STATUS);
        assert_eq!(outcome.text(), "glibc: one", "{out} {build:?}");
    }
}
