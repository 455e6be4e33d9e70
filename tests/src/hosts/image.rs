//! The disk and the kernels of all guests, made once by `tests/hosts/image/build`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::digest::Digest;

use crate::require;

/// A kernel that guests can be booted with, both of Debian 12's archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Debian 12's own.
    V6_1,
    /// Of the next release, ported back.
    V6_12,
}

impl Kernel {
    /// All kernels.
    pub const ALL: [Self; 2] = [Self::V6_1, Self::V6_12];

    /// The kernel's series.
    pub fn name(self) -> &'static str {
        match self {
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
        }
    }
}

/// Where the sources of the image are.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("hosts/image")
}

/// The folder with `disk` and the kernels; made if it is not there. `None` skips the test, an error says why it cannot be made.
pub(super) fn made(cache: &Path) -> Option<Result<PathBuf, String>> {
    let folder = cache.join(key());
    if folder.is_dir() {
        return Some(Ok(folder));
    }
    if !require::root() {
        return None;
    }
    for program in ["mmdebstrap", "mkfs.ext4", "busybox", "dpkg-deb", "xz"] {
        require::program(program)?;
    }
    let making = tempfile::Builder::new().prefix(".making-").tempdir_in(cache);
    let making = making.expect("the cache is ours");
    let mut build = Command::new(sources().join("build"));
    build.arg(making.path()).env("PATH", require::PATH).env("LC_ALL", "C");
    let output = build.output().expect("the script is there");
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Some(Err(said));
    }
    fs::rename(making.keep(), &folder).expect("the cache is ours");
    Some(Ok(folder))
}

/// Of every source: another one makes another image.
fn key() -> String {
    let mut all = Vec::new();
    for name in ["build", "init", "agent", "agent.service"] {
        all.extend(fs::read(sources().join(name)).expect("the sources are complete"));
    }
    Digest::of(&all).short()
}

/// A copy that shares blocks where the file system can, and has the holes of the original.
pub(super) fn copy_disk(from: &Path, to: &Path) -> Result<(), String> {
    let mut copy = Command::new("cp");
    copy.args(["--sparse=always", "--reflink=auto"]).args([from, to]);
    let output = copy.output().map_err(|error| format!("cp: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
