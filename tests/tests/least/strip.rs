//! `strip`: what is mapped stays byte for byte, beside binutils' own `strip`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::elf::strip::{Drop, Piece, strip};
use tests::damage;
use tests::outcome::run;
use tests::require;
use tests::samples::compile_c;
use tests::scratch::Scratch;

use super::bytes;

const SOURCE: &str = "
int shared = 7;
static int hidden = 3;
int work(int by) { return by * shared + hidden; }
int main(int count, char **arguments) { (void)arguments; return work(count); }
";

/// The bytes that are left of a file, as a build puts them together.
fn stripped(whole: &[u8], drop: Drop) -> Result<Option<Vec<u8>>, String> {
    let found = strip(whole, whole.len() as u64, drop).map_err(|error| error.to_string())?;
    let Some(found) = found else { return Ok(None) };
    let mut out = Vec::new();
    for piece in found.pieces {
        match piece {
            Piece::Bytes(bytes) => out.extend(bytes),
            Piece::Copy { offset, length } => {
                let start = usize::try_from(offset).unwrap();
                out.extend(&whole[start..start + usize::try_from(length).unwrap()]);
            }
        }
    }
    assert_eq!(out.len() as u64, found.size);
    Ok(Some(out))
}

/// Name and bytes of every section that is mapped, as binutils read them.
fn mapped(file: &Path) -> BTreeMap<String, (String, Vec<u8>)> {
    let whole = fs::read(file).unwrap();
    let listed = run(Command::new("readelf").args(["-SW"]).arg(file)).ok();
    assert_eq!(listed.errors(), "", "readelf finds nothing to say about {}", file.display());
    let mut sections = BTreeMap::new();
    for line in listed.text().lines() {
        let Some((_, line)) = line.split_once("] ") else { continue };
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Name, type, address, offset, size, entry size, flags ...
        let [name, kind, address, offset, size, _, flags, ..] = fields[..] else { continue };
        if !flags.contains('A') {
            continue;
        }
        let number = |text| usize::from_str_radix(text, 16).unwrap();
        let bytes = match kind {
            "NOBITS" => Vec::new(),
            _ => whole[number(offset)..number(offset) + number(size)].to_vec(),
        };
        sections.insert(name.to_owned(), (format!("{kind} {address} {size} {flags}"), bytes));
    }
    assert!(sections.len() > 3, "{sections:?}");
    sections
}

fn names(file: &Path) -> String {
    run(Command::new("readelf").args(["-SW"]).arg(file)).ok().text()
}

#[test]
fn what_is_mapped_stays_as_it_is_and_the_rest_is_as_small_as_with_strip() {
    if require::program("strip").is_none() || require::program("readelf").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (number, options) in [
        &["-g"][..],
        &["-g3", "-gz", "-no-pie"],
        &["-g", "-static"],
        &["-g", "-static-pie"],
        &["-g", "-shared", "-fPIC", "-Wl,--build-id"],
        &["-g", "-Wl,--emit-relocs"],
        &["-g", "-Wl,-z,noseparate-code", "-Wl,--hash-style=sysv"],
        &["-g", "-nostdlib", "-static", "-Wl,-e,main"],
        #[cfg(target_arch = "x86_64")]
        &["-g", "-m32", "-nostdlib", "-static", "-Wl,-e,main"],
    ]
    .iter()
    .enumerate()
    {
        let whole = folder.path().join(format!("whole{number}"));
        let Some(()) = compile_c("gcc", options, SOURCE, &whole) else { return };
        for (drop, option) in [(Drop::Debug, "--strip-debug"), (Drop::Symbols, "--strip-all")] {
            let ours = folder.path().join("ours");
            let theirs = folder.path().join("theirs");
            let bytes = stripped(&fs::read(&whole).unwrap(), drop).unwrap().unwrap();
            fs::write(&ours, &bytes).unwrap();
            fs::set_permissions(&ours, fs::Permissions::from_mode(0o755)).unwrap();
            run(Command::new("strip").arg(option).arg("-o").arg(&theirs).arg(&whole)).ok();
            assert_eq!(mapped(&ours), mapped(&whole), "{options:?}");
            assert_eq!(mapped(&ours), mapped(&theirs), "{options:?}");
            let sections = names(&ours);
            assert!(!sections.contains(".debug"), "{sections}");
            assert_eq!(sections.contains(".symtab"), drop == Drop::Debug, "{sections}");
            // Inactive headers, their names, and symbols that only a debugger reads.
            let most = theirs.metadata().unwrap().len() + 8192;
            assert!((bytes.len() as u64) < most, "{options:?}: {} of {most}", bytes.len());
            assert_eq!(stripped(&bytes, drop).unwrap(), None, "nothing is left to be done");
            if !options.contains(&"-shared") && !options.contains(&"-nostdlib") {
                run(Command::new(&ours).args(["a", "b"])).exits(24);
            }
            // Another tool understands what is left.
            run(Command::new("strip").arg("-o").arg(&theirs).arg(&ours)).ok();
            assert_eq!(mapped(&theirs), mapped(&whole), "{options:?}");
        }
    }
}

#[test]
fn what_no_loader_maps_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let Some(()) = compile_c("gcc", &["-g", "-c"], SOURCE, &file("object.o")) else { return };
    let object = fs::read(file("object.o")).unwrap();
    for bytes in [&b""[..], b"\x7fEL", b"#!/bin/sh\n", b"!<arch>\n", &object] {
        assert_eq!(stripped(bytes, Drop::Symbols), Ok(None));
    }
}

#[test]
fn a_file_with_bytes_of_its_own_behind_its_sections_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("whole");
    let Some(()) = compile_c("gcc", &["-g"], SOURCE, &file) else { return };
    let mut bytes = fs::read(&file).unwrap();
    let refused = Err("it carries bytes that belong to no section".to_owned());
    bytes.extend(b"PK\x05\x06 an archive that the program finds at its end");
    assert_eq!(stripped(&bytes, Drop::Debug), refused);
    // Also where only padding is known to be between two sections.
    let bytes = fs::read(&file).unwrap();
    assert!(stripped(&bytes[..bytes.len() - 1], Drop::Debug).is_err());
}

#[test]
fn damaged_files_are_refused_or_stay_loadable_and_nothing_panics() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("whole");
    let Some(()) = compile_c("gcc", &["-g", "-nostdlib", "-static", "-Wl,-e,main"], SOURCE, &file)
    else {
        return;
    };
    let whole = fs::read(&file).unwrap();
    for cut in (0..whole.len()).step_by(7) {
        assert!(!matches!(stripped(&whole[..cut], Drop::Symbols), Ok(Some(_))), "{cut}");
    }
    for damaged in damage::extremes(&whole) {
        if let Ok(Some(left)) = stripped(&damaged, Drop::Symbols) {
            assert!(left.len() < damaged.len());
        }
    }
}

/// A program with debug sections, and what a build makes of it.
fn built(scratch: &Scratch, options: &[&str]) -> Option<(PathBuf, Vec<u8>)> {
    let file = scratch.path().join("app");
    compile_c("gcc", &["-g", "-static"], SOURCE, &file)?;
    let out = scratch.path().join("out.tar");
    let mut command = scratch.coracle();
    command.args(["build", "--force", "-o"]).arg(&out).arg(&file);
    run(command.args(options)).ok();
    Some((file, bytes(&out, "usr/local/bin/app")))
}

#[test]
fn a_build_strips_where_it_is_asked_to_and_says_so() {
    let scratch = Scratch::new("strip");
    let Some((file, plain)) = built(&scratch, &[]) else { return };
    let whole = fs::read(&file).unwrap();
    assert_eq!(plain, whole);
    for (options, drop) in [
        (&["--strip"][..], Drop::Debug),
        (&["--strip=debug"], Drop::Debug),
        (&["--strip=all"], Drop::Symbols),
    ] {
        let Some((_, left)) = built(&scratch, options) else { return };
        assert_eq!(Some(left), stripped(&whole, drop).unwrap(), "{options:?}");
    }
    scratch.file("app.toml", "executables = [\"./app\"]\nstrip = \"all\"\n");
    scratch.pack(&["app.toml"]);
    let said = run(scratch.coracle().args(["why", "--json", "app", "/usr/local/bin/app"])).ok();
    let said: serde_json::Value = serde_json::from_str(&said.text()).unwrap();
    let entry = &said["found"][0]["entry"];
    assert_eq!(entry["stripped"], file.metadata().unwrap().size(), "{entry}");
    run(scratch.coracle().args(["check", "app"])).ok();
}

#[test]
fn what_cannot_be_stripped_is_packed_whole_and_told() {
    let scratch = Scratch::new("strip-refused");
    let file = scratch.path().join("app");
    let Some(()) = compile_c("gcc", &["-g", "-static"], SOURCE, &file) else { return };
    let mut whole = fs::read(&file).unwrap();
    whole.extend(b"payload");
    fs::write(&file, &whole).unwrap();
    let out = scratch.path().join("out.tar");
    let mut command = scratch.coracle();
    command.args(["build", "--strip", "-o"]).arg(&out).arg(&file);
    let said = run(&mut command).ok().errors();
    assert_eq!(
        said,
        "warning: `/usr/local/bin/app` is not stripped: it carries bytes that belong to no section\n"
    );
    assert_eq!(bytes(&out, "usr/local/bin/app"), whole);
}
