//! The same inputs give the same bytes: whoever builds, wherever, whenever, with how many threads.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot fail may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::digest::Digest;
use tests::outcome::run;
use tests::scratch::Scratch;
use tests::{require, samples};

/// One way of building.
struct Way {
    umask: &'static str,
    threads: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

const WAYS: [Way; 3] = [
    Way { umask: "0022", threads: "1", environment: &[] },
    Way {
        umask: "0077",
        threads: "7",
        environment: &[
            ("TZ", "Pacific/Kiritimati"),
            ("LC_ALL", "tr_TR.UTF-8"),
            ("LANG", "de_DE.UTF-8"),
            ("HOME", "/nonexistent"),
            ("USER", "somebody"),
            ("SOURCE_DATE_EPOCH", "1700000000"),
            ("LD_LIBRARY_PATH", "/nonexistent"),
        ],
    },
    Way { umask: "0000", threads: "2", environment: &[("TMPDIR", "/var/tmp"), ("COLUMNS", "20")] },
];

/// `coracle ARGUMENTS` in `folder`, in the given way.
fn coracle(scratch: &Scratch, folder: &Path, way: &Way, arguments: &[&str]) -> String {
    let program = scratch.path().join("bin/coracle");
    let mut shell = scratch.command(Path::new("/bin/sh"));
    shell
        .args(["-c", "umask $0 && exec \"$@\"", way.umask])
        .arg(program)
        .args(arguments)
        .current_dir(folder)
        .env("RAYON_NUM_THREADS", way.threads)
        .env("CORACLE_STORE", folder.join("store"))
        .envs(way.environment.iter().copied());
    run(&mut shell).ok().text()
}

/// A folder with a recipe, a program, a library beside it and data, made in an order of its own.
fn project(folder: &Path, program: &Path, reverse: bool) {
    let mut names = ["b", "a", "c", "ab", "B"];
    if reverse {
        names.reverse();
    }
    fs::create_dir_all(folder.join("data/sub")).unwrap();
    for name in names {
        let file = folder.join("data").join(name);
        fs::write(&file, format!("content of {name}")).unwrap();
        // Permissions for the group and others depend on the umask of whoever checked it out.
        let mode = if reverse { 0o600 } else { 0o664 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::copy(program, folder.join("app")).unwrap();
    fs::write(
        folder.join("recipe.toml"),
        r#"
        executables = ["./app", "/usr/bin/env"]
        env = { B = "2", A = "1" }
        labels = { z = "1", y = "2", x = "3", w = "4", v = "5" }
        ports = ["80", "53/udp", "443"]
        volumes = ["/v2", "/v1"]
        user = "1000"
        [[files]]
        source = "data"
        destination = "/srv/"
        "#,
    )
    .unwrap();
}

fn digest(file: &Path) -> Digest {
    Digest::of(&fs::read(file).unwrap())
}

#[test]
fn two_builds_give_the_same_digests() {
    let scratch = Scratch::new("deterministic");
    let Some(program) = samples::Sample::Glibc.make(scratch.path()) else { return };
    let mut results = Vec::new();
    for (number, way) in WAYS.iter().enumerate() {
        let folder = scratch.subfolder(&format!("place-{number}"));
        project(&folder, &program, number % 2 == 1);
        let outputs = ["o.oci.tar", "o.tar", "o.tar.gz", "o.tar.zst"];
        let mut result: Vec<String> = Vec::new();
        for output in outputs {
            coracle(&scratch, &folder, way, &["build", "-q", "recipe.toml", "-o", output]);
            result.push(format!("{output} {}", digest(&folder.join(output))));
        }
        for compression in ["gzip", "zstd", "none"] {
            let build = ["build", "-q", "recipe.toml", "--compression", compression];
            result.push(coracle(&scratch, &folder, way, &build));
        }
        result.push(coracle(&scratch, &folder, way, &["build", "-q", "/bin/bash", "ls"]));
        result.push(coracle(&scratch, &folder, way, &["build", "--dry-run", "bash"]));
        results.push(result);
    }
    let (first, others) = results.split_first().unwrap();
    for other in others {
        assert_eq!(first, other);
    }
}

#[test]
fn another_user_builds_the_same_image() {
    if !require::root() {
        return;
    }
    let built = |scratch: &Scratch| {
        let out = run(scratch.coracle().args(["build", "-q", "/bin/bash"])).ok().text();
        assert!(out.starts_with("sha256:"), "{out}");
        out
    };
    assert_eq!(built(&Scratch::new("root")), built(&Scratch::of_user("user", 12_345)));
}

#[test]
fn the_time_is_what_was_asked_for_and_nothing_else_changes() {
    let scratch = Scratch::new("epoch");
    let Some(program) = samples::Sample::Glibc.make(scratch.path()) else { return };
    let build = |epoch: &str, out: &str| -> PathBuf {
        let out = scratch.path().join(out);
        let mut command: Command = scratch.coracle();
        command.args(["build", "-q", "--source-date-epoch", epoch, "-o"]).arg(&out).arg(&program);
        run(&mut command).ok();
        out
    };
    let text = |file: &Path| common::tree::dump::dump_tar(fs::File::open(file).unwrap()).unwrap();
    let (zero, later) = (text(&build("0", "zero.tar")), text(&build("86400", "later.tar")));
    assert_ne!(zero, later);
    assert_eq!(zero, later.replace(" @86400", ""));
}
