//! `ImageSource`: what a person typed where an image is expected, and what file that is.
//!
//! A name of the store comes first, unless the text starts like a path (`/`, `./`, `../`); then a
//! file or folder of that name, at last `FOLDER:TAG`. What a file is, its content says, not its name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use common::escape::Escaped;
use common::oci::compression::{Compression, Decoder, Limits};
use common::oci::reference::Reference;
use common::tree::tar::Reader;

use super::erofs;
use super::unpack::UnpackError;

/// A name in the store, or a path to an OCI archive, an OCI layout folder, a rootfs tarball or a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSource {
    text: OsString,
}

impl From<OsString> for ImageSource {
    fn from(text: OsString) -> Self {
        Self { text }
    }
}

impl From<&Path> for ImageSource {
    fn from(path: &Path) -> Self {
        Self { text: path.as_os_str().to_owned() }
    }
}

impl From<&Reference> for ImageSource {
    fn from(name: &Reference) -> Self {
        Self { text: name.to_string().into() }
    }
}

/// What it prints is escaped.
impl std::fmt::Display for ImageSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Escaped(self.text.as_bytes()).fmt(f)
    }
}

impl ImageSource {
    /// The name that this is, unless it is written as a path.
    pub fn name(&self) -> Option<Reference> {
        let bytes = self.text.as_bytes();
        let path = [&b"/"[..], b"./", b"../"].iter().any(|start| bytes.starts_with(start));
        if path { None } else { self.text.to_str()?.parse().ok() }
    }

    /// The paths that this may be, each with the tag that is then asked for.
    pub(super) fn paths(&self) -> Vec<(PathBuf, Option<String>)> {
        let mut paths = vec![(PathBuf::from(&self.text), None)];
        let bytes = self.text.as_bytes();
        if let Some(colon) = bytes.iter().rposition(|&b| b == b':')
            && let Ok(tag) = std::str::from_utf8(&bytes[colon + 1..])
        {
            let path = OsString::from_vec(bytes[..colon].to_vec());
            paths.push((path.into(), Some(tag.to_owned())));
        }
        paths
    }
}

/// What a regular file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileKind {
    /// An OCI layout as one archive, or what `docker save` wrote before it knew layouts.
    Archive,
    /// A root filesystem.
    Rootfs,
    /// A root filesystem that can be mounted.
    Erofs,
}

/// Looks at the first entries. All that a layout has at its top are `oci-layout`, `index.json`,
/// `blobs/` and docker's two files; what has anything else there is a root filesystem.
pub(super) fn kind(file: &File) -> Result<FileKind, UnpackError> {
    if erofs::is_erofs(file)? {
        return Ok(FileKind::Erofs);
    }
    let compression = compression(file)?;
    let mut entries = Reader::new(Decoder::new(compression, file, Limits::default())?);
    while let Some(entry) = entries.next_entry()? {
        let mut names = entry.path.components();
        match (names.next(), names.nth(1)) {
            (Some(b"oci-layout" | b"index.json" | b"manifest.json" | b"repositories"), _)
            | (Some(b"blobs"), Some(_)) => return Ok(FileKind::Archive),
            (None, _) | (Some(b"blobs"), None) => {}
            // The old docker format starts with a folder, or a configuration, named by a digest.
            (Some(name), _) if is_docker_name(name) => return Ok(FileKind::Archive),
            (Some(_), _) => break,
        }
    }
    Ok(FileKind::Rootfs)
}

/// As the first bytes say (RFC 1952, RFC 8878). The file is at its start afterwards.
pub(super) fn compression(mut file: &File) -> io::Result<Compression> {
    let mut magic = Vec::new();
    file.rewind()?;
    file.take(4).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    })
}

fn is_docker_name(name: &[u8]) -> bool {
    let name = name.strip_suffix(b".json").unwrap_or(name);
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

/// Names that are nearly `wanted`: at most three, the nearest first.
pub(super) fn near(wanted: &OsStr, known: impl Iterator<Item = Reference>) -> Vec<Reference> {
    let wanted = wanted.to_string_lossy().to_lowercase();
    let (name, tag) = wanted.split_once(':').unwrap_or((&wanted, Reference::DEFAULT_TAG));
    let mut near: Vec<(usize, Reference)> = known
        .filter_map(|known| {
            let distance = distance(name, known.name()) * 2 + usize::from(known.tag() != tag);
            // A third of the name may be wrong.
            (distance <= 1 + name.chars().count() / 3 * 2).then_some((distance, known))
        })
        .collect();
    near.sort();
    near.truncate(3);
    near.into_iter().map(|(_, known)| known).collect()
}

/// How many characters must be inserted, removed or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

impl ImageSource {
    /// As typed.
    pub(super) fn text(&self) -> &OsStr {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_path_is_no_name() {
        for (text, name, paths) in [
            ("curl", Some("curl:latest"), "curl"),
            ("curl:8", Some("curl:8"), "curl:8 curl[8]"),
            ("curl.tar", Some("curl.tar:latest"), "curl.tar"),
            ("./curl", None, "./curl"),
            ("/x/y:z", None, "/x/y:z /x/y[z]"),
            ("Curl.TAR", None, "Curl.TAR"),
        ] {
            let source = ImageSource::from(OsString::from(text));
            assert_eq!(source.name().map(|name| name.to_string()).as_deref(), name);
            let shown: Vec<String> = source
                .paths()
                .iter()
                .map(|(path, tag)| {
                    let tag = tag.as_ref().map(|tag| format!("[{tag}]")).unwrap_or_default();
                    format!("{}{tag}", path.display())
                })
                .collect();
            assert_eq!(shown.join(" "), paths);
        }
    }

    #[test]
    fn a_typo_finds_the_names_that_were_meant() {
        let known = ["curl:latest", "curl:8.5", "bash:latest", "python3.11:latest"];
        for (typed, expected) in [
            ("crul", vec![]),
            ("curk", vec!["curl:latest", "curl:8.5"]),
            ("curl:8", vec!["curl:8.5", "curl:latest"]),
            ("Bash", vec!["bash:latest"]),
            ("python3.12", vec!["python3.11:latest"]),
            ("nothing", vec![]),
        ] {
            let known = known.iter().map(|name| name.parse().unwrap());
            let near: Vec<String> =
                near(OsStr::new(typed), known).iter().map(ToString::to_string).collect();
            assert_eq!(near, expected, "{typed}");
        }
    }
}
