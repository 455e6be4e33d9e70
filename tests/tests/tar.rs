//! What the strict reader of tar refuses (rules U3, U4, U5, U7 of docs/security.md), and what of the
//! real world it must accept.
#![expect(clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::io::Read;

use common::tree::dump::dump_tar;
use common::tree::tar::{Limits, Problem, Reader, TarError};
use tests::archive::{Header, archive, end};

/// A folder to hide things in, so that attacks are not just first entries.
fn before() -> Header {
    Header::folder("dir/")
}

/// Reads to the end, contents too.
fn read(bytes: &[u8], limits: Limits) -> Result<(), TarError> {
    let mut reader = Reader::with_limits(bytes, limits);
    while reader.next_entry()?.is_some() {
        std::io::copy(&mut reader, &mut std::io::sink())?;
    }
    Ok(())
}

/// The archive is refused with exactly this message, whether contents are read or skipped.
#[track_caller]
fn refused(bytes: &[u8], message: &str) {
    let error = read(bytes, Limits::default()).expect_err(message);
    assert_eq!(error.to_string(), message);
    let mut reader = Reader::new(std::io::Cursor::new(bytes));
    let error = std::iter::repeat_with(|| reader.next_entry_seeking())
        .find_map(Result::err)
        .expect("refused while seeking");
    assert_eq!(error.to_string(), message, "seeking");
    // There is nothing after an error.
    assert!(matches!(reader.next_entry(), Ok(None)));
}

#[test]
fn u3_pax_and_header_must_agree_about_the_size() {
    // CVE-2025-62518: the header says 0, so another reader sees the content as entries.
    let inner = archive([Header::file("smuggled", b"")]);
    let size = inner.len().to_string();
    let bytes = archive([
        before(),
        Header::pax(b'x', &[("size", size.as_bytes())]),
        Header::file("outer", &inner).size(0),
    ]);
    refused(
        &bytes,
        "entry `outer` at byte 512: its size is 1536 in the PAX header and 0 in the header",
    );
    for (pax, header) in [("3", 4), ("4", 3), ("0", 3), ("8589934591", 0)] {
        let file = Header::file("f", b"abc").size(header);
        let bytes = archive([Header::pax(b'x', &[("size", pax.as_bytes())]), file]);
        refused(
            &bytes,
            &format!(
                "entry `f` at byte 0: its size is {pax} in the PAX header and {header} in the header"
            ),
        );
    }
}

#[test]
fn u3_names_stay_inside() {
    for (name, problem) in [
        ("/etc/passwd", "it names an absolute path"),
        ("//x", "it names an absolute path"),
        ("..", "`..` has a `..` in it"),
        ("../x", "`../x` has a `..` in it"),
        ("a/../../x", "`a/../../x` has a `..` in it"),
        ("a/..", "`a/..` has a `..` in it"),
        ("", "it has no name"),
    ] {
        let shown = name;
        let expected = format!("entry `{shown}` at byte 512: {problem}");
        refused(&archive([before(), Header::file(name, b"")]), &expected);
        refused(&archive([before(), Header::folder(name)]), &expected);
        if !name.is_empty() {
            let pax = Header::pax(b'x', &[("path", name.as_bytes())]);
            refused(&archive([before(), pax, Header::file("ok", b"")]), &expected);
            let long = Header::long(b'L', name.as_bytes());
            refused(&archive([before(), long, Header::file("ok", b"")]), &expected);
        }
        let expected = format!("entry `link` at byte 512: {problem}");
        refused(&archive([before(), Header::link("link", b'1', name)]), &expected);
    }
    // The same through ustar's prefix.
    let prefixed = Header::file("x", b"").field(345, b"a/..");
    refused(&archive([prefixed]), "entry `a/../x` at byte 0: `a/../x` has a `..` in it");
}

#[test]
fn u3_a_nul_ends_no_name() {
    let message = "entry `a` at byte 0: there is a NUL byte in its name";
    refused(&archive([Header::file(b"a\0b", b"")]), message);
    let message = "entry `pax` at byte 0: there is a NUL byte in its name";
    refused(&archive([Header::pax(b'x', &[("path", b"a\0b")]), Header::file("a", b"")]), message);
    refused(
        &archive([Header::pax(b'x', &[("linkpath", b"a\0")]), Header::file("a", b"")]),
        message,
    );
    let message = "entry `././@LongLink` at byte 0: there is a NUL byte in its name";
    refused(&archive([Header::long(b'L', b"a\0b"), Header::file("a", b"")]), message);
    refused(&archive([Header::long(b'K', b""), Header::file("a", b"")]), message);
    let message = "entry `a` at byte 0: there is a NUL byte in its link target";
    refused(&archive([Header::link("a", b'2', b"b\0c")]), message);
}

#[test]
fn u3_the_root_comes_once_and_is_a_folder() {
    let again = "entry `./` at byte 512: it would replace the root";
    refused(&archive([Header::folder("./"), Header::folder("./")]), again);
    refused(
        &archive([Header::folder("."), Header::link("././.", b'2', "/etc")]),
        "entry `././.` at byte 512: it would replace the root",
    );
    refused(
        &archive([Header::link(".", b'2', "/")]),
        "entry `.` at byte 0: the root must be a folder",
    );
    refused(&archive([Header::file(".", b"x")]), "entry `.` at byte 0: the root must be a folder");
}

#[test]
fn u3_only_files_have_content() {
    for header in [Header::folder("x"), Header::link("x", b'1', "y"), Header::link("x", b'2', "y")]
    {
        let bytes = archive([header.clone().size(512)]);
        refused(&bytes, "entry `x` at byte 0: it is no file but has 512 bytes of content");
        let pax = Header::pax(b'x', &[("size", b"512")]);
        let bytes = archive([pax, header.clone().size(512)]);
        refused(&bytes, "entry `x` at byte 0: it is no file but has 512 bytes of content");
    }
    refused(
        &archive([Header::file("x/", b"")]),
        "entry `x/` at byte 0: it is a file named like a folder",
    );
}

#[test]
fn u3_numbers_are_numbers() {
    for (at, bytes, what) in [
        (124, &b"-0000000001\0"[..], "size"),
        (124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "size"),
        (124, b"\x80\0\0\x01\0\0\0\0\0\0\0\0", "size"),
        (124, b"0000000008x\0", "size"),
        (100, b"7777777\0", "mode"),
        (108, b"\x80\0\0\x01\0\0\0\0", "uid"),
        (108, b"\xff\xff\xff\xff\xff\xff\xff\xff", "uid"),
        (116, b"\x80\0\0\0\xff\xff\xff\xff", "gid"),
        (136, b"0000 000000\0", "mtime"),
    ] {
        let message = format!("entry `x` at byte 0: its {what} is not a valid number");
        refused(&archive([Header::file("x", b"").field(at, bytes)]), &message);
    }
    let damaged = Header::file("x", b"").wrong_checksum();
    refused(&archive([damaged]), "entry `x` at byte 0: its header is damaged (wrong checksum)");
    let unknown = Header::file("x", b"").field(257, b"usta?\x0000");
    refused(&archive([unknown]), "entry `x` at byte 0: its header is of an unknown format");
}

#[test]
fn u3_pax_keys_come_once_and_are_whole() {
    let file = || Header::file("f", b"");
    let twice = Header::pax(b'x', &[("path", b"a"), ("path", b"b")]);
    refused(&archive([twice, file()]), "entry `pax` at byte 0: its PAX header has `path` twice");
    for text in [&b"9 a=b\n"[..], b"6 a=b", b"x a=b\n", b"4 a\n", b"6 a=b\n\0"] {
        let pax = Header::new("pax", b'x', text);
        refused(&archive([pax, file()]), "entry `pax` at byte 0: its PAX header is malformed");
    }
    for key in ["path", "size", "uid", "SCHILY.xattr.user.x", "GNU.sparse.major"] {
        let global = Header::pax(b'g', &[(key, b"1")]);
        let message = format!("entry `pax` at byte 0: a global PAX header sets `{key}`");
        refused(&archive([global, file()]), &message);
    }
}

#[test]
fn u3_extended_headers_are_not_stacked() {
    let file = || Header::file("f", b"");
    let pax = || Header::pax(b'x', &[("mtime", b"1")]);
    let (name, link) = (|| Header::long(b'L', b"n"), || Header::long(b'K', b"n"));
    let problem = |name: &str| {
        format!("entry `{name}` at byte 0: its extended headers contradict each other")
    };
    refused(&archive([pax(), pax(), file()]), &problem("pax"));
    refused(&archive([pax(), name(), file()]), &problem("././@LongLink"));
    refused(&archive([name(), pax(), file()]), &problem("pax"));
    refused(&archive([name(), name(), file()]), &problem("././@LongLink"));
    refused(&archive([link(), name(), link(), file()]), &problem("././@LongLink"));
    refused(&archive([pax(), Header::pax(b'g', &[]), file()]), &problem("pax"));
    // Nothing follows.
    refused(&archive([pax()]), &problem(""));
}

#[test]
fn u6_devices_sparse_files_and_unknown_types_are_refused() {
    for (flag, problem) in [
        (b'3', "it is a character device, which an image may not have"),
        (b'4', "it is a block device, which an image may not have"),
        (b'6', "it is a FIFO, which an image may not have"),
        (b'S', "it is a sparse file"),
        (b'7', "it has the unknown type `7`"),
        (b'V', "it has the unknown type `V`"),
        (b'M', "it has the unknown type `M`"),
        (0xff, "it has the unknown type `\\xff`"),
    ] {
        let bytes = archive([Header::new("x\x1b[2J", flag, b"")]);
        refused(&bytes, &format!("entry `x\\x1b[2J` at byte 0: {problem}"));
    }
    for (key, value) in [("GNU.sparse.major", "1"), ("SCHILY.realsize", "9")] {
        let pax = Header::pax(b'x', &[(key, value.as_bytes())]);
        let message = "entry `pax` at byte 0: it is a sparse file";
        refused(&archive([pax, Header::file("f", b"")]), message);
    }
}

#[test]
fn u5_attributes_of_overlayfs_are_refused() {
    for name in ["trusted.overlay.opaque", "user.overlay.redirect", ""] {
        let key = format!("SCHILY.xattr.{name}");
        let pax = Header::pax(b'x', &[(&key, b"y")]);
        let message = format!("entry `pax` at byte 0: it has the extended attribute `{name}`");
        refused(&archive([pax, Header::folder("f")]), &message);
    }
}

#[test]
fn u4_hard_links_lead_to_earlier_files() {
    for headers in [
        [Header::link("b", b'1', "a"), Header::file("a", b"")],
        [Header::folder("a"), Header::link("b", b'1', "a")],
        [Header::link("a", b'2', "/etc/passwd"), Header::link("b", b'1', "a")],
        [Header::file("a", b""), Header::link("b", b'1', "b")],
    ] {
        let error = dump_tar(archive(headers).as_slice()).unwrap_err();
        let TarError::Entry { problem: Problem::HardlinkTarget(_), .. } = error else {
            panic!("{error}");
        };
    }
    let twice = archive([Header::file("a", b""), Header::file("./a", b"")]);
    let error = dump_tar(twice.as_slice()).unwrap_err();
    assert_eq!(error.to_string(), "entry `a` at byte 512: its path is there twice");
}

#[test]
fn u7_nothing_but_zeros_follows_the_end() {
    let whole = archive([Header::file("f", b"abc")]);
    for zeros in [0, 1, 511, 512, 8192] {
        read(&[whole.clone(), vec![0; zeros]].concat(), Limits::default()).unwrap();
        let longer = [whole.clone(), vec![0; zeros], b"x".to_vec()].concat();
        let at = whole.len() + zeros;
        refused(&longer, &format!("data follows the end of the archive at byte {at}"));
    }
    let entry = Header::file("f", b"").bytes();
    let between = [entry.clone(), vec![0; 512], entry, end()].concat();
    refused(&between, "data follows the end of the archive at byte 1024");
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let whole = archive([
        Header::pax(b'x', &[("mtime", b"1")]),
        Header::file("f", &[b'x'; 700]),
        Header::long(b'L', &[b'n'; 200]),
        Header::folder("d"),
    ]);
    for cut in 0..whole.len() {
        let error = read(&whole[..cut], Limits::default()).unwrap_err();
        let inner = match &error {
            TarError::Io(error) => error.get_ref().and_then(|e| e.downcast_ref()),
            other => Some(other),
        };
        assert!(matches!(inner, Some(TarError::Truncated { .. })), "{cut}: {error}");
        let mut reader = Reader::new(std::io::Cursor::new(&whole[..cut]));
        let error = std::iter::repeat_with(|| reader.next_entry_seeking()).find_map(Result::err);
        assert!(matches!(error, Some(TarError::Truncated { .. })), "{cut}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { entries: 2, bytes: 10, depth: 2, extension: 100 };
    let check = |bytes: &[u8], message: &str| {
        assert_eq!(read(bytes, limits).unwrap_err().to_string(), message);
    };
    let file = |name: &str, size: usize| Header::file(name, &vec![0; size]);
    read(&archive([file("a", 5), file("b/c", 5)]), limits).unwrap();
    check(&archive([file("a", 5), file("b", 6)]), "the archive's files have more than 10 bytes");
    check(
        &archive([file("a", 0), file("b", 0), file("c", 0)]),
        "the archive has more than 2 entries",
    );
    check(
        &archive([file("a/b/c", 0)]),
        "entry `a/b/c` at byte 0: it lies more than 2 folders deep",
    );
    check(
        &archive([Header::long(b'L', &[b'n'; 100]), file("a", 0)]),
        "entry `././@LongLink` at byte 0: its extended header has 101 bytes, 100 are allowed",
    );
    // A promise of 8 EiB allocates nothing.
    let huge =
        Header::new("pax", b'x', b"").field(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff");
    let error = read(&archive([huge]), Limits::default()).unwrap_err().to_string();
    assert!(
        error.ends_with("its extended header has 9223372036854775807 bytes, 1048576 are allowed")
    );
    let target = Header::pax(b'x', &[("linkpath", &[b't'; 4096])]);
    let error = read(&archive([target, Header::link("l", b'2', "")]), Limits::default());
    assert_eq!(
        error.unwrap_err().to_string(),
        "entry `l` at byte 0: its link target is empty or too long"
    );
}

#[test]
fn what_real_archives_have_is_accepted() {
    let long = "n".repeat(120);
    let bytes = archive([
        Header::pax(b'g', &[("comment", b"4e362b0")]),
        Header::folder("./"),
        Header::folder("./dir"),
        Header::new("v7", 0, b"old").field(257, &[0; 8]),
        Header::pax(
            b'x',
            &[
                ("atime", b"1.5"),
                ("ctime", b"1.5"),
                ("mtime", b"1700000000.123456789"),
                ("LIBARCHIVE.creationtime", b"1"),
                ("SCHILY.dev", b"66305"),
                ("SCHILY.xattr.security.capability", b"\x01\0\0\x02"),
                ("LIBARCHIVE.xattr.user.x", b"eA=="),
                ("uname", b"root"),
            ],
        ),
        Header::file("dir/./pax", b"12345"),
        Header::long(b'K', long.as_bytes()),
        Header::long(b'L', long.as_bytes()),
        Header::link("short", b'2', "short").field(257, b"ustar  \0"),
        Header::file("base256", b"").field(108, b"\x80\0\0\0\x7f\xff\xff\xff"),
        Header::file("before1970", b"")
            .field(136, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
        Header::file("spaces", b"").field(100, b"   644 \0"),
        Header::link("hard", b'1', "./dir/pax"),
    ]);
    let expected = format!(
        "0755 0:0 dir - /\n\
         0644 2147483647:0 file 0 /base256 e3b0c44298fc\n\
         0644 0:0 file 0 /before1970 @-1 e3b0c44298fc\n\
         0755 0:0 dir - /dir\n\
         0644 0:0 file 5 /dir/pax @1700000000 security.capability=\\x01\\x00\\x00\\x02 5994471abb01\n\
         -    -   hard - /hard -> /dir/pax\n\
         0644 0:0 link 120 /{long} -> {long}\n\
         0644 0:0 file 0 /spaces e3b0c44298fc\n\
         0644 0:0 file 3 /v7 {}\n",
        common::digest::Digest::of(b"old").short()
    );
    assert_eq!(dump_tar(bytes.as_slice()).unwrap(), expected);
}

#[test]
fn contents_are_read_in_any_portion() {
    let content: Vec<u8> = (0..2000_u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let bytes = archive([Header::file("a", &content), Header::file("b", b"next")]);
    for portion in [1, 7, 512, 5000] {
        let mut reader = Reader::new(bytes.as_slice());
        assert_eq!(reader.next_entry().unwrap().unwrap().path.to_string(), "/a");
        let mut read = Vec::new();
        let mut buffer = vec![0; portion];
        while let count @ 1.. = reader.read(&mut buffer).unwrap() {
            read.extend_from_slice(&buffer[..count]);
        }
        assert_eq!(read, content);
        assert_eq!(reader.next_entry().unwrap().unwrap().path.to_string(), "/b");
    }
}
