//! `coracle why` of an executable, and how it is told from an image.

use std::collections::BTreeSet;
use std::process::Command;

use builder::elf::Name;
use builder::report::why::{self, Asked};
use builder::resolve::{Options, Request, Sysroot, closure};
use common::tree::ImagePath;
use tests::elf::{Elf, library, program};
use tests::outcome::run;
use tests::scratch::Scratch;

use super::{Case, LOADER, case};

impl Case {
    /// What is said about `what`, of the program or script `/app/run`.
    fn why(&self, what: &str, limit: usize) -> String {
        let root = self.root();
        let sysroot = Sysroot::open(root.path()).unwrap();
        let programs = [ImagePath::new("/app/run").unwrap()];
        let request = [Request::Program(programs[0].clone())];
        let closure = closure(&request, &sysroot, &Options::default()).unwrap();
        let asked = Asked { closure: &closure, sysroot: &sysroot, programs: &programs };
        let answers = why::why(&asked, &Name::from(what), limit);
        answers.iter().map(why::text).collect()
    }

    #[track_caller]
    fn why_is(&self, what: &str, wanted: &str) {
        let said = self.why(what, 10);
        assert_eq!(said.trim_end(), wanted.trim(), "{what}\n{said}");
    }
}

#[test]
fn everybody_who_needs_it_is_told_by_any_of_its_names() {
    let mut all = case(vec![
        ("/app/run", program(LOADER, &["liba.so", "libb.so", "libgone.so"]).rpath("/x")),
        ("/x/liba.so", library("liba.so", &["libz.so.1"])),
        ("/x/libb.so", library("libb.so", &["liba.so", "libz.so.1", "libgone.so"])),
        ("/x/libz.so.1.3", library("libz.so.1", &[])),
    ]);
    all.links = vec![("/x/libz.so.1", "libz.so.1.3")];
    let wanted = "
/x/libz.so.1.3
  needed `libz.so.1` of /x/liba.so (RPATH of /app/run)
    /x/liba.so: needed `liba.so` of /app/run (RPATH of /app/run)
      /app/run: asked for by name
  needed `libz.so.1` of /x/libb.so (loaded already)
    /x/libb.so: needed `libb.so` of /app/run (RPATH of /app/run)
      /app/run: asked for by name
  needed `libz.so.1` of /x/liba.so (RPATH of /app/run)
    /x/liba.so: needed `liba.so` of /x/libb.so (loaded already)
      /x/libb.so: needed `libb.so` of /app/run (RPATH of /app/run)
        /app/run: asked for by name
";
    for what in ["libz.so.1", "libz.so.1.3", "/x/libz.so.1.3", "/x/../x/libz.so.1.3"] {
        all.why_is(what, wanted);
    }
    assert!(all.why("libz.so.1", 1).ends_with("asked for by name\n1 of 3 chains\n"));
    all.why_is(
        "libgone.so",
        "
libgone.so is missing
  needed `libgone.so` of /app/run
    /app/run: asked for by name
  needed `libgone.so` of /x/libb.so
    /x/libb.so: needed `libb.so` of /app/run (RPATH of /app/run)
      /app/run: asked for by name
",
    );
    all.why_is("/app/run", "/app/run\n  asked for by name\n");
    for nothing in ["libz.so", "/x", "/x/nothing", "/etc/passwd"] {
        all.why_is(nothing, "");
    }
}

#[test]
fn chains_go_through_links_scripts_and_interpreters() {
    let mut all = case(vec![
        ("/usr/bin/dash", program(LOADER, &["liba.so"])),
        ("/usr/lib/liba.so", library("liba.so", &["ld-linux-x86-64.so.2"])),
    ]);
    all.links = vec![("/usr/bin/sh", "dash"), ("/app/run", "real")];
    all.files = vec![("/app/real", b"#!/app/inner\n"), ("/app/inner", b"#!/usr/bin/sh -e\n")];
    let script = "
    /usr/bin/dash: interpreter of the script /app/inner
      /app/inner: interpreter of the script /app/real
        /app/real: asked for by name";
    let chain = format!("  needed `liba.so` of /usr/bin/dash (system directory){script}");
    all.why_is("liba.so", &format!("/usr/lib/liba.so\n{chain}"));
    all.why_is(
        "/lib",
        &format!(
            "/lib -> usr/lib
  on the way to /lib/liba.so
    /usr/lib/liba.so: {}",
            chain.trim_start().replace("\n  ", "\n    ")
        ),
    );
    all.why_is(
        "ld-linux-x86-64.so.2",
        &format!(
            "/usr/lib64/ld-linux-x86-64.so.2
  interpreter `{LOADER}` of /usr/bin/dash (by its path){script}
  needed `ld-linux-x86-64.so.2` of /usr/lib/liba.so (loaded already)
    /usr/lib/liba.so: {}",
            chain.trim_start().replace("\n  ", "\n    ")
        ),
    );
    all.why_is("/app/run", "/app/run -> real\n  asked for by name");
}

/// Each level needs both of the next, and the other of its own: as many chains as there are ways
/// down, and circles between them.
#[test]
fn more_chains_than_can_be_told_are_counted() {
    let root = Case::default().root();
    program(LOADER, &["lib0a.so", "lib0b.so"]).write(&root.path().join("app/run"));
    let levels = 40;
    for level in 0..levels {
        let next = [format!("lib{}a.so", level + 1), format!("lib{}b.so", level + 1)];
        for side in ["a", "b"] {
            let name = format!("lib{level}{side}.so");
            let needed =
                if level + 1 == levels { vec!["libend.so".to_owned()] } else { next.to_vec() };
            let object = needed.iter().fold(library(&name, &[]), Elf::needed);
            object.write(&root.path().join("usr/lib").join(name));
        }
    }
    library("libend.so", &[]).write(&root.path().join("usr/lib/libend.so"));
    let ask = || {
        let sysroot = Sysroot::open(root.path()).unwrap();
        let programs = [ImagePath::new("/app/run").unwrap()];
        let request = [Request::Program(programs[0].clone())];
        let closure = closure(&request, &sysroot, &Options::default()).unwrap();
        let asked = Asked { closure: &closure, sysroot: &sysroot, programs: &programs };
        why::why(&asked, &Name::from("libend.so"), 100).remove(0)
    };
    let answer = ask();
    assert_eq!((answer.total, answer.exact, answer.chains.len()), (1 << levels, true, 100));
    let distinct: BTreeSet<String> =
        answer.chains.iter().map(|chain| format!("{chain:?}")).collect();
    assert_eq!(distinct.len(), 100);
    // The first needs the last as well: circles of every length.
    library("lib0a.so", &["lib1a.so", "lib1b.so"]).write(&root.path().join("usr/lib/lib0a.so"));
    let last = format!("lib{}a.so", levels - 1);
    library(&last, &["libend.so", "lib0b.so"]).write(&root.path().join("usr/lib").join(last));
    let answer = ask();
    assert_eq!((answer.exact, answer.chains.len()), (false, 100));
    assert!(answer.total >= 100);
}

/// `coracle why`, which must fail, and what it said.
#[track_caller]
fn refused(scratch: &Scratch, arguments: &[&str]) -> String {
    run(scratch.coracle().arg("why").args(arguments)).exits(1).errors()
}

#[test]
fn an_image_is_told_from_an_executable() {
    let scratch = Scratch::new("subject");
    let root = Case {
        objects: vec![
            ("/app/run", program(LOADER, &["liba.so"])),
            ("/usr/bin/tool", program(LOADER, &["liba.so"])),
            ("/usr/lib/liba.so", library("liba.so", &[])),
        ],
        ..Case::default()
    }
    .root();
    let sysroot = root.path().to_str().unwrap();
    run(scratch.coracle().args(["build", "-q", "-t", "bash", "--sysroot", sysroot, "tool"])).ok();
    let archive = scratch.path().join("tool.oci.tar");
    run(scratch.coracle().args(["build", "-q", "--sysroot", sysroot, "tool", "-o"]).arg(&archive))
        .ok();
    let ask = |arguments: &[&str]| run(scratch.coracle().arg("why").args(arguments)).ok().text();
    // By how an image tells of a file: with its kind.
    let of_image = "/usr/lib/liba.so (file)\n  needed `liba.so` of /usr/bin/tool";
    let of_executable = "/usr/lib/liba.so\n  needed `liba.so` of ";
    // A name of the store comes before one of PATH; a name in the working folder, if it is an image.
    assert!(ask(&["bash", "liba.so"]).starts_with(of_image));
    assert!(ask(&["bash", "/lib/liba.so"]).starts_with(of_image));
    assert!(ask(&["./tool.oci.tar", "liba.so"]).starts_with(of_image));
    assert!(ask(&["tool.oci.tar", "/usr/lib/liba.so"]).starts_with(of_image));
    for path in ["/app/run", "app/run", "tool"] {
        assert!(ask(&["--sysroot", sysroot, path, "liba.so"]).starts_with(of_executable), "{path}");
    }
    let program = root.path().join("usr/bin/tool");
    let program = program.to_str().unwrap();
    let said = ask(&[program, program]);
    assert!(said.ends_with("\n  asked for by name"), "{said}");
    // A program in the working folder is none by its name alone.
    std::fs::copy(program, scratch.path().join("nope")).unwrap();
    let nothing = "error: there is neither an image nor a program `nope`\nhint: `coracle images` ";
    assert!(refused(&scratch, &["nope", "x"]).starts_with(nothing));
    assert!(
        refused(&scratch, &["./gone", "x"]).contains("neither an image nor a program `./gone`")
    );
    std::fs::write(scratch.path().join("text"), "text").unwrap();
    let said = refused(&scratch, &["./text", "x"]);
    assert!(
        said.starts_with("error: `./text` is neither a program nor an image\nhint: a "),
        "{said}"
    );
    let said = refused(&scratch, &["--sysroot", sysroot, "tool", "liba"]);
    assert_eq!(said, "error: `tool` needs no `liba`\nhint: it needs liba.so\n");
    let said = refused(&scratch, &["--sysroot", sysroot, "tool", "/usr/lib/nothing"]);
    assert!(said.contains("needs no `/usr/lib/nothing`\nhint: `coracle tree EXE` shows"), "{said}");
    let said = refused(&scratch, &["bash", "libb.so"]);
    assert!(said.contains("the image has no `libb.so`"), "{said}");
    let json = ask(&["--json", "--sysroot", sysroot, "tool", "liba.so"]);
    assert_eq!(
        json,
        "{\"found\":[{\"chains\":[[{\"already\":false,\"by\":\"/usr/bin/tool\",\"how\":\"system \
         directory\",\"name\":\"liba.so\",\"path\":\"/usr/lib/liba.so\",\"reason\":\"loaded\",\
         \"relation\":\"needed\"},{\"path\":\"/usr/bin/tool\",\"reason\":\"asked\"}]],\"exact\":true,\
         \"kind\":\"object\",\"path\":\"/usr/lib/liba.so\",\"total\":1}],\"what\":\"liba.so\"}"
    );
    let command: &mut Command = &mut scratch.coracle();
    assert!(
        run(command.args(["why", "--json", "bash", "liba.so"])).ok().text().contains("\"total\":1")
    );
}
