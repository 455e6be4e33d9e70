//! The canonical writer. Its bytes depend on the tree only (docs/determinism.md).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use tar::{EntryType, Header};

use super::{BLOCK, Entry, EntryKind, Problem, TarError, pax};
use crate::tree::{ImagePath, Inode, Metadata, Tree};

/// The greatest number in an octal field of 12 bytes, and in one of 8.
const LARGE: u64 = 0o777_7777_7777;
const SMALL: u64 = 0o777_7777;

/// The name of every PAX header. It carries no information: what it belongs to comes right behind it.
const PAX_NAME: &[u8] = b"@PaxHeader";

/// Writes `tree` in canonical form, contents by `open`, and ends with two zero blocks.
pub fn write<C, R: Read>(
    tree: &Tree<C>,
    mut open: impl FnMut(&ImagePath, &C) -> io::Result<R>,
    out: impl Write,
) -> Result<(), TarError> {
    let mut writer = Writer::new(out);
    for (path, inode) in tree.iter() {
        let (metadata, kind) = match inode {
            Inode::Directory(metadata) => (metadata.clone(), EntryKind::Directory),
            Inode::File { metadata, size, .. } => {
                (metadata.clone(), EntryKind::File { size: *size })
            }
            Inode::Symlink { metadata, target } => {
                (metadata.clone(), EntryKind::Symlink { target: target.clone() })
            }
            Inode::Hardlink { target } => match tree.get(target) {
                Some(Inode::File { metadata, .. }) if target < path => {
                    // The file's attributes came with its first name.
                    let metadata = Metadata { xattrs: BTreeMap::new(), ..metadata.clone() };
                    (metadata, EntryKind::Hardlink { target: target.clone() })
                }
                _ => return Err(writer.wrong(path, Problem::HardlinkTarget(target.clone()))),
            },
        };
        let entry = Entry { path: path.clone(), metadata, kind };
        match inode {
            Inode::File { content, .. } => writer.append(&entry, open(path, content)?)?,
            _ => writer.append(&entry, io::empty())?,
        }
    }
    writer.finish()?;
    Ok(())
}

/// Writes entries as they come, in canonical form each. Their order is the caller's, who has to give
/// parents before children and files before hard links to them.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    position: u64,
}

impl<W: Write> Writer<W> {
    /// Starts with nothing.
    pub fn new(out: W) -> Self {
        Self { out, position: 0 }
    }

    /// One entry with its content, which must have exactly the size that the entry says (none for
    /// anything but a file).
    pub fn append(&mut self, entry: &Entry, content: impl Read) -> Result<(), TarError> {
        let problem = |writer: &Self, problem| writer.wrong(&entry.path, problem);
        let (header, records) = encode(entry).map_err(|error| problem(self, error))?;
        if !records.is_empty() {
            let mut extended = blank(EntryType::XHeader);
            put(&mut extended.as_old_mut().name, PAX_NAME);
            extended.set_mode(0o644);
            extended.set_size(records.len() as u64);
            extended.set_cksum();
            self.put(extended.as_bytes())?;
            self.put(&records)?;
            self.pad(records.len() as u64)?;
        }
        self.put(header.as_bytes())?;
        let expected = if let EntryKind::File { size } = entry.kind { size } else { 0 };
        let mut content = content;
        let found = io::copy(&mut (&mut content).take(expected), &mut self.out)?;
        // One byte more than promised shows that there is more.
        let found = found + io::copy(&mut content.take(1), &mut io::sink())?;
        if found != expected {
            return Err(problem(self, Problem::Content { expected, found }));
        }
        self.position += expected;
        self.pad(expected)
    }

    /// Writes the end marker and hands back what was written to. Without this, the archive is cut off.
    pub fn finish(mut self) -> Result<W, TarError> {
        self.put(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }

    fn pad(&mut self, size: u64) -> Result<(), TarError> {
        match usize::try_from(size % BLOCK as u64) {
            Ok(0) | Err(_) => Ok(()),
            Ok(over) => self.put(&[0; BLOCK][over..]),
        }
    }

    fn wrong(&self, path: &ImagePath, problem: Problem) -> TarError {
        TarError::Entry { name: path.relative().to_vec(), offset: self.position, problem }
    }
}

/// A ustar header with every number zero and every text empty.
fn blank(kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_mtime(0);
    if let Some(ustar) = header.as_ustar_mut() {
        ustar.set_device_major(0);
        ustar.set_device_minor(0);
    }
    header
}

/// The header, and the PAX records for what it cannot say, sorted by key.
fn encode(entry: &Entry) -> Result<(Header, Vec<u8>), Problem> {
    let mut records: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut header = blank(match entry.kind {
        EntryKind::Directory => EntryType::Directory,
        EntryKind::File { .. } => EntryType::Regular,
        EntryKind::Symlink { .. } => EntryType::Symlink,
        EntryKind::Hardlink { .. } => EntryType::Link,
    });
    name(&mut header, entry, &mut records);
    let target = match &entry.kind {
        EntryKind::Symlink { target } => target,
        EntryKind::Hardlink { target } => target.relative(),
        EntryKind::Directory | EntryKind::File { .. } => b"",
    };
    put(&mut header.as_old_mut().linkname, target);
    if target.len() > 100 || !is_plain(target) {
        records.push((b"linkpath".to_vec(), target.to_vec()));
    }
    let Metadata { mode, uid, gid, mtime, xattrs } = &entry.metadata;
    header.set_mode(mode & 0o7777);
    let size = if let EntryKind::File { size } = entry.kind { size } else { 0 };
    let mut number = |key: &str, value: i128, most: u64| match u64::try_from(value) {
        Ok(value) if value <= most => value,
        _ => {
            records.push((key.into(), value.to_string().into_bytes()));
            0
        }
    };
    header.set_uid(number("uid", (*uid).into(), SMALL));
    header.set_gid(number("gid", (*gid).into(), SMALL));
    header.set_mtime(number("mtime", (*mtime).into(), LARGE));
    header.set_size(number("size", size.into(), LARGE));
    for (name, value) in xattrs {
        // A record ends its key at the first `=`.
        if name.contains(&b'=') || name.contains(&0) || name.is_empty() {
            return Err(Problem::Xattr(name.clone()));
        }
        records.push(([pax::XATTR, name].concat(), value.clone()));
    }
    header.set_cksum();
    records.sort();
    Ok((header, records.iter().flat_map(|(key, value)| pax::record(key, value)).collect()))
}

/// The name where ustar has room for it, else its beginning there and all of it in PAX.
fn name(header: &mut Header, entry: &Entry, records: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    let mut name = entry.path.relative().to_vec();
    if name.is_empty() {
        name.push(b'.');
    }
    if entry.kind == EntryKind::Directory {
        name.push(b'/');
    }
    let fits = is_plain(&name).then(|| split(&name)).flatten();
    let (prefix, rest) = fits.unwrap_or((b"", &name));
    put(&mut header.as_old_mut().name, rest);
    if let Some(ustar) = header.as_ustar_mut() {
        put(&mut ustar.prefix, prefix);
    }
    if fits.is_none() {
        records.push((b"path".to_vec(), name));
    }
}

/// Prefix and name as ustar has them: the shortest prefix that leaves at most 100 bytes.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= 100 {
        return Some((b"", name));
    }
    let slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    slashes
        .map(|at| (&name[..at], &name[at + 1..]))
        .find(|(_, rest)| (1..=100).contains(&rest.len()))
        .filter(|(prefix, _)| prefix.len() <= 155)
}

/// Printable ASCII: the only names about which all readers of plain ustar agree.
fn is_plain(name: &[u8]) -> bool {
    name.iter().all(|byte| matches!(byte, b' '..=b'~'))
}

/// As much as there is room for.
fn put(field: &mut [u8], value: &[u8]) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value[..length]);
}
