//! Levels of processors: what glibc calls the steps above an architecture's baseline.
//!
//! They name subdirectories of `glibc-hwcaps` (`sysdeps/*/dl-hwcaps_subdirs.c`) and, on x86, what a
//! property note asks for.

use super::Machine;

/// By architecture, lowest first. The baseline has no name.
const LEVELS: [(Machine, &[&str]); 3] = [
    (Machine::X86_64, &["x86-64-v2", "x86-64-v3", "x86-64-v4"]),
    (Machine::PPC64, &["power9", "power10"]),
    (Machine::S390, &["z13", "z14", "z15", "z16"]),
];

/// The levels of an architecture, lowest first.
pub fn levels(machine: Machine) -> &'static [&'static str] {
    LEVELS.iter().find(|(of, _)| *of == machine).map_or(&[], |(_, names)| names)
}

/// The levels of all architectures.
pub fn all_levels() -> impl Iterator<Item = &'static str> {
    LEVELS.iter().flat_map(|(_, names)| names.iter().copied())
}
