//! Files that the kernel makes up while they are read (procfs, sysfs, cgroupfs).
//!
//! Their length is not known beforehand, but it is small: with room for all of it from the start, two reads are enough, where
//! the standard library feels its way in five or six.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Room for most of them.
const ROOM: usize = 4096;

/// The whole of it, as text.
///
/// # Errors
///
/// It cannot be opened or read, or is no text.
pub(crate) fn text(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(bytes(path)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The whole of it: names of processes and paths are no text.
///
/// # Errors
///
/// It cannot be opened or read.
pub(crate) fn bytes(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let mut bytes = vec![0; ROOM];
    let mut filled = 0;
    loop {
        if filled == bytes.len() {
            bytes.resize(bytes.len() + ROOM, 0);
        }
        match file.read(bytes.get_mut(filled..).unwrap_or_default()) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_length_are_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, ROOM - 1, ROOM, ROOM + 1, 3 * ROOM] {
            let written = "x".repeat(length);
            std::fs::write(&path, &written).unwrap();
            assert_eq!(text(&path).unwrap(), written, "{length}");
        }
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(text(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let comm = "/proc/self/comm";
        assert_eq!(text(comm).unwrap(), std::fs::read_to_string(comm).unwrap());
    }
}
