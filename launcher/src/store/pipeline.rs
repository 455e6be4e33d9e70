//! A layer's bytes, decoded ahead of whoever uses them.
//!
//! ```text
//! thread `decode`: blob (its digest verified) -> decoder -+  blocks  +-> thread `hash` -+  blocks  +-> caller
//!        ^                                                                                                |
//!        +----------------------------------- emptied blocks -----------------------------------------------+
//! ```
//!
//! Decoding takes about as long as making the files, hashing a fifth of that: side by side they take as long as
//! the slowest. The number of blocks is fixed, and so is the memory. Both threads have ended when
//! [`decode`] returns: who starts a container has one thread only.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use common::digest::{Digest, Digesting};
use common::oci::compression::{Compression, Decoder, Limits};

use crate::sys::clone::threads;

/// Bytes of a block: some of them fit into a processor's cache together.
const BLOCK: usize = 128 << 10;
/// Blocks that there are.
const BLOCKS: usize = 12;
/// How long to wait for a thread that has ended to be gone from the process: some microseconds.
const GONE: Duration = Duration::from_millis(100);

/// Gives `consume` the decoded bytes of `packed`, and returns the digest of all that there were. It is the
/// digest of what was consumed only if that was read to its end.
pub(super) fn decode<T, E: From<io::Error>>(
    packed: impl Read + Send,
    compression: Compression,
    limits: Limits,
    consume: impl FnOnce(&mut Blocks) -> Result<T, E>,
) -> Result<(T, Digest), E> {
    let before = threads().unwrap_or(1);
    let done = thread::scope(|scope| {
        let (empty, emptied) = sync_channel(BLOCKS);
        let (decoded, to_hash) = sync_channel(BLOCKS);
        let (hashed, ready) = sync_channel(BLOCKS);
        for _ in 0..BLOCKS {
            // There is room for all of them.
            empty.send(vec![0; BLOCK]).map_err(broken)?;
        }
        start("decode", scope, move || {
            let outcome = Decoder::new(compression, packed, limits)
                .and_then(|decoder| fill(decoder, &emptied, &decoded));
            if let Err(error) = outcome {
                decoded.send(Err(error)).ok();
            }
        })?;
        let hash = start("hash", scope, move || hash(&to_hash, &hashed))?;
        let mut blocks = Blocks { ready, empty, current: Vec::new(), at: 0 };
        let consumed = consume(&mut blocks);
        // Nobody waits for us any more.
        drop(blocks);
        let digest = hash.join().map_err(|_panic| io::Error::other("hashing stopped"))?;
        Ok((consumed?, digest))
    });
    wait_until_gone(before);
    done
}

fn start<'scope, T: Send + 'scope>(
    name: &str,
    scope: &'scope thread::Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> io::Result<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.to_owned()).stack_size(256 << 10).spawn_scoped(scope, work)
}

type Block = io::Result<Vec<u8>>;

/// Decodes to the end, unless nobody wants more.
fn fill(
    mut decoder: impl Read,
    emptied: &Receiver<Vec<u8>>,
    decoded: &SyncSender<Block>,
) -> io::Result<()> {
    while let Ok(mut block) = emptied.recv() {
        block.resize(BLOCK, 0);
        let mut filled = 0;
        while filled < BLOCK {
            match decoder.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        block.truncate(filled);
        if filled == 0 || decoded.send(Ok(block)).is_err() {
            break;
        }
    }
    Ok(())
}

/// Hashes what passes.
fn hash(decoded: &Receiver<Block>, hashed: &SyncSender<Block>) -> Digest {
    let mut sum = Digesting::new(io::sink());
    while let Ok(block) = decoded.recv() {
        if let Ok(bytes) = &block {
            sum.update(bytes);
        }
        if hashed.send(block).is_err() {
            break;
        }
    }
    sum.finish().0
}

/// The decoded bytes, in order.
#[derive(Debug)]
pub(super) struct Blocks {
    ready: Receiver<Block>,
    empty: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.current.len() {
            let Ok(next) = self.ready.recv() else { return Ok(0) };
            let emptied = std::mem::replace(&mut self.current, next?);
            self.at = 0;
            if emptied.capacity() > 0 {
                // The decoder may have come to its end.
                self.empty.send(emptied).ok();
            }
        }
        let left = &self.current[self.at..];
        let count = left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&left[..count]);
        self.at += count;
        Ok(count)
    }
}

fn broken<T>(_: std::sync::mpsc::SendError<T>) -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}

/// A joined thread counts as one of the process until the kernel has let go of it: an `unshare` or a clone of ours
/// would fail meanwhile.
fn wait_until_gone(before: usize) {
    let start = std::time::Instant::now();
    while threads().is_ok_and(|now| now > before) && start.elapsed() < GONE {
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default()
    }

    fn all(blocks: &mut Blocks) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        blocks.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn what_comes_out_and_its_digest_are_those_of_the_bytes() {
        for size in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCKS * BLOCK + 7] {
            let bytes: Vec<u8> = (0..size).map(|n| u8::try_from(n * n % 251).unwrap()).collect();
            let packed = zstd::encode_all(&bytes[..], 1).unwrap();
            for (compression, packed) in [(Compression::None, &bytes), (Compression::Zstd, &packed)]
            {
                let (out, digest) = decode(packed.as_slice(), compression, limits(), all).unwrap();
                assert!(out == bytes, "{size} {compression:?}");
                assert_eq!(digest, Digest::of(&bytes), "{size} {compression:?}");
            }
        }
    }

    #[test]
    fn an_error_comes_after_the_bytes_before_it() {
        let bytes = vec![7; 5 * BLOCK];
        let packed = zstd::encode_all(&bytes[..], 1).unwrap();
        let cut = &packed[..packed.len() - 1];
        let mut seen = 0;
        let failed = decode(cut, Compression::Zstd, limits(), |blocks| {
            let mut buffer = [0; 1000];
            loop {
                match blocks.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => seen += count,
                }
            }
        });
        let error: io::Error = failed.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(seen <= bytes.len());
    }

    /// A consumer that has enough, or fails, is not waited for, however much there is to come.
    #[test]
    fn who_stops_early_stops_the_others() {
        let without_end = io::repeat(1);
        let none = Limits { bytes: u64::MAX, ratio: u64::MAX };
        let stopped = decode(without_end, Compression::None, none, |blocks| {
            blocks.read_exact(&mut [0; 10])?;
            Err::<(), _>(io::Error::other("enough"))
        });
        assert_eq!(stopped.unwrap_err().to_string(), "enough");
        let ((), digest) = decode(io::repeat(1), Compression::None, none, |blocks| {
            blocks.read_exact(&mut [0; 10])
        })
        .unwrap();
        assert_ne!(digest, Digest::of(&[1; 10]), "what was not read is no reason to trust it");
    }
}
