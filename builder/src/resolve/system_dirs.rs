//! What a loader has compiled in: its kind, its system directories and the value of `$LIB`.
//!
//! Read from the loader's own read-only data, because distributions differ and patch. glibc keeps
//! the directories as adjacent strings, each with a slash at both ends, and their lengths as an array of
//! words elsewhere: a run of strings counts only when its array of lengths is there too. musl keeps one
//! string with colons, and the pattern of its path file's name. Where that fails, a table of what
//! distributions use; [`Facts::guessed`] tells.

use memchr::arch::all::memchr::One;

use super::{Libc, Sysroot};
use crate::elf::{Class, Endian, Machine, Name, Object};

/// Candidates for the array of directories that are looked at, and their directories: glibc's own have
/// one to six. (Whatever a program names is its loader, also a file made of nothing but slashes.)
const MAX_RUNS: usize = 256;
const MAX_FOLDERS: usize = 32;

/// What is known of a loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Whose loader it is.
    pub libc: Libc,
    /// The compiled-in directories, without trailing slashes.
    pub folders: Vec<Name>,
    /// `$LIB`; musl has none.
    pub lib: Option<Name>,
    /// musl: the path file below the loader's prefix, `/etc/ld-musl-x86_64.path`.
    pub path_file: Option<Name>,
    /// Whether the directories come from the table.
    pub guessed: bool,
    /// glibc: its version, where the loader says it.
    pub version: Option<Version>,
}

/// A version of glibc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second.
    pub minor: u32,
}

/// Reads a loader's facts out of its read-only segments; `None` where nothing is recognised.
pub fn from_loader(segments: &[Vec<u8>], loader: &Object) -> Option<Facts> {
    for data in segments {
        if let Some(at) = position(data, b"/etc/ld-musl-") {
            let folders = strings(data).find(|text| is_list(text))?;
            return Some(Facts {
                libc: Libc::Musl,
                folders: folders.split(|&byte| byte == b':').map(Name::from).collect(),
                lib: None,
                path_file: strings(&data[at..]).next().map(Name::from),
                guessed: false,
                version: None,
            });
        }
    }
    let run = segments
        .iter()
        .flat_map(|data| runs(data))
        .filter(|run| run.len() <= MAX_FOLDERS)
        .take(MAX_RUNS)
        .filter(|run| segments.iter().any(|data| has_lengths(data, run, loader)))
        // The first of the longest: the array may be there twice, once for each user of the header.
        .fold(Vec::new(), |best: Vec<&[u8]>, run| if run.len() > best.len() { run } else { best });
    let folders: Vec<Name> = run.iter().map(|folder| Name::from(without_slash(folder))).collect();
    let lib = lib_of(folders.first()?.as_bytes());
    let version = segments.iter().find_map(|data| version(data));
    Some(Facts {
        libc: Libc::Glibc,
        folders,
        lib: Some(lib),
        path_file: None,
        guessed: false,
        version,
    })
}

/// The version in a loader's banner, `ld.so (Debian GLIBC 2.36-9) stable release version 2.36.`
/// (`elf/dl-usage.c`, before 2.32 `elf/rtld.c` has none).
fn version(data: &[u8]) -> Option<Version> {
    const BEFORE: &[u8] = b" release version ";
    let at = position(data, BEFORE)? + BEFORE.len();
    let text = data.get(at..(at + 16).min(data.len()))?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let mut numbers = str::from_utf8(&text[..end]).ok()?.split('.').map(str::parse);
    Some(Version { major: numbers.next()?.ok()?, minor: numbers.next()?.ok()? })
}

/// What distributions use, by what exists in the root.
pub fn table(libc: Libc, object: &Object, sysroot: &Sysroot) -> Facts {
    if libc == Libc::Musl {
        return Facts {
            libc,
            folders: [&b"/lib"[..], b"/usr/local/lib", b"/usr/lib"].map(Name::from).to_vec(),
            lib: None,
            path_file: Some([b"/etc/ld-musl-", musl_arch(object), b".path"].concat().into()),
            guessed: true,
            version: None,
        };
    }
    let multiarch = triplet(object)
        .map(|triplet| [b"lib/", triplet].concat())
        .filter(|lib| sysroot.is_folder(&[b"/usr/", lib.as_slice()].concat()));
    let lib = match (multiarch, object.class) {
        (Some(lib), _) => lib,
        (None, Class::Elf64) if sysroot.is_folder(b"/usr/lib64") => b"lib64".to_vec(),
        (None, _) => b"lib".to_vec(),
    };
    let mut folders = vec![[b"/", lib.as_slice()].concat(), [b"/usr/", lib.as_slice()].concat()];
    if lib.starts_with(b"lib/") {
        folders.extend([b"/lib".to_vec(), b"/usr/lib".to_vec()]);
    }
    Facts {
        libc,
        folders: folders.into_iter().map(Name::from).collect(),
        lib: Some(lib.into()),
        path_file: None,
        guessed: true,
        version: None,
    }
}

/// Loaders of programs that name none (a library as the root of resolution), most usual first.
pub fn usual_loaders(libc: Libc, object: &Object) -> Vec<Vec<u8>> {
    if libc == Libc::Musl {
        return vec![[b"/lib/ld-musl-", musl_arch(object), b".so.1"].concat()];
    }
    let names: &[&[u8]] = match (object.machine, object.class) {
        (Machine::X86_64, Class::Elf64) => {
            &[b"/lib64/ld-linux-x86-64.so.2", b"/lib/ld-linux-x86-64.so.2"]
        }
        (Machine::X86, _) => &[b"/lib/ld-linux.so.2"],
        (Machine::AARCH64, _) => &[b"/lib/ld-linux-aarch64.so.1"],
        (Machine::ARM, _) => &[b"/lib/ld-linux-armhf.so.3", b"/lib/ld-linux.so.3"],
        (Machine::RISCV, Class::Elf64) => &[b"/lib/ld-linux-riscv64-lp64d.so.1"],
        (Machine::S390, Class::Elf64) => &[b"/lib/ld64.so.1"],
        (Machine::PPC64, _) => &[b"/lib64/ld64.so.2"],
        _ => &[],
    };
    names.iter().map(|name| name.to_vec()).collect()
}

fn musl_arch(object: &Object) -> &'static [u8] {
    match (object.machine, object.class) {
        (Machine::X86_64, _) => b"x86_64",
        (Machine::X86, _) => b"i386",
        (Machine::AARCH64, _) => b"aarch64",
        (Machine::ARM, _) => b"armhf",
        (Machine::RISCV, Class::Elf64) => b"riscv64",
        (Machine::RISCV, Class::Elf32) => b"riscv32",
        (Machine::S390, _) => b"s390x",
        (Machine::PPC64, _) => b"powerpc64le",
        (Machine::LOONGARCH, _) => b"loongarch64",
        _ => b"unknown",
    }
}

/// Debian's name for the architecture.
fn triplet(object: &Object) -> Option<&'static [u8]> {
    Some(match (object.machine, object.class) {
        (Machine::X86_64, Class::Elf64) => b"x86_64-linux-gnu",
        (Machine::X86, _) => b"i386-linux-gnu",
        (Machine::AARCH64, _) => b"aarch64-linux-gnu",
        (Machine::ARM, _) => b"arm-linux-gnueabihf",
        (Machine::RISCV, Class::Elf64) => b"riscv64-linux-gnu",
        (Machine::S390, _) => b"s390x-linux-gnu",
        (Machine::PPC64, _) if object.endian == Endian::Little => b"powerpc64le-linux-gnu",
        (Machine::LOONGARCH, _) => b"loongarch64-linux-gnu",
        _ => return None,
    })
}

/// `$LIB` follows from the first system directory: what stands behind `/` or `/usr/` (Debian
/// `lib/x86_64-linux-gnu`, Fedora `lib64`, Arch `lib`), else its last component (a store's `lib`).
fn lib_of(folder: &[u8]) -> Name {
    let below = folder.strip_prefix(b"/usr").unwrap_or(folder);
    let below = below.strip_prefix(b"/").unwrap_or(below);
    if below.starts_with(b"lib") {
        return below.into();
    }
    below.rsplit(|&byte| byte == b'/').next().unwrap_or(below).into()
}

/// Runs of adjacent strings that look like system directories. Bytes before the first slash of a run
/// belong to whatever lies before the array.
fn runs(data: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut runs: Vec<Vec<&[u8]>> = Vec::new();
    let mut last = None;
    let nul = One::new(0);
    let mut from = 0;
    while let Some(slash) = position(&data[from..], b"/\0") {
        let end = from + slash + 1;
        from = end;
        let start = nul.rfind(&data[..end]).map_or(0, |nul| nul + 1);
        let Some(folder) = folder_of(&data[start..end]) else { continue };
        match runs.last_mut() {
            Some(run) if last == start.checked_sub(1) && folder.len() == end - start => {
                run.push(folder);
            }
            _ => runs.push(vec![folder]),
        }
        last = Some(end);
    }
    runs
}

/// The part of `text`, which ends with a slash, that is a path with a slash at both ends.
fn folder_of(text: &[u8]) -> Option<&[u8]> {
    let odd = |byte: &u8| !byte.is_ascii_graphic();
    let start = text.iter().rposition(odd).map_or(0, |at| at + 1);
    let start = start + text[start..].iter().position(|&byte| byte == b'/')?;
    let folder = &text[start..];
    (folder.len() > 2 && !folder.contains(&b'%')).then_some(folder)
}

/// Whether the lengths of a run's strings stand in `data` as an array of the loader's words.
fn has_lengths(data: &[u8], run: &[&[u8]], loader: &Object) -> bool {
    let mut lengths = Vec::new();
    for folder in run {
        let length = folder.len() as u64;
        let bytes = match loader.endian {
            Endian::Little => length.to_le_bytes(),
            Endian::Big => length.to_be_bytes(),
        };
        lengths.extend_from_slice(match (loader.class, loader.endian) {
            (Class::Elf64, _) => &bytes[..],
            (Class::Elf32, Endian::Little) => &bytes[..4],
            (Class::Elf32, Endian::Big) => &bytes[4..],
        });
    }
    position(data, &lengths).is_some()
}

/// A search path with colons, each part absolute and a folder of libraries (`PATH` has a default too).
fn is_list(text: &[u8]) -> bool {
    text.contains(&b':')
        && text.split(|&byte| byte == b':').all(|part| {
            let last = part.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
            part.starts_with(b"/") && last.starts_with(b"lib") && last.is_ascii()
        })
}

fn strings(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    data.split(|&byte| byte == 0).filter(|text| !text.is_empty())
}

fn without_slash(folder: &[u8]) -> &[u8] {
    folder.strip_suffix(b"/").unwrap_or(folder)
}

/// Where `wanted` begins. By words, not by vectors: which vectors there are is asked of the processor,
/// and in a virtual machine that costs more than the search.
fn position(data: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = One::new(*wanted.first()?);
    first.iter(data).find(|&at| data[at..].starts_with(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lib_follows_from_the_first_directory() {
        for (folder, lib) in [
            ("/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"),
            ("/lib64", "lib64"),
            ("/usr/lib", "lib"),
            ("/nix/store/abc-glibc-2.40/lib", "lib"),
        ] {
            assert_eq!(lib_of(folder.as_bytes()), Name::from(lib), "{folder}");
        }
    }

    #[test]
    fn runs_of_folders_are_adjacent_strings_with_slashes_at_both_ends() {
        let data = b"junk\0\x01\x80/lib64/\0/usr/lib64/\0\0/etc/ld.so.cache\0/a/\0";
        let found: Vec<Vec<&[u8]>> = runs(data);
        assert_eq!(found, [vec![&b"/lib64/"[..], b"/usr/lib64/"], vec![&b"/a/"[..]]]);
    }
}
