//! A loader's compiled-in strings: what is taken for a system directory stands in its data.

use builder::elf::Object;
use builder::resolve::Libc;
use builder::resolve::system_dirs::from_loader;

use super::input::Input;
use crate::elf::{library, machine};

/// Read-only data of something that a program names as its loader: a byte that chooses its class and
/// byte order, then segments with their sizes before them, and the rest as the last one.
///
/// # Panics
/// When something does not hold that must.
pub fn loader_facts(bytes: &[u8]) {
    let mut input = Input(bytes);
    let kind = input.byte();
    let number = if kind & 2 == 0 { machine::X86_64 } else { machine::S390 };
    let loader = library("ld.so", &[]).for_machine(kind & 1 == 0, kind & 2 != 0, number).bytes();
    let loader = Object::parse(loader.as_slice()).expect("an object of ours");
    let mut segments: Vec<Vec<u8>> =
        (0..usize::from(kind >> 2) % 4).map(|_| input.chunk().to_vec()).collect();
    segments.push(input.0.to_vec());
    let Some(facts) = from_loader(&segments, &loader) else { return };
    assert!(!facts.guessed && !facts.folders.is_empty());
    for folder in &facts.folders {
        let text = folder.as_bytes();
        assert!(text.starts_with(b"/") && !text.contains(&0), "{folder}");
        assert!(
            segments.iter().any(|data| data.windows(text.len()).any(|window| window == text)),
            "{folder} is made up"
        );
    }
    assert_eq!(facts.libc == Libc::Musl, facts.path_file.is_some());
    assert_eq!(facts.libc == Libc::Glibc, facts.lib.is_some());
}
