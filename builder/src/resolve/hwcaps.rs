//! Which variants of a library a loader takes, by the processor that it runs on.
//!
//! Decides for which processors a closure is resolved, and which subdirectories of every searched
//! folder and which entries of `ld.so.cache` each of them has. The processor of this machine is never
//! asked.
//!
//! ```text
//! FOLDER/glibc-hwcaps/x86-64-v3/NAME    glibc 2.33 and later (elf/dl-hwcaps_subdirs.c)
//! FOLDER/tls/haswell/x86_64/NAME        up to 2.36: every combination of "tls", the platform and the
//!                                       capabilities (elf/dl-hwcaps.c, _dl_important_hwcaps)
//! FOLDER/NAME
//! ```

use std::fmt;

use serde::Serialize;

use super::system_dirs::Version;
use crate::elf::{Class, Machine, levels};
use crate::spec::search::Cpus;

/// A value of `GLIBC_TUNABLES` by which a loader takes this machine's processor for a baseline one
/// (`glibc.cpu.hwcaps`, since 2.26). SSE2 is above that of i386.
pub const BASELINE: &str = "glibc.cpu.hwcaps=-SSE3,-SSSE3,-SSE4_1,-SSE4_2,-POPCNT,-CMPXCHG16B,-AVX,-AVX2,\
                            -BMI1,-BMI2,-F16C,-FMA,-LZCNT,-MOVBE,-AVX512F,-AVX512BW,-AVX512CD,\
                            -AVX512DQ,-AVX512VL,-AVX512ER,-AVX512PF,-SSE2";

/// The folder that named levels stand in.
const NAMED: &str = "glibc-hwcaps";
/// The first version of glibc with named levels, and the last with the older scheme.
const FIRST_NAMED: Version = Version { major: 2, minor: 33 };
const LAST_LEGACY: Version = Version { major: 2, minor: 36 };

/// Bits of a cache entry's hwcap in the older scheme (`sysdeps/generic/dl-cache.h`, x86's
/// `dl-procinfo.h`): "tls", the four platforms, and each of them.
const TLS: u64 = 1 << 63;
const PLATFORMS: u64 = 0xf << 48;
const I686: u64 = 1 << 49;
const HASWELL: u64 = 1 << 50;
const X86_64: u64 = 1 << 1;
const AVX512_1: u64 = 1 << 2;
/// Set where the entry's low half is an index into the names of levels.
const EXTENSION: u64 = 1 << 62;

/// One kind of processor, as far as a loader tells kinds apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Processor {
    /// Position in the levels of its architecture, from 1; 0 is the baseline.
    level: usize,
    /// Its name; `None` for the baseline.
    name: Option<&'static str>,
    /// x86-64, older scheme: the loader calls it `haswell`. It does so for Intel's only.
    haswell: bool,
}

impl Processor {
    /// The position of its level in [`levels`], from 1; 0 is the baseline.
    pub fn level(self) -> usize {
        self.level
    }

    /// Whether it is what every processor of the architecture can do.
    pub fn is_baseline(self) -> bool {
        self.level == 0
    }

    /// The processors of `cpus` that `machine` has and that its loader tells apart, the baseline first.
    pub fn all(cpus: Cpus, machine: Machine, version: Option<Version>) -> Vec<Self> {
        let mut all = vec![Self::default()];
        for (level, &name) in (1..).zip(levels(machine)) {
            let wanted = match cpus {
                Cpus::Baseline => false,
                Cpus::Level(wanted) => wanted == name,
                Cpus::All => true,
            };
            if !wanted {
                continue;
            }
            all.push(Self { level, name: Some(name), haswell: false });
            // Of AVX2 and later, as the loader tests them.
            if machine == Machine::X86_64 && level >= 2 && is_legacy(version) {
                all.push(Self { level, name: Some(name), haswell: true });
            }
        }
        all
    }

    fn has_avx512_1(self) -> bool {
        self.haswell && self.level >= 3
    }
}

impl fmt::Display for Processor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name.unwrap_or("baseline"))?;
        if self.haswell { f.write_str(" (haswell)") } else { Ok(()) }
    }
}

impl Serialize for Processor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A loader on a processor: which variants it looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hwcaps {
    processor: Processor,
    machine: Machine,
    class: Class,
    /// Whether the loader knows named levels, and whether the older scheme.
    named: bool,
    legacy: bool,
}

impl Hwcaps {
    /// What a loader of this version looks for. One that does not say its version counts as a new one.
    pub fn new(
        processor: Processor,
        machine: Machine,
        class: Class,
        version: Option<Version>,
    ) -> Self {
        let named = version.is_none_or(|version| version >= FIRST_NAMED);
        Self { processor, machine, class, named, legacy: is_legacy(version) }
    }

    /// musl looks for none.
    pub(super) fn none(machine: Machine, class: Class) -> Self {
        let processor = Processor::default();
        Self { processor, machine, class, named: false, legacy: false }
    }

    /// The processor.
    pub fn processor(self) -> Processor {
        self.processor
    }

    /// `$PLATFORM`, and a folder's name in the older scheme: `AT_PLATFORM`, which x86's loader replaces.
    pub(super) fn platform(self) -> Option<&'static str> {
        Some(match self.machine {
            Machine::X86_64 if self.processor.haswell => "haswell",
            Machine::X86_64 => "x86_64",
            Machine::X86 => "i686",
            Machine::AARCH64 => "aarch64",
            _ => return None,
        })
    }

    /// Subdirectories that are searched before a folder itself, in order.
    pub(super) fn subfolders(self) -> Vec<String> {
        let levels = levels(self.machine).iter().take(self.processor.level).rev();
        let named = levels.filter(|_| self.named).map(|name| format!("{NAMED}/{name}"));
        let legacy = if self.legacy { self.combinations() } else { Vec::new() };
        named.chain(legacy).collect()
    }

    /// Every combination of "tls", platform and capabilities but the empty one: the last of the list
    /// counts most, and stands first.
    fn combinations(self) -> Vec<String> {
        let mut parts: Vec<&str> = Vec::new();
        if self.machine == Machine::X86_64 {
            parts.push("x86_64");
            if self.processor.has_avx512_1() {
                parts.push("avx512_1");
            }
        }
        parts.extend(self.platform());
        parts.push("tls");
        let mut folders: Vec<String> = Vec::new();
        for set in (1..1_usize << parts.len()).rev() {
            let chosen = (0..parts.len()).rev().filter(|at| set >> at & 1 == 1);
            let folder = chosen.map(|at| parts[at]).collect::<Vec<_>>().join("/");
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        folders
    }

    /// How much a cache entry of a named level counts, 1 the most; `None`: not on this processor.
    /// `isa` is the level that the object itself asks for (`dl_cache_hwcap_isa_level_compatible`).
    pub(super) fn priority(self, name: &[u8], isa: u64) -> Option<usize> {
        let level = self.processor.level;
        let at = levels(self.machine).iter().position(|known| known.as_bytes() == name)? + 1;
        let isa_fits = self.machine != Machine::X86_64 || isa <= level as u64;
        (self.named && at <= level && isa_fits).then(|| 1 + level - at)
    }

    /// Whether a cache entry of the older scheme counts; 0 is for every processor.
    pub(super) fn accepts(self, hwcap: u64) -> bool {
        if hwcap == 0 || !self.legacy {
            return hwcap == 0;
        }
        let (capabilities, platform) = match (self.machine, self.class) {
            (Machine::X86_64, Class::Elf64) if self.processor.has_avx512_1() => {
                (X86_64 | AVX512_1, HASWELL)
            }
            (Machine::X86_64, Class::Elf64) if self.processor.haswell => (X86_64, HASWELL),
            // "x86_64" is none of the platforms that an entry can name.
            (Machine::X86_64, Class::Elf64) => (X86_64, 0),
            (Machine::X86, _) => (0, I686),
            _ => (0, 0),
        };
        let named = hwcap & PLATFORMS;
        hwcap & !(capabilities | PLATFORMS | TLS) == 0 && (named == 0 || named == platform)
    }
}

/// What a cache entry says of the processors that it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variant {
    /// A named level, by its index in the cache, and the level that the object itself asks for.
    Named { index: u32, isa: u64 },
    /// Bits of the older scheme; 0 is any processor.
    Legacy(u64),
}

impl From<u64> for Variant {
    fn from(hwcap: u64) -> Self {
        // Ten bits above the index are the ISA level (dl-cache.h, DL_CACHE_HWCAP_ISA_LEVEL_MASK).
        if hwcap & !0x3ff_ffff_ffff == EXTENSION {
            let index = u32::try_from(hwcap & 0xffff_ffff).unwrap_or_default();
            return Self::Named { index, isa: hwcap >> 32 & 0x3ff };
        }
        Self::Legacy(hwcap)
    }
}

/// Folders of the older scheme and the bit that each has in a cache.
const LEGACY: [(&[u8], u64); 5] = [
    (b"tls", TLS),
    (b"x86_64", X86_64),
    (b"avx512_1", AVX512_1),
    (b"haswell", HASWELL),
    (b"i686", I686),
];

/// Splits the folder of a cached variant into the one that was searched and the subdirectory.
pub(super) fn split_variant(folder: &[u8], named: bool) -> (&[u8], &[u8]) {
    let parts = folder.rsplit(|&byte| byte == b'/');
    let count = if named {
        2
    } else {
        parts.clone().take_while(|part| LEGACY.iter().any(|(name, _)| name == part)).count()
    };
    let length: usize = parts.take(count).map(|part| part.len() + 1).sum();
    let (searched, rest) = folder.split_at(folder.len().saturating_sub(length));
    (searched, rest.strip_prefix(b"/").unwrap_or(rest))
}

/// How a subdirectory is written into a cache. Named levels sort before bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CacheValue<'v> {
    /// The name of a level.
    Level(&'v [u8]),
    /// Bits of the older scheme; 0 is any processor.
    Bits(u64),
}

impl<'v> CacheValue<'v> {
    /// The name of a level.
    pub fn level(self) -> Option<&'v [u8]> {
        match self {
            Self::Level(level) => Some(level),
            Self::Bits(_) => None,
        }
    }
}

/// How a subdirectory is written into a cache.
pub fn cache_value(subfolder: &[u8]) -> CacheValue<'_> {
    let level = subfolder.strip_prefix(NAMED.as_bytes()).and_then(|rest| rest.strip_prefix(b"/"));
    if let Some(level) = level {
        return CacheValue::Level(level);
    }
    let bit = |part| LEGACY.iter().find(|(name, _)| *name == part).map_or(0, |(_, bit)| *bit);
    let parts = subfolder.split(|&byte| byte == b'/');
    CacheValue::Bits(parts.fold(0, |bits, part| bits | bit(part)))
}

/// Whether the loader still has the older scheme. Of one that does not say its version, no.
fn is_legacy(version: Option<Version>) -> bool {
    version.is_some_and(|version| version <= LAST_LEGACY)
}
