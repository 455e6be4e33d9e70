//! Objects: whatever the bytes say, reading them ends, and soon.

use std::cell::Cell;
use std::io;

use builder::elf::{
    Object, Platform, ReadAt, Symbols, Versions, architecture, read_only_data, undefined_symbols,
};

/// Reads that an object of any size may cost: 64 MiB of strings in pieces of 256 bytes.
const MAX_READS: usize = 1 << 18;

/// The bytes of an object, as they are and as the start of a sparse file of 1 TiB.
///
/// # Panics
/// When something does not hold that must.
pub fn elf(bytes: &[u8]) {
    let whole = read(bytes);
    // A file that is cut asks for nothing that the whole one does not ask for.
    if let (Some(whole), Some(part)) = (&whole, read(&bytes[..bytes.len() / 4 * 3])) {
        assert!(part.needed.len() <= whole.needed.len(), "a prefix needs more than the whole");
        assert!(part.dlopen.len() <= whole.dlopen.len(), "a prefix opens more than the whole");
    }
    let sparse = Sparse { start: bytes, reads: Cell::new(0) };
    check(Object::parse(&sparse).ok(), &sparse);
    let _symbols = undefined_symbols(&sparse);
}

/// Reads everything that there are readers for.
fn read<R: ReadAt + ?Sized>(bytes: &R) -> Option<Object> {
    let symbols = undefined_symbols(bytes);
    let data = read_only_data(bytes, true);
    if let Ok(symbols) = Symbols::read(bytes) {
        assert!(
            (0..symbols.len()).all(|number| {
                symbols.get(number).is_none_or(|symbol| !symbol.name.contains(&0))
            })
        );
        assert!(symbols.used().count() <= symbols.len(), "a use of no symbol");
    }
    let _versions = Versions::read(bytes);
    let _platform = Platform::read(bytes);
    if let Ok(names) = symbols {
        assert!(names.iter().all(|name| !name.as_bytes().contains(&0)), "a symbol with a NUL");
    }
    if let Ok(segments) = data {
        let size: usize = segments.iter().map(Vec::len).sum();
        assert!(size <= 16 << 20, "{size} bytes of read-only data");
    }
    check(Object::parse(bytes).ok(), bytes)
}

fn check<R: ReadAt + ?Sized>(object: Option<Object>, bytes: &R) -> Option<Object> {
    let object = object?;
    assert_eq!(architecture(bytes), Some((object.class, object.machine)));
    let names = [&object.interpreter, &object.soname, &object.rpath, &object.runpath];
    let names = names.into_iter().flatten().chain(&object.needed);
    for name in names.chain(&object.auxiliary).chain(&object.filter) {
        assert!(!name.as_bytes().contains(&0), "{name} has a NUL");
    }
    Some(object)
}

/// A file of 1 TiB that has been written at its start only.
struct Sparse<'a> {
    start: &'a [u8],
    reads: Cell<usize>,
}

impl ReadAt for Sparse<'_> {
    fn read_at_least(&self, offset: u64, buffer: &mut [u8], _least: usize) -> io::Result<usize> {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() <= MAX_READS, "more than {MAX_READS} reads");
        let left = (1_u64 << 40).saturating_sub(offset);
        let count = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        buffer[..count].fill(0);
        self.start.read_at(offset, &mut buffer[..count])?;
        Ok(count)
    }
}
