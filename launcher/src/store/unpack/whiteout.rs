//! Whiteouts: how a layer removes what lower layers made (image-spec layer.md, "Whiteouts").
//!
//! `.wh.NAME` hides NAME, `.wh..wh..opq` everything in its folder; both only what comes from lower
//! layers, wherever in the archive they stand.

use common::tree::ImagePath;
use common::tree::tar::{Entry, EntryKind};

use super::UnpackError;
use super::tree::{Missing, Tree};

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Whether the entry is a whiteout. Refused is one that is no empty file, one below another, and one
/// whose name is none: `.wh..` and `.wh...` would be the folder itself and its parent.
pub(super) fn is_marker(entry: &Entry) -> Result<bool, UnpackError> {
    let refused = || UnpackError::Whiteout { path: entry.path.clone() };
    let mut names = entry.path.components();
    let Some(name) = names.next_back() else { return Ok(false) };
    if names.any(|name| name.starts_with(PREFIX)) {
        return Err(refused());
    }
    let Some(hidden) = name.strip_prefix(PREFIX) else { return Ok(false) };
    let names_something = !matches!(hidden, b"" | b"." | b"..");
    // `.wh..wh.*` is reserved; only the opaque marker has a meaning.
    let known = name == OPAQUE || !hidden.starts_with(PREFIX);
    if names_something && known && entry.kind == (EntryKind::File { size: 0 }) {
        Ok(true)
    } else {
        Err(refused())
    }
}

/// Removes what the marker hides, below descriptors and through no link (U5).
pub(super) fn apply(tree: &mut Tree, entry: &Entry) -> Result<(), UnpackError> {
    let refused = || UnpackError::Whiteout { path: entry.path.clone() };
    // Refuses a way through a link, whatever is hidden behind it.
    if tree.parent(&entry.path, Missing::Stop)?.is_none() {
        return Ok(());
    }
    let folder = entry.path.parent().unwrap_or_else(ImagePath::root);
    match entry.path.file_name().and_then(|name| name.strip_prefix(PREFIX)) {
        None => Err(refused()),
        Some(_) if entry.path.file_name() == Some(OPAQUE) => tree.hide_children(&folder),
        Some(hidden) => {
            let path = folder.join(hidden).map_err(|_impossible| refused())?;
            tree.hide(&path)
        }
    }
}
