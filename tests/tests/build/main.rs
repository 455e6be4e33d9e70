//! `coracle build`: what it refuses and how it says so, where outputs appear, and why files are
//! there.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot fail may panic")]

mod libraries;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::digest::Digest;
use common::tree::dump::dump_tar;
use nix::sys::signal::Signal;
use tests::elf;
use tests::outcome::run;
use tests::require;
use tests::samples::compile_c;
use tests::scratch::Scratch;

/// Runs `coracle ARGUMENTS`, which must fail with this status, and returns what it said, with the
/// test's folder as `DIR`.
#[track_caller]
fn refused(scratch: &Scratch, arguments: &[&str], status: i32) -> String {
    let outcome = run(scratch.coracle().args(arguments)).exits(status);
    assert_eq!(outcome.text(), "", "an error has nothing for standard output");
    outcome.errors().replace(scratch.path().to_str().unwrap(), "DIR")
}

/// The entries of a plain tarball, one line each.
fn listing(scratch: &Scratch, arguments: &[&str]) -> String {
    let out = scratch.path().join("listing.tar");
    let mut command: Command = scratch.coracle();
    command.args(["build", "-q", "--force", "-o"]).arg(&out).args(arguments);
    run(&mut command).ok();
    dump_tar(fs::File::open(out).unwrap()).unwrap()
}

/// A program that needs `libabsent.so.1`, which was removed after linking.
fn orphan(scratch: &Scratch) -> Option<()> {
    let folder = scratch.path();
    let library = folder.join("libabsent.so.1");
    let soname = ["-shared", "-fPIC", "-Wl,-soname,libabsent.so.1"];
    compile_c("gcc", &soname, "int absent(void) { return 1; }", &library)?;
    let link = [library.to_str()?];
    // The library follows the source on gcc's command line only if it is not dropped as unneeded.
    let options = ["-Wl,--no-as-needed", link[0]];
    let source = "int absent(void); int main(void) { return absent(); }";
    compile_c("gcc", &options, source, &folder.join("orphan"))?;
    fs::remove_file(library).unwrap();
    Some(())
}

#[test]
fn a_missing_library_names_who_needs_it_and_every_place_tried() {
    let scratch = Scratch::new("missing");
    let Some(()) = orphan(&scratch) else { return };
    let program = scratch.path().join("orphan");
    let said = refused(&scratch, &["build", program.to_str().unwrap()], 1);
    assert!(
        said.starts_with("error: `libabsent.so.1` is missing, needed by `DIR/orphan`\n"),
        "{said}"
    );
    assert!(said.contains("tried `/usr/lib"), "{said}");
    assert!(said.contains("hint: install the package that ships libabsent.so.1"), "{said}");
    assert!(!scratch.store().join("index.json").exists() || images(&scratch).is_empty());
}

fn images(scratch: &Scratch) -> Vec<String> {
    let text = run(scratch.coracle().args(["images"])).ok().text();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// What follows `coracle build`, the status, and how the error starts.
const REFUSED: [(&str, i32, &str); 22] = [
    ("/nonexistent/app", 1, "cannot open `/nonexistent/app`: "),
    ("no-such-program", 1, "`no-such-program` is in none of the folders of PATH"),
    ("./text", 1, "`DIR/text` cannot be resolved: not an ELF file\n"),
    ("/usr", 1, "`/usr` cannot be resolved: not a file but a folder\nhint: name a program's file"),
    ("./cut", 1, "`DIR/cut` cannot be resolved: "),
    (
        "recipe.toml",
        1,
        "cannot understand recipe `recipe.toml`: TOML parse error at line 2, column 1",
    ),
    ("none.toml", 1, "cannot read recipe `none.toml`\n  caused by: No such file or directory"),
    (
        "gone.toml",
        1,
        "cannot read `gone`, needed by `gone` of the recipe\n  \
         caused by: No such file or directory (os error 2)\nhint: it may be a link: ",
    ),
    (
        "pipe.toml",
        1,
        "`special/pipe`, needed by `special` of the recipe, is a device, socket or pipe",
    ),
    ("nul.toml", 2, "`cmd` has a NUL byte in it\n"),
    ("a.toml b.toml", 2, "only one recipe can be built at a time\n"),
    (
        "/bin/sh -o there.tar",
        1,
        "`there.tar` exists\nhint: use --force to replace it, or another name\n",
    ),
    ("/bin/sh -o x.zip", 2, "`x.zip` does not say in which format the image is wanted\n"),
    ("/bin/sh -o no/x.tar", 1, "there is no folder `no` for the output\nhint: make it first, "),
    ("/bin/sh -o text/d/", 1, "there is no folder `text` for the output\n"),
    ("/bin/sh --force -o link.tar", 1, "`link.tar` is neither a file nor a folder, and is not "),
    ("/bin/sh --force -o ./", 1, "`.` is the working folder, or holds it, and is not replaced\n"),
    ("/bin/sh --no-rule nope", 1, "there is no rule `nope`\nhint: "),
    ("/bin/sh --sysroot nowhere", 1, "cannot open the root `nowhere`\n"),
    ("/bin/sh -t UP", 2, "invalid value 'UP' for '--tag <NAME>'"),
    ("/bin/sh --source-date-epoch x", 2, "invalid value 'x'"),
    ("", 2, "the following required arguments were not provided"),
];

#[test]
fn what_cannot_be_packed_is_said_exactly() {
    let scratch = Scratch::new("refused");
    scratch.file("text", "just text\n");
    scratch.file("cut", b"\x7fELF\x02\x01\x01");
    scratch.file("recipe.toml", "executables = [\"/bin/sh\"]\nentrypiont = []\n");
    let there = scratch.file("there.tar", "keep me");
    symlink(&there, scratch.path().join("link.tar")).unwrap();
    symlink("/etc/passwd", scratch.path().join("gone")).unwrap();
    let pipe = scratch.subfolder("special").join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let files =
        |source| format!("name = \"n\"\n[[files]]\nsource = \"{source}\"\ndestination = \"/x/\"");
    scratch.file("gone.toml", files("gone"));
    scratch.file("pipe.toml", files("special"));
    scratch.file("nul.toml", "executables = [\"/bin/sh\"]\ncmd = [\"a\\u0000\"]\n");
    for (arguments, status, expected) in REFUSED {
        let all: Vec<&str> = ["build"].into_iter().chain(arguments.split_whitespace()).collect();
        let said = refused(&scratch, &all, status);
        assert!(said.starts_with(&format!("error: {expected}")), "{all:?}:\n{said}");
    }
    assert_eq!(fs::read_to_string(there).unwrap(), "keep me");
    assert_eq!(temporary(scratch.path()), Vec::<String>::new());
}

#[test]
fn a_link_to_a_folder_is_packed_as_the_folder_where_it_is_sent_elsewhere() {
    let scratch = Scratch::new("linked");
    fs::write(scratch.subfolder("real").join("f"), "x").unwrap();
    symlink("real", scratch.path().join("alias")).unwrap();
    scratch.file(
        "recipe.toml",
        "name = \"n\"\n[[files]]\nsource = \"alias\"\ndestination = \"/data\"\n",
    );
    let list = listing(&scratch, &["recipe.toml"]);
    assert!(list.contains("0755 0:0 dir - /data\n"), "{list}");
    assert!(list.contains("0644 0:0 file 1 /data/f "), "{list}");
}

/// What is left of unfinished outputs.
fn temporary(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect()
}

#[test]
fn a_library_for_another_architecture_is_tried_and_passed_over() {
    let scratch = Scratch::new("foreign");
    let Some(()) = orphan(&scratch) else { return };
    // An ELF header of a 64-bit little-endian shared object for s390x (machine 22).
    let mut header = vec![0_u8; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 3;
    header[18] = 22;
    header[20] = 1;
    header[52] = 64;
    header[54] = 56;
    let libraries = scratch.subfolder("foreign");
    fs::write(libraries.join("libabsent.so.1"), header).unwrap();
    let program = scratch.path().join("orphan");
    let arguments =
        ["build", program.to_str().unwrap(), "--library-path", libraries.to_str().unwrap()];
    let said = refused(&scratch, &arguments, 1);
    assert!(said.contains("tried `DIR/foreign/libabsent.so.1`"), "{said}");
    assert!(said.contains("an object for another machine"), "{said}");
}

#[test]
fn what_the_builder_may_not_read_is_an_error_with_a_hint() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::of_user("unreadable", 12_346);
    let secret = scratch.file("secret", "x");
    std::os::unix::fs::chown(&secret, Some(0), Some(0)).unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let recipe =
        "executables = [\"/bin/sh\"]\n[[files]]\nsource = \"secret\"\ndestination = \"/etc/\"\n";
    scratch.file("recipe.toml", recipe);
    let said = refused(&scratch, &["build", "recipe.toml"], 1);
    assert_eq!(
        said,
        "error: cannot read `secret`, needed by `secret` of the recipe\n  \
         caused by: Permission denied (os error 13)\n\
         hint: build as a user who may read it, or leave it out\n"
    );
}

#[test]
fn a_store_of_somebody_else_is_said_to_be_one() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::of_user("foreign-store", 12_346);
    let store = scratch.path().join("theirs");
    run(Command::new(tests::programs::coracle())
        .args(["build", "-q", "/bin/sh", "--store"])
        .arg(&store))
    .ok();
    let said = refused(&scratch, &["build", "/bin/sh", "--store", store.to_str().unwrap()], 1);
    assert_eq!(
        said,
        "error: cannot create a file in `DIR/theirs/blobs`\n  caused by: permission denied\n\
         hint: you may not use `DIR/theirs/blobs`: choose another place with --store, or ask its \
         owner\n"
    );
}

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
fn recipes_place_files_and_configure_the_image() {
    let scratch = Scratch::new("recipe");
    let data = scratch.subfolder("conf/sub");
    fs::write(data.join("b.conf"), "b").unwrap();
    fs::write(data.parent().unwrap().join("a.conf"), "a").unwrap();
    fs::write(data.parent().unwrap().join("script"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(data.parent().unwrap().join("script"), fs::Permissions::from_mode(0o700))
        .unwrap();
    scratch.file(
        "recipe.toml",
        r#"
        name = "site"
        user = "1000:2000"
        workdir = "/srv/site"
        volumes = ["/srv/data"]
        stop-signal = "QUIT"
        ports = ["80"]
        cmd = ["serve"]
        entrypoint = ["/bin/site"]
        [[files]]
        source = "conf/*.conf"
        destination = "/etc/site/"
        [[files]]
        source = "conf/sub"
        destination = "/etc/site/"
        [[files]]
        source = "conf/script"
        destination = "/bin/site"
        "#,
    );
    let list = listing(&scratch, &["recipe.toml"]);
    let of_recipe: Vec<&str> = list
        .lines()
        .filter(|line| line.contains("site") || line.contains("/srv") || line.contains(" /tmp"))
        .collect();
    assert_eq!(
        of_recipe,
        [
            "0755 0:0 dir - /etc/site",
            "0644 0:0 file 1 /etc/site/a.conf ca978112ca1b",
            "0755 0:0 dir - /etc/site/sub",
            "0644 0:0 file 1 /etc/site/sub/b.conf 3e23e8160039",
            "0755 0:0 dir - /srv",
            "1777 1000:2000 dir - /srv/data",
            "0755 0:0 dir - /srv/site",
            "1777 0:0 dir - /tmp",
            "0755 0:0 file 10 /usr/bin/site a8076d3d28d2",
        ]
    );
    run(scratch.coracle().args(["build", "-q", "recipe.toml"])).ok();
    let text = run(scratch.coracle().args(["inspect", "--json", "site"])).ok().text();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value["config"]["config"],
        serde_json::json!({
            "Cmd": ["serve"], "Entrypoint": ["/bin/site"], "ExposedPorts": {"80/tcp": {}},
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "StopSignal": "SIGQUIT", "User": "1000:2000", "Volumes": {"/srv/data": {}},
            "WorkingDir": "/srv/site",
        })
    );
}

#[test]
fn every_format_holds_the_same_root() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("formats");
    let path = |name: &str| scratch.path().join(name);
    for output in ["o.tar", "o.tar.gz", "o.tar.zst", "o.oci.tar", "o.oci", "folder/"] {
        let said =
            run(scratch.coracle().args(["build", "-q", "/bin/sh", "-o", output])).ok().text();
        if output.starts_with("o.tar") {
            assert_eq!(said, Digest::of(&fs::read(path(output)).unwrap()).to_string());
        }
        assert_eq!(said.is_empty(), output == "folder/");
    }
    run(scratch.coracle().args(["build", "-q", "/bin/sh", "--format", "oci-dir", "-o", "layout"]))
        .ok();
    let dump = dump_tar(fs::File::open(path("o.tar")).unwrap()).unwrap();
    let gzip = flate2::read::GzDecoder::new(fs::File::open(path("o.tar.gz")).unwrap());
    assert_eq!(dump, dump_tar(gzip).unwrap());
    let zstd = zstd::Decoder::new(fs::File::open(path("o.tar.zst")).unwrap()).unwrap();
    assert_eq!(dump, dump_tar(zstd).unwrap());
    assert_eq!(fs::read(path("o.oci")).unwrap(), fs::read(path("o.oci.tar")).unwrap());
    let files =
        |image: &str| run(scratch.coracle().args(["inspect", "--files", image])).ok().text();
    assert_eq!(files("./o.oci.tar"), files("./layout"));
    assert_eq!(files("./layout").lines().count(), dump.lines().count());
    let shell = run(Command::new("/usr/sbin/chroot")
        .arg(path("folder"))
        .args(["/bin/sh", "-c", "echo ok"]));
    assert_eq!(shell.ok().text(), "ok");
    let mode = fs::metadata(path("folder/tmp")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o1777);
    // Replaced only when asked to.
    run(scratch.coracle().args(["build", "-q", "/bin/sh", "-o", "folder/"])).exits(1);
    fs::write(path("folder/mine"), "x").unwrap();
    run(scratch.coracle().args(["build", "-q", "/bin/sh", "--force", "-o", "folder/"])).ok();
    assert!(!path("folder/mine").exists() && path("folder/usr").is_dir());
    assert_eq!(temporary(scratch.path()), Vec::<String>::new());
}

#[test]
fn what_the_search_passes_over_is_told() {
    let scratch = Scratch::new("warned");
    run(scratch.coracle().args(["build", "--dry-run", "--library-path", "here", "/bin/sh"]))
        .ok()
        .says(&["warning: the search path `here` has an element that means the working directory"]);
}

#[test]
fn a_file_of_the_same_name_does_not_hide_an_image_of_the_store() {
    let scratch = Scratch::new("names");
    scratch.pack(&["/bin/bash"]);
    scratch.file("bash", "no image");
    run(scratch.coracle().args(["inspect", "bash"])).ok();
    let said = refused(&scratch, &["inspect", "./bash"], 1);
    assert!(said.starts_with("error: `./bash` "), "{said}");
    // Without a place for a store, files can still be read.
    run(scratch.coracle().args(["build", "-q", "/bin/bash", "-o", "o.oci.tar"])).ok();
    let mut inspect = scratch.coracle();
    inspect.env_remove("CORACLE_STORE").env_remove("HOME").env_remove("XDG_DATA_HOME");
    let text = run(inspect.args(["inspect", "--json", "--files", "o.oci.tar"])).ok().text();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let paths = value["layers"][0]["paths"].as_array().unwrap();
    assert!(
        paths.contains(
            &serde_json::json!({"path": "/etc/hostname", "kind": "file", "mode": 420, "size": 0})
        ),
        "{text}"
    );
}

#[test]
fn a_program_with_python_inside_has_the_modules_of_every_layout() {
    for (library_folder, modules) in [
        ("usr/lib/x86_64-linux-gnu", "usr/lib/python3.9"),
        ("usr/lib64", "usr/lib64/python3.9"),
        ("usr/lib", "usr/lib/python3.9"),
    ] {
        let scratch = Scratch::new("python");
        let root = scratch.subfolder("root");
        let loader = "/lib64/ld-linux-x86-64.so.2";
        elf::library("ld-linux-x86-64.so.2", &[]).write(&root.join(&loader[1..]));
        let name = "libpython3.9.so.1.0";
        elf::library(name, &[]).write(&root.join(library_folder).join(name));
        elf::program(loader, &[name])
            .runpath(&format!("/{library_folder}"))
            .write(&root.join("usr/bin/editor"));
        let extension = format!("{modules}/lib-dynload/_x.so");
        elf::library("_x.so", &[]).write(&root.join(&extension));
        fs::write(root.join(modules).join("os.py"), "").unwrap();
        fs::create_dir(root.join(modules).join("test")).unwrap();
        let wanted = ["--python-modules", "os,_x"];
        let options = [&["--sysroot", root.to_str().unwrap(), "editor"], &wanted[..]].concat();
        let list = listing(&scratch, &options);
        assert!(list.contains(&format!(" /{modules}/os.py")), "{list}");
        assert!(list.contains(&format!(" /{extension}")), "{list}");
        assert!(!list.contains(&format!(" /{modules}/test")), "{list}");
    }
}

#[test]
fn certificates_by_hash_are_shipped_only_where_there_is_no_bundle_for_openssl() {
    for bundle in [None, Some("usr/lib/ssl/cert.pem"), Some("etc/ssl/cert.pem")] {
        let scratch = Scratch::new("certificates");
        let root = scratch.subfolder("root");
        let loader = "/lib64/ld-linux-x86-64.so.2";
        elf::library("ld-linux-x86-64.so.2", &[]).write(&root.join(&loader[1..]));
        elf::library("libssl.so.3", &[]).write(&root.join("usr/lib/libssl.so.3"));
        elf::program(loader, &["libssl.so.3"]).write(&root.join("usr/bin/client"));
        for path in bundle.into_iter().chain(["etc/ssl/certs/0a1b2c3d.0"]) {
            fs::create_dir_all(root.join(path).parent().unwrap()).unwrap();
            fs::write(root.join(path), "certificate").unwrap();
        }
        let list = listing(&scratch, &["--sysroot", root.to_str().unwrap(), "client"]);
        assert_eq!(list.contains("/0a1b2c3d.0"), bundle.is_none(), "{list}");
        assert!(bundle.is_none_or(|bundle| list.contains(&format!(" /{bundle} "))), "{list}");
    }
}

#[test]
fn an_image_says_why_each_file_is_there() {
    let scratch = Scratch::new("why");
    scratch.pack(&["/bin/bash"]);
    let why = |path: &str| run(scratch.coracle().args(["why", "bash", path])).ok().text();
    let libc = run(Command::new("/bin/sh")
        .args(["-c", "ldd /bin/bash | sed -n 's/.*=> \\(.*libc.so.6\\).*/\\1/p'"]));
    let libc = fs::canonicalize(libc.ok().text().trim()).unwrap();
    let said = why(libc.to_str().unwrap());
    assert!(said.contains("needed `libc.so.6` of /usr/bin/bash"), "{said}");
    assert!(said.contains("/usr/bin/bash: asked for by name"), "{said}");
    assert!(why("/etc/nsswitch.conf").contains("rule nss: "), "{}", why("/etc/nsswitch.conf"));
    assert!(why("/tmp").contains("every image has it"), "{}", why("/tmp"));
    // By another way, and the reason of a link is the reason of what it leads to.
    let link = why("/lib64/ld-linux-x86-64.so.2");
    assert!(link.contains("interpreter `/lib64/ld-linux-x86-64.so.2` of /usr/bin/bash"), "{link}");
    let said = refused(&scratch, &["why", "bash", "/nope"], 1);
    assert_eq!(
        said,
        "error: the image has no `/nope`\nhint: `coracle inspect --files IMAGE` lists its paths\n"
    );
    let said = refused(&scratch, &["why", "nope", "/"], 1);
    assert_eq!(
        said,
        "error: there is neither an image nor a program `nope`\nhint: `coracle images` lists what is in \
         the store; a program is found on PATH, or named by its path\n"
    );
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
