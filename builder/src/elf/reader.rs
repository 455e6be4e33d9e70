//! `ReadAt`: byte ranges of an object, wherever they are kept.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Reads at an offset without moving a cursor.
pub trait ReadAt {
    /// Fills `buffer` from `offset`; returns how many bytes there were. Fewer than `least` means the
    /// end, between that and the whole buffer there may be more.
    fn read_at_least(&self, offset: u64, buffer: &mut [u8], least: usize) -> io::Result<usize>;

    /// Fills `buffer` from `offset` as far as there are bytes; returns how many there were. Fewer
    /// than asked for means the end.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_at_least(offset, buffer, buffer.len())
    }
}

impl ReadAt for File {
    fn read_at_least(&self, offset: u64, buffer: &mut [u8], least: usize) -> io::Result<usize> {
        let mut filled = 0;
        while filled < least.min(buffer.len()) {
            let at = offset.saturating_add(filled as u64);
            // The kernel counts in signed 64 bits; behind them there is nothing.
            if i64::try_from(at).is_err() {
                break;
            }
            match FileExt::read_at(self, &mut buffer[filled..], at) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

impl ReadAt for [u8] {
    fn read_at_least(&self, offset: u64, buffer: &mut [u8], _least: usize) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.get(start..)).unwrap_or(&[]);
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}
