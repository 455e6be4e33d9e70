//! From the bytes of a layer's blob to the bytes of its tar: by media type, within limits (rule U6), and
//! with nothing behind the end (rule U7).
//!
//! Only decoding: the encoder of gzip belongs to the builder.

use std::io::{self, BufRead, BufReader, Read};

use oci_spec::image::MediaType;

use super::gunzip::Gunzip;
use super::media_type::{DOCKER_LAYER, DOCKER_LAYER_GZIP, DOCKER_LAYER_ZSTD};

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Plain tar.
    None,
    /// RFC 1952, of one or more members.
    Gzip,
    /// RFC 8878, of one or more frames.
    Zstd,
}

/// How much a blob may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes out.
    pub bytes: u64,
    /// Bytes out for each byte in, once there are more than [`Limits::FREE`] bytes out.
    pub ratio: u64,
}

/// Why decoding was stopped. It is found inside the `io::Error` of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// More bytes than allowed.
    #[error("it unpacks to more than {limit} bytes")]
    Bytes {
        /// Bytes allowed.
        limit: u64,
    },
    /// A decompression bomb: few bytes become very many.
    #[error("{read} bytes unpack to more than {limit} times as many")]
    Ratio {
        /// Bytes in so far.
        read: u64,
        /// Bytes out allowed for each.
        limit: u64,
    },
}

impl Compression {
    /// Of a layer's media type; `None` when it is no layer that we know.
    pub fn of(media_type: &MediaType) -> Option<Self> {
        Some(match media_type {
            MediaType::ImageLayer | MediaType::ImageLayerNonDistributable => Self::None,
            MediaType::ImageLayerGzip | MediaType::ImageLayerNonDistributableGzip => Self::Gzip,
            MediaType::ImageLayerZstd | MediaType::ImageLayerNonDistributableZstd => Self::Zstd,
            other => match other.as_ref() {
                DOCKER_LAYER => Self::None,
                DOCKER_LAYER_GZIP => Self::Gzip,
                DOCKER_LAYER_ZSTD => Self::Zstd,
                _ => return None,
            },
        })
    }
}

impl Limits {
    /// So many bytes are always allowed, however few they came from.
    pub const FREE: u64 = 64 << 20;
}

impl Default for Limits {
    /// 256 GiB, and 200 bytes for one: a file system of zeros passes gzip at 1000 for one, real layers
    /// stay below 20.
    fn default() -> Self {
        Self { bytes: 256 << 30, ratio: 200 }
    }
}

/// A stream of decoded bytes. It ends only where the input ends.
pub struct Decoder<R: Read> {
    inner: Inner<BufReader<Counted<R>>>,
    limits: Limits,
    written: u64,
}

enum Inner<R: BufRead> {
    None(R),
    Gzip(Gunzip<R>),
    Zstd(zstd::Decoder<'static, R>),
}

impl<R: Read> Decoder<R> {
    /// Starts at the first byte of a blob.
    pub fn new(compression: Compression, input: R, limits: Limits) -> io::Result<Self> {
        let input = BufReader::with_capacity(64 * 1024, Counted { inner: input, count: 0 });
        let inner = match compression {
            Compression::None => Inner::None(input),
            Compression::Gzip => Inner::Gzip(Gunzip::new(input)),
            Compression::Zstd => Inner::Zstd(zstd::Decoder::with_buffer(input)?),
        };
        Ok(Self { inner, limits, written: 0 })
    }

    /// Bytes taken from the input, some of which may not be decoded yet.
    fn taken(&self) -> u64 {
        match &self.inner {
            Inner::None(input) => input.get_ref().count,
            Inner::Gzip(decoder) => decoder.get_ref().get_ref().count,
            Inner::Zstd(decoder) => decoder.get_ref().get_ref().count,
        }
    }

    fn check(&self) -> Result<(), LimitError> {
        let Limits { bytes, ratio } = self.limits;
        if self.written > bytes {
            return Err(LimitError::Bytes { limit: bytes });
        }
        let read = self.taken();
        if self.written > Limits::FREE.max(read.saturating_mul(ratio)) {
            return Err(LimitError::Ratio { read, limit: ratio });
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.inner {
            Inner::None(input) => input.read(buffer),
            Inner::Gzip(decoder) => decoder.read(buffer),
            Inner::Zstd(decoder) => decoder.read(buffer),
        }?;
        self.written += count as u64;
        self.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        Ok(count)
    }
}

impl<R: Read> std::fmt::Debug for Decoder<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self.inner {
            Inner::None(_) => "none",
            Inner::Gzip(_) => "gzip",
            Inner::Zstd(_) => "zstd",
        };
        f.debug_struct("Decoder")
            .field("compression", &name)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    fn decode(compression: Compression, bytes: &[u8], limits: Limits) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Decoder::new(compression, bytes, limits)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn members_and_frames_are_joined() {
        let limits = Limits::default();
        for (compression, bytes) in [
            (Compression::None, b"onetwo".to_vec()),
            (Compression::Gzip, [gzip(b"one"), gzip(b"two")].concat()),
            (Compression::Zstd, [zstd(b"one"), zstd(b"two")].concat()),
        ] {
            assert_eq!(decode(compression, &bytes, limits).unwrap(), b"onetwo");
        }
    }

    #[test]
    fn a_cut_or_continued_stream_is_refused() {
        let limits = Limits::default();
        for (compression, bytes) in
            [(Compression::Gzip, gzip(b"content")), (Compression::Zstd, zstd(b"content"))]
        {
            for cut in 1..bytes.len() {
                assert!(
                    decode(compression, &bytes[..cut], limits).is_err(),
                    "{compression:?} {cut}"
                );
            }
            for tail in
                [&b"x"[..], b"\0", b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"garbage garbage"]
            {
                let longer = [&bytes, tail].concat();
                assert!(decode(compression, &longer, limits).is_err(), "{compression:?} {tail:?}");
            }
        }
    }

    #[test]
    fn bombs_are_stopped() {
        let zeros = vec![0; usize::try_from(Limits::FREE).unwrap() + 1];
        let few = Limits { bytes: 100, ratio: 10 };
        for (compression, bytes) in
            [(Compression::Gzip, gzip(&zeros)), (Compression::Zstd, zstd(&zeros))]
        {
            let stopped = |limits| {
                let error = decode(compression, &bytes, limits).unwrap_err();
                *error.get_ref().unwrap().downcast_ref::<LimitError>().unwrap()
            };
            assert!(matches!(stopped(Limits::default()), LimitError::Ratio { limit: 200, .. }));
            assert_eq!(stopped(few), LimitError::Bytes { limit: 100 });
        }
        assert!(decode(Compression::None, &zeros, Limits { bytes: u64::MAX, ratio: 2 }).is_ok());
    }
}
