//! gzip (RFC 1952), decoded: one member after the other, to the end of the input.
//!
//! Not by the encoder's library: that one is chosen, and pinned, for the bytes that it writes; this one for its
//! speed. Header, checksum and length of each member are verified by it.

use std::io::{self, BufRead, Read};

use zlib_rs::{Inflate, InflateFlush, Status};

/// `16` asks for the gzip format, `15` is the largest window (zlib.h, `inflateInit2`).
const GZIP: u8 = 16 + 15;

/// A stream of decoded bytes. What follows the last member must be another one.
pub(super) struct Gunzip<R> {
    input: R,
    member: Option<Inflate>,
    /// At least one member was whole.
    complete: bool,
}

impl<R: BufRead> Gunzip<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, member: None, complete: false }
    }

    pub(super) fn get_ref(&self) -> &R {
        &self.input
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.input.fill_buf()?;
            let end = input.is_empty();
            if end && self.member.is_none() && self.complete {
                return Ok(0);
            }
            let member = self.member.get_or_insert_with(|| Inflate::new(true, GZIP));
            let (taken, given) = (member.total_in(), member.total_out());
            let status = member
                .decompress(input, buffer, InflateFlush::NoFlush)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.as_str()))?;
            // Both are less than a buffer.
            let taken = usize::try_from(member.total_in() - taken).unwrap_or(usize::MAX);
            let given = usize::try_from(member.total_out() - given).unwrap_or(usize::MAX);
            self.input.consume(taken);
            if status == Status::StreamEnd {
                (self.member, self.complete) = (None, true);
            } else if given == 0 && end {
                return Err(io::ErrorKind::UnexpectedEof.into());
            } else if given == 0 && taken == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no progress"));
            }
            if given > 0 {
                return Ok(given);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::GzBuilder;

    use super::*;

    fn packed(bytes: &[u8], builder: GzBuilder) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Through buffers of these sizes on either side.
    fn decode(bytes: &[u8], input: usize, output: usize) -> io::Result<Vec<u8>> {
        let mut decoder = Gunzip::new(io::BufReader::with_capacity(input, bytes));
        let (mut all, mut buffer) = (Vec::new(), vec![0; output]);
        loop {
            match decoder.read(&mut buffer)? {
                0 => return Ok(all),
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    #[test]
    fn every_size_of_buffer_gives_the_same_bytes() {
        let text: Vec<u8> = (0..60_000_u32).flat_map(|n| (n * n % 1009).to_le_bytes()).collect();
        let first = packed(&text, GzBuilder::new().filename("a").comment("b").extra(vec![1; 9]));
        let empty = packed(b"", GzBuilder::new());
        let members = [&first[..], &empty, &packed(&text[..7], GzBuilder::new())].concat();
        let whole = [&text[..], &text[..7]].concat();
        for (input, output) in [(1, 64), (7, 1), (64, 1 << 20), (1 << 20, 4096), (4096, 4097)] {
            assert!(decode(&members, input, output).unwrap() == whole, "{input} {output}");
        }
        assert!(decode(&empty, 1, 1).unwrap().is_empty());
    }

    #[test]
    fn checksum_length_and_header_are_verified() {
        let right = packed(b"content", GzBuilder::new());
        let size = right.len();
        // Magic, method, reserved flag; content; checksum, length.
        for (at, what) in [(0, 1), (1, 1), (2, 1), (3, 0x80), (12, 1), (size - 8, 1), (size - 4, 1)]
        {
            let mut wrong = right.clone();
            wrong[at] ^= what;
            assert!(decode(&wrong, 4096, 4096).is_err(), "byte {at}");
        }
        assert!(decode(b"", 4096, 4096).is_err());
    }
}
