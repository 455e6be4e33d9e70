//! `Digest`: the name of a sequence of bytes, as the OCI image specification writes it
//! (`sha256:` and 64 lower-case hexadecimal digits; descriptor.md, "Digests").
//!
//! Decides what a well-formed digest is. Only sha256 is accepted: it is the algorithm that every
//! registry and runtime must support, and one algorithm means one name per content.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// The sha256 of some bytes. Prints and parses as `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a string is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// There is no `:` between algorithm and digits.
    #[error("`{0}` is not a digest: expected `sha256:` and 64 hexadecimal digits")]
    Malformed(String),
    /// An algorithm other than sha256.
    #[error("digest algorithm `{0}` is not supported, only sha256 is")]
    Algorithm(String),
}

impl Digest {
    /// The algorithm part of every digest here.
    pub const ALGORITHM: &'static str = "sha256";

    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 64 hexadecimal digits, without the algorithm: the name of a blob's file.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
            }
        }
        text
    }

    /// The first twelve digits: enough for a person.
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", Self::ALGORITHM, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed(text.to_owned());
        let (algorithm, hex) = text.split_once(':').ok_or_else(malformed)?;
        if algorithm != Self::ALGORITHM {
            return Err(DigestError::Algorithm(algorithm.to_owned()));
        }
        // Upper case would be a second name for the same bytes.
        let digit = |c: u8| match c {
            b'0'..=b'9' => Some(c - b'0'),
            b'a'..=b'f' => Some(c - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(malformed());
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = digit(*high).ok_or_else(malformed)? << 4 | digit(*low).ok_or_else(malformed)?;
        }
        Ok(Self(bytes))
    }
}

impl From<Digest> for oci_spec::image::Digest {
    #[expect(clippy::expect_used, reason = "64 lower-case hex digits are valid: tested below")]
    fn from(digest: Digest) -> Self {
        oci_spec::image::Sha256Digest::from_str(&digest.hex()).expect("64 hex digits").into()
    }
}

impl TryFrom<&oci_spec::image::Digest> for Digest {
    type Error = DigestError;

    fn try_from(digest: &oci_spec::image::Digest) -> Result<Self, DigestError> {
        digest.as_ref().parse()
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes and counts the bytes that pass through it, in either direction.
#[derive(Debug)]
pub struct Digesting<T> {
    inner: T,
    hasher: Sha256,
    count: u64,
}

impl<T> Digesting<T> {
    /// Starts at zero bytes.
    pub fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new(), count: 0 }
    }

    /// The digest and number of all bytes so far, and what they passed through.
    pub fn finish(self) -> (Digest, u64, T) {
        (Digest(self.hasher.finalize().into()), self.count, self.inner)
    }

    /// Bytes so far.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Hashes and counts `bytes` as if they had passed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.count += bytes.len() as u64;
    }
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.update(&buffer[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.update(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_round_trips_and_only_one_spelling_is_accepted() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse(), Ok(Digest::of(b"")));
        for wrong in ["", "sha256:", "sha256:e3", &EMPTY.to_uppercase(), &EMPTY[7..], "sha256:é"] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
        assert!(matches!("md5:00".parse::<Digest>(), Err(DigestError::Algorithm(_))));
    }

    #[test]
    fn the_specification_s_type_converts_both_ways() {
        let theirs = oci_spec::image::Digest::from(Digest::of(b""));
        assert_eq!(theirs.to_string(), EMPTY);
        assert_eq!(Digest::try_from(&theirs), Ok(Digest::of(b"")));
        let other: oci_spec::image::Digest = "md5:00".parse().unwrap();
        assert!(Digest::try_from(&other).is_err());
    }

    #[test]
    fn both_directions_hash_and_count() {
        let mut writer = Digesting::new(Vec::new());
        writer.write_all(b"abc").unwrap();
        assert_eq!(writer.finish(), (Digest::of(b"abc"), 3, b"abc".to_vec()));
        let mut reader = Digesting::new(&b"abc"[..]);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        let (digest, count, _) = reader.finish();
        assert_eq!((digest, count), (Digest::of(b"abc"), 3));
    }
}
