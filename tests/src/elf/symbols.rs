//! Symbols of made-up objects: their versions, and the relocations that use them.

use super::{Elf, append};

/// A dynamic symbol. Starts as a global function without a version.
#[derive(Debug, Clone)]
pub struct Symbol {
    name: String,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    version: u16,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Symbols {
    /// With the type of the relocation that uses each.
    all: Vec<(Symbol, Option<u64>)>,
    /// File, version, index, flags.
    needed: Vec<(String, String, u16, u16)>,
    /// Version, index, flags.
    defined: Vec<(String, u16, u16)>,
}

impl Symbol {
    /// What the object defines.
    pub fn defined(name: &str) -> Self {
        let (section, value) = (1, 0x40);
        Self { name: name.to_owned(), info: 0x12, other: 0, section, value, version: 1 }
    }

    /// What others define.
    pub fn undefined(name: &str) -> Self {
        Self { section: 0, value: 0, ..Self::defined(name) }
    }

    /// Its entry in `DT_VERSYM`; 1 by itself, 0x8000 hides.
    #[must_use]
    pub fn version(self, version: u16) -> Self {
        Self { version, ..self }
    }

    /// Binding (1 global, 2 weak, 10 unique, 0 local).
    #[must_use]
    pub fn binding(self, binding: u8) -> Self {
        Self { info: binding << 4 | self.info & 15, ..self }
    }

    /// Type (0 none, 1 data, 2 function, 3 section, 6 thread-local, 10 indirect).
    #[must_use]
    pub fn kind(self, kind: u8) -> Self {
        Self { info: self.info & 0xf0 | kind, ..self }
    }

    /// Visibility (1 internal, 2 hidden, 3 protected).
    #[must_use]
    pub fn visibility(self, other: u8) -> Self {
        Self { other, ..self }
    }

    /// `st_value`.
    #[must_use]
    pub fn value(self, value: u64) -> Self {
        Self { value, ..self }
    }
}

impl Elf {
    /// One more dynamic symbol.
    #[must_use]
    pub fn symbol(mut self, symbol: Symbol) -> Self {
        self.symbols.all.push((symbol, None));
        self
    }

    /// One more dynamic symbol, and a relocation of this type that uses it.
    #[must_use]
    pub fn uses(mut self, symbol: Symbol, relocation: u64) -> Self {
        self.symbols.all.push((symbol, Some(relocation)));
        self
    }

    /// A version of `file` that is needed; flag 2 is weak.
    #[must_use]
    pub fn needs_version(mut self, file: &str, version: &str, index: u16, flags: u16) -> Self {
        self.symbols.needed.push((file.to_owned(), version.to_owned(), index, flags));
        self
    }

    /// A version that is defined; flag 1 stands for the object itself.
    #[must_use]
    pub fn defines_version(mut self, version: &str, index: u16, flags: u16) -> Self {
        self.symbols.defined.push((version.to_owned(), index, flags));
        self
    }

    /// Appends all tables; returns their entries in the dynamic section.
    pub(super) fn symbol_tables(
        &self,
        strings: &mut Vec<u8>,
        file: &mut Vec<u8>,
    ) -> Vec<(u64, u64)> {
        let all = &self.symbols.all;
        let mut string = |text: &str| {
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            (strings.len() - text.len() - 1) as u64
        };
        let mut table = vec![0; self.symbol_size()];
        let mut indices = self.order(0, 2);
        for (symbol, _) in all {
            table.extend(self.symbol_entry(symbol, string(&symbol.name)));
            indices.extend(self.order(u64::from(symbol.version), 2));
        }
        let needed = self.needed_versions(&mut string);
        let defined = self.defined_versions(&mut string);
        let mut entries = vec![(6, append(file, &table) as u64), (11, self.symbol_size() as u64)];
        // One bucket; its chain is all symbols.
        let count = all.len() as u64 + 1;
        let chain = (1..count).map(|number| (number + 1) % count);
        let words = [1, count, u64::from(count > 1), 0].into_iter().chain(chain);
        let hash: Vec<u8> = words.flat_map(|word| self.order(word, 4)).collect();
        entries.push((4, append(file, &hash) as u64));
        if !needed.is_empty() || !defined.is_empty() {
            entries.push((0x6fff_fff0, append(file, &indices) as u64));
        }
        if !needed.is_empty() {
            entries.push((0x6fff_fffe, append(file, &needed) as u64));
            entries.push((0x6fff_ffff, self.symbols.needed.len() as u64));
        }
        if !defined.is_empty() {
            entries.push((0x6fff_fffc, append(file, &defined) as u64));
            entries.push((0x6fff_fffd, self.symbols.defined.len() as u64));
        }
        entries.extend(self.relocations(file));
        entries
    }

    fn symbol_entry(&self, symbol: &Symbol, name: u64) -> Vec<u8> {
        let Symbol { info, other, section, value, .. } = symbol;
        let (info, other) = ((u64::from(*info), 1), (u64::from(*other), 1));
        let section = (u64::from(*section), 2);
        let fields = if self.wide {
            [(name, 4), info, other, section, (*value, 8), (8, 8)]
        } else {
            [(name, 4), (*value, 4), (8, 4), info, other, section]
        };
        fields.into_iter().flat_map(|(value, size)| self.order(value, size)).collect()
    }

    fn relocations(&self, file: &mut Vec<u8>) -> Vec<(u64, u64)> {
        let word = if self.wide { 8 } else { 4 };
        let target = append(file, &[0; 8]) as u64;
        let mut table = Vec::new();
        for (number, (_, relocation)) in (1_u64..).zip(&self.symbols.all) {
            let Some(kind) = relocation else { continue };
            let info = if self.wide { number << 32 | kind } else { number << 8 | kind };
            for field in [target, info] {
                table.extend(self.order(field, word));
            }
            if self.wide {
                table.extend(self.order(0, word));
            }
        }
        if table.is_empty() {
            return Vec::new();
        }
        let (at, size) = (append(file, &table) as u64, table.len() as u64);
        if self.wide {
            vec![(7, at), (8, size), (9, 24)]
        } else {
            vec![(17, at), (18, size), (19, 8)]
        }
    }

    /// One entry for each version, in the order given.
    fn needed_versions(&self, string: &mut impl FnMut(&str) -> u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, (file, version, index, flags)) in (1..).zip(&self.symbols.needed) {
            let next = if at == self.symbols.needed.len() { 0 } else { 32 };
            let hash = u64::from(hash(version));
            let (flags, index) = (u64::from(*flags), u64::from(*index));
            for (value, size) in [(1, 2), (1, 2), (string(file), 4), (16, 4), (next, 4)]
                .into_iter()
                .chain([(hash, 4), (flags, 2), (index, 2), (string(version), 4), (0, 4)])
            {
                bytes.extend(self.order(value, size));
            }
        }
        bytes
    }

    fn defined_versions(&self, string: &mut impl FnMut(&str) -> u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (at, (version, index, flags)) in (1..).zip(&self.symbols.defined) {
            let next = if at == self.symbols.defined.len() { 0 } else { 28 };
            let hash = u64::from(hash(version));
            let (flags, index) = (u64::from(*flags), u64::from(*index));
            for (value, size) in [(1, 2), (flags, 2), (index, 2), (1, 2), (hash, 4), (20, 4)]
                .into_iter()
                .chain([(next, 4), (string(version), 4), (0, 4)])
            {
                bytes.extend(self.order(value, size));
            }
        }
        bytes
    }
}

/// The hash of the System V ABI, "Hash Table".
fn hash(name: &str) -> u32 {
    name.bytes().fold(0_u32, |hash, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ high >> 24) & !high
    })
}
