//! What is wrong with an archive, with which entry, and where.

use std::io;

use crate::escape::Escaped;
use crate::report::Diagnostic;
use crate::tree::{ImagePath, PathError};

/// Why an archive was refused, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TarError {
    /// Reading or writing failed.
    #[error("cannot read or write the archive")]
    Io(#[from] io::Error),
    /// An entry is not as it must be.
    #[error("entry `{}` at byte {offset}: {problem}", Escaped(name))]
    Entry {
        /// Its name, as far as it was known.
        name: Vec<u8>,
        /// Where its (first) header starts.
        offset: u64,
        /// What is wrong.
        problem: Problem,
    },
    /// The archive ends without its end marker, two blocks of zeros.
    #[error("the archive is cut off at byte {offset}")]
    Truncated {
        /// Where something was missing.
        offset: u64,
    },
    /// Something other than zeros follows the end marker.
    #[error("data follows the end of the archive at byte {offset}")]
    Trailing {
        /// Where it starts.
        offset: u64,
    },
    /// There are more entries than allowed.
    #[error("the archive has more than {limit} entries")]
    Entries {
        /// Entries allowed.
        limit: u64,
    },
    /// All files together have more bytes than allowed.
    #[error("the archive's files have more than {limit} bytes")]
    Bytes {
        /// Bytes allowed.
        limit: u64,
    },
}

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The header's bytes do not have its checksum.
    #[error("its header is damaged (wrong checksum)")]
    Checksum,
    /// The header is neither ustar, GNU nor v7.
    #[error("its header is of an unknown format")]
    Magic,
    /// A number is no number, negative, or out of range.
    #[error("its {0} is not a valid number")]
    Number(&'static str),
    /// No name at all.
    #[error("it has no name")]
    Nameless,
    /// The name or a hard link's target starts at the root.
    #[error("it names an absolute path")]
    Absolute,
    /// The name or a hard link's target is no path inside an image.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A NUL byte inside a name or a link's target.
    #[error("there is a NUL byte in its {0}")]
    Nul(&'static str),
    /// A file's name ends with a slash: some tools would make a folder of it.
    #[error("it is a file named like a folder")]
    Slash,
    /// More folders within folders than allowed.
    #[error("it lies more than {0} folders deep")]
    Depth(usize),
    /// The root comes a second time.
    #[error("it would replace the root")]
    SecondRoot,
    /// The root is something other than a folder.
    #[error("the root must be a folder")]
    RootKind,
    /// A symbolic link says nothing, or more than a link can.
    #[error("its link target is empty or too long")]
    Target,
    /// Content behind something that has none.
    #[error("it is no file but has {0} bytes of content")]
    Data(u64),
    /// Device node or FIFO.
    #[error("it is a {0}, which an image may not have")]
    Special(&'static str),
    /// A sparse file.
    #[error("it is a sparse file")]
    Sparse,
    /// Any other type of entry.
    #[error("it has the unknown type `{}`", Escaped(&[*.0]))]
    Type(u8),
    /// A PAX record is malformed.
    #[error("its PAX header is malformed")]
    Pax,
    /// A PAX key comes twice.
    #[error("its PAX header has `{}` twice", Escaped(.0))]
    PaxTwice(Vec<u8>),
    /// A global PAX header sets something for all entries.
    #[error("a global PAX header sets `{}`", Escaped(.0))]
    PaxGlobal(Vec<u8>),
    /// A value that we cannot follow.
    #[error("its PAX header has an unsupported value of `{}`", Escaped(.0))]
    PaxValue(Vec<u8>),
    /// The PAX header and the header disagree about the size: two readers would see two archives
    /// (CVE-2025-62518).
    #[error("its size is {pax} in the PAX header and {header} in the header")]
    Sizes {
        /// As PAX says.
        pax: u64,
        /// As the header says.
        header: u64,
    },
    /// Extended headers follow each other in a way that no tool writes.
    #[error("its extended headers contradict each other")]
    Extensions,
    /// An extended header is larger than allowed.
    #[error("its extended header has {size} bytes, {limit} are allowed")]
    ExtensionSize {
        /// Bytes it has.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// An extended attribute that would steer an overlay file system (rule U5), or whose name is none.
    #[error("it has the extended attribute `{}`", Escaped(.0))]
    Xattr(Vec<u8>),
    /// A hard link whose target is no earlier file of the archive (rule U4).
    #[error("its target `{0}` is no earlier file of the archive")]
    HardlinkTarget(ImagePath),
    /// One path, two entries.
    #[error("its path is there twice")]
    Twice,
    /// While writing: the content did not have the size that the tree says.
    #[error("its content has {found} bytes, not {expected}")]
    Content {
        /// As the tree says.
        expected: u64,
        /// As read; at least that many.
        found: u64,
    },
}

impl Diagnostic for TarError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Io(_) | Self::Bytes { .. } | Self::Entries { .. } => return None,
            Self::Truncated { .. } => "the archive is incomplete: fetch or make it again".into(),
            Self::Trailing { .. } => "only zeros may follow; was something appended to it?".into(),
            Self::Entry { problem: Problem::Sparse, .. } => {
                "make the archive without `--sparse`".into()
            }
            Self::Entry { problem: Problem::Content { .. }, .. } => {
                "the file changed while it was read: build again".into()
            }
            Self::Entry { problem: Problem::Special(_), .. } => {
                "leave it out: devices are made when a container starts".into()
            }
            Self::Entry { .. } => "the archive is damaged, or was made to deceive".into(),
        })
    }
}
