//! Which files of a plan are written without their debug sections, and the bytes that are left.
//!
//! Reads headers when the plan is made, so that every size is known before the layer is written; a
//! file that cannot be stripped stays as it is, and a warning says why.

use std::fs::File;
use std::io::{self, Read};

use common::root::Root;

use super::ContentError;
use crate::elf::Name;
use crate::elf::ReadAt as _;
use crate::elf::strip::{Drop, Piece, StripError, Stripped, strip};
use crate::interrupt::Interrupt;
use crate::plan::{Node, Plan, Source};
use crate::spec::least::Strip;

/// Marks every file of the plan that is to be stripped. Returns what a person should know.
pub fn mark(plan: &mut Plan, how: Strip, root: &Root, context: Option<&Root>) -> Vec<String> {
    let Some(drop) = sections(how) else { return Vec::new() };
    let mut warnings = Vec::new();
    for (path, entry) in &mut plan.entries {
        let Node::File { source, .. } = &mut entry.node else { continue };
        let file = match source {
            Source::Root { path, .. } => root.open_file(path.as_bytes()),
            Source::Context { path, .. } => match context {
                Some(context) => context.open_file(path.as_bytes()),
                None => continue,
            },
            Source::Part { .. } | Source::Generated { .. } | Source::Stripped { .. } => continue,
        };
        let found = file.map_err(StripError::from).and_then(|file| {
            let length = file.metadata()?.len();
            strip(&file, length, drop)
        });
        match found {
            Ok(Some(Stripped { size, .. })) => {
                *source = Source::Stripped { of: Box::new(source.clone()), size, how };
            }
            Ok(None) => {}
            Err(why) => warnings.push(format!("`{path}` is not stripped: {why}")),
        }
    }
    warnings
}

fn sections(how: Strip) -> Option<Drop> {
    match how {
        Strip::None => None,
        Strip::Debug => Some(Drop::Debug),
        Strip::All => Some(Drop::Symbols),
    }
}

/// The bytes of a stripped file, which must be as many as were planned.
pub(super) fn open(
    name: &Name,
    file: File,
    how: Strip,
    planned: u64,
    interrupt: &Interrupt,
) -> Result<impl Read + use<>, ContentError> {
    let read = |error| ContentError::Read { path: name.clone(), error };
    let length = file.metadata().map_err(read)?.len();
    let stripped = match sections(how).map(|drop| strip(&file, length, drop)) {
        Some(Ok(stripped)) => stripped,
        Some(Err(StripError::Read(error))) => return Err(read(error)),
        Some(Err(StripError::Odd(_))) | None => None,
    };
    match stripped {
        Some(Stripped { pieces, size }) if size == planned => Ok(Pieces {
            name: name.clone(),
            file,
            rest: pieces.into_iter(),
            copy: (0, 0),
            bytes: io::Cursor::default(),
            interrupt: interrupt.clone(),
        }),
        other => {
            let found = other.map_or(length, |stripped| stripped.size);
            Err(ContentError::Changed { path: name.clone(), planned, found })
        }
    }
}

/// A file in pieces.
struct Pieces {
    name: Name,
    file: File,
    rest: std::vec::IntoIter<Piece>,
    /// What is left to be copied of the piece under way: where, and how much.
    copy: (u64, u64),
    bytes: io::Cursor<Vec<u8>>,
    interrupt: Interrupt,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt.check()?;
        loop {
            let (offset, left) = self.copy;
            if left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                let failed = |error| ContentError::Read { path: self.name.clone(), error };
                let count = self.file.read_at(offset, &mut buffer[..most]).map_err(failed)?;
                // It has shrunk; its end is told by who counts.
                if count == 0 && most > 0 {
                    let path = self.name.clone();
                    let planned = offset + left;
                    return Err(ContentError::Changed { path, planned, found: offset }.into());
                }
                self.copy = (offset + count as u64, left - count as u64);
                return Ok(count);
            }
            let count = self.bytes.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.rest.next() {
                None => return Ok(0),
                Some(Piece::Copy { offset, length }) => self.copy = (offset, length),
                Some(Piece::Bytes(bytes)) => self.bytes = io::Cursor::new(bytes),
            }
        }
    }
}
