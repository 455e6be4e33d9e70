//! What is refused by kind, by size and by digest (docs/security.md, U6 and U7).

use std::fs;
use std::path::Path;

use common::report::render;
use launcher::store::ImageSource;
use launcher::store::unpack::Limits;
use tests::archive::{Header, archive};
use tests::images::{self, Layer};
use tests::require;

use crate::{Bench, check, file, folder, link, refused, refused_with, refused_within, xattr};

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
