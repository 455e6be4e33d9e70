//! Makes tar archives byte by byte, so that they can be wrong in every way.
//!
//! ```
//! use tests::archive::{Header, end};
//! let bytes = [Header::file("a", b"content").bytes(), Header::link("b", b'1', "../a").bytes(), end()].concat();
//! assert_eq!(bytes.len() % 512, 0);
//! ```

/// Bytes in a block.
pub const BLOCK: usize = 512;

/// One header with what follows it. The checksum is right unless asked otherwise.
#[derive(Debug, Clone)]
pub struct Header {
    block: [u8; BLOCK],
    content: Vec<u8>,
    checksum: bool,
}

impl Header {
    /// A ustar header: mode 0644, owner 0, time 0, and the size of `content`.
    pub fn new(name: impl AsRef<[u8]>, typeflag: u8, content: &[u8]) -> Self {
        let header = Self { block: [0; BLOCK], content: content.to_vec(), checksum: true };
        header
            .field(0, name.as_ref())
            .octal(100, 8, 0o644)
            .octal(108, 8, 0)
            .octal(116, 8, 0)
            .size(content.len() as u64)
            .octal(136, 12, 0)
            .field(156, &[typeflag])
            .field(257, b"ustar\x0000")
    }

    /// A regular file.
    pub fn file(name: impl AsRef<[u8]>, content: &[u8]) -> Self {
        Self::new(name, b'0', content)
    }

    /// A folder.
    pub fn folder(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'5', b"").octal(100, 8, 0o755)
    }

    /// A hard (`b'1'`) or symbolic (`b'2'`) link.
    pub fn link(name: impl AsRef<[u8]>, typeflag: u8, target: impl AsRef<[u8]>) -> Self {
        Self::new(name, typeflag, b"").field(157, target.as_ref())
    }

    /// A PAX header for the next entry (`b'x'`) or for all (`b'g'`).
    pub fn pax(typeflag: u8, records: &[(&str, &[u8])]) -> Self {
        let text: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
        Self::new("pax", typeflag, &text)
    }

    /// GNU's long name (`b'L'`) or long link target (`b'K'`) for the next entry.
    pub fn long(typeflag: u8, text: &[u8]) -> Self {
        Self::new("././@LongLink", typeflag, &[text, b"\0"].concat()).field(257, b"ustar  \0")
    }

    /// Writes bytes at an offset of the header.
    #[must_use]
    pub fn field(mut self, at: usize, bytes: &[u8]) -> Self {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// Writes an octal number that fills a field of `width` but for its closing NUL.
    #[must_use]
    pub fn octal(self, at: usize, width: usize, value: u64) -> Self {
        let text = format!("{value:0width$o}\0", width = width - 1);
        self.field(at, text.as_bytes())
    }

    /// The size field alone, whatever the content.
    #[must_use]
    pub fn size(self, size: u64) -> Self {
        self.octal(124, 12, size)
    }

    /// With a checksum that is off by one.
    #[must_use]
    pub fn wrong_checksum(mut self) -> Self {
        self.checksum = false;
        self
    }

    /// Header, content, padding.
    pub fn bytes(&self) -> Vec<u8> {
        let mut block = self.block;
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        let sum = sum + u32::from(!self.checksum);
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = [&block[..], &self.content].concat();
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }
}

/// One PAX record; its length counts itself.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let length = (1..20).map(|digits| rest + digits).find(|n| n - rest == n.to_string().len());
    let mut bytes = format!("{} {key}=", length.unwrap_or_default()).into_bytes();
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
    bytes
}

/// The end marker.
pub fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK]
}

/// A whole archive.
pub fn archive(headers: impl IntoIterator<Item = Header>) -> Vec<u8> {
    let mut bytes: Vec<u8> = headers.into_iter().flat_map(|header| header.bytes()).collect();
    bytes.extend(end());
    bytes
}
