//! The strict reader. It keeps one entry in memory at a time and never seeks unless asked to.

use std::io::{self, BufReader, Read, Seek};

use super::header::Fields;
use super::{BLOCK, Entry, EntryKind, Problem, TarError, pax};
use crate::tree::{ImagePath, Metadata};

/// How large an archive may be. Names are limited by [`ImagePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in all.
    pub entries: u64,
    /// Bytes of content of all files together.
    pub bytes: u64,
    /// Components of a path.
    pub depth: usize,
    /// Bytes of one extended header. Linux allows an inode 64 KiB for each extended attribute.
    pub extension: u64,
}

impl Default for Limits {
    /// More than any real image has: two million entries, 256 GiB, 256 folders, 1 MiB.
    fn default() -> Self {
        Self { entries: 2 << 20, bytes: 256 << 30, depth: 256, extension: 1 << 20 }
    }
}

/// Reads entries one after the other from untrusted bytes. After an error, it is done: what would
/// follow is a matter of opinion.
#[derive(Debug)]
pub struct Reader<R> {
    inner: BufReader<R>,
    limits: Limits,
    /// Bytes taken from `inner`.
    position: u64,
    /// Bytes of the current content that are still to come, and the padding behind it.
    content: u64,
    padding: u64,
    /// Start of the current entry, with its extended headers.
    start: u64,
    entries: u64,
    bytes: u64,
    seen_root: bool,
    done: bool,
}

/// Extended headers before an entry.
enum Extension {
    None,
    Pax(pax::Overrides),
    /// GNU's long name and long link target.
    Gnu {
        name: Option<Vec<u8>>,
        link: Option<Vec<u8>>,
    },
}

impl<R: Read> Reader<R> {
    /// Starts at the first header, with the default limits.
    pub fn new(inner: R) -> Self {
        Self::with_limits(inner, Limits::default())
    }

    /// Starts at the first header.
    pub fn with_limits(inner: R, limits: Limits) -> Self {
        Self {
            inner: BufReader::with_capacity(64 * 1024, inner),
            limits,
            position: 0,
            content: 0,
            padding: 0,
            start: 0,
            entries: 0,
            bytes: 0,
            seen_root: false,
            done: false,
        }
    }

    /// The next entry; what was left unread of the one before is skipped. `None` at the end, when
    /// all that follows the end marker has been seen to be zeros.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        if self.done {
            return Ok(None);
        }
        self.done = true;
        let skip = self.content + self.padding;
        let skipped = io::copy(&mut (&mut self.inner).take(skip), &mut io::sink())?;
        self.position += skipped;
        if skipped < skip {
            return Err(TarError::Truncated { offset: self.position });
        }
        self.advance()
    }

    /// Where the next byte comes from: after [`Reader::next_entry`], the start of its content.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// An error about the current entry.
    pub(super) fn refuse(&self, path: &ImagePath, problem: Problem) -> TarError {
        TarError::Entry { name: path.relative().to_vec(), offset: self.start, problem }
    }

    /// As `next_entry`, with nothing left to skip.
    fn advance(&mut self) -> Result<Option<Entry>, TarError> {
        (self.content, self.padding) = (0, 0);
        self.start = self.position;
        let mut extension = Extension::None;
        loop {
            let Some(block) = self.header_block()? else {
                if !matches!(extension, Extension::None) {
                    return Err(self.wrong(b"", Problem::Extensions));
                }
                self.check_end()?;
                return Ok(None);
            };
            let fields =
                Fields::parse(&block).map_err(|problem| self.wrong(&block[..100], problem))?;
            let name = fields.name().map_err(|problem| self.wrong(&block[..100], problem))?;
            if matches!(fields.typeflag(), b'x' | b'g' | b'L' | b'K') {
                self.extend(&mut extension, &fields, &name)?;
                continue;
            }
            let entry = self.entry(&fields, &extension, name)?;
            self.done = false;
            return Ok(Some(entry));
        }
    }

    fn extend(
        &mut self,
        extension: &mut Extension,
        fields: &Fields,
        name: &[u8],
    ) -> Result<(), TarError> {
        let text = self.extension(fields, name)?;
        let wrong = |reader: &Self, problem| reader.wrong(name, problem);
        let (long, is_name) = match (fields.typeflag(), &mut *extension) {
            (b'g', Extension::None) => {
                return pax::check_global(&text).map_err(|problem| wrong(self, problem));
            }
            (b'x', Extension::None) => {
                let overrides = pax::parse(&text).map_err(|problem| wrong(self, problem))?;
                *extension = Extension::Pax(overrides);
                return Ok(());
            }
            (flag @ (b'L' | b'K'), Extension::None | Extension::Gnu { .. }) => {
                let long = text.strip_suffix(b"\0").unwrap_or(&text);
                if long.is_empty() || long.contains(&0) {
                    return Err(wrong(self, Problem::Nul("name")));
                }
                (long.to_vec(), flag == b'L')
            }
            // Two of a kind, or PAX and GNU mixed: no tool writes that, and readers differ.
            _ => return Err(wrong(self, Problem::Extensions)),
        };
        if matches!(extension, Extension::None) {
            *extension = Extension::Gnu { name: None, link: None };
        }
        if let Extension::Gnu { name: long_name, link } = extension {
            let before = if is_name { long_name.replace(long) } else { link.replace(long) };
            if before.is_some() {
                return Err(wrong(self, Problem::Extensions));
            }
        }
        Ok(())
    }

    /// The content of an extended header.
    fn extension(&mut self, fields: &Fields, name: &[u8]) -> Result<Vec<u8>, TarError> {
        let size = fields.size().map_err(|problem| self.wrong(name, problem))?;
        let limit = self.limits.extension;
        if size > limit {
            return Err(self.wrong(name, Problem::ExtensionSize { size, limit }));
        }
        let mut text = Vec::new();
        (&mut self.inner).take(size + padding(size)).read_to_end(&mut text)?;
        self.position += text.len() as u64;
        if (text.len() as u64) < size + padding(size) {
            return Err(TarError::Truncated { offset: self.position });
        }
        text.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        Ok(text)
    }

    /// The entry of a header that is no extended one.
    fn entry(
        &mut self,
        fields: &Fields,
        extension: &Extension,
        name: Vec<u8>,
    ) -> Result<Entry, TarError> {
        let name = match extension {
            Extension::Pax(pax) => pax.path.clone().unwrap_or(name),
            Extension::Gnu { name: long, .. } => long.clone().unwrap_or(name),
            Extension::None => name,
        };
        let entry = assemble(fields, extension, &name, &self.limits)
            .map_err(|problem| self.wrong(&name, problem))?;
        if entry.path == ImagePath::root() {
            if std::mem::replace(&mut self.seen_root, true) {
                return Err(self.wrong(&name, Problem::SecondRoot));
            }
            if entry.kind != EntryKind::Directory {
                return Err(self.wrong(&name, Problem::RootKind));
            }
        }
        self.count(&entry)?;
        Ok(entry)
    }

    fn count(&mut self, entry: &Entry) -> Result<(), TarError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(TarError::Entries { limit: self.limits.entries });
        }
        if let EntryKind::File { size } = entry.kind {
            let limit = self.limits.bytes;
            self.bytes = self.bytes.saturating_add(size);
            if self.bytes > limit {
                return Err(TarError::Bytes { limit });
            }
            (self.content, self.padding) = (size, padding(size));
        }
        Ok(())
    }

    /// A block of a header; `None` when it is the first of the end marker.
    fn header_block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let block = self.block()?;
        Ok((block != [0; BLOCK]).then_some(block))
    }

    fn block(&mut self) -> Result<[u8; BLOCK], TarError> {
        let mut block = [0; BLOCK];
        match self.inner.read_exact(&mut block) {
            Ok(()) => self.position += BLOCK as u64,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(TarError::Truncated { offset: self.position });
            }
            Err(error) => return Err(error.into()),
        }
        Ok(block)
    }

    /// A second block of zeros, and then zeros as far as it goes (rule U7). Tools fill up to a record
    /// of 10 KiB, so the rest need not be whole blocks.
    fn check_end(&mut self) -> Result<(), TarError> {
        if self.block()? != [0; BLOCK] {
            return Err(TarError::Trailing { offset: self.position - BLOCK as u64 });
        }
        let mut buffer = [0; 8 * BLOCK];
        loop {
            let count = match self.inner.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if let Some(at) = buffer[..count].iter().position(|&b| b != 0) {
                return Err(TarError::Trailing { offset: self.position + at as u64 });
            }
            self.position += count as u64;
        }
    }

    fn wrong(&self, name: &[u8], problem: Problem) -> TarError {
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        TarError::Entry { name: name[..end].to_vec(), offset: self.start, problem }
    }
}

impl<R: Read + Seek> Reader<R> {
    /// As [`Reader::next_entry`], but content that was not read is jumped over.
    pub fn next_entry_seeking(&mut self) -> Result<Option<Entry>, TarError> {
        let skip = self.content + self.padding;
        // Only a size beyond 8 EiB does not fit; reading then finds the end of the file.
        if let (false, Ok(distance)) = (self.done, i64::try_from(skip)) {
            self.inner.seek_relative(distance)?;
            self.position += skip;
            (self.content, self.padding) = (0, 0);
        }
        self.next_entry()
    }
}

/// The content of the current entry, `Ok(0)` at its end.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.content == 0 {
            return Ok(0);
        }
        let count = (&mut self.inner).take(self.content).read(buffer)?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                TarError::Truncated { offset: self.position },
            ));
        }
        self.content -= count as u64;
        self.position += count as u64;
        Ok(count)
    }
}

/// Bytes between the end of a content and the next block.
fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

/// What the header and its extension say together.
fn assemble(
    fields: &Fields,
    extension: &Extension,
    name: &[u8],
    limits: &Limits,
) -> Result<Entry, Problem> {
    let none = pax::Overrides::default();
    let pax = if let Extension::Pax(pax) = extension { pax } else { &none };
    let path = inside(name)?;
    if path.components().count() > limits.depth {
        return Err(Problem::Depth(limits.depth));
    }
    let header_size = fields.size()?;
    let size = pax.size.map_or(Ok(header_size), |size| agree(size, header_size))?;
    let link = || match extension {
        Extension::Pax(pax::Overrides { link: Some(link), .. })
        | Extension::Gnu { link: Some(link), .. } => Ok(link.clone()),
        _ => fields.link(),
    };
    let kind = match fields.typeflag() {
        b'0' | 0 if name.ends_with(b"/") => return Err(Problem::Slash),
        b'0' | 0 => EntryKind::File { size },
        b'1' => EntryKind::Hardlink { target: inside(&link()?)? },
        b'2' => EntryKind::Symlink { target: link()? },
        b'5' => EntryKind::Directory,
        b'3' => return Err(Problem::Special("character device")),
        b'4' => return Err(Problem::Special("block device")),
        b'6' => return Err(Problem::Special("FIFO")),
        b'S' => return Err(Problem::Sparse),
        other => return Err(Problem::Type(other)),
    };
    if let EntryKind::Symlink { target } = &kind
        && !(1..4096).contains(&target.len())
    {
        return Err(Problem::Target);
    }
    if size > 0 && !matches!(kind, EntryKind::File { .. }) {
        return Err(Problem::Data(size));
    }
    let metadata = Metadata {
        mode: fields.mode()?,
        uid: pax.uid.map_or_else(|| fields.uid(), Ok)?,
        gid: pax.gid.map_or_else(|| fields.gid(), Ok)?,
        mtime: pax.mtime.map_or_else(|| fields.mtime(), Ok)?,
        xattrs: pax.xattrs.clone(),
    };
    Ok(Entry { path, metadata, kind })
}

/// The size by PAX, when the header says the same or could not say it: then tools leave it zero or
/// fill it with sevens.
fn agree(pax: u64, header: u64) -> Result<u64, Problem> {
    const MOST: u64 = 0o777_7777_7777;
    if pax == header || (pax > MOST && matches!(header, 0 | MOST)) {
        return Ok(pax);
    }
    Err(Problem::Sizes { pax, header })
}

/// A name or a hard link's target as a path in the image.
fn inside(name: &[u8]) -> Result<ImagePath, Problem> {
    match name {
        b"" => Err(Problem::Nameless),
        [b'/', ..] => Err(Problem::Absolute),
        name => Ok(ImagePath::root().join(name)?),
    }
}
