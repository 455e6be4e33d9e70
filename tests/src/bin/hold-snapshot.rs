//! `hold-snapshot STORE IMAGE`: unpacks an image, says `unpacked INODE`, and keeps its lease until
//! standard input closes.
//!
//! The other process of the store's tests: one that unpacks at the same time, is killed, or is
//! another user's.
#![expect(clippy::expect_used, reason = "a tool of the tests: whatever is wrong ends it")]
#![expect(clippy::print_stdout, reason = "what it says is its result")]

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use launcher::store::{ImageSource, Store};

fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let mut argument = || arguments.next().expect("usage: hold-snapshot STORE IMAGE");
    let (store, image) = (argument(), argument());
    let store = Store::open(&store).expect("the store can be opened");
    let image = store.get(&ImageSource::from(image.as_path())).expect("the image is there");
    let snapshot = store.unpack(&image).expect("it can be unpacked");
    let status = std::fs::metadata(snapshot.path()).expect("the snapshot is there");
    println!("unpacked {}", status.ino());
    std::io::stdin().read_to_end(&mut Vec::new()).expect("standard input is open");
}
