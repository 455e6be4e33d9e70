//! Layers to files: what an image means, and what it must not be able to do (docs/security.md, U1-U7).

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::report::{Diagnostic as _, render};
use launcher::store::unpack::Limits;
use launcher::store::{ImageSource, Snapshot, Store, StoreError};
use tests::archive::{Header, archive, end};
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

#[test]
fn u2_an_entry_never_writes_through_what_is_there() {
    if !require::root() {
        return;
    }
    let canary = "../../../../outside/canary";
    check(
        &[
            archive([link("a", canary), link("b", canary)]),
            archive([
                mode(Header::file("a", b"y\n"), 0o777),
                folder("b"),
                mode(file("b/x"), 0o4777),
            ]),
        ],
        "0755 0:0 dir - /
         0777 0:0 file 2 /a 3bb2abb69ebb
         0755 0:0 dir - /b
         4777 0:0 file 2 /b/x 73cb3858a687",
    );
}

#[test]
fn u1_nothing_is_made_outside_the_root() {
    for (rule, layers, expected) in [
        ("absolute", vec![archive([file("/outside")])], "absolute path"),
        ("parent", vec![archive([file("../outside/evil")])], "`..`"),
        ("parent inside", vec![archive([file("a/../../evil")])], "`..`"),
        ("root is a link", vec![archive([link(".", "/outside")])], "root must be a folder"),
        ("root is a file", vec![archive([file(".")])], "root must be a folder"),
        ("second root", vec![archive([folder("./"), folder("./")])], "replace the root"),
        (
            "through a link",
            vec![archive([link("a", "../../../outside"), file("a/evil")])],
            "`/a/evil` lies below `/a`, which is no folder",
        ),
        (
            "through an absolute link",
            vec![archive([link("a", "/"), file("a/tmp/evil")])],
            "`/a/tmp/evil` lies below `/a`, which is no folder",
        ),
        (
            "a folder through a link",
            vec![archive([link("a", "/"), folder("a/evil")])],
            "lies below `/a`",
        ),
        (
            "through the link of a lower layer",
            vec![archive([link("a", "../../../outside")]), archive([file("a/evil")])],
            "lies below `/a`",
        ),
        (
            "through a deeper link",
            vec![archive([folder("a"), link("a/b", ".."), file("a/b/c/d")])],
            "lies below `/a/b`",
        ),
        ("through a file", vec![archive([file("a"), file("a/b")])], "lies below `/a`"),
    ] {
        refused(rule, &layers, expected);
    }
}

#[test]
fn u3_what_two_readers_could_read_differently_is_refused() {
    for (rule, layers, expected) in [
        (
            "sizes",
            vec![[Header::pax(b'x', &[("size", b"9")]).bytes(), file("a").bytes(), end()].concat()],
            "size is 9 in the PAX header",
        ),
        (
            "twice",
            vec![archive([Header::pax(b'x', &[("path", b"a"), ("path", b"b")]), file("a")])],
            "twice",
        ),
        ("cut", vec![file("a").bytes()], "cut off"),
        ("checksum", vec![archive([file("a").wrong_checksum()])], "wrong checksum"),
    ] {
        refused(rule, &layers, expected);
    }
}

#[test]
fn u4_a_hard_link_names_only_a_file_of_its_own_archive() {
    for (rule, layers, expected) in [
        ("nothing", vec![archive([hard("a", "b")])], "no file of the same archive"),
        ("itself", vec![archive([file("a"), hard("a", "a")])], "no file of the same archive"),
        ("a lower layer", vec![archive([file("a")]), archive([hard("b", "a")])], "no file of"),
        ("a link", vec![archive([link("a", "/etc/passwd"), hard("b", "a")])], "no file of"),
        ("a folder", vec![archive([folder("a"), hard("b", "a")])], "no file of"),
        (
            "through a link",
            vec![archive([folder("d"), file("d/f"), link("l", "d"), hard("b", "l/f")])],
            "no file of",
        ),
        (
            "a file that was replaced by a link",
            vec![archive([file("a"), link("a", "/etc/passwd"), hard("b", "a")])],
            "no file of",
        ),
        (
            "a file that making room removes",
            vec![archive([folder("a"), file("a/b"), hard("a", "a/b")])],
            "no file of",
        ),
        ("outside", vec![archive([hard("a", "/etc/passwd")])], "absolute path"),
        ("above", vec![archive([hard("a", "../../record")])], "`..`"),
    ] {
        refused(rule, &layers, expected);
    }
}

#[test]
fn u5_a_whiteout_hides_only_below_the_root() {
    let hide = |name: &str| archive([Header::file(name, b"")]);
    let lower = || archive([link("a", "../../../outside"), folder("d"), file("d/kept")]);
    for (rule, layers, expected) in [
        ("through a link", vec![lower(), hide("a/.wh.canary")], "lies below `/a`"),
        ("opaque through a link", vec![lower(), hide("a/.wh..wh..opq")], "lies below `/a`"),
        ("the folder", vec![lower(), hide("d/.wh..")], "is not a whiteout"),
        ("the parent", vec![lower(), hide("d/.wh...")], "is not a whiteout"),
        ("nothing", vec![lower(), hide("d/.wh.")], "is not a whiteout"),
        ("reserved", vec![lower(), hide("d/.wh..wh.plnk")], "is not a whiteout"),
        ("a folder", vec![archive([folder(".wh.d")])], "is not a whiteout"),
        ("a link", vec![archive([link(".wh.d", "x")])], "is not a whiteout"),
        ("content", vec![archive([file(".wh.d")])], "is not a whiteout"),
        ("below one", vec![archive([file(".wh.d/x")])], "is not a whiteout"),
        (
            "a trusted attribute",
            vec![archive([xattr("trusted.overlay.opaque", b"y"), folder("a")])],
            "extended attribute `trusted.overlay.opaque`",
        ),
        (
            "a user attribute",
            vec![archive([xattr("user.overlay.redirect", b"/"), folder("a")])],
            "extended attribute `user.overlay.redirect`",
        ),
        (
            "device 0:0",
            vec![archive([Header::new("a", b'3', b"")])],
            "character device, which an image may not have",
        ),
    ] {
        refused(rule, &layers, expected);
    }
}

#[test]
fn u6_devices_and_wrong_capabilities_are_refused() {
    let capability = |bytes: &[u8]| xattr("security.capability", bytes);
    let valid = [&[1, 0, 0, 2][..], &[0, 4], &[0; 14]].concat();
    for (rule, layers, expected) in [
        ("block device", vec![archive([Header::new("a", b'4', b"")])], "block device"),
        ("fifo", vec![archive([Header::new("a", b'6', b"")])], "FIFO"),
        ("short", vec![archive([capability(&valid[..12]), file("a")])], "not valid here"),
        ("on a folder", vec![archive([capability(&valid), folder("a")])], "not valid here"),
        ("on a link", vec![archive([capability(&valid), link("a", "b")])], "not valid here"),
        (
            "another namespace's root",
            vec![archive([
                capability(&[&[1, 0, 0, 3][..], &[0; 16], &[232, 3, 0, 0]].concat()),
                file("a"),
            ])],
            "not valid here",
        ),
    ] {
        refused(rule, &layers, expected);
    }
}

#[test]
fn u6_file_capabilities_and_foreign_attributes_by_policy() {
    if !require::root() {
        return;
    }
    let net_bind = [&[1, 0, 0, 2][..], &[0, 4, 0, 0], &[0; 12]].concat();
    check(
        &[archive([
            xattr("security.capability", &net_bind),
            file("ping"),
            xattr("security.selinux", b"system_u:object_r:bin_t:s0\0"),
            file("labelled"),
        ])],
        "0755 0:0 dir - /
         0644 0:0 file 2 /labelled 73cb3858a687
         0644 0:0 file 2 /ping security.capability=\\x01\\x00\\x00\\x02\\x00\\x04\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00 73cb3858a687",
    );
}

#[test]
fn u6_limits_hold() {
    let limits = Limits { bytes: 10, entries: 5, depth: 3, ..Limits::default() };
    let plain = |tar: Vec<u8>| vec![Layer::plain(&tar)];
    for (rule, layers, expected) in [
        ("bytes", plain(archive([Header::file("a", &[0; 11])])), "limit of 10 bytes"),
        (
            "bytes of all layers",
            [
                plain(archive([Header::file("a", &[0; 6])])),
                plain(archive([Header::file("b", &[0; 6])])),
            ]
            .concat(),
            "`/b` exceeds the limit of 10 bytes",
        ),
        (
            "entries",
            plain(archive([
                file("a"),
                folder("b"),
                link("c", "x"),
                folder("d"),
                folder("e"),
                folder("f"),
            ])),
            "limit of 5 entries",
        ),
        (
            "folders that are only implied",
            plain(archive([folder("a/b/c"), folder("d/e/f")])),
            "`/d/e/f` exceeds the limit of 5 entries",
        ),
        ("depth", plain(archive([folder("a/b/c/d")])), "limit of 3 components"),
    ] {
        refused_within(rule, &layers, limits, expected);
    }
    let bomb = archive([Header::file("zeros", &vec![0; 70 << 20])]);
    for layer in [Layer::gzip(&bomb), Layer::zstd(&bomb)] {
        refused_with("ratio", &[layer], "more than 200 times as many");
    }
    let name = "n".repeat(256);
    let long = Header::pax(b'x', &[("path", name.as_bytes())]);
    refused("name", &[archive([long, file("a")])], "256 bytes is too long");
}

#[test]
fn u7_nothing_is_used_whose_digest_is_wrong() {
    let tar = archive([file("a")]);
    let other = common::digest::Digest::of(b"other");
    refused_with(
        "diff_id",
        &[Layer::gzip(&tar).with_diff_id(other)],
        "is not what its configuration says",
    );
    refused_with("behind gzip", &[Layer::gzip(&tar).with_tail(b"tail")], "cannot be read");
    refused_with("behind zstd", &[Layer::zstd(&tar).with_tail(b"tail")], "cannot be read");
    refused("behind the tar", &[[tar.clone(), b"tail".to_vec()].concat()], "data follows the end");
    refused_with(
        "media type",
        &[Layer::plain(&tar).with_media_type("application/x-unknown")],
        "`application/x-unknown`, which cannot be unpacked",
    );
}

/// What happens to a blob in the store.
type Damage = fn(&Path);

#[test]
fn u7_a_damaged_blob_is_not_used() {
    let damage: [(&str, Damage, &str); 4] = [
        ("changed", |blob| rewrite(blob, |bytes| bytes[520] ^= 1), "is damaged"),
        (
            "changed at its very end",
            |blob| rewrite(blob, |bytes| *bytes.last_mut().unwrap() = 1),
            "is damaged",
        ),
        (
            "shortened",
            |blob| rewrite(blob, |bytes| bytes.truncate(512)),
            "bytes, its descriptor says",
        ),
        ("removed", |blob| fs::remove_file(blob).unwrap(), "is missing"),
    ];
    for (how, damage, expected) in damage {
        let bench = Bench::new(Limits::default());
        let (_, layers) =
            images::store(bench.store.layout(), "app", &[Layer::plain(&archive([file("a")]))]);
        let digest = layers[0].digest().to_string().parse().unwrap();
        damage(&bench.store.layout().blob_path(&digest));
        let image = bench.store.get(&ImageSource::from(Path::new("app"))).unwrap();
        let text = render(&bench.store.unpack(&image).unwrap_err());
        assert!(text.contains(expected), "{how}: {text}");
        assert_eq!((bench.entries("snapshots"), bench.entries("pending")), (0, 0), "{how}");
    }
}

fn rewrite(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}
