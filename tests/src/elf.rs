//! Makes tiny ELF objects: any class, byte order, machine and dynamic section, a few hundred bytes
//! each. Real loaders map them.
//!
//! ```text
//! ELF header | program headers | interpreter | string table | symbols | hash
//! | versions of symbols, needed, defined | relocations, and the word that they change | dynamic | notes
//! ```
//! One `PT_LOAD` covers it all, at address 0, so that addresses are file offsets. Strings have one of their own, which
//! is not written to.

use std::path::Path;

mod symbols;

pub use symbols::Symbol;

/// `DT_NEEDED` and its like: what a test sets by number.
pub mod tag {
    /// `DT_NEEDED`.
    pub const NEEDED: u64 = 1;
    /// `DT_SONAME`.
    pub const SONAME: u64 = 14;
    /// `DT_RPATH`.
    pub const RPATH: u64 = 15;
    /// `DT_RUNPATH`.
    pub const RUNPATH: u64 = 29;
    /// `DT_FLAGS_1`.
    pub const FLAGS_1: u64 = 0x6fff_fffb;
    /// `DT_DEPAUDIT`.
    pub const DEPAUDIT: u64 = 0x6fff_fefb;
    /// `DT_AUDIT`.
    pub const AUDIT: u64 = 0x6fff_fefc;
    /// `DT_AUXILIARY`.
    pub const AUXILIARY: u64 = 0x7fff_fffd;
    /// `DT_FILTER`.
    pub const FILTER: u64 = 0x7fff_ffff;
}

/// Numbers of the machines that tests use (`e_machine`).
pub mod machine {
    /// `EM_386`.
    pub const I386: u16 = 3;
    /// `EM_S390`.
    pub const S390: u16 = 22;
    /// `EM_X86_64`.
    pub const X86_64: u16 = 62;
    /// `EM_AARCH64`.
    pub const AARCH64: u16 = 183;
}

/// An object to be made. Starts as a 64-bit little-endian shared object for x86-64.
#[derive(Debug, Clone)]
pub struct Elf {
    wide: bool,
    big: bool,
    machine: u16,
    kind: u16,
    /// `EI_OSABI` and `EI_ABIVERSION`.
    abi: [u8; 2],
    dynamic: Dynamic,
    interpreter: Option<Vec<u8>>,
    entries: Vec<(u64, Value)>,
    /// Owner with its NUL, type, text.
    notes: Vec<(Vec<u8>, u32, Vec<u8>)>,
    symbols: symbols::Symbols,
    /// What follows the notes in their segment, right or wrong.
    raw_notes: Vec<u8>,
    /// Read-only data.
    data: Vec<u8>,
}

/// How much there is of the dynamic section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dynamic {
    Whole,
    /// Its segment says that no byte of it is in the file.
    Detached,
    None,
}

#[derive(Debug, Clone)]
enum Value {
    Number(u64),
    Text(Vec<u8>),
}

impl Default for Elf {
    fn default() -> Self {
        Self {
            wide: true,
            big: false,
            machine: machine::X86_64,
            kind: 3,
            abi: [0, 0],
            dynamic: Dynamic::Whole,
            interpreter: None,
            entries: Vec::new(),
            notes: Vec::new(),
            symbols: symbols::Symbols::default(),
            raw_notes: Vec::new(),
            data: Vec::new(),
        }
    }
}

/// A shared object for this kind of machine: `soname` and what it needs.
pub fn library(soname: &str, needed: &[&str]) -> Elf {
    needed.iter().fold(Elf::default().text(tag::SONAME, soname), Elf::needed)
}

/// A program with this interpreter and these needs.
pub fn program(interpreter: &str, needed: &[&str]) -> Elf {
    let elf = Elf { interpreter: Some(interpreter.into()), ..Elf::default() };
    needed.iter().fold(elf, Elf::needed)
}

impl Elf {
    /// Another class, byte order and machine.
    #[must_use]
    pub fn for_machine(self, wide: bool, big: bool, machine: u16) -> Self {
        Self { wide, big, machine, ..self }
    }

    /// Another `e_type`: 1 is an object file, 2 a program with fixed addresses.
    #[must_use]
    pub fn kind(self, kind: u16) -> Self {
        Self { kind, ..self }
    }

    /// Another `EI_OSABI` and `EI_ABIVERSION`.
    #[must_use]
    pub fn abi(self, os: u8, version: u8) -> Self {
        Self { abi: [os, version], ..self }
    }

    /// No dynamic section.
    #[must_use]
    pub fn without_dynamic(self) -> Self {
        Self { dynamic: Dynamic::None, ..self }
    }

    /// A dynamic section without bytes in the file, as detached debugging information has it.
    #[must_use]
    pub fn with_detached_dynamic(self) -> Self {
        Self { dynamic: Dynamic::Detached, ..self }
    }

    /// A dynamic entry with a number.
    #[must_use]
    pub fn number(mut self, tag: u64, value: u64) -> Self {
        self.entries.push((tag, Value::Number(value)));
        self
    }

    /// A dynamic entry with a string.
    #[must_use]
    pub fn text(mut self, tag: u64, value: impl AsRef<[u8]>) -> Self {
        self.entries.push((tag, Value::Text(value.as_ref().to_vec())));
        self
    }

    /// One more `DT_NEEDED`.
    #[must_use]
    pub fn needed(self, name: impl AsRef<[u8]>) -> Self {
        self.text(tag::NEEDED, name)
    }

    /// `DT_RPATH`.
    #[must_use]
    pub fn rpath(self, list: &str) -> Self {
        self.text(tag::RPATH, list)
    }

    /// `DT_RUNPATH`.
    #[must_use]
    pub fn runpath(self, list: &str) -> Self {
        self.text(tag::RUNPATH, list)
    }

    /// One more note; `owner` without its NUL.
    #[must_use]
    pub fn note(mut self, owner: &str, kind: u32, text: &[u8]) -> Self {
        self.notes.push(([owner.as_bytes(), b"\0"].concat(), kind, text.to_vec()));
        self
    }

    /// These bytes behind the notes, in their segment.
    #[must_use]
    pub fn raw_notes(self, bytes: &[u8]) -> Self {
        Self { raw_notes: bytes.to_vec(), ..self }
    }

    /// One more string among the read-only data.
    #[must_use]
    pub fn string(mut self, text: &str) -> Self {
        self.data.extend([text.as_bytes(), b"\0"].concat());
        self
    }

    /// The object's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let headers = (5 + usize::from(!self.data.is_empty())) * self.segment_size();
        let mut file = vec![0; self.header_size() + headers];
        let interpreter = append(&mut file, self.interpreter.as_deref().unwrap_or_default());
        file.push(0);
        let dynamic = self.dynamic_section(&mut file);
        let note_bytes = self.note_bytes();
        let notes = append(&mut file, &note_bytes);
        let length = file.len();
        let mut segments = vec![(1, 6, 0, length, 0x1000), (0x6474_e551, 6, 0, 0, 16)];
        if let Some(name) = &self.interpreter {
            segments.push((3, 4, interpreter, name.len() + 1, 1));
        }
        match self.dynamic {
            Dynamic::Whole => segments.push((2, 6, dynamic.0, dynamic.1, 8)),
            Dynamic::Detached => segments.push((2, 6, dynamic.0, 0, 8)),
            Dynamic::None => {}
        }
        if !note_bytes.is_empty() {
            segments.push((4, 4, notes, note_bytes.len(), 4));
        }
        if !self.data.is_empty() {
            segments.push((1, 4, append(&mut file, &self.data), self.data.len(), 0x1000));
        }
        let header = self.header(segments.len());
        file[..header.len()].copy_from_slice(&header);
        for (number, segment) in segments.iter().enumerate() {
            let bytes = self.segment(*segment);
            let at = self.header_size() + number * bytes.len();
            file[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        file
    }

    /// Writes the object, with its folders.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, path: &Path) {
        let folder = path.parent().expect("a file in a folder");
        std::fs::create_dir_all(folder).expect("a folder for the object");
        std::fs::write(path, self.bytes()).expect("the object");
    }

    fn note_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (owner, kind, text) in &self.notes {
            for number in [owner.len() as u64, text.len() as u64, u64::from(*kind)] {
                bytes.extend(self.order(number, 4));
            }
            for part in [owner, text] {
                bytes.extend_from_slice(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes.extend_from_slice(&self.raw_notes);
        bytes
    }

    /// Appends strings, symbols, hash and entries; returns where the section is, and its size.
    fn dynamic_section(&self, file: &mut Vec<u8>) -> (usize, usize) {
        let mut strings = vec![0];
        let mut entries = Vec::new();
        for (tag, value) in &self.entries {
            entries.push((
                *tag,
                match value {
                    Value::Number(number) => *number,
                    Value::Text(text) => {
                        let at = strings.len() as u64;
                        strings.extend_from_slice(text);
                        strings.push(0);
                        at
                    }
                },
            ));
        }
        entries.extend(self.symbol_tables(&mut strings, file));
        let string_table = append(file, &strings);
        entries.extend([(5, string_table as u64), (10, strings.len() as u64), (0, 0)]);
        let word = if self.wide { 8 } else { 4 };
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|(tag, value)| [self.order(*tag, word), self.order(*value, word)].concat())
            .collect();
        let at = append(file, &bytes);
        (at, bytes.len())
    }

    fn header(&self, segments: usize) -> Vec<u8> {
        let class = if self.wide { 2 } else { 1 };
        let endian = if self.big { 2 } else { 1 };
        let word = if self.wide { 8 } else { 4 };
        let header = self.header_size() as u64;
        let mut bytes = vec![0x7f, b'E', b'L', b'F', class, endian, 1, self.abi[0], self.abi[1]];
        bytes.resize(16, 0);
        for (value, size) in [
            (u64::from(self.kind), 2),
            (u64::from(self.machine), 2),
            (1, 4),
            (0, word),
            (header, word),
            (0, word),
            (0, 4),
            (header, 2),
            (self.segment_size() as u64, 2),
            (segments as u64, 2),
            (0, 2),
            (0, 2),
            (0, 2),
        ] {
            bytes.extend(self.order(value, size));
        }
        bytes
    }

    /// Type, flags, offset, size, alignment.
    fn segment(&self, (kind, flags, at, size, align): (u64, u64, usize, usize, u64)) -> Vec<u8> {
        let (at, size) = (at as u64, size as u64);
        let fields: Vec<(u64, usize)> = if self.wide {
            [(kind, 4), (flags, 4)]
                .into_iter()
                .chain([at, at, at, size, size, align].map(|value| (value, 8)))
                .collect()
        } else {
            [kind, at, at, at, size, size, flags, align].map(|value| (value, 4)).to_vec()
        };
        fields.into_iter().flat_map(|(value, size)| self.order(value, size)).collect()
    }

    fn header_size(&self) -> usize {
        if self.wide { 64 } else { 52 }
    }

    fn segment_size(&self) -> usize {
        if self.wide { 56 } else { 32 }
    }

    fn symbol_size(&self) -> usize {
        if self.wide { 24 } else { 16 }
    }

    fn order(&self, value: u64, size: usize) -> Vec<u8> {
        if self.big {
            value.to_be_bytes()[8 - size..].to_vec()
        } else {
            value.to_le_bytes()[..size].to_vec()
        }
    }
}

/// Appends at a multiple of 8; returns where.
fn append(file: &mut Vec<u8>, bytes: &[u8]) -> usize {
    file.resize(file.len().next_multiple_of(8), 0);
    let at = file.len();
    file.extend_from_slice(bytes);
    at
}

/// An `ld.so.cache` of the new layout: name, path and architecture id of each entry, in the order in which
/// they are given. (ldconfig makes real ones; this makes wrong ones.)
///
/// # Panics
/// Never for a cache of less than 4 GiB.
pub fn cache(entries: &[(&[u8], &[u8], u32)], big: bool) -> Vec<u8> {
    let order = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let word = |value: usize| order(u32::try_from(value).expect("a small cache"));
    let start = 48 + 24 * entries.len();
    let mut strings = Vec::new();
    let mut table = Vec::new();
    for (name, path, id) in entries {
        table.extend(order(*id));
        for text in [name, path] {
            table.extend(word(start + strings.len()));
            strings.extend([text, &b"\0"[..]].concat());
        }
        table.extend([0; 12]);
    }
    let counts = [word(entries.len()), word(strings.len()), [2 + u8::from(big), 0, 0, 0]].concat();
    [b"glibc-ld.so.cache1.1".as_slice(), &counts, &[0; 16], &table, &strings].concat()
}
