//! gzip (RFC 1952) in parallel, with bytes that do not depend on how many threads there are.
//!
//! The input is cut into blocks of one mebibyte. Each is deflated on its own and ends at a byte
//! boundary with an empty stored block (a full flush), so that the pieces joined are one deflate
//! stream. Header: no name, no time, operating system "unknown". The encoder is `miniz_oxide`,
//! whose output does not depend on the processor.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, sync_channel};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// Bytes of input in a block. Part of the format: another size gives other bytes.
const BLOCK: usize = 1 << 20;

/// zlib's own default, a good trade of time for size. Part of the format.
const LEVEL: u32 = 6;

/// Magic, deflate, no flags, no time, no extra flags, unknown operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A deflate block without content that is marked as last: what ends the stream.
const LAST: [u8; 2] = [0x03, 0x00];

/// Compresses what is written to it.
#[derive(Debug)]
pub(super) struct Gzip<W> {
    out: W,
    block: Vec<u8>,
    /// Blocks that are being compressed, first to last.
    pending: VecDeque<Receiver<io::Result<Piece>>>,
    checksum: Crc,
}

/// A compressed block.
#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    checksum: Crc,
}

impl<W: Write> Gzip<W> {
    pub(super) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        let block = Vec::with_capacity(BLOCK);
        Ok(Self { out, block, pending: VecDeque::new(), checksum: Crc::new() })
    }

    /// Writes all that is left and the trailer.
    pub(super) fn finish(mut self) -> io::Result<W> {
        if !self.block.is_empty() {
            self.submit();
        }
        while !self.pending.is_empty() {
            self.take_first()?;
        }
        self.out.write_all(&LAST)?;
        self.out.write_all(&self.checksum.sum().to_le_bytes())?;
        // RFC 1952 has the size modulo 2^32, which is what `Crc` counts.
        self.out.write_all(&self.checksum.amount().to_le_bytes())?;
        Ok(self.out)
    }

    fn submit(&mut self) {
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let (sender, receiver) = sync_channel(1);
        rayon::spawn(move || {
            // Nobody waits for it only when writing has failed already.
            sender.send(deflate(&block)).ok();
        });
        self.pending.push_back(receiver);
    }

    fn take_first(&mut self) -> io::Result<()> {
        let Some(first) = self.pending.pop_front() else { return Ok(()) };
        let piece = first.recv().map_err(io::Error::other)??;
        self.checksum.combine(&piece.checksum);
        self.out.write_all(&piece.bytes)
    }
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let taken = buffer.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&buffer[..taken]);
        if self.block.len() == BLOCK {
            self.submit();
            // Two blocks for each thread keep all busy and bound the memory.
            while self.pending.len() > 2 * rayon::current_num_threads() {
                self.take_first()?;
            }
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn deflate(block: &[u8]) -> io::Result<Piece> {
    let mut checksum = Crc::new();
    checksum.update(block);
    let mut encoder = Compress::new(Compression::new(LEVEL), false);
    // Room for incompressible input: stored blocks of 64 KiB with 5 bytes each.
    let mut bytes = Vec::with_capacity(block.len() + block.len() / 1000 + 64);
    loop {
        let done = usize::try_from(encoder.total_in()).map_err(io::Error::other)?;
        let status = encoder
            .compress_vec(&block[done..], &mut bytes, FlushCompress::Full)
            .map_err(io::Error::other)?;
        let all_in = encoder.total_in() == block.len() as u64;
        if all_in && bytes.len() < bytes.capacity() {
            return Ok(Piece { bytes, checksum });
        }
        if status == Status::BufError && bytes.len() < bytes.capacity() {
            return Err(io::Error::other("the deflate encoder made no progress"));
        }
        bytes.reserve(block.len() / 8 + 64);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn pack(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = Gzip::new(Vec::new()).unwrap();
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn what_was_packed_unpacks() {
        let mut noise = 1_u64;
        let mut random = |count: usize| -> Vec<u8> {
            (0..count)
                .map(|_| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (noise >> 56) as u8
                })
                .collect()
        };
        for bytes in
            [vec![], b"x".to_vec(), vec![7; BLOCK], vec![7; 3 * BLOCK + 1], random(2 * BLOCK + 9)]
        {
            let packed = pack(&bytes);
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, bytes);
            assert_eq!(packed[..10], HEADER);
        }
    }
}
