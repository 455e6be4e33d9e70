//! The store: images found, unpacked once, leased, removed, and nothing left by whoever was killed.
//!
//! Processes that unpack at the same time, are killed, or are another user's are the support program
//! `hold-snapshot`.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod finding;
mod owners;
mod removal;
mod unpacking;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use launcher::store::{ImageSource, Snapshot, Store, StoreError};
use tempfile::TempDir;
use tests::archive::{Header, archive};

fn bench() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    (folder, store)
}

fn simple(content: &str) -> Vec<u8> {
    archive([Header::file("app", content.as_bytes())])
}

fn run(store: &Store, what: impl AsRef<Path>) -> Result<Snapshot, StoreError> {
    store.unpack(&store.get(&ImageSource::from(what.as_ref()))?)
}

fn count(store: &Store, name: &str) -> usize {
    fs::read_dir(store.path().join(name)).map_or(0, Iterator::count)
}

fn blobs(store: &Store) -> usize {
    count(store, "blobs/sha256")
}

const HOLD_SNAPSHOT: &str = env!("CARGO_BIN_EXE_hold-snapshot");

fn spawn(store: &Path, image: impl AsRef<Path>) -> Command {
    let mut command = Command::new(HOLD_SNAPSHOT);
    command.arg(store).arg(image.as_ref()).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The inode that it says; its standard input is still open afterwards.
fn said(child: &mut Child) -> u64 {
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.as_mut().unwrap());
    while !line.contains("unpacked ") {
        line.clear();
        assert!(std::io::BufRead::read_line(&mut out, &mut line).unwrap() > 0, "it failed");
    }
    line.rsplit_once("unpacked ").unwrap().1.trim().parse().unwrap()
}
