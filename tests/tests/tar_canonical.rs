//! The canonical tar: it reads back as the tree it was made of, other tools read it alike, and its
//! bytes depend on the tree only.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::digest::Digest;
use common::tree::dump::{dump_tar, dump_with};
use common::tree::tar::{self, Problem, Reader, TarError};
use common::tree::{ImagePath, Inode, Metadata, Tree};
use proptest::prelude::*;

type Bytes = Vec<u8>;

fn path(bytes: impl AsRef<[u8]>) -> ImagePath {
    ImagePath::root().join(bytes).unwrap()
}

fn meta(mode: u32) -> Metadata {
    Metadata { mode, ..Metadata::default() }
}

fn file(metadata: Metadata, content: &[u8]) -> Inode<Bytes> {
    Inode::File { metadata, size: content.len() as u64, content: content.to_vec() }
}

fn pack(tree: &Tree<Bytes>) -> Bytes {
    let mut out = Vec::new();
    tar::write(tree, |_, content| Ok(Cursor::new(content.clone())), &mut out).unwrap();
    out
}

/// Everything that ustar can and cannot say.
fn everything() -> Tree<Bytes> {
    let mut tree = Tree::new();
    let deep = format!("{}/{}", "d".repeat(150), "n".repeat(100));
    let mut put = |name: &[u8], inode| assert!(tree.insert(path(name), inode).is_none());
    put(b"", Inode::Directory(meta(0o755)));
    put(b"bin", Inode::Directory(meta(0o1777)));
    put(b"bin/su", file(meta(0o4755), b"root\n"));
    put(b"bin/su2", Inode::Hardlink { target: path("bin/su") });
    put(b"sh", Inode::Symlink { metadata: meta(0o777), target: b"bin/su".to_vec() });
    put(deep.as_bytes(), file(meta(0o644), b"in prefix and name"));
    put("n".repeat(101).as_bytes(), file(meta(0o644), b"too long"));
    put("l".repeat(100).as_bytes(), Inode::Directory(meta(0o700)));
    put(b"s", Inode::Symlink { metadata: meta(0o777), target: vec![b't'; 101] });
    put("grüße".as_bytes(), file(meta(0o644), b"utf-8"));
    put(b"old", file(Metadata { mtime: -1, ..meta(0o600) }, b""));
    put(b"new", file(Metadata { mtime: 0o100_000_000_000, ..meta(0o600) }, b""));
    put(b"ids", file(Metadata { uid: 0o10_000_000, gid: 4_294_967_294, ..meta(0o600) }, b""));
    let xattrs = BTreeMap::from([
        (b"security.capability".to_vec(), b"\x01\0\0\x02\0=\n".to_vec()),
        (b"user.a".to_vec(), b"b".to_vec()),
    ]);
    put(b"ping", file(Metadata { xattrs, ..meta(0o755) }, &[b'x'; 1024]));
    tree
}

fn dump(tree: &Tree<Bytes>) -> String {
    dump_with(tree, |_, content| Some(Digest::of(content)))
}

#[test]
fn everything_reads_back() {
    let tree = everything();
    assert_eq!(dump_tar(pack(&tree).as_slice()).unwrap(), dump(&tree));
}

/// Changing this digest changes every image's `diff_id`: see docs/determinism.md before doing so.
#[test]
fn the_bytes_of_format_1_stay() {
    let digest = Digest::of(&pack(&everything()));
    assert_eq!(
        digest.to_string(),
        "sha256:94ae9baef86c2ccec3a55b88b9e103d4385ad7d6752a688ec9f109305bd4bf6d"
    );
}

#[test]
fn the_end_is_two_blocks_and_nothing_is_padded_to_a_record() {
    assert_eq!(pack(&Tree::new()), [0; 1024]);
    let mut tree = Tree::new();
    tree.insert(path("f"), file(meta(0o644), b"x"));
    assert_eq!(pack(&tree).len(), 4 * 512);
}

#[test]
fn a_content_of_another_size_is_an_error() {
    for (size, found) in [(2, 3), (4, 3), (0, 1)] {
        let mut tree = Tree::new();
        tree.insert(path("f"), Inode::File { metadata: meta(0o644), size, content: () });
        let error = tar::write(&tree, |_, ()| Ok(&b"abc"[..]), std::io::sink()).unwrap_err();
        let TarError::Entry { problem: Problem::Content { expected, found: seen }, .. } = error
        else {
            panic!("{error}");
        };
        assert_eq!((expected, seen), (size, found.min(size + 1)));
    }
}

#[test]
fn a_file_of_8_gib_and_more_has_its_size_in_pax() {
    // Read back as far as the header: the content is a promise.
    let size = 8 << 30;
    let mut tree = Tree::new();
    tree.insert(path("f"), Inode::File { metadata: meta(0o644), size, content: () });
    let mut out = Vec::new();
    let error = tar::write(&tree, |_, ()| Ok(std::io::empty()), &mut out).unwrap_err();
    assert!(error.to_string().contains("not 8589934592"), "{error}");
    let entry = Reader::new(out.as_slice()).next_entry().unwrap().unwrap();
    assert_eq!(entry.kind, tar::EntryKind::File { size });
}

/// Runs a program with the archive on its standard input.
fn feed(command: &mut Command, bytes: &[u8]) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn gnu_tar_reads_the_same() {
    let Some(gnu) = tests::require::program("tar") else { return };
    let bytes = pack(&everything());
    let mut command = Command::new(gnu);
    command.args(["--list", "--verbose", "--numeric-owner", "--utc", "--full-time"]);
    command.args(["--quoting-style=literal", "--file=-"]).env("LC_ALL", "C.UTF-8");
    let listed = feed(&mut command, &bytes);
    let name = |letter: &str, count| letter.repeat(count);
    let expected = [
        "drwxr-xr-x 0/0               0 1970-01-01 00:00:00 ./".to_owned(),
        "drwxrwxrwt 0/0               0 1970-01-01 00:00:00 bin/".to_owned(),
        "-rwsr-xr-x 0/0               5 1970-01-01 00:00:00 bin/su".to_owned(),
        "hrwsr-xr-x 0/0               0 1970-01-01 00:00:00 bin/su2 link to bin/su".to_owned(),
        format!(
            "-rw-r--r-- 0/0              18 1970-01-01 00:00:00 {}/{}",
            name("d", 150),
            name("n", 100)
        ),
        "-rw-r--r-- 0/0               5 1970-01-01 00:00:00 grüße".to_owned(),
        "-rw------- 2097152/4294967294 0 1970-01-01 00:00:00 ids".to_owned(),
        format!("drwx------ 0/0               0 1970-01-01 00:00:00 {}/", name("l", 100)),
        "-rw------- 0/0               0 2242-03-16 12:56:32 new".to_owned(),
        format!("-rw-r--r-- 0/0               8 1970-01-01 00:00:00 {}", name("n", 101)),
        "-rw------- 0/0               0 1969-12-31 23:59:59 old".to_owned(),
        "-rwxr-xr-x 0/0            1024 1970-01-01 00:00:00 ping".to_owned(),
        format!("lrwxrwxrwx 0/0               0 1970-01-01 00:00:00 s -> {}", name("t", 101)),
        "lrwxrwxrwx 0/0               0 1970-01-01 00:00:00 sh -> bin/su".to_owned(),
    ];
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let listed: Vec<_> = listed.lines().map(words).collect();
    assert_eq!(listed, expected.iter().map(|line| words(line)).collect::<Vec<_>>());
}

const PYTHON_LIST: &str = "
import sys, tarfile
for m in tarfile.open(fileobj=sys.stdin.buffer, mode='r|'):
    kind = {b'0': 'file', b'1': 'hard', b'2': 'link', b'5': 'dir'}[m.type]
    name = '/' + m.name if m.name != '.' else '/'
    print('%04o' % m.mode, m.uid, m.gid, kind, m.size, int(m.mtime), name, m.linkname)
";

#[test]
fn python_reads_the_same() {
    let Some(python) = tests::require::program("python3") else { return };
    let tree = everything();
    let listed = feed(Command::new(python).args(["-c", PYTHON_LIST]), &pack(&tree));
    let mut expected = String::new();
    for (path, inode) in tree.iter() {
        let (kind, metadata, size, link) = match inode {
            Inode::Directory(metadata) => ("dir", metadata.clone(), 0, String::new()),
            Inode::File { metadata, size, .. } => ("file", metadata.clone(), *size, String::new()),
            Inode::Symlink { metadata, target } => {
                ("link", metadata.clone(), 0, String::from_utf8(target.clone()).unwrap())
            }
            Inode::Hardlink { target } => {
                ("hard", meta(0o4755), 0, String::from_utf8(target.relative().to_vec()).unwrap())
            }
        };
        let Metadata { mode, uid, gid, mtime, .. } = metadata;
        let line = format!("{mode:04o} {uid} {gid} {kind} {size} {mtime} {path} {link}\n");
        expected.push_str(&line);
    }
    assert_eq!(listed, expected);
}

/// A folder with what tools treat differently: long names, links, odd times and names.
fn sample() -> tempfile::TempDir {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    let long = PathBuf::from("d".repeat(150)).join("n".repeat(120));
    std::fs::create_dir_all(root.join(long.parent().unwrap())).unwrap();
    std::fs::write(root.join(&long), "long").unwrap();
    std::fs::write(root.join("grüße"), "utf-8").unwrap();
    std::fs::write(root.join("a"), "a").unwrap();
    std::fs::set_permissions(root.join("a"), PermissionsExt::from_mode(0o4751)).unwrap();
    std::fs::hard_link(root.join("a"), root.join("b")).unwrap();
    symlink("t".repeat(130), root.join("link")).unwrap();
    temp
}

/// Names, kinds, contents and targets of a dump: the owner and the times are the machine's.
fn essence(dump: &str) -> Vec<String> {
    let keep = |line: &str| {
        let words: Vec<_> = line.split_whitespace().filter(|word| !word.starts_with('@')).collect();
        format!("{} {}", words[0], words[2..].join(" "))
    };
    dump.lines().map(keep).collect()
}

#[track_caller]
fn check_sample(bytes: &[u8], tool: &str) {
    let dump = dump_tar(bytes).unwrap_or_else(|error| panic!("{tool}: {error}"));
    let (d, n, t) = ("d".repeat(150), "n".repeat(120), "t".repeat(130));
    let digest = |text: &str| Digest::of(text.as_bytes()).short();
    assert_eq!(
        essence(&dump),
        [
            "0755 dir - /".to_owned(),
            format!("4751 file 1 /a {}", digest("a")),
            "- hard - /b -> /a".to_owned(),
            format!("0755 dir - /{d}"),
            format!("0644 file 4 /{d}/{n} {}", digest("long")),
            format!("0644 file 5 /grüße {}", digest("utf-8")),
            format!("0777 link 130 /link -> {t}"),
        ],
        "{tool}"
    );
}

#[test]
fn gnu_tar_writes_what_we_read() {
    let Some(gnu) = tests::require::program("tar") else { return };
    let temp = sample();
    for format in ["gnu", "oldgnu", "pax", "posix"] {
        let output = Command::new(&gnu)
            .args([
                "--create",
                "--sort=name",
                "--file=-",
                &format!("--format={format}"),
                "--directory",
            ])
            .arg(temp.path().join("root"))
            .arg(".")
            .output()
            .unwrap();
        assert!(output.status.success());
        check_sample(&output.stdout, &format!("GNU tar --format={format}"));
    }
}

const PYTHON_CREATE: &str = "
import sys, tarfile
format = {'gnu': tarfile.GNU_FORMAT, 'pax': tarfile.PAX_FORMAT}[sys.argv[1]]
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=format) as tar:
    tar.add(sys.argv[2], arcname='.')
";

#[test]
fn python_writes_what_we_read() {
    let Some(python) = tests::require::program("python3") else { return };
    let temp = sample();
    for format in ["gnu", "pax"] {
        let output = Command::new(&python)
            .args(["-c", PYTHON_CREATE, format])
            .arg(temp.path().join("root"))
            .output()
            .unwrap();
        assert!(output.status.success());
        check_sample(&output.stdout, &format!("python {format}"));
    }
}

/// Any metadata that a tree can hold.
fn metadata() -> impl Strategy<Value = Metadata> {
    let xattrs = prop::collection::btree_map(
        "(user|security|trusted)\\.[a-z]{1,20}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        0..3,
    );
    (
        0..=0o7777_u32,
        0..u32::MAX,
        prop_oneof![0..3_u32, 0..u32::MAX],
        any::<i32>(),
        any::<bool>(),
        xattrs,
    )
        .prop_map(|(mode, uid, gid, small, large, xattrs)| {
            let mtime = if large { i64::from(small) << 24 } else { i64::from(small) };
            Metadata { mode, uid, gid, mtime, xattrs }
        })
}

fn component() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        "[a-z]{1,8}".prop_map(String::into_bytes),
        "[a-z]{90,110}".prop_map(String::into_bytes),
        prop::collection::vec(
            any::<u8>().prop_filter("no part of a name", |b| !matches!(b, 0 | b'/')),
            1..255
        )
        .prop_filter("means something", |name| name != b"." && name != b".."),
    ]
}

fn inode() -> impl Strategy<Value = Inode<Bytes>> {
    let target = prop::collection::vec(1..=255_u8, 1..300);
    prop_oneof![
        metadata().prop_map(Inode::Directory),
        (metadata(), prop::collection::vec(any::<u8>(), 0..1100)).prop_map(|(m, c)| file(m, &c)),
        (metadata(), target).prop_map(|(metadata, target)| Inode::Symlink { metadata, target }),
    ]
}

fn entries() -> impl Strategy<Value = Vec<(ImagePath, Inode<Bytes>)>> {
    let name = prop::collection::vec(component(), 1..4).prop_map(|parts| path(parts.join(&b'/')));
    prop::collection::vec((name, inode()), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_tree_reads_back(entries in entries(), links: bool) {
        let mut tree: Tree<Bytes> = Tree::new();
        for (path, inode) in entries {
            tree.insert(path, inode);
        }
        let first = tree.iter().find(|(_, inode)| matches!(inode, Inode::File { .. }));
        if let (true, Some((target, _))) = (links, first) {
            let target = target.clone();
            // Sorts behind everything but names of 0xff.
            let link = path([&[0xff; 200], target.file_name().unwrap()].concat().get(..250).unwrap_or(&[0xff; 230]));
            tree.insert(link, Inode::Hardlink { target });
        }
        let bytes = pack(&tree);
        let back = tar::read(&mut Reader::new(bytes.as_slice()), |_, content| {
            let mut all = Vec::new();
            content.read_to_end(&mut all)?;
            Ok(all)
        });
        prop_assert_eq!(back.unwrap(), tree);
    }

    #[test]
    fn the_order_of_insertion_changes_nothing(entries in entries()) {
        let unique: BTreeMap<_, _> = entries.into_iter().collect();
        let (mut forward, mut backward) = (Tree::new(), Tree::new());
        for (path, inode) in &unique {
            forward.insert(path.clone(), inode.clone());
        }
        for (path, inode) in unique.iter().rev() {
            backward.insert(path.clone(), inode.clone());
        }
        prop_assert_eq!(pack(&forward), pack(&backward));
    }

    /// Whatever the bytes are, the reader ends with an answer.
    #[test]
    fn a_damaged_archive_is_read_or_refused(at in 0..14_000_usize, byte: u8) {
        let mut bytes = pack(&everything());
        let at = at % bytes.len();
        bytes[at] = byte;
        let result = dump_tar(bytes.as_slice());
        if let Err(error) = result {
            prop_assert!(!error.to_string().contains('\x1b'));
        }
    }
}
