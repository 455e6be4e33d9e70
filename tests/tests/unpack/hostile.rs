//! What an entry must not be able to do (docs/security.md, U1 to U5).

use tests::archive::{archive, end};
use tests::require;

use crate::{Header, check, file, folder, hard, link, mode, refused, xattr};

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
