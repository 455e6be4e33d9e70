//! Layers to files: what an image means, and what it must not be able to do (docs/security.md, U1-U7).

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod bounds;
mod hostile;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::report::{Diagnostic as _, render};
use launcher::store::unpack::Limits;
use launcher::store::{ImageSource, Snapshot, Store, StoreError};
use tests::archive::{Header, archive};
use tests::images::{self, Layer};
use tests::require;

/// A store in a folder of its own, beside a file that no image may touch.
struct Bench {
    folder: tempfile::TempDir,
    store: Store,
}

const CANARY: &str = "untouched";

impl Bench {
    fn new(limits: Limits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/canary"), CANARY).unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap().with_limits(limits);
        // A short way for links to find: the deepest that U1 could let them climb.
        symlink(folder.path().join("outside"), folder.path().join("store/outside")).unwrap();
        Self { folder, store }
    }

    fn unpack(&self, layers: &[Layer]) -> Result<Snapshot, StoreError> {
        images::store(self.store.layout(), "app", layers);
        let image = self.store.get(&ImageSource::from(Path::new("app")))?;
        self.store.unpack(&image)
    }

    fn is_untouched(&self) {
        let outside = self.folder.path().join("outside");
        assert_eq!(fs::read_to_string(outside.join("canary")).unwrap(), CANARY);
        assert_eq!(fs::read_dir(outside).unwrap().count(), 1);
        assert!(self.folder.path().join("store/outside").is_symlink());
    }

    fn entries(&self, name: &str) -> usize {
        fs::read_dir(self.store.path().join(name)).unwrap().count()
    }
}

/// What layers make of an empty folder.
#[track_caller]
fn check(layers: &[Vec<u8>], expected: &str) {
    for pack in [Layer::plain, Layer::gzip, Layer::zstd] {
        let bench = Bench::new(Limits::default());
        let layers: Vec<Layer> = layers.iter().map(|tar| pack(tar)).collect();
        let snapshot = match bench.unpack(&layers) {
            Ok(snapshot) => snapshot,
            Err(error) => panic!("{}", render(&error)),
        };
        let lines: Vec<&str> = expected.lines().map(str::trim).collect();
        let dump = images::dump(snapshot.path());
        assert_eq!(dump.lines().collect::<Vec<_>>(), lines);
        assert_eq!(bench.entries("pending"), 0);
        bench.is_untouched();
    }
}

/// What stops layers. Nothing of them is left.
#[track_caller]
fn refused(rule: &str, layers: &[Vec<u8>], expected: &str) {
    refused_with(rule, &layers.iter().map(|tar| Layer::plain(tar)).collect::<Vec<_>>(), expected);
}

#[track_caller]
fn refused_with(rule: &str, layers: &[Layer], expected: &str) {
    refused_within(rule, layers, Limits::default(), expected);
}

#[track_caller]
fn refused_within(rule: &str, layers: &[Layer], limits: Limits, expected: &str) {
    let bench = Bench::new(limits);
    match bench.unpack(layers) {
        Ok(snapshot) => {
            panic!("{rule}: was unpacked, expected {expected}\n{}", images::dump(snapshot.path()))
        }
        Err(error) => {
            let text = render(&error);
            assert!(text.contains(expected), "{rule}: expected {expected}\n{text}");
            assert!(error.hint().is_some(), "{rule}: no hint\n{text}");
        }
    }
    assert_eq!((bench.entries("snapshots"), bench.entries("pending")), (0, 0), "{rule}");
    bench.is_untouched();
}

fn file(name: &str) -> Header {
    Header::file(name, b"x\n")
}

fn folder(name: &str) -> Header {
    Header::folder(name)
}

fn link(name: &str, target: &str) -> Header {
    Header::link(name, b'2', target)
}

fn hard(name: &str, target: &str) -> Header {
    Header::link(name, b'1', target)
}

fn mode(header: Header, mode: u64) -> Header {
    header.octal(100, 8, mode)
}

fn owner(header: Header, uid: u64, gid: u64) -> Header {
    header.octal(108, 8, uid).octal(116, 8, gid)
}

fn time(header: Header, seconds: u64) -> Header {
    header.octal(136, 12, seconds)
}

fn xattr(name: &str, value: &[u8]) -> Header {
    Header::pax(b'x', &[(&format!("SCHILY.xattr.{name}"), value)])
}

#[test]
fn one_layer_is_what_its_entries_say() {
    if !require::root() {
        return;
    }
    check(
        &[archive([
            time(mode(folder("./"), 0o755), 5),
            time(owner(mode(folder("etc/"), 0o750), 1, 2), 1_700_000_000),
            time(owner(mode(file("etc/shadow"), 0o640), 0, 42), 9),
            link("lib", "usr/lib"),
            time(owner(link("etc/dangling", "/no/where"), 3, 4), 8),
            hard("etc/shadow-", "etc/shadow"),
            owner(mode(file("usr/lib/suid"), 0o6755), 7, 8),
            mode(folder("tmp"), 0o1777),
            xattr("user.note", b"hi"),
            file("noted"),
        ])],
        "0755 0:0 dir - / @5
         0750 1:2 dir - /etc @1700000000
         0777 3:4 link 9 /etc/dangling -> /no/where @8
         0640 0:42 file 2 /etc/shadow @9 73cb3858a687
         -    -   hard - /etc/shadow- -> /etc/shadow
         0777 0:0 link 7 /lib -> usr/lib
         0644 0:0 file 2 /noted user.note=hi 73cb3858a687
         1777 0:0 dir - /tmp
         0755 0:0 dir - /usr
         0755 0:0 dir - /usr/lib
         6755 7:8 file 2 /usr/lib/suid 73cb3858a687",
    );
}

#[test]
fn folders_that_forbid_everything_still_get_their_children() {
    if !require::root() {
        return;
    }
    check(
        &[archive([
            time(mode(folder("closed"), 0), 7),
            file("closed/a"),
            mode(folder("closed/in"), 0o111),
            mode(file("closed/in/b"), 0),
        ])],
        "0755 0:0 dir - /
         0000 0:0 dir - /closed @7
         0644 0:0 file 2 /closed/a 73cb3858a687
         0111 0:0 dir - /closed/in
         0000 0:0 file 2 /closed/in/b 73cb3858a687",
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table: two layers and what they make")]
fn a_later_layer_replaces_merges_and_hides() {
    if !require::root() {
        return;
    }
    let lower = archive([
        mode(folder("merged"), 0o700),
        file("merged/kept"),
        file("merged/hidden"),
        folder("opaque"),
        file("opaque/gone"),
        folder("opaque/deep"),
        file("opaque/deep/gone"),
        folder("becomes-file"),
        file("becomes-file/gone"),
        file("becomes-folder"),
        link("link-becomes-folder", "merged"),
        link("link-becomes-file", "merged/kept"),
        folder("whole"),
        file("whole/gone"),
        file("rewritten"),
        hard("twin", "rewritten"),
        file("partly/gone"),
    ]);
    let upper = archive([
        time(mode(folder("merged"), 0o755), 3),
        Header::file("merged/.wh.hidden", b""),
        file("merged/new"),
        // The marker hides only what lower layers have, wherever it stands.
        file("opaque/new"),
        file("opaque/deep/new"),
        Header::file("opaque/.wh..wh..opq", b""),
        file("becomes-file"),
        folder("becomes-folder"),
        file("becomes-folder/in"),
        folder("link-becomes-folder"),
        file("link-becomes-folder/in"),
        Header::file("link-becomes-file", b"y\n"),
        Header::file(".wh.whole", b""),
        Header::file("rewritten", b"y\n"),
        file("partly/new"),
        Header::file(".wh.partly", b""),
        Header::file("no/such/.wh.thing", b""),
    ]);
    check(
        &[lower, upper],
        "0755 0:0 dir - /
         0644 0:0 file 2 /becomes-file 73cb3858a687
         0755 0:0 dir - /becomes-folder
         0644 0:0 file 2 /becomes-folder/in 73cb3858a687
         0644 0:0 file 2 /link-becomes-file 3bb2abb69ebb
         0755 0:0 dir - /link-becomes-folder
         0644 0:0 file 2 /link-becomes-folder/in 73cb3858a687
         0755 0:0 dir - /merged @3
         0644 0:0 file 2 /merged/kept 73cb3858a687
         0644 0:0 file 2 /merged/new 73cb3858a687
         0755 0:0 dir - /opaque
         0755 0:0 dir - /opaque/deep
         0644 0:0 file 2 /opaque/deep/new 73cb3858a687
         0644 0:0 file 2 /opaque/new 73cb3858a687
         0755 0:0 dir - /partly
         0644 0:0 file 2 /partly/new 73cb3858a687
         0644 0:0 file 2 /rewritten 3bb2abb69ebb
         0644 0:0 file 2 /twin 73cb3858a687",
    );
}
