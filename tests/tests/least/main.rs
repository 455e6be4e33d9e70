//! What is left out of an image: by pattern, because no run used it, because only a debugger reads it.
#![expect(clippy::unwrap_used, reason = "in a test, what cannot fail may panic")]

mod exclude;
mod min;
mod new;
mod sizes;
mod strip;

use std::fs;
use std::path::Path;

use tests::samples::compile_c;
use tests::scratch::Scratch;

/// A program `app`, and a rule that ships `data/` and opens `plugins/*.so`; one of them needs
/// `libextra.so`. `DIR` in what follows is the test's folder.
fn app(scratch: &Scratch) -> Option<()> {
    let folder = scratch.path();
    for name in ["plugins", "data/sub", "data/empty", "rules"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for name in ["data/one", "data/two", "data/sub/three"] {
        fs::write(folder.join(name), name).unwrap();
    }
    std::os::unix::fs::symlink("one", folder.join("data/link")).unwrap();
    compile_c("gcc", &[], "int main(void) { return 0; }", &folder.join("app"))?;
    let library = |name: &str, source: &str, options: &[&str]| {
        let mut all = vec!["-shared", "-fPIC"];
        all.extend(options);
        compile_c("gcc", &all, source, &folder.join("plugins").join(name))
    };
    library("libextra.so.1", "int extra(void) { return 1; }", &["-Wl,-soname,libextra.so.1"])?;
    let needed = folder.join("plugins/libextra.so.1");
    let options = ["-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", needed.to_str()?];
    library("large.so", "int extra(void); int large(void) { return extra(); }", &options)?;
    library("small.so", "int small(void) { return 2; }", &[])?;
    let dir = folder.to_str()?;
    let rule = format!(
        "why = \"a test\"\nwhen = [{{ path = \"**/app\" }}]\n\
         [[ship]]\nfiles = [\"{dir}/data\"]\nmodules = [\"{dir}/plugins/[ls]*.so\"]\n"
    );
    fs::write(folder.join("rules/test.toml"), rule).ok()
}

/// The paths below the test's folder in what `coracle build ARGUMENTS` makes.
#[track_caller]
fn packed(scratch: &Scratch, arguments: &[&str]) -> Vec<String> {
    let dir = scratch.path().to_str().unwrap();
    let out = scratch.path().join("out.tar");
    let mut command = scratch.coracle();
    command.args(["build", "-q", "--force", "--rules", "rules", "-o"]).arg(&out);
    tests::outcome::run(command.args(arguments)).ok();
    let listing = common::tree::dump::dump_tar(fs::File::open(out).unwrap()).unwrap();
    listing.lines().filter_map(|line| path_below(line, dir)).collect()
}

fn path_below(line: &str, dir: &str) -> Option<String> {
    let below = line.split_once(dir)?.1.strip_prefix('/')?;
    Some(below.split(' ').next()?.to_owned())
}

/// Bytes of a file of a tarball.
fn bytes(tar: &Path, name: &str) -> Vec<u8> {
    let mut command = std::process::Command::new("tar");
    tests::outcome::run(command.arg("-xOf").arg(tar).arg(name)).ok().stdout
}
