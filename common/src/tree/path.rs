//! `ImagePath`: an absolute, normalised path inside a root filesystem. Bytes, not text.

use std::borrow::Borrow;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::escape::Escaped;

/// `/`, or `/` followed by components joined by single slashes. No component is empty, `.` or
/// `..`, none has a NUL byte. Sorts by bytes, which puts every parent before its children.
/// Printed and serialised escaped (see [`Escaped`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImagePath(Vec<u8>);

/// Why bytes are no path inside an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path does not start with a slash.
    #[error("`{}` is not an absolute path", Escaped(.0))]
    Relative(Vec<u8>),
    /// A component is `..`.
    #[error("`{}` has a `..` in it", Escaped(.0))]
    Parent(Vec<u8>),
    /// There is a NUL byte.
    #[error("`{}` has a NUL byte in it", Escaped(.0))]
    Nul(Vec<u8>),
    /// A component is longer than 255 bytes or the whole longer than 4096, Linux's limits.
    #[error("a path of {0} bytes is too long (255 a component, 4096 in all)")]
    TooLong(usize),
}

impl ImagePath {
    /// The root itself.
    pub fn root() -> Self {
        Self(b"/".to_vec())
    }

    /// An absolute path; repeated slashes, `.` components and a trailing slash are dropped, `..` is
    /// refused (what it means depends on links, which only a file system can say).
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let bytes = bytes.as_ref();
        if bytes.first() != Some(&b'/') {
            return Err(PathError::Relative(bytes.to_vec()));
        }
        Self::root().join(bytes)
    }

    /// This path with the components of `relative` behind it. Leading slashes of `relative` do not
    /// make it start over.
    pub fn join(&self, relative: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let relative = relative.as_ref();
        let mut path = self.0.clone();
        for component in relative.split(|&b| b == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(PathError::Parent(relative.to_vec())),
                _ if component.contains(&0) => return Err(PathError::Nul(relative.to_vec())),
                _ if component.len() > 255 => return Err(PathError::TooLong(component.len())),
                _ => {}
            }
            if path.len() > 1 {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        if path.len() > 4096 {
            return Err(PathError::TooLong(path.len()));
        }
        Ok(Self(path))
    }

    /// With the leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Without the leading slash: empty for the root.
    pub fn relative(&self) -> &[u8] {
        &self.0[1..]
    }

    /// As a host type, with the leading slash. Only for display and for system calls that resolve it below a root fd.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The folder that contains this path; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        match (slash, self.0.len()) {
            (_, 1) => None,
            (0, _) => Some(Self::root()),
            _ => Some(Self(self.0[..slash].to_vec())),
        }
    }

    /// The last component; `None` for the root.
    pub fn file_name(&self) -> Option<&[u8]> {
        self.0.rsplit(|&b| b == b'/').next().filter(|name| !name.is_empty())
    }

    /// The components, first to last.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|component| !component.is_empty())
    }

    /// Whether this is `folder` or lies below it.
    pub fn starts_with(&self, folder: &Self) -> bool {
        match self.0.strip_prefix(folder.0.as_slice()) {
            Some(rest) => rest.is_empty() || folder.0.len() == 1 || rest[0] == b'/',
            None => false,
        }
    }

    /// All proper ancestors, from the root down.
    pub fn ancestors(&self) -> Vec<Self> {
        let mut all: Vec<Self> = std::iter::successors(self.parent(), Self::parent).collect();
        all.reverse();
        all
    }

    /// Below a host folder, as plain text. Only to *show* where something came from.
    pub fn below(&self, folder: &Path) -> PathBuf {
        folder.join(OsStr::from_bytes(self.relative()))
    }
}

impl fmt::Display for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for ImagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl Borrow<[u8]> for ImagePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for ImagePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Only for paths that are text: what was escaped does not come back as bytes.
impl<'de> Deserialize<'de> for ImagePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_or_refused() {
        for (given, normal) in
            [("/", "/"), ("//a//b/", "/a/b"), ("/./a/.", "/a"), ("/a b\n", "/a b\n")]
        {
            assert_eq!(ImagePath::new(given).unwrap().as_bytes(), normal.as_bytes());
        }
        assert!(matches!(ImagePath::new("a"), Err(PathError::Relative(_))));
        assert!(matches!(ImagePath::new(""), Err(PathError::Relative(_))));
        assert!(matches!(ImagePath::new("/a/../b"), Err(PathError::Parent(_))));
        assert!(matches!(ImagePath::new("/a\0"), Err(PathError::Nul(_))));
        assert!(matches!(
            ImagePath::new([b"/", [b'x'; 256].as_slice()].concat()),
            Err(PathError::TooLong(256))
        ));
    }

    #[test]
    fn parts_of_a_path() {
        let path = ImagePath::new("/usr/lib/x").unwrap();
        assert_eq!(path.file_name(), Some(&b"x"[..]));
        assert_eq!(path.parent(), ImagePath::new("/usr/lib").ok());
        assert_eq!(
            path.ancestors().iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["/", "/usr", "/usr/lib"]
        );
        assert_eq!(ImagePath::root().parent(), None);
        assert_eq!(ImagePath::root().file_name(), None);
        assert_eq!(ImagePath::new("/a").unwrap().parent(), Some(ImagePath::root()));
        assert!(path.starts_with(&ImagePath::root()));
        assert!(path.starts_with(&path));
        assert!(!ImagePath::new("/usr2").unwrap().starts_with(&ImagePath::new("/usr").unwrap()));
    }
}
