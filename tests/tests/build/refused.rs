//! What cannot be packed is said exactly, and leaves nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use tests::outcome::run;
use tests::require;
use tests::samples::compile_c;
use tests::scratch::Scratch;

use crate::{refused, temporary};

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
