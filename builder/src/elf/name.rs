//! `Name`: bytes that an object, a cache or a command line gave for a file. Not text.

use std::fmt;
use std::sync::Arc;

use common::escape::Escaped;
use serde::{Serialize, Serializer};

/// A soname or a path as it was written: any bytes but NUL. Printed and serialised escaped (see
/// [`Escaped`]). Copies share the bytes: a closure says the same names many times.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Name(Arc<[u8]>);

impl Name {
    /// The bytes as they stood.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is a slash in it: the loader then opens it as a path instead of searching.
    pub fn has_slash(&self) -> bool {
        self.0.contains(&b'/')
    }
}

impl<T: Into<Vec<u8>>> From<T> for Name {
    fn from(bytes: T) -> Self {
        Self(bytes.into().into())
    }
}

impl std::borrow::Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
