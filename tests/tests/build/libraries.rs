//! Where programs and their libraries go, and how the image's loader finds them there.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use builder::resolve::hwcaps::BASELINE;
use tests::outcome::run;
use tests::require;
use tests::samples::{Sample, compile_c};
use tests::scratch::Scratch;

use super::listing;

#[test]
fn programs_from_elsewhere_go_to_usr_local_bin() {
    let scratch = Scratch::new("placed");
    let Some(program) = Sample::Glibc.make(scratch.path()) else { return };
    symlink(&program, scratch.path().join("alias")).unwrap();
    let alias = scratch.path().join("alias");
    let list = listing(&scratch, &[alias.to_str().unwrap()]);
    assert!(list.contains(" /usr/local/bin/alias"), "{list}");
    assert!(!list.contains(scratch.mark()), "{list}");
}

#[test]
fn programs_that_find_libraries_beside_them_keep_their_places() {
    let scratch = Scratch::new("origin");
    let folder = scratch.path();
    let library = folder.join("libbeside.so.1");
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libbeside.so.1"];
    let Some(()) = compile_c("gcc", &shared, "int beside(void) { return 0; }", &library) else {
        return;
    };
    let program = folder.join("app");
    let options = ["-Wl,--no-as-needed", library.to_str().unwrap(), "-Wl,-rpath,$ORIGIN"];
    let source = "int beside(void); int main(void) { return beside(); }";
    compile_c("gcc", &options, source, &program).unwrap();
    let list = listing(&scratch, &[program.to_str().unwrap()]);
    for path in [&program, &library] {
        assert!(list.contains(&format!(" {}", path.display())), "{list}");
    }
    assert!(!list.contains("/usr/local/bin"), "{list}");
}

#[test]
fn a_library_path_becomes_a_cache_of_the_image() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("cache");
    let libraries = scratch.subfolder("libraries");
    let library = libraries.join("libcached.so.1");
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libcached.so.1"];
    let Some(()) = compile_c("gcc", &shared, "int cached(void) { return 42; }", &library) else {
        return;
    };
    let program = scratch.path().join("app");
    let options = ["-Wl,--no-as-needed", library.to_str().unwrap()];
    let source = "int cached(void); int main(void) { return cached(); }";
    compile_c("gcc", &options, source, &program).unwrap();
    let root = scratch.path().join("root");
    let mut build = scratch.coracle();
    build.args(["build", "-q", "--library-path"]).arg(&libraries).arg(&program);
    run(build.arg("-o").arg(format!("{}/", root.display()))).ok();
    assert!(root.join("etc/ld.so.cache").is_file());
    // The loader of the image is the judge.
    run(Command::new("/usr/sbin/chroot").arg(&root).arg("/usr/local/bin/app")).exits(42);
    // Without such a library there is no cache.
    assert!(!listing(&scratch, &["/bin/sh"]).contains("ld.so.cache"));
}

#[test]
fn a_cache_of_the_image_lists_variants() {
    if !require::root() {
        return;
    }
    let scratch = Scratch::new("variants");
    let libraries = scratch.subfolder("libraries");
    let shared = ["-shared", "-fPIC", "-Wl,-soname,libcached.so.1"];
    for (folder, status) in
        [("", 42), ("glibc-hwcaps/x86-64-v2/", 43), ("glibc-hwcaps/x86-64-v3/", 44)]
    {
        let library = libraries.join(folder).join("libcached.so.1");
        fs::create_dir_all(library.parent().unwrap()).unwrap();
        let source = format!("int cached(void) {{ return {status}; }}");
        if compile_c("gcc", &shared, &source, &library).is_none() {
            return;
        }
    }
    let program = scratch.path().join("app");
    let library = libraries.join("libcached.so.1");
    let options = ["-Wl,--no-as-needed", library.to_str().unwrap()];
    let source = "int cached(void); int main(void) { return cached(); }";
    compile_c("gcc", &options, source, &program).unwrap();
    let root = scratch.path().join("root");
    let mut build = scratch.coracle();
    build.args(["build", "-q", "--cpu", "all", "--library-path"]).arg(&libraries).arg(&program);
    run(build.arg("-o").arg(format!("{}/", root.display()))).ok();
    for (levels, status) in [("none", 42), ("x86-64-v2", 43), ("x86-64-v3:x86-64-v2", 44)] {
        let mut command = Command::new("/usr/sbin/chroot");
        command.env("GLIBC_TUNABLES", BASELINE);
        command.arg(&root).arg("/lib64/ld-linux-x86-64.so.2");
        run(command.args(["--glibc-hwcaps-prepend", levels, "/usr/local/bin/app"])).exits(status);
    }
}
