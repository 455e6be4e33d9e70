//! `Object`: the facts of one ELF object that decide what else is loaded.

use serde::Serialize;

use super::header::{Class, Endian, Identity, Kind, Machine};
use super::parse::{
    DT_AUDIT, DT_AUXILIARY, DT_DEPAUDIT, DT_FILTER, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH,
    DT_SONAME, DT_STRTAB, Image,
};
use super::{DlopenFeature, ElfError, Name, ReadAt, note};

/// `DT_FLAGS_1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub struct DynamicFlags(pub u64);

impl DynamicFlags {
    /// `DF_1_NODEFLIB`: the system directories are not searched for this object's dependencies.
    pub fn no_default_directories(self) -> bool {
        self.0 & 0x800 != 0
    }

    /// `DF_1_PIE`: a program, not a library, though `e_type` is `ET_DYN`.
    pub fn position_independent_program(self) -> bool {
        self.0 & 0x0800_0000 != 0
    }
}

/// One ELF object. Strings are as they stand in the file: tokens unexpanded, lists not split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Object {
    /// Width of addresses.
    pub class: Class,
    /// Byte order.
    pub endian: Endian,
    /// Architecture.
    pub machine: Machine,
    /// Program with fixed addresses, or not.
    pub kind: Kind,
    /// `e_flags`; on some machines (ARM, MIPS, RISC-V) part of what makes two objects compatible.
    pub header_flags: u32,
    /// What a loader compares before it takes a library.
    pub identity: Identity,
    /// Whether it has a segment to load.
    pub loadable: bool,
    /// `PT_INTERP`, up to its first NUL.
    pub interpreter: Option<Name>,
    /// Whether there is a dynamic section. An object without one needs nothing.
    pub dynamic: bool,
    /// `DT_SONAME`.
    pub soname: Option<Name>,
    /// `DT_NEEDED`, in order.
    pub needed: Vec<Name>,
    /// `DT_RPATH`, the whole list.
    pub rpath: Option<Name>,
    /// `DT_RUNPATH`, the whole list. Its presence alone voids `rpath`.
    pub runpath: Option<Name>,
    /// `DT_FLAGS_1`.
    pub flags: DynamicFlags,
    /// `DT_AUXILIARY`: objects that may stand in for this one's symbols, loaded before it if they exist.
    pub auxiliary: Vec<Name>,
    /// `DT_FILTER`: objects whose symbols this one lends its name to; they must exist.
    pub filter: Vec<Name>,
    /// `DT_AUDIT`, a list with colons.
    pub audit: Option<Name>,
    /// `DT_DEPAUDIT`, a list with colons.
    pub depaudit: Option<Name>,
    /// What the object says that it opens at run time (`.note.dlopen`).
    pub dlopen: Vec<DlopenFeature>,
    /// `.note.package`: JSON that names the owning package, as it stands.
    pub package: Option<Name>,
}

impl Object {
    /// Whether the kernel alone can start it: no interpreter and nothing needed. True for static
    /// and static-pie programs.
    pub fn is_static(&self) -> bool {
        self.interpreter.is_none() && self.needed.is_empty() && self.soname.is_none()
    }

    /// Reads the object's headers, dynamic section and notes.
    pub fn parse<R: ReadAt + ?Sized>(bytes: &R) -> Result<Self, ElfError> {
        let image = Image::open(bytes)?;
        let entries = image.dynamic()?;
        let mut object = Self {
            class: image.class(),
            endian: image.endian(),
            machine: image.machine(),
            kind: image.kind()?,
            header_flags: image.header_flags(),
            identity: image.identity(),
            loadable: image.loadable(),
            interpreter: image.interpreter()?.map(Name::from),
            dynamic: entries.is_some(),
            soname: None,
            needed: Vec::new(),
            rpath: None,
            runpath: None,
            flags: DynamicFlags::default(),
            auxiliary: Vec::new(),
            filter: Vec::new(),
            audit: None,
            depaudit: None,
            dlopen: Vec::new(),
            package: None,
        };
        object.read_dynamic(&image, &entries.unwrap_or_default())?;
        for segment in image.notes()? {
            note::read(&segment, object.endian, &mut object.dlopen, &mut object.package);
        }
        Ok(object)
    }

    /// Of a tag that stands twice the last one counts, as in the loader's own table of tags.
    fn read_dynamic<R: ReadAt + ?Sized>(
        &mut self,
        image: &Image<'_, R>,
        entries: &[(u64, u64)],
    ) -> Result<(), ElfError> {
        let strings = entries.iter().rev().find(|entry| entry.0 == DT_STRTAB).map(|entry| entry.1);
        let string = |offset: u64| {
            let table = strings.ok_or(ElfError::Dynamic("there is no string table"))?;
            image.string(table.wrapping_add(offset)).map(Name::from)
        };
        for &(tag, value) in entries {
            match tag {
                DT_NEEDED => self.needed.push(string(value)?),
                DT_SONAME => self.soname = Some(string(value)?),
                DT_RPATH => self.rpath = Some(string(value)?),
                DT_RUNPATH => self.runpath = Some(string(value)?),
                DT_AUXILIARY => self.auxiliary.push(string(value)?),
                DT_FILTER => self.filter.push(string(value)?),
                DT_AUDIT => self.audit = Some(string(value)?),
                DT_DEPAUDIT => self.depaudit = Some(string(value)?),
                DT_FLAGS_1 => self.flags = DynamicFlags(value),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Bytes of the segments that an object never writes to: where its compiled-in strings are. Those that
/// it executes are left out unless asked for.
pub fn read_only_data<R: ReadAt + ?Sized>(
    bytes: &R,
    executable: bool,
) -> Result<Vec<Vec<u8>>, ElfError> {
    Image::open(bytes)?.read_only(executable)
}
